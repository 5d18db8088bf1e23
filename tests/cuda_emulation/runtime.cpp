// The functions of the CUDA runtime that the backend calls. RETORT_EMULATED_STREAM says when work runs:
//   eager   when it is enqueued (the default)
//   lazy    as late as the rules allow: when somebody waits for it, or the queue is full, and then mixed with
//           other streams' work; freed memory is filled with NaN and not given out again; what a graph leaves
//           open in the order of its nodes is decided by lot in every launch
// A kernel that may begin before the one ahead has ended does so: in graphs, and where that one is in a
// queue. A captured stream records its work and refuses what a capture forbids.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/cuda_emulation/stream.h"

using retort::emulation::Node;

struct CUstream_st {
  bool capturing = false, invalid = false;
  cudaStream_t origin = nullptr;    // where the capture began that the stream is part of
  std::vector<Node> captured;       // of the origin
  std::vector<cudaStream_t> joined;  // the other streams of the origin's capture
  std::vector<size_t> last;         // the nodes that the stream's next one comes behind
  std::deque<std::function<void()>> queue;  // what has not run; lazy only
  uint64_t enqueued = 0, ran = 0;
  bool busy = false;  // at work, which may be waiting for another stream: what is behind it does not begin
};
struct CUgraph_st {
  std::vector<Node> nodes;
};
struct CUgraphExec_st {
  std::vector<Node> nodes;
};
struct CUevent_st {
  cudaStream_t stream = nullptr;  // null: never recorded
  uint64_t mark = 0;              // work of the stream before it
  std::chrono::steady_clock::time_point at;
  cudaStream_t origin = nullptr;  // of the capture it was recorded in
  std::vector<size_t> last;       // there
};

namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local cudaStream_t capturing_here = nullptr;  // in cudaStreamCaptureModeThreadLocal

cudaError_t noted(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}

// Of a call that a capture of this thread does not allow.
cudaError_t forbidden_in_capture() {
  if (!capturing_here) return cudaSuccess;
  capturing_here->invalid = true;
  return noted(cudaErrorStreamCaptureUnsupported);
}

std::mutex memory_mutex;
std::map<void*, size_t> device_memory;
std::mutex graph_mutex;
std::vector<Node> last_graph;
bool work_runs = true;
int multiprocessor_count = 132;
int device_count = 1, device_chosen = 0;
std::atomic<int> graphs_alive = 0;
std::atomic<size_t> uploaded = 0;

bool lazy() {
  static const bool value = [] {
    const char* given = std::getenv("RETORT_EMULATED_STREAM");
    const std::string kind = given ? given : "eager";
    if (kind != "eager" && kind != "lazy") std::abort();
    return kind == "lazy";
  }();
  return value;
}

// Streams of one thread interleave; those of others run beside it anyway.
thread_local std::vector<cudaStream_t> streams_here;
thread_local uint32_t dice = 1;

uint32_t roll() {
  dice ^= dice << 13;
  dice ^= dice >> 17;
  dice ^= dice << 5;
  return dice;
}

void run_one(cudaStream_t stream) {
  const std::function<void()> work = std::move(stream->queue.front());
  stream->queue.pop_front();
  ++stream->ran;
  stream->busy = true;
  work();
  stream->busy = false;
}

// The stream's work before the mark, in between some of what other streams have.
void run_to(cudaStream_t stream, uint64_t mark) {
  while (stream->ran < mark) {
    for (cudaStream_t other : streams_here)
      if (other != stream && !other->busy && !other->queue.empty() && roll() % 2) run_one(other);
    if (stream->ran < mark) run_one(stream);  // unless another has waited for it
  }
}

// Of every node whether it is one of these or before them.
std::vector<bool> these_and_before(const std::vector<Node>& nodes, std::vector<size_t> ends) {
  std::vector<bool> seen(nodes.size());
  while (!ends.empty()) {
    const size_t node = ends.back();
    ends.pop_back();
    if (seen[node]) continue;
    seen[node] = true;
    ends.insert(ends.end(), nodes[node].after.begin(), nodes[node].after.end());
  }
  return seen;
}

bool everything_is_before(const std::vector<Node>& nodes, const std::vector<size_t>& ends) {
  const std::vector<bool> seen = these_and_before(nodes, ends);
  return std::all_of(seen.begin(), seen.end(), [](bool one) { return one; });
}

// Of two grids whose blocks wait for each other and that may run side by side, each might hold the room that
// the other waits for. Nodes stand behind those before them.
bool cooperative_side_by_side(const std::vector<Node>& nodes) {
  size_t before = nodes.size();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i].cooperative) continue;
    if (before < i && !these_and_before(nodes, {i})[before]) return true;
    before = i;
  }
  return false;
}

