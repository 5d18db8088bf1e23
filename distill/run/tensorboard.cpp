#include "distill/run/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "engine/base/check.h"

namespace retort {
namespace {

constexpr std::array<uint32_t, 256> crc_table = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    table[byte] = crc;
  }
  return table;
}();

// A checksum stored beside its data is masked, so that the checksum of both stays meaningful
// (tensorflow/core/lib/hash/crc32c.h).
uint32_t masked_crc(std::string_view data) {
  return std::rotr(crc32c(data), 15) + 0xa282ead8u;
}

template <class T>
std::string little_endian(T value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// Fields of a protocol buffer: a key of number and wire type, then the value.
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += char(value | 128);
  return bytes += char(value);
}
std::string key(int number, int wire_type) {
  return varint(uint64_t(number << 3 | wire_type));
}
std::string integer_field(int number, int64_t value) {
  return key(number, 0) + varint(uint64_t(value));
}
std::string double_field(int number, double value) {
  return key(number, 1) + little_endian(value);
}
std::string bytes_field(int number, std::string_view value) {
  return key(number, 2) + varint(value.size()) + std::string(value);
}
std::string float_field(int number, float value) {
  return key(number, 5) + little_endian(value);
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  for (char* c = name; *c; ++c)
    if (*c == '/') *c = '_';
  return *name ? name : "localhost";
}

}  // namespace

uint32_t crc32c(std::string_view data) {
  uint32_t crc = ~0u;
  for (char c : data) crc = crc >> 8 ^ crc_table[(crc ^ uint8_t(c)) & 255];
  return ~crc;
}

TensorBoard::TensorBoard(const std::filesystem::path& folder, int64_t first_step) {
  // TensorBoard reads the files of a folder in the order of their names: the time goes first.
  const std::string name =
      text("events.out.tfevents.", int64_t(seconds_now()), '.', host_name(), '.', ::getpid(), '.');
  for (int count = 0; !descriptor_.is_open(); ++count) {
    file_ = folder / (name + std::to_string(count));
    descriptor_ = Descriptor(file_, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
    check(descriptor_.is_open() || errno == EEXIST, Fault::write, file_.string(),
          ": cannot be written: ", reason_of(errno));
  }
  // Event 3: file_version, then 7: session_log with status START, from whose step on earlier files are void.
  write_event(bytes_field(3, "brain.Event:2"));
  write_event(integer_field(2, first_step) + bytes_field(7, integer_field(1, 1)));
}

void TensorBoard::add(int64_t step, const NamedNumbers& scalars) {
  // Event 2: step, 5: summary of values, each 1: tag and 2: simple_value.
  std::string summary;
  for (const auto& [tag, value] : scalars)
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, float(value)));
  write_event(integer_field(2, step) + bytes_field(5, summary));
}

// A value of Summary with 8: a TensorProto of one string (1: DT_STRING, 2: shape [1], 8: the string), and 9:
// metadata that names the text plugin (tensorboard/plugins/text/metadata.py). It shows Markdown: four blanks
// keep lines.
void TensorBoard::add_text(int64_t step, std::string_view tag, std::string_view text) {
  constexpr int64_t dt_string = 7;
  std::string shown = "    ";
  for (char c : text) {
    shown += c;
    if (c == '\n') shown += "    ";
  }
  const std::string shape = bytes_field(2, integer_field(1, 1));
  const std::string tensor = integer_field(1, dt_string) + bytes_field(2, shape) + bytes_field(8, shown);
  const std::string metadata = bytes_field(1, bytes_field(1, "text"));
  const std::string value = bytes_field(1, tag) + bytes_field(8, tensor) + bytes_field(9, metadata);
  write_event(integer_field(2, step) + bytes_field(5, bytes_field(1, value)));
}

NamedNumbers scalars_of(const EpochMetrics& epoch, const std::vector<std::string>& terms,
                        double images_per_second) {
  NamedNumbers scalars = measured_in(epoch);
  for (const MetricValue& one : epoch.tested) {
    if (one.is_measured()) continue;
    std::erase_if(scalars, [&](const auto& scalar) { return scalar.first == one.metric.column; });
  }
  scalars.emplace_back("lr", epoch.lr);
  scalars.emplace_back("images_per_second", images_per_second);
  for (size_t i = 0; i < terms.size() && i < epoch.terms.size(); ++i)
    scalars.emplace_back("loss/" + terms[i], epoch.terms[i]);
  return scalars;
}

void TensorBoard::write_event(const std::string& fields) {
  const std::string event = double_field(1, seconds_now()) + fields;
  const std::string length = little_endian(uint64_t(event.size()));
  const std::string record =
      length + little_endian(masked_crc(length)) + event + little_endian(masked_crc(event));
  // One write, so that a kill leaves whole records only.
  const int error = descriptor_.write(record.data(), record.size());
  check(error == 0, Fault::write, file_.string(), ": cannot be appended to: ", reason_of(error));
}

}  // namespace retort
