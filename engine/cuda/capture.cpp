// Whole steps as graphs, and branches of them.
#include "engine/cuda/capture_turn.h"
#include "engine/cuda/cuda_backend.h"

namespace retort {

void Cuda::begin_branch() {
  check(lane_ == &main_, "cuda: a branch begins inside another");
  if (!branch_) {
    forbid_in_capture("the first branch of a step begins");
    branch_ = std::make_unique<Lane>(options_, *this);
  }
  fork_.record(main_.stream.get());
  fork_.hold_back(branch_->stream.get());
  lane_ = branch_.get();
}

// What is not captured runs in order: where engines are measured, nothing else may run.
void Cuda::end_branch() {
  if (lane_ == &main_) return;  // a capture was abandoned
  lane_ = &main_;
  end_of_branch_.record(branch_->stream.get());
  if (!capturing_) end_of_branch_.hold_back(main_.stream.get());
}

void Cuda::join_branch() {
  check(branch_ && lane_ == &main_, "cuda: a branch is joined that did not end");
  if (capturing_) end_of_branch_.hold_back(main_.stream.get());
}

void Cuda::begin_capture() {
  forbid_in_capture("another capture begins");
  // Of this thread only: other runs of the process allocate and capture at the same time.
  std::shared_lock turn(capture_turn());
  check_cuda(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal),
             "beginning to capture a step");
  capture_turn_ = std::move(turn);
  capturing_ = true;
}

int Cuda::end_capture() {
  check(capturing_, "cuda: a capture ends that did not begin");
  capturing_ = false;
  cudaGraph_t captured = nullptr;
  const cudaError_t status = cudaStreamEndCapture(stream(), &captured);
  capture_turn_ = {};
  check_cuda(status, "capturing a step (--eager runs without)");
  CudaGraph graph(captured);
  check_cuda(cudaGraphUpload(graph.get(), stream()), "uploading a captured step");
  graphs_.emplace(next_graph_, std::move(graph));
  return next_graph_++;
}

void Cuda::release_graph(int graph) {
  if (graphs_.count(graph) == 0) return;
  // It may still run. Called where a step's memory goes, also after an error: nothing is thrown.
  abandon_capture();
  wait_quietly();
  graphs_.erase(graph);
}

void Cuda::abandon_capture() {
  if (!capturing_) return;
  capturing_ = false;
  lane_ = &main_;
  cudaGraph_t unfinished = nullptr;
  cudaStreamEndCapture(stream(), &unfinished);
  capture_turn_ = {};
  if (unfinished) cudaGraphDestroy(unfinished);
  cudaGetLastError();  // it is no error of what comes next
}

void Cuda::replay(int graph) {
  forbid_in_capture("a captured step is replayed");
  const auto found = graphs_.find(graph);
  check(found != graphs_.end(), "cuda: captured step ", graph, " is not there, of ", graphs_.size());
  check_cuda(cudaGraphLaunch(found->second.get(), stream()), "replaying a captured step");
}

}  // namespace retort
