// `retort bench`: how long a .retort file takes to answer on this machine, by the embeddable library.
#include <algorithm>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/evaluate/network_file.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/file_kind.h"
#include "engine/infer/retort.h"

namespace retort {

namespace {

class Net {
 public:
  Net(const std::string& path, const retort_options& wanted) {
    const std::vector<std::byte> file = read_file(path);
    check(kind_of_file(file) == FileKind::network, Fault::input, path,
          ": is no .retort file; `retort export RUN --to infer -o net.retort` writes one");
    bytes_ = int64_t(file.size());
    char message[200] = "";
    retort_options options = wanted;
    options.message = message;
    options.message_bytes = sizeof message;
    const retort_status status = retort_load(file.data(), file.size(), &options, &net_);
    const Fault of_file = status == RETORT_BAD_ARGUMENT ? Fault::usage : Fault::input;
    check(status == RETORT_OK, fault_of_load(status, of_file), path, ": ", retort_status_text(status), " (",
          message, ")");
    retort_get_info(net_, &info_);
  }
  ~Net() { retort_free(net_); }
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  const retort_info& info() const { return info_; }
  int64_t bytes() const { return bytes_; }
  retort_net* get() const { return net_; }

 private:
  retort_net* net_ = nullptr;
  retort_info info_{};
  int64_t bytes_ = 0;
};

// Seconds of each call, ascending: for so long, but at least ten calls.
std::vector<double> times_of(const Net& net, size_t batch, double seconds) {
  using Clock = std::chrono::steady_clock;
  const retort_info& info = net.info();
  std::vector<float> images(batch * info.height * info.width * info.channels), logits(batch * info.classes);
  // Of usual size, and none like the one before: what a network does depends on values hardly at all.
  for (size_t i = 0; i < images.size(); ++i) images[i] = float(i * 7919 % 255) / 127.0f - 1.0f;
  const auto call = [&] {
    const Clock::time_point from = Clock::now();
    const retort_status status = retort_predict(net.get(), images.data(), batch, logits.data());
    check(status == RETORT_OK, Fault::diverged, "bench: ", retort_last_error(net.get()));
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  for (int warm = 0; warm < 3; ++warm) call();
  std::vector<double> times;
  for (const Clock::time_point from = Clock::now();
       times.size() < 10 || std::chrono::duration<double>(Clock::now() - from).count() < seconds;)
    times.push_back(call());
  std::sort(times.begin(), times.end());
  return times;
}

// The time that so many of all calls do not exceed.
double percentile(const std::vector<double>& ascending, double part) {
  return ascending[size_t(part * double(ascending.size() - 1) + 0.5)];
}

}  // namespace

int run_bench(const Arguments& arguments) {
  Options options("bench", "how fast a .retort file answers on this machine, and what memory it takes",
                  {"retort bench net.retort", "retort bench net.retort --threads 2 --batch 8"});
  std::vector<std::string> files;
  int64_t threads = 1, batch = 1;
  double seconds = 2;
  bool json = false;
  options.positional("FILE", "written by `retort export --to infer`", files);
  options.integer("--threads", "that predict together", threads, 1);
  options.integer("--batch", "images a call", batch, 1);
  options.number("--seconds", "to measure for", seconds, 0);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(files.size() == 1, Fault::usage, "bench: ", files.size(), " files are named, expected one FILE");
  constexpr int64_t most = std::numeric_limits<uint32_t>::max();
  const retort_options wanted = {uint32_t(std::min(threads, most)), uint32_t(std::min(batch, most)), nullptr,
                                 0};
  const Net net(files[0], wanted);
  const std::vector<double> times = times_of(net, size_t(batch), seconds);
  const retort_info& info = net.info();
  const double p50 = percentile(times, 0.5), p99 = percentile(times, 0.99);
  const auto memory = int64_t(retort_memory(net.get()));
  if (json) {
    print_json({{"model", info.model},
                {"weight_bits", info.weight_bits},
                {"instruction_set", retort_instruction_set(net.get())},
                {"threads", threads},
                {"batch", batch},
                {"file_bytes", net.bytes()},
                {"memory_bytes", memory},
                {"calls", times.size()},
                {"p50_seconds", p50},
                {"p99_seconds", p99},
                {"images_per_second", double(batch) / p50}});
    return 0;
  }
  print(text(info.model, ", ", info.height, "x", info.width, ", weights of ", info.weight_bits, " bits, ",
             retort_instruction_set(net.get()), ", ", counted(threads, "thread"), ", batches of ", batch,
             "\n\nfile    ", with_commas(net.bytes()), " bytes\nmemory  ", with_commas(memory),
             " bytes, one block\np50     ", fixed(1e3 * p50, 3), " ms\np99     ", fixed(1e3 * p99, 3),
             " ms, of ", counted(int64_t(times.size()), "call"), "\nrate    ", fixed(double(batch) / p50, 1),
             " images/s\n"));
  return 0;
}

}  // namespace retort
