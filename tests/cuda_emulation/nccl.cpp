// In the place of NCCL, opened by the name that the backend asks for, between ranks that are threads of this
// process. Its work is done where the stream's is: a captured exchange happens in every replay.
#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "tests/cuda_emulation/libraries.h"
#include "tests/cuda_emulation/stream.h"

namespace {

// What the ranks of a communicator share.
struct Post {
  std::mutex mutex;
  std::condition_variable changed;
  int size = 0, started = 0;
  std::map<std::pair<int, int>, std::deque<std::vector<float>>> boxes;  // from, to
};

std::mutex posts_mutex;
std::map<std::string, std::shared_ptr<Post>> posts;  // by id
std::atomic<double> patience = 60;                   // seconds

}  // namespace

struct ncclComm {
  std::shared_ptr<Post> post;
  int rank = 0;
  bool lost = false;  // a rank that it waited for
};

namespace retort {

namespace {

struct Transfer {
  bool send;
  int rank;
  float* data;
  size_t count;
};

thread_local int group_depth = 0;
thread_local std::vector<Transfer> group;
thread_local ncclComm_t group_comm = nullptr;
thread_local cudaStream_t group_stream = nullptr;

void put(const ncclComm& comm, int to, const float* data, size_t count) {
  const std::lock_guard lock(comm.post->mutex);
  comm.post->boxes[{comm.rank, to}].emplace_back(data, data + count);
  comm.post->changed.notify_all();
}

// NaN of a rank that does not send.
std::vector<float> take(ncclComm& comm, int from, size_t count) {
  std::unique_lock lock(comm.post->mutex);
  auto& box = comm.post->boxes[{from, comm.rank}];
  const auto sent = [&] { return !box.empty(); };
  comm.lost =
      comm.lost || !comm.post->changed.wait_for(lock, std::chrono::duration<double>(patience.load()), sent);
  if (comm.lost) return std::vector<float>(count, NAN);
  std::vector<float> values = std::move(box.front());
  box.pop_front();
  check(values.size() == count, "emulated NCCL: rank ", from, " sends ", values.size(), " numbers, expected ",
        count);
  return values;
}

ncclResult_t get_version(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* error_string(ncclResult_t) {
  return "emulated";
}
ncclResult_t get_unique_id(ncclUniqueId* id) {
  const std::lock_guard lock(posts_mutex);
  std::memset(id, 0, sizeof *id);
  const std::string name = "emulated " + std::to_string(posts.size());
  std::memcpy(id->internal, name.data(), name.size());
  posts[std::string(id->internal, sizeof id->internal)] = std::make_shared<Post>();
  return ncclSuccess;
}
// Waits for all, as NCCL does.
ncclResult_t comm_init_rank(ncclComm_t* comm, int size, ncclUniqueId id, int rank) {
  std::shared_ptr<Post> post;
  {
    const std::lock_guard lock(posts_mutex);
    const auto found = posts.find(std::string(id.internal, sizeof id.internal));
    if (found == posts.end()) return ncclInvalidArgument;
    post = found->second;
  }
  if (rank < 0 || rank >= size) return ncclInvalidArgument;
  *comm = new ncclComm{post, rank};
  std::unique_lock lock(post->mutex);
  post->size = size;
  ++post->started;
  post->changed.notify_all();
  post->changed.wait(lock, [&] { return post->started == size; });
  return ncclSuccess;
}
ncclResult_t comm_destroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}
// What is enqueued may still name it: it stays.
ncclResult_t comm_abort(ncclComm_t comm) {
  comm->lost = true;
  return ncclSuccess;
}
ncclResult_t get_async_error(ncclComm_t comm, ncclResult_t* error) {
  *error = comm->lost ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t group_start() {
  ++group_depth;
  return ncclSuccess;
}
ncclResult_t group_end() {
  if (group_depth == 0) return ncclInvalidUsage;
  if (--group_depth > 0 || group.empty()) return ncclSuccess;
  emulation::enqueue_work(group_stream, "ncclGroup", [comm = group_comm, all = std::move(group)] {
    for (const Transfer& t : all)
      if (t.send) put(*comm, t.rank, t.data, t.count);
    for (const Transfer& t : all) {
      if (t.send) continue;
      const std::vector<float> values = take(*comm, t.rank, t.count);
      std::memcpy(t.data, values.data(), t.count * sizeof(float));
    }
  });
  group.clear();
  return ncclSuccess;
}
ncclResult_t transfer(const Transfer& one, ncclDataType_t type, ncclComm_t comm, cudaStream_t stream) {
  if (type != ncclFloat || one.rank == comm->rank || one.rank < 0 || one.rank >= comm->post->size)
    return ncclInvalidArgument;
  group_start();
  if (!group.empty() && (comm != group_comm || stream != group_stream)) return ncclInvalidUsage;
  group_comm = comm;
  group_stream = stream;
  group.push_back(one);
  return group_end();
}
ncclResult_t send(const void* data, size_t count, ncclDataType_t type, int rank, ncclComm_t comm,
                  cudaStream_t stream) {
  return transfer({true, rank, static_cast<float*>(const_cast<void*>(data)), count}, type, comm, stream);
}
ncclResult_t receive(void* data, size_t count, ncclDataType_t type, int rank, ncclComm_t comm,
                     cudaStream_t stream) {
  return transfer({false, rank, static_cast<float*>(data), count}, type, comm, stream);
}
// In an order of its own: from the last rank to the first.
ncclResult_t all_reduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t op,
                        ncclComm_t comm, cudaStream_t stream) {
  if (type != ncclFloat || op != ncclSum) return ncclInvalidArgument;
  emulation::enqueue_work(stream, "ncclAllReduce", [=] {
    const int size = comm->post->size;
    const float* own = static_cast<const float*>(from);
    std::vector<std::vector<float>> all(size_t(size), std::vector<float>(own, own + count));
    for (int r = 0; r < size; ++r)
      if (r != comm->rank) put(*comm, r, own, count);
    for (int r = 0; r < size; ++r)
      if (r != comm->rank) all[size_t(r)] = take(*comm, r, count);
    for (size_t i = 0; i < count; ++i) {
      float sum = 0;
      for (int r = size - 1; r >= 0; --r) sum += all[size_t(r)][i];
      static_cast<float*>(to)[i] = sum;
    }
  });
  return ncclSuccess;
}

template <class Function>
void* address(Function* function) {
  return reinterpret_cast<void*>(function);
}

const bool there = [] {
  emulation::library_functions().insert({{"ncclGetVersion", address(get_version)},
                                         {"ncclGetErrorString", address(error_string)},
                                         {"ncclGetUniqueId", address(get_unique_id)},
                                         {"ncclCommInitRank", address(comm_init_rank)},
                                         {"ncclCommDestroy", address(comm_destroy)},
                                         {"ncclCommAbort", address(comm_abort)},
                                         {"ncclCommGetAsyncError", address(get_async_error)},
                                         {"ncclGroupStart", address(group_start)},
                                         {"ncclGroupEnd", address(group_end)},
                                         {"ncclSend", address(send)},
                                         {"ncclRecv", address(receive)},
                                         {"ncclAllReduce", address(all_reduce)}});
  return true;
}();

}  // namespace

void emulation::set_nccl_patience(double seconds) {
  patience = seconds;
}

}  // namespace retort
