// What cuDNN may do.
#pragma once
#include <string>

namespace retort {

// fp32: f32 operands are multiplied in f32. tf32: engines may round f32 operands to 10 bits of mantissa for
// the tensor cores. Without a meaning for f16 and bf16.
enum class CudnnMath { fp32, tf32 };

struct CudnnOptions {
  bool deterministic = true;  // only engines that give the same bits in every run
  bool tune = false;          // measure the best candidates at the first call
  CudnnMath math = CudnnMath::tf32;
  std::string plans = {};  // folder of plans, made if absent; empty: they are not kept on disk
  // Another folder, of one run: its plans come first, and what the run uses is written there, so that it can go on with
  // the same bits.
  std::string plans_of_run = {};
  // A workspace for each plan instead of one for all: to find out whether sharing it is why a replay differs.
  bool separate_workspaces = false;
};

}  // namespace retort
