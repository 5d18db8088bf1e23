// Pictures: JPEG, decoded and fitted to a network.
#include "datasets/formats/image_file.h"
#include "datasets/formats/jpeg_turbo.h"
#include "engine/base/check.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_jpeg(Bytes bytes) {
  std::string file = text_of(bytes);
  if (file.size() > 2) file[0] = '\xff', file[1] = '\xd8';
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  // A picture that one decoder finds damaged may be good for the other.
  if (turbo_built()) {
    try {
      decode_image({data, file.size()}, "input", Decoder::turbo);
    } catch (const Error& error) {
      if (error.fault() != Fault::input) throw;
    }
  }
  fit_image(decode_image({data, file.size()}, "input"), 32);
}

}  // namespace retort::fuzz
