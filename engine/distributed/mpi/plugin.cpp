// The plugin: MPI behind interface.h. It knows nothing else of the program.
#include <mpi.h>

#include <sched.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "engine/distributed/mpi/interface.h"

namespace {

MPI_Comm world = MPI_COMM_NULL;

using Clock = std::chrono::steady_clock;

// MPI counts in int.
constexpr unsigned long long largest = 1ULL << 30;

template <class Start>
void start(std::vector<MPI_Request>& requests, std::vector<int>& peers, const RetortMpiMessage& message,
           const Start& one) {
  char* data = static_cast<char*>(message.data);
  for (unsigned long long done = 0; done < message.bytes || done == 0; done += largest) {
    const unsigned long long left = message.bytes - done;
    requests.push_back(MPI_REQUEST_NULL);
    peers.push_back(message.rank);
    one(data + done, int(left < largest ? left : largest), message.rank, &requests.back());
  }
}

// Until all are done. Of one that takes too long, *silent is its peer.
int wait(std::vector<MPI_Request>& requests, const std::vector<int>& peers, double seconds, int* silent) {
  const Clock::time_point began = Clock::now();
  for (long tries = 0;; ++tries) {
    int done = 0;
    if (MPI_Testall(int(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS)
      return RETORT_MPI_FAILED;
    if (done) return RETORT_MPI_DONE;
    // A core may be shared with the rank that is waited for.
    if (tries < 2000)
      sched_yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    if (tries % 256 != 0 || std::chrono::duration<double>(Clock::now() - began).count() <= seconds) continue;
    for (size_t i = 0; i < requests.size(); ++i) {
      int arrived = 0;
      if (requests[i] == MPI_REQUEST_NULL) continue;
      MPI_Request_get_status(requests[i], &arrived, MPI_STATUS_IGNORE);
      if (!arrived) {
        *silent = peers[i];
        return RETORT_MPI_SILENT;
      }
    }
  }
}

int exchange(const RetortMpiMessage* sends, int send_count, const RetortMpiMessage* receives,
             int receive_count, double seconds, int* silent) {
  std::vector<MPI_Request> requests;
  std::vector<int> peers;
  int error = MPI_SUCCESS;
  const auto note = [&](int result) { error = error == MPI_SUCCESS ? result : error; };
  for (int i = 0; i < receive_count; ++i)
    start(requests, peers, receives[i], [&](char* data, int bytes, int rank, MPI_Request* request) {
      note(MPI_Irecv(data, bytes, MPI_BYTE, rank, 0, world, request));
    });
  for (int i = 0; i < send_count; ++i)
    start(requests, peers, sends[i], [&](char* data, int bytes, int rank, MPI_Request* request) {
      note(MPI_Isend(data, bytes, MPI_BYTE, rank, 0, world, request));
    });
  return error == MPI_SUCCESS ? wait(requests, peers, seconds, silent) : RETORT_MPI_FAILED;
}

int all_sum(void* values, unsigned long long count, int bytes, double seconds, int* silent) {
  char* data = static_cast<char*>(values);
  const unsigned long long most = largest / unsigned(bytes);
  for (unsigned long long done = 0; done < count; done += most) {
    const unsigned long long left = count - done;
    std::vector<MPI_Request> requests(1, MPI_REQUEST_NULL);
    if (MPI_Iallreduce(MPI_IN_PLACE, data + done * unsigned(bytes), int(left < most ? left : most),
                       bytes == 4 ? MPI_FLOAT : MPI_DOUBLE, MPI_SUM, world, requests.data()) != MPI_SUCCESS)
      return RETORT_MPI_FAILED;
    const int result = wait(requests, {-1}, seconds, silent);
    if (result != RETORT_MPI_DONE) return result;
  }
  return RETORT_MPI_DONE;
}

void close_world() {
  MPI_Comm_free(&world);
  MPI_Finalize();
}

void abort_world(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
}

// "Open MPI v4.1.4" of "Open MPI v4.1.4, package: ...", the first line of MPICH's many.
void put_library(char* to, size_t size) {
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(version, &length);
  version[std::strcspn(version, ",\n")] = 0;
  for (char* c = version; *c; ++c)
    if (*c == '\t') *c = ' ';
  std::snprintf(to, size, "%s", version);
}

const char* name_of_level(int level) {
  return level == MPI_THREAD_SINGLE       ? "MPI_THREAD_SINGLE"
         : level == MPI_THREAD_FUNNELED   ? "MPI_THREAD_FUNNELED"
         : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
                                          : "MPI_THREAD_MULTIPLE";
}

// Starts MPI, unless something has before, and asks which threads may call it.
bool start_mpi(bool* started, int* provided) {
  int initialized = 0;
  MPI_Initialized(&initialized);
  *started = !initialized;
  return (initialized ? MPI_Query_thread(provided)
                      : MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, provided)) == MPI_SUCCESS;
}

}  // namespace

int retort_mpi_interface(void) {
  return RETORT_MPI_INTERFACE;
}

int retort_mpi_open(RetortMpi* mpi, char* message, unsigned long message_bytes) {
  bool started = false;
  int provided = MPI_THREAD_SINGLE;
  if (!start_mpi(&started, &provided)) {
    std::snprintf(message, message_bytes, "MPI_Init_thread failed");
    return 1;
  }
  put_library(mpi->library, sizeof mpi->library);
  // One thread calls MPI at a time, which need not be the main one. An MPI that gives less still goes on.
  if (provided < MPI_THREAD_SERIALIZED) {
    std::snprintf(message, message_bytes,
                  "%s gives thread level %s, expected %s or more; use an MPI that is built with threads",
                  mpi->library, name_of_level(provided), name_of_level(MPI_THREAD_SERIALIZED));
    if (started) MPI_Finalize();
    return 1;
  }
  if (MPI_Comm_dup(MPI_COMM_WORLD, &world) != MPI_SUCCESS) {
    std::snprintf(message, message_bytes, "MPI_Comm_dup failed");
    return 1;
  }
  MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
  MPI_Comm_rank(world, &mpi->rank);
  MPI_Comm_size(world, &mpi->size);
  mpi->exchange = exchange;
  mpi->all_sum = all_sum;
  mpi->close = close_world;
  mpi->abort = abort_world;
  return 0;
}
