// How a row kernel's rows are dealt out to blocks of warps; pure arithmetic.
#pragma once
#include <cstdint>

namespace retort {

// Dynamic shared memory that a block may have without asking; more is had for the asking up to the device's
// limit.
constexpr int64_t shared_without_asking = 48 * 1024;

struct RowLaunch {
  int64_t blocks;
  int warps;             // of a block, one per row
  int64_t shared_bytes;  // of a block
};

// A warp per row. Few rows are spread over the multiprocessors, one to a block; many share a block as far as
// the scratch of 8 warps fits without asking.
inline RowLaunch row_launch(int64_t rows, int64_t scratch_bytes) {
  int warps = rows >= 1024 ? 8 : 1;
  while (warps > 1 && warps * scratch_bytes > shared_without_asking) warps /= 2;
  return {(rows + warps - 1) / warps, warps, warps * scratch_bytes};
}

}  // namespace retort
