// Following a JPEG file from segment to segment (ITU-T T.81, annex B).
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "datasets/formats/picture_parts.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
namespace {

enum Marker : uint8_t {
  temporary = 0x01,
  first_frame = 0xc0,  // baseline; c1: extended; c2: progressive
  progressive_frame = 0xc2,
  huffman_tables = 0xc4,
  arithmetic_tables = 0xcc,
  last_frame = 0xcf,
  first_restart = 0xd0,
  last_restart = 0xd7,
  image_begin = 0xd8,
  image_end = 0xd9,
  scan_begin = 0xda,
  quantization_tables = 0xdb,
  line_count = 0xdc,
  restart_interval = 0xdd,
  application_0 = 0xe0,
  application_1 = 0xe1,
  application_14 = 0xee,
  application_15 = 0xef,
  comment = 0xfe
};

constexpr char remedy[] = "; save it as a usual (Huffman-coded, 8-bit) JPEG, or as PNG";

// What a frame header of this marker announces, for those that are not decoded here.
const char* unsupported_kind(uint8_t marker) {
  switch (marker) {
    case 0xc3:
      return "lossless";
    case 0xc5:
      return "hierarchical sequential";
    case 0xc6:
      return "hierarchical progressive";
    case 0xc7:
      return "hierarchical lossless";
    case 0xc9:
      return "sequential with arithmetic coding";
    case 0xca:
      return "progressive with arithmetic coding";
    case 0xcb:
      return "lossless with arithmetic coding";
    case 0xcd:
      return "hierarchical sequential with arithmetic coding";
    case 0xce:
      return "hierarchical progressive with arithmetic coding";
    case 0xcf:
      return "hierarchical lossless with arithmetic coding";
    default:
      return nullptr;
  }
}

// A scan may be a few bytes, and visits every block of the picture all the same. Encoders write about ten.
constexpr int most_scans = 100;

struct Component {
  uint8_t id;
  int quantization;
  bool scanned = false;                // sequential
  std::array<int, 64> missing_bits{};  // progressive: lowest bits of each coefficient that are yet to come
};

constexpr int unsent = 14;  // more than a scan may leave out

class Walk {
 public:
  Walk(std::span<const uint8_t> file, const std::string& name) : file_(file), name_(name) {}

  JpegParts parts() {
    parts_.stream.reserve(file_.size() + 32);  // grown piece by piece it would be there twice
    // The Adobe mark: the name, a version, two words of flags, and the transform, which is set in the end.
    parts_.stream = {0xff, image_begin, 0xff, application_14, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0,
                     0,    0,           0};
    const size_t transform_at = parts_.stream.size() - 1;
    at_ = 2;
    while (segment(next_marker())) {
    }
    if (!scanned_) damaged("it ends without a picture");
    parts_.stream[transform_at] = transform();
    parts_.components = int(frame_.size());
    return std::move(parts_);
  }

 private:
  template <class... Words>
  [[noreturn]] void damaged(const Words&... words) const {
    fail(Fault::input, name_, ": damaged JPEG file: ", words...);
  }
  [[noreturn]] void truncated() const { damaged("it ends before its end mark; was it cut?"); }

  uint8_t byte(size_t at) const {
    if (at >= file_.size()) truncated();
    return file_[at];
  }
  int u16(size_t at) const { return byte(at) * 256 + byte(at + 1); }

  // Bytes between two segments have no meaning and are skipped, as other readers do.
  uint8_t next_marker() {
    for (;;) {
      while (byte(at_) != 0xff) ++at_;
      while (byte(at_) == 0xff) ++at_;
      const uint8_t marker = file_[at_++];
      if (marker != 0) return marker;
    }
  }

  // The segment whose marker was read; false at the end.
  bool segment(uint8_t marker) {
    if (marker == image_end) return false;
    if (marker == temporary || (marker >= first_restart && marker <= last_restart)) return true;
    if (marker == image_begin)
      damaged("a second one begins inside of it, at byte ", with_commas(int64_t(at_)));
    const size_t length = size_t(u16(at_));
    if (length < 2) damaged("a segment of ", length, " bytes at byte ", with_commas(int64_t(at_)));
    if (length > file_.size() - at_) truncated();
    const auto content = file_.subspan(at_ + 2, length - 2);
    bool kept = true;
    if (marker == huffman_tables) {
      define_huffman(content);
    } else if (marker == quantization_tables) {
      define_quantization(content);
    } else if (marker == scan_begin) {
      begin_scan(content);
    } else if (marker == restart_interval) {
      if (content.size() != 2) damaged("a restart interval of ", content.size(), " bytes, expected 2");
    } else if ((marker >= application_0 && marker <= application_15) || marker == comment) {
      application(marker, content);
      kept = false;
    } else if (marker == line_count || marker == arithmetic_tables) {
      kept = false;
    } else if (marker >= first_frame && marker <= last_frame && marker != 0xc8) {
      begin_frame(marker, content);
    } else {
      damaged("an unknown segment (marker ", int(marker), ") at byte ", with_commas(int64_t(at_)));
    }
    if (kept) keep(marker, length);
    at_ += length;
    if (marker == scan_begin) keep_scan();
    return true;
  }