// As they were captured, or, where work is late, drawn from what their order leaves open.
std::vector<size_t> some_order(const std::vector<Node>& nodes) {
  std::vector<size_t> order, waits(nodes.size()), ready;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!lazy()) order.push_back(i);
    waits[i] = nodes[i].after.size();
    if (waits[i] == 0) ready.push_back(i);
  }
  if (!lazy()) return order;
  std::vector<std::vector<size_t>> behind(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const size_t before : nodes[i].after) behind[before].push_back(i);
  while (!ready.empty()) {
    const size_t place = roll() % ready.size(), node = ready[place];
    ready.erase(ready.begin() + std::ptrdiff_t(place));
    order.push_back(node);
    for (const size_t next : behind[node])
      if (--waits[next] == 0) ready.push_back(next);
  }
  return order;
}

void leave_capture(cudaStream_t stream) {
  stream->capturing = stream->invalid = false;
  stream->origin = nullptr;
  stream->captured.clear();
  stream->joined.clear();
  stream->last.clear();
}

void put(cudaStream_t stream, std::function<void()> work) {
  if (!work_runs) return;
  if (!lazy()) return work();
  constexpr size_t most = 100;
  stream->queue.push_back(std::move(work));
  ++stream->enqueued;
  if (stream->queue.size() > most) run_to(stream, stream->enqueued - most / 2);
}

// Begins something, does what is ahead of it, and leaves the rest.
std::function<void()> with_next(const retort::emulation::Begin& begin, std::function<void()> ahead,
                                const std::shared_ptr<std::function<void()>>& rest) {
  return [=] { *rest = begin(), ahead(); };
}

}  // namespace

namespace retort::emulation {

void enqueue_work(cudaStream_t stream, std::string name, std::function<void()> work, bool cooperative,
                  Begin begin) {
  if (!stream->capturing) {
    if (begin && !stream->queue.empty()) {
      const auto rest = std::make_shared<std::function<void()>>();
      stream->queue.back() = with_next(begin, std::move(stream->queue.back()), rest);
      work = [rest] { (*rest)(); };
    }
    return put(stream, std::move(work));
  }
  std::vector<Node>& nodes = stream->origin->captured;
  nodes.push_back({std::move(name), std::move(work), stream->last, cooperative, std::move(begin)});
  stream->last = {nodes.size() - 1};
}

const std::vector<Node>& last_captured() {
  return last_graph;
}
void set_work_runs(bool runs) {
  work_runs = runs;
}
size_t uploaded_bytes() {
  return uploaded;
}
size_t waiting_work() {
  size_t all = 0;
  for (const cudaStream_t stream : streams_here) all += stream->queue.size();
  return all;
}
int captured_graphs() {
  return graphs_alive;
}

cudaError_t set_last_error(cudaError_t error) {
  return noted(error);
}
int multiprocessors() {
  return multiprocessor_count;
}
void set_multiprocessors(int count) {
  multiprocessor_count = count;
}
void set_devices(int count) {
  device_count = count;
}
int chosen_device() {
  return device_chosen;
}

}  // namespace retort::emulation

