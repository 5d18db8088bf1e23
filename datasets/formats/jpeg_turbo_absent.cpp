// Where libjpeg-turbo was not found.
#include "datasets/formats/jpeg_turbo.h"
#include "engine/base/check.h"

namespace retort {

bool turbo_built() {
  return false;
}

PixelView decode_with_turbo(std::span<const uint8_t>, int, int, const Box&, const std::string& name,
                            std::vector<uint8_t>&) {
  fail(Fault::internal, name, ": asked of libjpeg-turbo, which this program was built without");
}

}  // namespace retort
