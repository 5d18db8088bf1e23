// In the place of MPI's header: what the plugin asks of it, for one process that talks to nobody.
// RETORT_MPI_DOUBLE says what MPI would: "LEVEL RANK SIZE", the level of threads that it gives as a number
// from 0.
#pragma once
#include <cstdio>
#include <cstdlib>

using MPI_Comm = int;
using MPI_Request = int;
using MPI_Datatype = int;
using MPI_Errhandler = int;
using MPI_Op = int;
struct MPI_Status {};
enum { MPI_SUCCESS, MPI_FAILURE };
enum { MPI_COMM_NULL, MPI_COMM_WORLD };
enum { MPI_THREAD_SINGLE, MPI_THREAD_FUNNELED, MPI_THREAD_SERIALIZED, MPI_THREAD_MULTIPLE };
constexpr int MPI_REQUEST_NULL = 0, MPI_BYTE = 1, MPI_FLOAT = 2, MPI_DOUBLE = 3, MPI_SUM = 1,
              MPI_ERRORS_RETURN = 1, MPI_MAX_LIBRARY_VERSION_STRING = 64;
inline const void* const MPI_IN_PLACE = nullptr;
inline MPI_Status* const MPI_STATUS_IGNORE = nullptr;
inline MPI_Status* const MPI_STATUSES_IGNORE = nullptr;

struct MpiDouble {
  int level = 0, rank = 0, size = 1;
  MpiDouble() {
    const char* said = std::getenv("RETORT_MPI_DOUBLE");
    if (!said || std::sscanf(said, "%d %d %d", &level, &rank, &size) != 3) std::abort();
  }
};

inline int MPI_Initialized(int* yes) {
  *yes = 0;
  return MPI_SUCCESS;
}
inline int MPI_Init_thread(int*, char***, int, int* provided) {
  *provided = MpiDouble().level;
  return *provided < 0 ? MPI_FAILURE : MPI_SUCCESS;
}
inline int MPI_Query_thread(int* provided) {
  return MPI_Init_thread(nullptr, nullptr, 0, provided);
}
inline int MPI_Comm_rank(MPI_Comm, int* rank) {
  *rank = MpiDouble().rank;
  return MPI_SUCCESS;
}
inline int MPI_Comm_size(MPI_Comm, int* size) {
  *size = MpiDouble().size;
  return MPI_SUCCESS;
}
inline int MPI_Get_library_version(char* version, int*) {
  std::snprintf(version, MPI_MAX_LIBRARY_VERSION_STRING, "a double of MPI, of the tests");
  return MPI_SUCCESS;
}
inline int MPI_Comm_dup(MPI_Comm, MPI_Comm* to) {
  *to = MPI_COMM_WORLD;
  return MPI_SUCCESS;
}
inline int MPI_Comm_set_errhandler(MPI_Comm, MPI_Errhandler) {
  return MPI_SUCCESS;
}
inline int MPI_Comm_free(MPI_Comm*) {
  return MPI_SUCCESS;
}
inline int MPI_Finalize() {
  return MPI_SUCCESS;
}
[[noreturn]] inline int MPI_Abort(MPI_Comm, int code) {
  std::_Exit(code);
}
inline int MPI_Irecv(void*, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request*) {
  return MPI_FAILURE;
}
inline int MPI_Isend(const void*, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request*) {
  return MPI_FAILURE;
}
inline int MPI_Iallreduce(const void*, void*, int, MPI_Datatype, MPI_Op, MPI_Comm, MPI_Request*) {
  return MPI_FAILURE;
}
inline int MPI_Testall(int, MPI_Request*, int* done, MPI_Status*) {
  *done = 1;
  return MPI_SUCCESS;
}
inline int MPI_Request_get_status(MPI_Request, int* done, MPI_Status*) {
  *done = 1;
  return MPI_SUCCESS;
}
