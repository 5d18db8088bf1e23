#include "engine/cuda/cudnn/tuning.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "engine/cuda/capture_turn.h"
#include "engine/cuda/cudnn/execute.h"
#include "engine/cuda/handles.h"

namespace retort {
namespace {

class Timer {
 public:
  Timer() {
    check_cuda(cudaEventCreate(&begin_), "creating an event");
    check_cuda(cudaEventCreate(&end_), "creating an event");
  }
  ~Timer() {
    if (begin_) cudaEventDestroy(begin_);
    if (end_) cudaEventDestroy(end_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Milliseconds on the device that f's work takes.
  template <class F>
  float time(cudaStream_t stream, F f) const {
    check_cuda(cudaEventRecord(begin_, stream), "measuring a plan");
    f();
    check_cuda(cudaEventRecord(end_, stream), "measuring a plan");
    check_cuda(cudaEventSynchronize(end_), "measuring a plan");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, begin_, end_), "measuring a plan");
    return milliseconds;
  }

 private:
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

// Memory for the time of a measurement.
class Lent {
 public:
  Lent(Memory& memory, size_t bytes) : memory_(memory), bytes_(bytes), data_(memory.allocate(bytes)) {}
  ~Lent() { memory_.release(data_, bytes_); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  char* data() const { return static_cast<char*>(data_); }

 private:
  Memory& memory_;
  size_t bytes_;
  void* data_;
};

// So many bytes, and the most of `extra`, which ascends, that there is room for; nothing where even the least
// is too much.
struct Room {
  std::unique_ptr<Lent> memory;
  size_t extra = 0;
};
Room room_for(Memory& memory, size_t bytes, std::vector<size_t> extra) {
  for (; !extra.empty(); extra.pop_back()) {
    try {
      return {std::make_unique<Lent>(memory, bytes + extra.back()), extra.back()};
    } catch (const Error& error) {
      if (error.fault() != Fault::memory) throw;
    }
  }
  return {};
}

// Milliseconds of one run in a captured chain, as steps have them: where the host launches each, it is the
// host that is measured.
template <class F>
float time_in_a_chain(cudaStream_t stream, const Timer& timer, int chained, int repeats, F run) {
  run();  // loads what it needs, which a capture forbids
  std::shared_lock turn(capture_turn());
  check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "measuring a plan");
  cudaGraph_t captured = nullptr;
  try {
    for (int i = 0; i < chained; ++i) run();
  } catch (...) {
    cudaStreamEndCapture(stream, &captured);
    if (captured) cudaGraphDestroy(captured);
    throw;
  }
  check_cuda(cudaStreamEndCapture(stream, &captured), "measuring a plan");
  turn.unlock();
  const CudaGraph chain(captured);
  float best = std::numeric_limits<float>::max();
  for (int repeat = 0; repeat <= repeats; ++repeat) {
    const float time =
        timer.time(stream, [&] { check_cuda(cudaGraphLaunch(chain.get(), stream), "measuring a plan"); });
    if (repeat > 0) best = std::min(best, time / float(chained));  // the first one warms up
  }
  return repeats > 0 ? best : 0;
}

}  // namespace

PlanTrial try_cudnn_plans(const CudnnProblem& problem, const std::vector<CudnnPlan>& plans, bool timed,
                          cudnnHandle_t handle, cudaStream_t stream, Memory& memory) {
  const auto aligned = [](size_t bytes) {
    return (bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment;
  };
  std::vector<int64_t> ids;
  std::vector<size_t> offsets;
  size_t bytes = 0;
  for (const CudnnSlot slot : slots_of(problem)) {
    ids.push_back(int64_t(slot));
    offsets.push_back(bytes);
    bytes += aligned(size_t(block_of(problem, slot).size()) * size_of(type_of(problem, slot)));
  }
  PlanTrial trial;
  trial.milliseconds.assign(plans.size(), std::numeric_limits<float>::infinity());
  trial.refusals.resize(plans.size());
  if (plans.empty()) return trial;
  std::vector<size_t> workspaces;
  for (const CudnnPlan& plan : plans) workspaces.push_back(aligned(size_t(plan.workspace())));
  std::vector<size_t> ascending = workspaces;
  std::sort(ascending.begin(), ascending.end());
  std::vector<size_t> untried;  // for want of memory
  const auto result = [&] {
    trial.complete = untried.empty();
    if (!trial.best && !untried.empty())
      trial.best = *std::min_element(untried.begin(), untried.end(),
                                     [&](size_t a, size_t b) { return workspaces[a] < workspaces[b]; });
    return trial;
  };
  const Room room = room_for(memory, bytes, ascending);
  if (!room.memory) {
    for (size_t i = 0; i < plans.size(); ++i) untried.push_back(i);
    return result();
  }
  char* const lent = room.memory->data();
  std::vector<void*> pointers;
  for (const size_t offset : offsets) pointers.push_back(lent + offset);
  // Zeros, and not what was there: a NaN or a denormal number may take its own time.
  check_cuda(cudaMemsetAsync(lent, 0, bytes + room.extra, stream), "trying plans for ", problem);

  const Timer timer;
  float least = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < plans.size() && (timed || !trial.best); ++i) {
    if (workspaces[i] > room.extra) {
      trial.refusals[i] = text("no room for ", workspaces[i], " bytes of workspace");
      untried.push_back(i);
      continue;
    }
    const auto run = [&] { execute_cudnn_plan(plans[i], handle, ids, pointers, lent + bytes, problem); };
    try {
      const float time = time_in_a_chain(stream, timer, timed ? 10 : 1, timed ? 5 : 0, run);
      trial.milliseconds[i] = time;
      if (!trial.best || time < least) {
        least = time;
        trial.best = i;
      }
    } catch (const Error& error) {  // one that cannot be run or captured is not chosen
      trial.refusals[i] = error.what();
      if (error.fault() == Fault::memory) untried.push_back(i);
      cudaGetLastError();
    }
  }
  return result();
}

}  // namespace retort
