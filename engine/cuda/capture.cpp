// Whole steps as graphs.
#include "engine/cuda/cuda_backend.h"

namespace retort {

void Cuda::begin_capture() {
  forbid_in_capture("another capture begins");
  // Of this thread only: other runs of the process allocate and capture at the same time.
  check_cuda(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal),
             "beginning to capture a step");
  capturing_ = true;
}

int Cuda::end_capture() {
  check(capturing_, "cuda: a capture ends that did not begin");
  capturing_ = false;
  cudaGraph_t captured = nullptr;
  check_cuda(cudaStreamEndCapture(stream_.get(), &captured), "capturing a step (--eager runs without)");
  graphs_.emplace_back(captured);
  check_cuda(cudaGraphUpload(graphs_.back().get(), stream_.get()), "uploading a captured step");
  return int(graphs_.size()) - 1;
}

void Cuda::abandon_capture() {
  if (!capturing_) return;
  capturing_ = false;
  cudaGraph_t unfinished = nullptr;
  cudaStreamEndCapture(stream_.get(), &unfinished);
  if (unfinished) cudaGraphDestroy(unfinished);
  cudaGetLastError();  // it is no error of what comes next
}

void Cuda::replay(int graph) {
  forbid_in_capture("a captured step is replayed");
  check(graph >= 0 && size_t(graph) < graphs_.size(), "cuda: captured step ", graph, " of ", graphs_.size());
  check_cuda(cudaGraphLaunch(graphs_[size_t(graph)].get(), stream_.get()), "replaying a captured step");
}

}  // namespace retort
