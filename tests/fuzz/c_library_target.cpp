// The network file of the C library: looked at, measured, loaded into exactly that and into less, run.
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "engine/infer/format.h"
#include "engine/infer/retort.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

namespace {

std::string repaired(std::string file) {
  if (file.size() < infer::file_header) file.resize(infer::file_header);
  std::memcpy(file.data(), infer::magic, sizeof infer::magic);
  std::memcpy(file.data() + infer::at_version, &infer::format_version, 4);
  const uint64_t size = file.size();
  std::memcpy(file.data() + infer::at_size, &size, 8);
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  const uint32_t crc = infer::crc32(data + infer::at_size, file.size() - infer::at_size);
  std::memcpy(file.data() + infer::at_crc, &crc, 4);
  return file;
}

void require(bool ok, const char* what) {
  if (!ok) throw std::logic_error(what);
}

}  // namespace

void read_c_library(Bytes bytes) {
  const std::string file = repaired(text_of(bytes));
  retort_info info{};
  size_t arena = 0;
  const retort_status status = retort_inspect(file.data(), file.size(), &info);
  const retort_status measured = retort_arena_size(file.data(), file.size(), nullptr, &arena);
  require((status == RETORT_OK) == (measured == RETORT_OK), "inspect and arena_size do not agree");
  if (status != RETORT_OK || arena > size_t{1} << 24 || info.macs > 1'000'000) return;
  const size_t pixels = size_t(info.height) * info.width * info.channels;
  if (pixels > size_t{1} << 16 || info.classes > 1 << 16) return;

  const std::unique_ptr<void, decltype(&std::free)> block(std::aligned_alloc(64, (arena + 63) / 64 * 64),
                                                          std::free);
  retort_net* net = nullptr;
  if (arena >= 64) {
    require(retort_load_into(file.data(), file.size(), nullptr, block.get(), arena - 64, &net) != RETORT_OK,
            "a block that is too small was taken");
    require(net == nullptr, "a network of a load that failed");
  }
  require(retort_load_into(file.data(), file.size(), nullptr, block.get(), arena, &net) == RETORT_OK,
          "a block of the size that was asked for is refused");
  const std::vector<float> image(pixels, .5f);
  std::vector<float> logits(info.classes);
  retort_predict(net, image.data(), 1, logits.data());
  retort_free(net);
}

}  // namespace retort::fuzz
