#include "datasets/readers/coco.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

using Json = nlohmann::json;

constexpr int64_t largest_file = int64_t{1} << 36;
constexpr double largest_whole = 9007199254740992.0;  // 2^53: a double holds every whole number below it

// An object of one of the lists: its own numbers, words and box. Of numbers, of words and of boxes that stand
// under a key twice the last counts.
struct Record {
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<std::pair<std::string, std::string>> words;
  std::vector<double> box;
  bool box_is_none = false;  // there is a bbox, and it is no list of numbers
  // Where these are looked for, see Reading: the first key with a number that is not finite, and the number.
  std::string not_finite_key, not_finite;

  void clear_box() {
    box.clear();
    box_is_none = false;
  }
  void clear() {
    numbers.clear();
    words.clear();
    clear_box();
    not_finite_key.clear();
  }
  template <class Value>
  static const Value* find(const std::vector<std::pair<std::string, Value>>& values, std::string_view key) {
    for (size_t i = values.size(); i-- > 0;)
      if (values[i].first == key) return &values[i].second;
    return nullptr;
  }
};

// Of the lists that a file may have, those that boxes need; a file that is one list has no name for it.
bool is_read(const std::string& list) {
  return list.empty() || list == "images" || list == "annotations" || list == "categories";
}

// JSON has no numbers beyond those of a double, but Python writes NaN and Infinity. Where a file is no JSON
// it is read once more with these in quotes, so that the end of their record is reached, where its id may
// stand.
enum class Reading { strictly, for_not_finite };

bool is_not_finite(const std::string& word) {
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  return end != word.c_str() && *end == 0 && !std::isfinite(value);
}

// Reads a file of lists of records; `list` is the key that a list stands under, empty for a file that is one
// list.
class RecordReader : public nlohmann::json_sax<Json> {
 public:
  using Take = std::function<void(const std::string& list, Record& record)>;
  RecordReader(std::string file, bool in_lists, Take take, Reading reading = Reading::strictly)
      : file_(std::move(file)), record_depth_(in_lists ? 3 : 2), take_(std::move(take)), reading_(reading) {}

  bool has_list(const std::string& list) const { return lists_.contains(list); }
  bool in_lists() const { return record_depth_ == 3; }
  // Of a file that is no JSON: where, and why.
  const std::string& problem() const { return problem_; }

