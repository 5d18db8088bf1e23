// Google Benchmark over whole steps and over the op table.
#include <benchmark/benchmark.h>

#include "bench/step_runner.h"
#include "tests/engine/op_cases.h"

namespace retort {
namespace {

void time_step(benchmark::State& state, const std::string& model, const std::string& teacher,
               const std::string& method, const std::string& device) {
  StepOptions options;
  options.model = model;
  options.teacher = teacher;
  options.method = method;
  options.device = device;
  StepRunner runner(options);
  for (int i = 0; i < 3; ++i) runner.run();
  for (auto _ : state) runner.run();
  state.counters["images/s"] =
      benchmark::Counter(double(options.batch), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["FLOP/s"] =
      benchmark::Counter(runner.work({}).flops, benchmark::Counter::kIsIterationInvariantRate);
}

// Forward and backward of an op case, on its small shapes: the cost of a call rather than of its arithmetic.
void time_op(benchmark::State& state, const OpCase& op_case, const std::string& device_name) {
  const auto device = Device::open({.name = device_name, .threads = 1});
  std::vector<Array> inputs;
  const auto values = op_input_values(op_case);
  for (size_t i = 0; i < values.size(); ++i) {
    inputs.push_back(device->persistent(op_case.inputs[i].shape, DType::f32));
    write_values(*device, inputs.back(), values[i]);
  }
  for (auto _ : state) {
    device->step_arena().rewind();
    Tape tape(*device);
    const Pass pass{*device, &tape, false};
    std::vector<Var> vars;
    for (size_t i = 0; i < inputs.size(); ++i) {
      vars.push_back(op_case.inputs[i].is_constant() ? Var(inputs[i].tensor) : tape.leaf(inputs[i]));
    }
    tape.backward(sum_all(pass, op_case.op(pass, vars)));
    device->backend().synchronise();
  }
}

const bool registered = [] {
  for (const std::string& device : available_devices()) {
    for (const char* model : {"resnet20", "resnet8x4"}) {
      benchmark::RegisterBenchmark((std::string("train/") + model + "/" + device).c_str(),
                                   [=](benchmark::State& s) { time_step(s, model, "", "ce", device); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
    benchmark::RegisterBenchmark(
        ("distill/resnet56-resnet20/pcd/" + device).c_str(),
        [=](benchmark::State& s) { time_step(s, "resnet20", "resnet56", "pcd", device); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
    for (const OpCase& c : op_cases()) {
      benchmark::RegisterBenchmark(("op/" + c.name + "/" + device).c_str(), [&c,
                                                                             device](benchmark::State& s) {
        time_op(s, c, device);
      })->Unit(benchmark::kMicrosecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace retort
