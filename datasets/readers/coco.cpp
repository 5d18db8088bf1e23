#include "datasets/readers/coco.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
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

// An object of one of the lists: its own numbers, words and box. Of a key that stands twice the last counts.
struct Record {
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<std::pair<std::string, std::string>> words;
  std::vector<double> box;
  bool box_is_none = false;  // there is a bbox, and it is no list of numbers

  void clear() {
    numbers.clear();
    words.clear();
    box.clear();
    box_is_none = false;
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

// Reads a file of lists of records; `list` is the key that a list stands under, empty for a file that is one
// list.
class RecordReader : public nlohmann::json_sax<Json> {
 public:
  using Take = std::function<void(const std::string& list, Record& record)>;
  RecordReader(std::string file, bool in_lists, Take take)
      : file_(std::move(file)), record_depth_(in_lists ? 3 : 2), take_(std::move(take)) {}

  bool has_list(const std::string& list) const { return lists_.contains(list); }

  bool null() override { return other(); }
  bool boolean(bool value) override { return number(value ? 1 : 0); }
  bool number_integer(number_integer_t value) override { return number(double(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(double(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t& value) override {
    if (depth_ == record_depth_ && in_record_) record_.words.emplace_back(key_, value);
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
    fail(Fault::input, file_, ": no JSON at byte ", place, " (", error.what(), ")");
  }

 private:
  static constexpr int deepest = 512;

  bool number(double value) {
    if (in_box_ && depth_ == record_depth_ + 1) {
      record_.box.push_back(value);
      return true;
    }
    if (depth_ == record_depth_ && in_record_) record_.numbers.emplace_back(key_, value);
    return other();
  }
  // A value that is none of a box.
  bool other() {
    if ((in_box_ && depth_ == record_depth_ + 1) || (in_record_ && depth_ == record_depth_ && key_ == "bbox"))
      record_.box_is_none = true;
    check(!in_list_ || depth_ != record_depth_ - 1 || !is_read(list_), Fault::input, file_, ": an entry of ",
          list_.empty() ? "the list" : list_, " is no object");
    return true;
  }

  std::string file_;
  int record_depth_, depth_ = 0;
  Take take_;
  bool in_list_ = false, in_record_ = false, in_box_ = false;
  std::string list_, key_;
  std::set<std::string> lists_;
  Record record_;
};

// The bytes of a file one after another, read in large pieces.
class FileBytes {
 public:
  explicit FileBytes(InputFile& file) : file_(file), left_(file.size()) { refill(); }
  bool at_end() const { return place_ == size_; }
  char get() const { return buffer_[size_t(place_)]; }
  void advance() {
    if (++place_ == size_) refill();
  }

 private:
  void refill() {
    size_ = std::min<int64_t>(left_, int64_t(buffer_.size()));
    if (size_ > 0) file_.read(buffer_.data(), size_);
    left_ -= size_;
    place_ = 0;
  }

  InputFile& file_;
  int64_t left_, place_ = 0, size_ = 0;
  std::array<char, 1 << 16> buffer_;
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

void parse(const std::filesystem::path& path, RecordReader& reader) {
  InputFile file(path);
  check(file.size() <= largest_file, Fault::input, file.name(), ": ", with_commas(file.size()),
        " bytes, expected at most ", with_commas(largest_file));
  FileBytes bytes(file);
  Json::sax_parse(ByteIterator{&bytes}, ByteIterator{}, &reader);
}

// What a record is called in messages: "annotation 12", "result number 3" by its place where it has no id.
struct Place {
  const std::string& file;
  const char* kind;
  int64_t id;

  std::string what() const { return text(kind, " ", id); }
  double number(const Record& record, const char* key) const {
    const double* const found = Record::find(record.numbers, key);
    if (!found) fail(Fault::input, file, ": ", what(), " has no number '", key, "'");
    if (!std::isfinite(*found)) fail(Fault::input, file, ": ", what(), ": '", key, "' is not finite");
    return *found;
  }
  int64_t whole(const Record& record, const char* key) const {
    const double value = number(record, key);
    if (value != std::floor(value) || std::abs(value) >= largest_whole)
      fail(Fault::input, file, ": ", what(), ": '", key, "' is ", value, ", expected a whole number");
    return int64_t(value);
  }
  int64_t whole_or(const Record& record, const char* key, int64_t fallback) const {
    return Record::find(record.numbers, key) ? whole(record, key) : fallback;
  }
  CocoRect box(const Record& record) const {
    const std::vector<double>& b = record.box;
    if (b.size() != 4 || record.box_is_none)
      fail(Fault::input, file, ": ", what(),
           ": 'bbox' is not a list of four numbers (left, top, width, height)");
    for (const double side : b)
      if (!std::isfinite(side))
        fail(Fault::input, file, ": ", what(), ": 'bbox' holds a number that is not finite");
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

CocoAnnotations read_coco_annotations(const std::filesystem::path& path) {
  const std::string file = path.string();
  CocoAnnotations all;
  std::map<std::string, int64_t> seen;
  RecordReader reader(file, true, [&](const std::string& list, Record& record) {
    if (!is_read(list)) return;
    const bool image = list == "images", category = list == "categories";
    const char* const kind = image ? "image" : category ? "category" : "annotation";
    const char* const nameless = image ? "image number" : category ? "category number" : "annotation number";
    const int64_t id = Place{file, nameless, ++seen[list]}.whole(record, "id");
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
  for (const char* list : {"images", "annotations", "categories"})
    check(reader.has_list(list), Fault::input, file, ": has no list '", list,
          "'; is it a file of annotations?");

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
  RecordReader reader(file, false, [&](const std::string&, Record& record) {
    const Place place{file, "result number", ++nth};
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