  bool null() override { return other(); }
  bool boolean(bool value) override { return number(value ? 1 : 0); }
  bool number_integer(number_integer_t value) override { return number(double(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(double(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t& value) override {
    const bool own = depth_ == record_depth_ && in_record_;
    if (reading_ == Reading::for_not_finite && (own || in_this_box()) && is_not_finite(value)) {
      if (record_.not_finite_key.empty()) record_.not_finite_key = key_, record_.not_finite = value;
      return true;
    }
    if (own) record_.words.emplace_back(key_, value);
    return other();
  }
  bool binary(binary_t&) override { return other(); }

  bool start_object(std::size_t) override {
    if (!in_list_ || depth_ != record_depth_ - 1) other();
    ++depth_;
    check(depth_ < deepest, Fault::input, file_, ": nested deeper than ", deepest, " levels");
    if (depth_ == 1)
      check(record_depth_ == 3, Fault::input, file_, ": is an object, expected a list of results");
    if (depth_ == record_depth_ && in_list_) {
      in_record_ = true;
      record_.clear();
    }
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) {
      list_ = name;
    } else if (depth_ == record_depth_) {
      key_ = name;
      if (key_ == "bbox") record_.clear_box();
    }
    return true;
  }
  bool end_object() override {
    if (depth_ == record_depth_ && in_record_) {
      in_record_ = false;
      take_(list_, record_);
    }
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    const bool box = depth_ == record_depth_ && in_record_ && key_ == "bbox";
    if (!box) other();
    ++depth_;
    check(depth_ < deepest, Fault::input, file_, ": nested deeper than ", deepest, " levels");
    if (depth_ == 1) {
      check(record_depth_ == 2, Fault::input, file_,
            ": is a list, expected an object with the lists images, annotations and categories");
    }
    if (depth_ == record_depth_ - 1) {
      in_list_ = true;
      check(lists_.insert(list_).second, Fault::input, file_, ": has the list '", list_, "' twice");
    }
    in_box_ = box;
    return true;
  }
  bool end_array() override {
    if (depth_ == record_depth_ - 1) in_list_ = false;
    in_box_ = false;
    --depth_;
    return true;
  }
  bool parse_error(std::size_t place, const std::string&, const nlohmann::detail::exception& error) override {
    problem_ = text("no JSON at byte ", place, " (", error.what(), ")");
    return false;
  }

 private:
  static constexpr int deepest = 512;

  bool in_this_box() const { return in_box_ && depth_ == record_depth_ + 1; }
  bool number(double value) {
    if (in_this_box()) {
      record_.box.push_back(value);
      return true;
    }
    if (depth_ == record_depth_ && in_record_) record_.numbers.emplace_back(key_, value);
    return other();
  }
  // A value that is none of a box.
  bool other() {
    if (in_this_box() || (in_record_ && depth_ == record_depth_ && key_ == "bbox"))
      record_.box_is_none = true;
    check(!in_list_ || depth_ != record_depth_ - 1 || !is_read(list_), Fault::input, file_, ": an entry of ",
          list_.empty() ? "the list" : list_, " is no object");
    return true;
  }

  std::string file_;
  int record_depth_, depth_ = 0;
  Take take_;
  Reading reading_;
  bool in_list_ = false, in_record_ = false, in_box_ = false;
  std::string list_, key_, problem_;
  std::set<std::string> lists_;
  Record record_;
};

// Text piece by piece, with numbers that are not finite in quotes.
class Quoting {
 public:
  std::string of(const std::string& piece, bool last) {
    std::string quoted;
    for (const char c : piece) {
      if (!in_text_ && (std::isalnum(uint8_t(c)) || c == '+' || c == '-' || c == '.')) {
        word_ += c;
        continue;
      }
      end_word(quoted);
      quoted += c;
      if (c == '"' && !escaped_) in_text_ = !in_text_;
      escaped_ = in_text_ && c == '\\' && !escaped_;
    }
    if (last) end_word(quoted);
    return quoted;
  }

 private:
  void end_word(std::string& to) {
    if (word_.empty()) return;
    to += is_not_finite(word_) ? '"' + word_ + '"' : word_;
    word_.clear();
  }

  bool in_text_ = false, escaped_ = false;
  std::string word_;  // may go on in the next piece
};

// The bytes of a file one after another, read in large pieces.
class FileBytes {
 public:
  FileBytes(InputFile& file, Reading reading) : file_(file), reading_(reading), left_(file.size()) {
    refill();
  }
  bool at_end() const { return place_ == buffer_.size(); }
  char get() const { return buffer_[place_]; }
  void advance() {
    if (++place_ == buffer_.size()) refill();
  }

 private:
  void refill() {
    place_ = 0;
    do {
      buffer_.resize(size_t(std::min(left_, largest_piece)));
      if (!buffer_.empty()) file_.read(buffer_.data(), int64_t(buffer_.size()));
      left_ -= int64_t(buffer_.size());
      if (reading_ == Reading::for_not_finite) buffer_ = quoting_.of(buffer_, left_ == 0);
    } while (buffer_.empty() && left_ > 0);
  }

  static constexpr int64_t largest_piece = 1 << 16;
  InputFile& file_;
  const Reading reading_;
  int64_t left_;
  size_t place_ = 0;
  std::string buffer_;
  Quoting quoting_;
};

struct ByteIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  FileBytes* bytes = nullptr;  // null: the end
  char operator*() const { return bytes->get(); }
  ByteIterator& operator++() {
    bytes->advance();
    return *this;
  }
  bool operator==(const ByteIterator& other) const {
    return (!bytes || bytes->at_end()) == (!other.bytes || other.bytes->at_end());
  }
  bool operator!=(const ByteIterator& other) const { return !(*this == other); }
};

// Whether it is JSON.
bool parse_once(const std::filesystem::path& path, RecordReader& reader, Reading reading) {
  InputFile file(path);
  check(file.size() <= largest_file, Fault::input, file.name(), ": ", with_commas(file.size()),
        " bytes, expected at most ", with_commas(largest_file));
  FileBytes bytes(file, reading);
  return Json::sax_parse(ByteIterator{&bytes}, ByteIterator{}, &reader);
}

// Nothing where the record has no such number, or one with a fraction or too large.
std::optional<int64_t> whole_number(const Record& record, const char* key) {
  const double* const found = Record::find(record.numbers, key);
  if (!found || *found != std::floor(*found) || std::abs(*found) >= largest_whole) return std::nullopt;
  return int64_t(*found);
}

// What the records of a list are called in messages.
const char* kind_of(const std::string& list) {
  return list.empty()           ? "result"
         : list == "images"     ? "image"
         : list == "categories" ? "category"
                                : "annotation";
}

// Fails with the first number of a file that is not finite, if there is one in a record that is read.
void fail_if_not_finite(const std::filesystem::path& path, bool in_lists) {
  std::map<std::string, int64_t> seen;
  const auto take = [&](const std::string& list, Record& record) {
    if (!is_read(list)) return;
    const int64_t nth = ++seen[list];
    if (record.not_finite_key.empty()) return;
    // A result has no id.
    const std::optional<int64_t> id = whole_number(record, in_lists ? "id" : "image_id");
    const std::string which = !id        ? text(" number ", nth)
                              : in_lists ? text(" ", *id)
                                         : text(" number ", nth, " (image ", *id, ")");
    fail(Fault::input, path.string(), ": ", record.not_finite_key, " of ", kind_of(list), which,
         " is not a finite number (", record.not_finite, ")");
  };
  RecordReader reader(path.string(), in_lists, take, Reading::for_not_finite);
  parse_once(path, reader, Reading::for_not_finite);
}

void parse(const std::filesystem::path& path, RecordReader& reader) {
  if (parse_once(path, reader, Reading::strictly)) return;
  fail_if_not_finite(path, reader.in_lists());
  fail(Fault::input, path.string(), ": ", reader.problem());
}

// What a record is called in messages: "annotation 12", "result number 3" by its place where it has no id.
struct Place {
  const std::string& file;
  const char* kind;
  int64_t id;
  bool has_id = true;

  std::string what() const { return text(kind, has_id ? " " : " number ", id); }
  double number(const Record& record, const char* key) const {
    const double* const found = Record::find(record.numbers, key);
    if (!found) fail(Fault::input, file, ": ", what(), " has no number '", key, "'");
    return *found;
  }
  int64_t whole(const Record& record, const char* key) const {
    const double value = number(record, key);
    const std::optional<int64_t> whole = whole_number(record, key);
    if (!whole)
      fail(Fault::input, file, ": ", what(), ": '", key, "' is ", value,
           std::abs(value) >= largest_whole ? ", expected below 2^53" : ", expected a whole number");
    return *whole;
  }
  int64_t whole_or(const Record& record, const char* key, int64_t fallback) const {
    return Record::find(record.numbers, key) ? whole(record, key) : fallback;
  }
  CocoRect box(const Record& record) const {
    const std::vector<double>& b = record.box;
    if (b.size() != 4 || record.box_is_none)
      fail(Fault::input, file, ": ", what(),
           ": 'bbox' is not a list of four numbers (left, top, width, height)");
    if (b[2] < 0 || b[3] < 0)
      fail(Fault::input, file, ": ", what(), ": a box of ", b[2], " x ", b[3],
           " pixels, expected sides of 0 or more");
    return {b[0], b[1], b[2], b[3]};
  }
};

std::string word_or(const Record& record, const char* key, const std::string& fallback) {
  const std::string* const found = Record::find(record.words, key);
  return found ? *found : fallback;
}

template <class Item>
void sort_by_id(std::vector<Item>& items, const std::string& file, const char* what) {
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.id < b.id; });
  const auto twice = std::adjacent_find(items.begin(), items.end(),
                                        [](const Item& a, const Item& b) { return a.id == b.id; });
  check(twice == items.end(), Fault::input, file, ": ", what, " ", twice == items.end() ? 0 : twice->id,
        " stands in the file twice");
}

