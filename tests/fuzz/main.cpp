// libFuzzer's program for all targets: retort_fuzz TARGET [CORPUS...] [-FLAG=VALUE...].
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/target.h"

namespace {

const retort::fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  if (*count > 1) chosen = retort::fuzz::find_target((*arguments)[1]);
  if (!chosen) {
    std::fputs("retort_fuzz TARGET [CORPUS...] [-FLAG=VALUE...], TARGET one of:", stderr);
    for (const retort::fuzz::Target& target : retort::fuzz::targets())
      std::fprintf(stderr, " %s", target.name);
    std::fputs("\n", stderr);
    std::exit(2);
  }
  for (int i = 1; i + 1 < *count; ++i) (*arguments)[i] = (*arguments)[i + 1];
  --*count;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  retort::fuzz::try_input(*chosen, {reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
