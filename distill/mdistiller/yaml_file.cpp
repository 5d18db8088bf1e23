#include "distill/mdistiller/yaml_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/utf8.h"

namespace retort {

namespace {

constexpr int64_t largest_file = int64_t(1) << 20;
constexpr size_t deepest = 8;

// Builds the tree from the parser's events. Of an alias nothing is ever expanded: it is refused where it
// stands.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string file) : file_(std::move(file)) {}

  YamlValue take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) refuse(mark, "a second document begins, expected one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { OnScalar(mark, "?", anchor, ""); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "an alias (*NAME) stands here; write out what it stands for");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_anchor_and_tag(mark, tag, anchor);
    if (!open_.empty() && open_.back().expects_key()) {
      check(open_.back().names.insert(text).second, Fault::usage, place(mark), "key '", text,
            "' is there twice");
      open_.back().value.names.push_back(text);
      open_.back().key_line = line_of(mark);
    } else {
      add({.kind = YamlValue::scalar, .line = line_of(mark), .text = text, .quoted = tag == "!"});
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlValue::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlValue::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

  std::string place(const YAML::Mark& mark) const { return text(file_, ":", line_of(mark), ": "); }

 private:
  struct Open {
    YamlValue value;
    std::set<std::string> names = {};
    int key_line = 0;  // of the last key
    bool expects_key() const {
      return value.kind == YamlValue::mapping && value.names.size() == value.items.size();
    }
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }

  [[noreturn]] void refuse(const YAML::Mark& mark, const char* what) const {
    fail(Fault::usage, place(mark), what);
  }

  void refuse_anchor_and_tag(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != 0) refuse(mark, "an anchor (&NAME) stands here, which configuration files do without");
    // "?" and "!" are what the parser calls plain and quoted values without a tag.
    check(tag.empty() || tag == "?" || tag == "!", Fault::usage, place(mark), "a value has the tag '", tag,
          "', expected none");
  }

  void open(YamlValue::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_anchor_and_tag(mark, tag, anchor);
    if (!open_.empty() && open_.back().expects_key()) refuse(mark, "a key is no scalar");
    if (open_.size() == deepest) refuse(mark, "values are nested deeper than 8");
    open_.push_back({{.kind = kind, .line = line_of(mark)}});
  }

  void close() {
    YamlValue value = std::move(open_.back().value);
    open_.pop_back();
    add(std::move(value));
  }

  void add(YamlValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    // The parser places null behind its key, where the next token is.
    if (open_.back().value.kind == YamlValue::mapping) value.line = open_.back().key_line;
    open_.back().value.items.push_back(std::move(value));
  }

  std::string file_;
  int documents_ = 0;
  std::vector<Open> open_;  // the collections around the present place, outermost first
  YamlValue root_;
};

}  // namespace

YamlValue read_yaml(const std::filesystem::path& file) {
  const std::vector<uint8_t> bytes = InputFile(file).read_all(largest_file);
  check_utf8({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string(), Fault::input);
  std::istringstream in(std::string(bytes.begin(), bytes.end()));
  TreeBuilder builder(file.string());
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    fail(Fault::input, builder.place(error.mark), "no YAML: ", error.msg);
  }
  return builder.take();
}

}  // namespace retort