  void keep(uint8_t marker, size_t length) {
    std::vector<uint8_t>& stream = parts_.stream;
    stream.push_back(0xff);
    stream.push_back(marker);
    const size_t begin = stream.size();
    stream.insert(stream.end(), file_.begin() + std::ptrdiff_t(at_),
                  file_.begin() + std::ptrdiff_t(at_ + length));
    // The components are called by their places: names can mean colours.
    if (marker == scan_begin) {
      const std::vector<size_t> places = places_of(std::span(stream).subspan(begin + 2));
      for (size_t i = 0; i < places.size(); ++i) stream[begin + 3 + 2 * i] = uint8_t(places[i] + 1);
    } else if (marker >= first_frame && marker <= progressive_frame) {
      for (size_t i = 0; i < frame_.size(); ++i) stream[begin + 8 + 3 * i] = uint8_t(i + 1);
    }
  }

  // The coded data behind a scan's header, up to the next marker but a restart.
  void keep_scan() {
    const size_t begin = at_;
    for (;; ++at_) {
      const void* found = std::memchr(file_.data() + at_, 0xff, file_.size() - at_);
      at_ = found ? size_t(static_cast<const uint8_t*>(found) - file_.data()) : file_.size();
      const uint8_t marker = byte(at_ + 1);
      if (marker != 0 && marker != 0xff && !(marker >= first_restart && marker <= last_restart)) break;
    }
    parts_.stream.insert(parts_.stream.end(), file_.begin() + std::ptrdiff_t(begin),
                         file_.begin() + std::ptrdiff_t(at_));
    scanned_ = true;
  }

  void define_huffman(std::span<const uint8_t> content) {
    while (!content.empty()) {
      if (content.size() < 17) damaged("a Huffman table that is cut");
      size_t symbols = 0;
      for (size_t i = 1; i <= 16; ++i) symbols += content[i];
      if (symbols > 256) damaged("a Huffman table of ", symbols, " symbols, expected at most 256");
      if (symbols > content.size() - 17) damaged("a Huffman table that is cut");
      const int kind = content[0] >> 4, place = content[0] & 15;
      if (kind > 1 || place > 3) damaged("a Huffman table for place ", int(content[0]));
      huffman_[size_t(kind)][size_t(place)] = true;
      content = content.subspan(17 + symbols);
    }
  }

  void define_quantization(std::span<const uint8_t> content) {
    while (!content.empty()) {
      const int wide = content[0] >> 4, place = content[0] & 15;
      const size_t bytes = wide ? 129 : 65;
      if (wide > 1 || place > 3 || content.size() < bytes)
        damaged("a quantization table that makes no sense");
      quantization_[size_t(place)] = true;
      content = content.subspan(bytes);
    }
  }

  void begin_frame(uint8_t marker, std::span<const uint8_t> content) {
    if (!frame_.empty()) damaged("a second frame header at byte ", with_commas(int64_t(at_)));
    if (content.size() < 6) damaged("a frame header that is cut");
    const int bits = content[0], height = content[1] * 256 + content[2];
    const size_t components = content[5];
    const char* kind = unsupported_kind(marker);
    check(!kind, Fault::input, name_, ": unsupported JPEG file: ", kind ? kind : "", remedy);
    check(bits == 8, Fault::input, name_, ": unsupported JPEG file: ", bits, " bits a sample", remedy);
    check(height > 0, Fault::input, name_, ": unsupported JPEG file: its height follows its data", remedy);
    check(components == 1 || components == 3 || components == 4, Fault::input, name_,
          ": unsupported JPEG file: ", components, " components, expected 1 (grey), 3 (colour) or 4 (CMYK)",
          remedy);
    if (content.size() != 6 + 3 * components) damaged("a frame header of ", content.size(), " bytes");
    parts_.height = height;
    parts_.width = content[3] * 256 + content[4];
    progressive_ = marker == progressive_frame;
    for (size_t i = 0; i < components; ++i) {
      frame_.push_back({content[6 + 3 * i], content[8 + 3 * i]});
      frame_.back().missing_bits.fill(unsent);
    }
  }

  // Where the components that a scan names stand in the frame; of equal names each once, in their order.
  std::vector<size_t> places_of(std::span<const uint8_t> scan) const {
    std::vector<size_t> places;
    for (size_t i = 0; i < scan[0]; ++i) {
      const uint8_t id = scan[1 + 2 * i];
      size_t place = 0;
      while (place < frame_.size() &&
             (frame_[place].id != id || std::count(places.begin(), places.end(), place) > 0))
        ++place;
      if (place == frame_.size()) damaged("a scan of component ", int(id), ", which its frame does not have");
      places.push_back(place);
    }
    return places;
  }

