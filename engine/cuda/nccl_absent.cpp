// Stands for NCCL where its header was not there to build with.
#include "engine/base/check.h"
#include "engine/cuda/nccl.h"

namespace retort {

struct Nccl::Impl {};

namespace {

[[noreturn]] void fail_absent() {
  fail(Fault::device,
       "device cuda: this program was built without NCCL, which several processes with GPUs exchange "
       "gradients through; "
       "build it where nccl.h is (package libnccl-dev), or say --world off to train in this process alone");
}

}  // namespace

void Nccl::open() {
  fail_absent();
}
std::string Nccl::new_id() {
  fail_absent();
}
Nccl::Nccl(const std::string&, int, int) {
  fail_absent();
}
Nccl::~Nccl() = default;
std::string Nccl::description() const {
  return {};
}
bool Nccl::lost() const {
  return true;
}
void Nccl::end() noexcept {}
void Nccl::exchange(const std::vector<Block>&, const std::vector<Block>&, CUstream_st*) {
  fail_absent();
}
void Nccl::all_reduce(float*, int64_t, CUstream_st*) {
  fail_absent();
}

}  // namespace retort
