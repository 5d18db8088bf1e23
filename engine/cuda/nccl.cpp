#include "engine/cuda/nccl.h"

#include <nccl.h>

#include <cstring>

#include "engine/base/check.h"
#include "engine/cuda/dynamic_library.h"

namespace retort {

namespace {

constexpr int least_version = 20700;  // the first with ncclSend

struct Library {
  DynamicLibrary library{
      "NCCL 2 (package libnccl2), which several processes with GPUs exchange gradients through,",
      {"libnccl.so.2"}};
#define RETORT_NCCL(name) decltype(&nccl##name) name = library.load<decltype(nccl##name)>("nccl" #name)
  RETORT_NCCL(GetVersion);
  RETORT_NCCL(GetErrorString);
  RETORT_NCCL(GetUniqueId);
  RETORT_NCCL(CommInitRank);
  RETORT_NCCL(CommDestroy);
  RETORT_NCCL(CommAbort);
  RETORT_NCCL(CommGetAsyncError);
  RETORT_NCCL(GroupStart);
  RETORT_NCCL(GroupEnd);
  RETORT_NCCL(Send);
  RETORT_NCCL(Recv);
  RETORT_NCCL(AllReduce);
#undef RETORT_NCCL
  int version = 0;

  Library() {
    check_status(GetVersion(&version), "asking for the version");
    check(version >= least_version && version / 10000 == NCCL_MAJOR, Fault::device,
          "device cuda: ", library.file(), " is NCCL ", text_of(version), ", expected ", NCCL_MAJOR,
          ".7 or newer of ", NCCL_MAJOR);
  }
  static const Library& get() {
    static const Library library;
    return library;
  }

  static std::string text_of(int version) {  // major * 10000 + minor * 100 + patch
    return text(version / 10000, ".", version / 100 % 100, ".", version % 100);
  }

  template <class... Parts>
  void check_status(ncclResult_t status, const Parts&... operation) const {
    if (status == ncclSuccess) [[likely]]
      return;
    const bool lost = status == ncclRemoteError || status == ncclSystemError;
    fail(lost ? Fault::lost : Fault::device, "NCCL: ", text(operation...), ": ", GetErrorString(status),
         "; NCCL_DEBUG=WARN says more");
  }
};

}  // namespace

struct Nccl::Impl {
  const Library& library = Library::get();
  ncclComm_t comm = nullptr;
  ~Impl() {
    if (comm) library.CommDestroy(comm);
  }
};

void Nccl::open() {
  Library::get();
}

std::string Nccl::new_id() {
  const Library& library = Library::get();
  ncclUniqueId id;
  library.check_status(library.GetUniqueId(&id), "preparing to start");
  return {id.internal, sizeof id.internal};
}

Nccl::Nccl(const std::string& text_of_id, int rank, int size) : impl_(std::make_unique<Impl>()) {
  ncclUniqueId id;
  check(text_of_id.size() == sizeof id.internal, "NCCL: an id of ", text_of_id.size(), " bytes, expected ",
        sizeof id.internal);
  std::memcpy(id.internal, text_of_id.data(), sizeof id.internal);
  impl_->library.check_status(impl_->library.CommInitRank(&impl_->comm, size, id, rank), "starting rank ",
                              rank, " of ", size, " (each has to have a GPU of its own)");
}

Nccl::~Nccl() = default;

std::string Nccl::description() const {
  return "NCCL " + Library::text_of(impl_->library.version);
}

bool Nccl::lost() const {
  ncclResult_t found = ncclSuccess;
  if (!impl_->comm || impl_->library.CommGetAsyncError(impl_->comm, &found) != ncclSuccess) return true;
  return found != ncclSuccess && found != ncclInProgress;
}

void Nccl::end() noexcept {
  if (impl_->comm) impl_->library.CommAbort(impl_->comm);
  impl_->comm = nullptr;
}

void Nccl::exchange(const std::vector<Block>& sends, const std::vector<Block>& receives,
                    CUstream_st* stream) {
  const Library& nccl = impl_->library;
  nccl.check_status(nccl.GroupStart(), "beginning an exchange");
  for (const Block& b : sends)
    nccl.check_status(nccl.Send(b.data, size_t(b.count), ncclFloat, b.rank, impl_->comm, stream), "sending ",
                      b.count, " numbers to rank ", b.rank);
  for (const Block& b : receives)
    nccl.check_status(nccl.Recv(b.data, size_t(b.count), ncclFloat, b.rank, impl_->comm, stream),
                      "receiving ", b.count, " numbers from rank ", b.rank);
  nccl.check_status(nccl.GroupEnd(), "exchanging numbers");
}

void Nccl::all_reduce(float* values, int64_t count, CUstream_st* stream) {
  const Library& nccl = impl_->library;
  nccl.check_status(nccl.AllReduce(values, values, size_t(count), ncclFloat, ncclSum, impl_->comm, stream),
                    "a sum of ", count, " numbers");
}

}  // namespace retort
