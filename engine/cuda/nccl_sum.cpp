#include "engine/cuda/nccl_sum.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "engine/cuda/tree_sum.h"
#include "engine/distributed/tree.h"
#include "engine/types.h"

namespace retort {

namespace {

// Fails on all ranks where the work fails on one.
template <class Work>
auto together(Communicator& world, const Work& work) {
  std::optional<Error> problem;
  decltype(work()) made{};
  try {
    made = work();
  } catch (const Error& error) {
    problem = error;
  }
  world.agree(problem ? &*problem : nullptr);
  return made;
}

}  // namespace

NcclSum::NcclSum(Communicator& world, Memory& memory, cudaStream_t stream)
    : world_(world),
      rank_(world.rank()),
      size_(world.size()),
      bucket_(world.bucket_bytes() / int64_t(sizeof(float))),
      ordered_(world.reduce() == Reduce::ordered),
      main_(stream) {
  for (const Communicator::Level& level : world.levels())
    check(!ordered_ || int(level.ranks.size()) <= most_summed_ranks, Fault::usage,
          "reduce = ordered sums over at most ", most_summed_ranks,
          " processes with GPUs at once, and there are ", level.ranks.size(), "; --set reduce=fast");
  // Each opens the library before anybody waits for the others in it.
  const std::string own = together(world, [&] {
    Nccl::open();
    return rank_ == 0 ? Nccl::new_id() : std::string();
  });
  const std::string id = world.gather(own).front();
  nccl_ = together(world, [&] { return std::make_unique<Nccl>(id, rank_, size_); });
  if (ordered_) slices_ = std::make_unique<DeviceMemory>(memory, size_t(bucket_ + size_) * sizeof(float));
}

void NcclSum::begin(const Tensor& values, const std::vector<bool>& gives) {
  check(values.type == DType::f32, "sum over processes: values are ", values.type, ", expected f32");
  check(int(gives.size()) == size_, "sum over processes: ", gives.size(), " ranks of ", size_);
  fork_.record(main_);
  fork_.hold_back(stream_.get());
  open_ = true;
  float* const data = values.as<float>();
  if (!ordered_) {
    if (!gives[size_t(rank_)])
      check_cuda(cudaMemsetAsync(data, 0, values.bytes(), stream_.get()), "clearing what is not given");
    return nccl_->all_reduce(data, values.size(), stream_.get());
  }
  for (int64_t first = 0; first < values.size(); first += bucket_)
    in_order(0, data + first, std::min(bucket_, values.size() - first), gives);
}

// Each adds a slice of all that is given, in the order of the tree, and sends its sum to all; between them
// the next level adds the sums.
void NcclSum::in_order(size_t level, float* values, int64_t count, const std::vector<bool>& all) {
  const auto& [group, me] = world_.levels()[level];
  const std::vector<bool> gives = world_.gives_at(level, all);
  const Communicator::Slices plan = world_.slices_at(level, count, gives);
  float* const slices = static_cast<float*>(slices_->data());
  uint64_t mask = 0;
  for (size_t r = 0; r < gives.size(); ++r) mask |= uint64_t{gives[r]} << r;
  const auto blocks = [](const std::vector<Communicator::Slices::Range>& ranges, float* base) {
    std::vector<Nccl::Block> found;
    for (const auto& [rank, first, numbers] : ranges) found.push_back({rank, base + first, numbers});
    return found;
  };
  const bool last = level + 1 == world_.levels().size();
  check(mask != 0 || !last, "sum over processes: no rank gives anything");
  nccl_->exchange(blocks(plan.sends, values), blocks(plan.receives, slices), stream_.get());
  if (mask != 0)
    check_cuda(tree_sum_kernel(stream_.get(), values + plan.own.first, me, slices, plan.own.count,
                               int(group.size()), mask),
               "a sum over ", group.size(), " processes of ", plan.own.count, " numbers");
  if (!last) in_order(level + 1, values + plan.own.first, plan.own.count, all);
  nccl_->exchange(blocks(plan.sums, values), blocks(plan.got, values), stream_.get());
}

void NcclSum::join() {
  if (!open_) return;
  open_ = false;
  end_.record(stream_.get());
  end_.hold_back(main_);
}

bool NcclSum::wait(const std::function<cudaError_t()>& ask) noexcept {
  const auto began = std::chrono::steady_clock::now();
  while (ask() == cudaErrorNotReady && !nccl_->lost()) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - began;
    if (waited.count() > world_.transport().time_limit()) break;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  if (ask() != cudaErrorNotReady && !nccl_->lost()) return true;
  nccl_->end();
  return false;
}

// A closed connection is found at once; who only waits for the same rank answers.
void NcclSum::fail_lost() {
  world_.transport().set_time_limit(std::min(world_.transport().time_limit(), 5.0));
  world_.gather("");
  fail(Fault::lost, "NCCL has lost a process of the run, or waited too long for it");
}

}  // namespace retort