template <class Item>
bool has_id(const std::vector<Item>& items, int64_t id) {
  const auto found =
      std::lower_bound(items.begin(), items.end(), id, [](const Item& a, int64_t b) { return a.id < b; });
  return found != items.end() && found->id == id;
}

}  // namespace

CocoAnnotations read_coco_annotations(const std::filesystem::path& path, bool pictures_alone) {
  const std::string file = path.string();
  CocoAnnotations all;
  std::map<std::string, int64_t> seen;
  RecordReader reader(file, true, [&](const std::string& list, Record& record) {
    if (!is_read(list)) return;
    const bool image = list == "images", category = list == "categories";
    const char* const kind = kind_of(list);
    const int64_t id = Place{file, kind, ++seen[list], false}.whole(record, "id");
    const Place place{file, kind, id};
    if (image) {
      all.images.push_back({id, word_or(record, "file_name", ""), place.whole_or(record, "width", 0),
                            place.whole_or(record, "height", 0)});
      if (all.images.back().width < 0 || all.images.back().height < 0)
        fail(Fault::input, file, ": ", place.what(), ": a negative size");
    } else if (category) {
      all.categories.push_back({id, word_or(record, "name", std::to_string(id))});
    } else {
      CocoAnnotation a{
          id, place.whole(record, "image_id"),          place.whole(record, "category_id"), place.box(record),
          0,  place.whole_or(record, "iscrowd", 0) != 0};
      a.area =
          Record::find(record.numbers, "area") ? place.number(record, "area") : a.box.width * a.box.height;
      if (a.area < 0)
        fail(Fault::input, file, ": ", place.what(), ": 'area' is ", a.area, ", expected 0 or more");
      all.annotations.push_back(a);
    }
  });
  parse(path, reader);
  for (const std::string list : {"images", "annotations", "categories"})
    check(reader.has_list(list) || (pictures_alone && list == "annotations"), Fault::input, file,
          ": has no list '", list, "'; is it a file of annotations?");

  sort_by_id(all.images, file, "image");
  sort_by_id(all.categories, file, "category");
  std::vector<CocoAnnotation> sorted = all.annotations;
  sort_by_id(sorted, file, "annotation");
  for (const CocoAnnotation& a : all.annotations) {
    check(has_id(all.images, a.image), Fault::input, file, ": annotation ", a.id, " is of image ", a.image,
          ", which is not in the file");
    check(has_id(all.categories, a.category), Fault::input, file, ": annotation ", a.id, " is of category ",
          a.category, ", which is not in the file");
  }
  return all;
}

CocoResults read_coco_results(const std::filesystem::path& path, const CocoAnnotations& annotations) {
  const std::string file = path.string();
  CocoResults results;
  int64_t nth = 0;
  RecordReader reader(file, false, [&](const std::string& list, Record& record) {
    const Place place{file, kind_of(list), ++nth, false};
    const CocoDetection d{place.whole(record, "image_id"), place.whole(record, "category_id"),
                          place.box(record), place.number(record, "score")};
    if (!has_id(annotations.images, d.image))
      fail(Fault::input, file, ": ", place.what(), " is of image ", d.image,
           ", which is not among the annotated images");
    if (has_id(annotations.categories, d.category)) {
      results.detections.push_back(d);
    } else {
      ++results.of_unknown_categories;
    }
  });
  parse(path, reader);
  check(reader.has_list(""), Fault::input, file, ": is no list of results");
  return results;
}

}  // namespace retort
