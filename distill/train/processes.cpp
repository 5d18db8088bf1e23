#include "distill/train/processes.h"

#include <optional>

#include "distill/run/commit.h"
#include "distill/settings/setting_keys.h"
#include "distill/text/text_format.h"
#include "distill/train/checkpoint.h"
#include "engine/base/text.h"
#include "engine/cpu/thread_pool.h"
#include "engine/cuda/cuda.h"
#include "engine/distributed/device_sum.h"
#include "models/weights.h"

namespace retort {

namespace {

// Fails on all if this process says something else than the first.
void check_same(Communicator& world, const std::string& mine, Fault fault, const char* what) {
  const std::string first = world.gather(mine).front();
  if (first == mine) return world.agree(nullptr);
  const Error other(fault, text(what, ": ", mine, ", the first process has ", first));
  world.agree(&other);
}

}  // namespace

void check_alike(const Assembly& run) {
  if (!run.world) return;
  const Commit& commit = built_commit();
  check_same(*run.world, text(commit.hash, commit.changed ? " changed" : ""), Fault::verification,
             "was built from another commit");
  check_same(*run.world, text(std::hex, run.data.hash()), Fault::input,
             ("the images at " + run.settings.data.spec + " have another hash").c_str());
  check_same(*run.world, settings_hash(run.settings), Fault::usage, "has other settings (their hash)");
  if (run.teacher)
    check_same(*run.world, run.teacher->hash(), Fault::verification, "has a teacher of other weights");
}

void check_weights_alike(Assembly& run) {
  if (!run.world) return;
  check_same(*run.world, weights_hash(state_of(*run.student, *run.device)), Fault::verification,
             "has other weights than the others, which must not be: a device or memory is at fault; the last "
             "checkpoint before it is good; the weights' hash");
}

std::string exchange_library(const Assembly& run) {
  const std::shared_ptr<DeviceSum> gradients = sum_over_gpus(run.device->backend(), *run.world);
  return run.world->transport().description() +
         (gradients ? ", gradients over " + gradients->description() : std::string());
}

std::string processes_text(const Assembly& run) {
  std::vector<std::pair<std::string, int>> hosts;
  for (const std::string& host : run.world->gather(this_host())) {
    if (hosts.empty() || hosts.back().first != host) hosts.push_back({host, 0});
    ++hosts.back().second;
  }
  std::vector<std::string> words;
  for (const auto& [host, count] : hosts) words.push_back(text(host, " (", count, ")"));
  const int threads = run.settings.threads > 0 ? run.settings.threads : cpu_quota();
  return text(run.world->size(), " processes over ", exchange_library(run), " on ", join(words),
              ": each batch in ", run.settings.shards, " parts, ", counted(threads, "thread"), " each",
              run.settings.reduce == "fast" ? ", sums in the library's order" : "");
}

std::string exchange_text(const Communicator& world) {
  return text("exchanged ", fixed(world.bytes() / 1e6, 3), " MB in ", significant(world.seconds(), 4), " s");
}

}  // namespace retort