using retort::emulation::enqueue_work;

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorInvalidConfiguration ? "invalid configuration argument (emulated)"
                                                : "emulated error";
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = device_chosen;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= device_count) return noted(cudaErrorInvalidDevice);
  device_chosen = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= device_count) return noted(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "emulated device");
  properties->major = 9;
  properties->multiProcessorCount = multiprocessor_count;
  properties->cooperativeLaunch = 1;
  properties->sharedMemPerBlockOptin = 227 << 10;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  if (attribute != cudaDevAttrMultiProcessorCount) return noted(cudaErrorNotSupported);
  *value = multiprocessor_count;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  if (const cudaError_t status = forbidden_in_capture()) return status;
  const size_t rounded = (bytes + 256) / 256 * 256;
  *data = std::aligned_alloc(256, rounded);
  if (!*data) return noted(cudaErrorMemoryAllocation);
  constexpr size_t most = size_t(16) << 20;           // libraries' workspaces need no more time
  std::memset(*data, 0xff, std::min(rounded, most));  // NaN
  const std::lock_guard lock(memory_mutex);
  device_memory[*data] = rounded;
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  if (const cudaError_t status = forbidden_in_capture()) return status;
  const std::lock_guard lock(memory_mutex);
  if (!data) return cudaSuccess;
  const auto found = device_memory.find(data);
  if (found == device_memory.end()) return noted(cudaErrorInvalidValue);
  const size_t bytes = found->second;
  device_memory.erase(found);
  if (lazy())
    std::memset(data, 0xff, bytes);  // and kept: who still reads it reads NaN
  else
    std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t(1) << 34;
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  if (const cudaError_t status = forbidden_in_capture()) return status;
  *data = std::malloc(bytes);
  return *data ? cudaSuccess : noted(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new CUstream_st;
  streams_here.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return cudaStreamCreate(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  run_to(stream, stream->enqueued);
  std::erase(streams_here, stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!stream->capturing) {
    run_to(stream, stream->enqueued);
    return cudaSuccess;
  }
  stream->origin->invalid = true;
  return noted(cudaErrorStreamCaptureUnsupported);
}
// Late work is done piece by piece: who asks again and again gets it done.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (stream->capturing) {
    stream->origin->invalid = true;
    return noted(cudaErrorStreamCaptureUnsupported);
  }
  if (stream->ran < stream->enqueued) run_to(stream, stream->ran + 1);
  return stream->ran < stream->enqueued ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream->capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (capturing_here) return noted(cudaErrorIllegalState);
  stream->capturing = true;
  stream->invalid = false;
  stream->origin = stream;
  stream->captured.clear();
  stream->joined.clear();
  stream->last.clear();
  capturing_here = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (capturing_here != stream) return noted(cudaErrorIllegalState);
  capturing_here = nullptr;
  const bool valid = !stream->invalid, together = everything_is_before(stream->captured, stream->last);
  const bool ends = !cooperative_side_by_side(stream->captured);
  if (valid && together && ends) {
    *graph = new CUgraph_st{std::move(stream->captured)};
    const std::lock_guard lock(graph_mutex);
    last_graph = (*graph)->nodes;
  }
  for (cudaStream_t other : stream->joined) leave_capture(other);
  leave_capture(stream);
  if (!valid) return noted(cudaErrorStreamCaptureInvalidated);
  if (!ends) return noted(cudaErrorCooperativeLaunchTooLarge);
  return together ? cudaSuccess : noted(cudaErrorStreamCaptureUnjoined);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->nodes};
  ++graphs_alive;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  --graphs_alive;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (stream->capturing) return noted(cudaErrorStreamCaptureUnsupported);
  const std::vector<Node>& nodes = executable->nodes;
  std::map<size_t, size_t> next;  // behind a node, one that may begin before it has ended
  for (size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].begin && nodes[i].after.size() == 1) next[nodes[i].after[0]] = i;
  std::map<size_t, std::shared_ptr<std::function<void()>>> rests;
  for (const size_t i : some_order(nodes)) {
    std::function<void()> work = nodes[i].work;
    if (const auto begun = rests.find(i); begun != rests.end()) work = [rest = begun->second] { (*rest)(); };
    if (const auto found = next.find(i); found != next.end()) {
      auto& rest = rests[found->second] = std::make_shared<std::function<void()>>();
      work = with_next(nodes[found->second].begin, std::move(work), rest);
    }
    put(stream, std::move(work));
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (stream->capturing && kind != cudaMemcpyDeviceToDevice) {
    stream->origin->invalid = true;
    return noted(cudaErrorStreamCaptureUnsupported);
  }
  if (kind == cudaMemcpyHostToDevice) uploaded += bytes;
  enqueue_work(stream, "memcpy", [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  enqueue_work(stream, "memset", [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event->stream) run_to(event->stream, event->mark);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->origin = stream->capturing ? stream->origin : nullptr;
  event->last = stream->last;
  if (stream->capturing) return cudaSuccess;
  put(stream, [event] { event->at = std::chrono::steady_clock::now(); });
  event->stream = lazy() ? stream : nullptr;
  event->mark = stream->enqueued;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->origin) {
    if (!event->origin->capturing) return noted(cudaErrorCapturedEvent);
    if (!stream->capturing) {
      stream->capturing = true;
      stream->origin = event->origin;
      stream->last.clear();
      event->origin->joined.push_back(stream);
    }
    stream->last.insert(stream->last.end(), event->last.begin(), event->last.end());
    return cudaSuccess;
  }
  if (stream->capturing) {  // on work outside the capture
    stream->origin->invalid = true;
    return noted(cudaErrorStreamCaptureIsolation);
  }
  if (event->stream) put(stream, [other = event->stream, mark = event->mark] { run_to(other, mark); });
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream) run_to(event->stream, event->mark);
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (!event->stream || event->stream->ran >= event->mark) return cudaSuccess;
  run_to(event->stream, event->stream->ran + 1);
  return event->stream->ran < event->mark ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - begin->at).count();
  return cudaSuccess;
}

}  // extern "C"
