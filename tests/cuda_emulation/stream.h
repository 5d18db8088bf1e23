// What the emulated device and its libraries share of the emulated runtime.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>
#include <string>
#include <vector>

namespace retort::emulation {

// Begins a kernel, as far as it goes before what is ahead of it has ended; what is given back does the rest.
using Begin = std::function<std::function<void()>()>;

// What a captured step holds: a kernel, a copy, a plan of cuDNN or a product of cuBLAS.
struct Node {
  std::string name;
  std::function<void()> work;
  std::vector<size_t> after = {};  // the nodes that come before it
  bool cooperative = false;        // a kernel whose blocks may wait for each other
  Begin begin = {};                // of a kernel that may begin before the one ahead of it has ended
};

// Runs the work, keeps it for later, or records it where the stream is captured.
void enqueue_work(cudaStream_t stream, std::string name, std::function<void()> work, bool cooperative = false,
                  Begin begin = {});
// What cudaGetLastError() gives next, which is returned.
cudaError_t set_last_error(cudaError_t error);
int multiprocessors();

// For tests: the nodes of the step captured last in this process; how many captured steps are kept; whether work runs
// at all, or is only counted; what the host gave.
const std::vector<Node>& last_captured();
int captured_graphs();
size_t uploaded_bytes();  // from host memory, so far
size_t waiting_work();    // of this thread's streams, not begun
void set_work_runs(bool runs);
void set_multiprocessors(int count);  // 132 at first
void set_devices(int count);          // 1 at first
int chosen_device();                  // by cudaSetDevice

}  // namespace retort::emulation