  // A decoder would take whatever lies where a missing table should.
  void begin_scan(std::span<const uint8_t> content) {
    if (++scans_ > most_scans) damaged("more than ", most_scans, " scans");
    if (frame_.empty()) damaged("a scan before any frame header");
    const size_t components = content.empty() ? 0 : content[0];
    if (components < 1 || components > 4 || content.size() != 4 + 2 * components)
      damaged("a scan's header of ", content.size(), " bytes for ", components, " components");
    const int first = content[1 + 2 * components], last = content[2 + 2 * components];
    const int successive = content[3 + 2 * components];
    const bool refines = (successive >> 4) != 0;
    const std::vector<size_t> places = places_of(content);
    for (size_t i = 0; i < components; ++i) {
      Component& component = frame_[places[i]];
      if (progressive_)
        follow_progression(component, first, last, successive >> 4, successive & 15);
      else if (std::exchange(component.scanned, true))
        damaged("a second scan of component ", int(component.id));
      const int tables = content[2 + 2 * i];
      if (component.quantization > 3 || !quantization_[size_t(component.quantization)])
        damaged("a scan needs quantization table ", component.quantization, ", which it does not define");
      if (progressive_ ? first == 0 && !refines : true) need_huffman(0, tables >> 4);
      if (progressive_ ? first > 0 : true) need_huffman(1, tables & 15);
    }
  }

  // The bits of a coefficient come from the highest to the lowest: those above bit `low` in its first scan,
  // where `high` is 0, then one in each of the scans that refine it (T.81, G.1.1.1).
  void follow_progression(Component& component, int first, int last, int high, int low) const {
    const bool whole = first == 0 ? last == 0 : first <= last && last < 64;
    if (!whole || low > 13 || (high > 0 && low != high - 1))
      damaged("a progressive scan of coefficients ", first, " to ", last, ", bits ", high, " to ", low);
    if (first > 0 && component.missing_bits[0] == unsent)
      damaged("a scan of component ", int(component.id), "'s details before its mean values");
    for (int k = first; k <= last; ++k) {
      int& missing = component.missing_bits[size_t(k)];
      if (missing != (high > 0 ? high : unsent))
        damaged("scans of component ", int(component.id), " that do not follow from each other");
      missing = low;
    }
  }

  void need_huffman(size_t kind, int place) const {
    if (place > 3 || !huffman_[kind][size_t(place)])
      damaged("a scan needs Huffman table ", place, " of ", kind ? "AC" : "DC", ", which it does not define");
  }

  void application(uint8_t marker, std::span<const uint8_t> content) {
    const auto begins = [&](std::string_view tag) {
      return content.size() >= tag.size() && std::equal(tag.begin(), tag.end(), content.begin(),
                                                        [](char a, uint8_t b) { return uint8_t(a) == b; });
    };
    using namespace std::literals;
    if (marker == application_0 && begins("JFIF\0"sv)) jfif_ = true;
    if (marker == application_14 && content.size() >= 12 && begins("Adobe"sv)) adobe_ = content[11];
    if (marker == application_1 && begins("Exif\0\0"sv) && !exif_) {
      exif_ = true;
      parts_.orientation = exif_orientation(content.subspan(6));
    }
  }

  // How the colours are stored, by the rules of libjpeg (jdapimin.c): 0: RGB, or CMYK; 1: YCbCr; 2: YCCK.
  uint8_t transform() const {
    if (frame_.size() == 4) return adobe_ && *adobe_ != 0 ? 2 : 0;
    if (frame_.size() != 3 || jfif_) return 1;
    if (adobe_) return *adobe_ == 0 ? 0 : 1;
    return frame_[0].id == 'R' && frame_[1].id == 'G' && frame_[2].id == 'B' ? 0 : 1;
  }

  std::span<const uint8_t> file_;
  const std::string& name_;
  size_t at_ = 0;
  JpegParts parts_;
  std::vector<Component> frame_;
  int scans_ = 0;
  bool progressive_ = false, scanned_ = false, jfif_ = false, exif_ = false;
  std::optional<int> adobe_;
  std::array<std::array<bool, 4>, 2> huffman_{};  // defined: DC, AC
  std::array<bool, 4> quantization_{};
};

}  // namespace

JpegParts jpeg_parts(std::span<const uint8_t> file, const std::string& name) {
  JpegParts parts = Walk(file, name).parts();
  parts.stream.push_back(0xff);
  parts.stream.push_back(image_end);
  return parts;
}

int exif_orientation(std::span<const uint8_t> exif) {
  constexpr uint32_t orientation_tag = 0x0112, short_type = 3, long_type = 4, entry_bytes = 12;
  if (exif.size() < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M')) return 1;
  const bool little = exif[0] == 'I';
  const auto number = [&](size_t at, size_t bytes) {
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value |= uint32_t(exif[at + (little ? i : bytes - 1 - i)]) << (8 * i);
    return value;
  };
  if (number(2, 2) != 42) return 1;
  const size_t directory = number(4, 4);
  if (directory > exif.size() - 2) return 1;
  const size_t entries = number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * entry_bytes;
    if (entry + entry_bytes > exif.size()) return 1;
    if (number(entry, 2) != orientation_tag) continue;
    const uint32_t type = number(entry + 2, 2);
    if ((type != short_type && type != long_type) || number(entry + 4, 4) != 1) return 1;
    const uint32_t value = number(entry + 8, type == short_type ? 2 : 4);
    return value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 1;
}

}  // namespace retort
