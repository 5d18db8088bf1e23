// The CUDA backend as the rest of the engine sees it; no vendor header is needed to include this.
#pragma once
#include <memory>
#include <string>

#include "engine/backend.h"

namespace retort {

struct CudaOptions {
  bool tf32 =
      false;  // convolutions of f32 operands may round them to 10 bits of mantissa for the tensor cores
  bool deterministic = true;  // the same bits in every run
  bool capture = true;        // steps may be captured
  std::string plans = {};  // folder where cuDNN's plans are kept; empty: nowhere
  std::string plans_of_run = {};  // a run's own: they come first, and what the run uses is written there; empty: none
  // cuDNN's engines are chosen by measuring the heuristics' first ones when a shape is met; the choice may
  // differ between runs unless plans are kept.
  bool tune = false;
  // Batch norm by cuDNN where it can (its engines are compiled in the first step, which takes seconds for
  // each shape) instead of own kernels.
  bool cudnn_batch_norm = false;
  // Kernels whose blocks wait for each other, where two would do (RETORT_CUDA_COOPERATIVE=0 forbids them):
  // only the first backend of a process has them, since two at once might never end.
  bool cooperative = true;
  // Kernels that begin while the one before them is ending (RETORT_CUDA_PROGRAMMATIC=0 forbids them), from
  // compute capability 9.0 on.
  bool programmatic = true;
  bool separate_workspaces = false;  // of cuDNN's plans: to find out whether sharing one is why a replay differs
};

// What keeps this machine from using the backend, as a sentence for the user; empty if nothing does: the
// program was built with it, and there are a driver, a device of compute capability 8.0 or more, cuBLAS and
// cuDNN.
std::string cuda_missing();

// This process is number local_rank of local_size on this machine: the backend takes the device of that
// number, or the only one that is visible. To be called before anything else here.
void share_gpus(int local_rank, int local_size);

// The backend on the first visible device (CUDA_VISIBLE_DEVICES chooses), or this process's, see
// share_gpus(). Throws Error(Fault::device) with the text of cuda_missing().
std::unique_ptr<Backend> make_cuda(const CudaOptions& options);

class Communicator;
class DeviceSum;

// What sums over the processes in the memory of a backend that make_cuda() made; null for another one. Waits
// for all processes at its first call, and throws the same Error(Fault::device) on all, naming NCCL's
// package, if one has no NCCL. It goes with the backend; world outlives both.
std::shared_ptr<DeviceSum> sum_over_gpus(Backend& backend, Communicator& world);

}  // namespace retort
