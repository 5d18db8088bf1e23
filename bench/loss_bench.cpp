// Every distillation method's terms and their gradient on one thread, and PCD's fused kernel alone.
#include <benchmark/benchmark.h>

#include "distill/methods/pcd.h"
#include "distill/methods/registry.h"
#include "layers/module.h"
#include "tests/support/closed_formula.h"

namespace retort {
namespace {

struct Batch {
  std::unique_ptr<Device> device = Device::open({.name = "portable", .threads = 1});
  Array student, teacher, labels;

  Batch(int64_t samples, int64_t classes)
      : student(device->persistent({samples, classes}, DType::f32)),
        teacher(device->persistent({samples, classes}, DType::f32)),
        labels(device->persistent({samples}, DType::i32)) {
    write_values(*device, student, closed_values("student", samples * classes, 4));
    write_values(*device, teacher, closed_values("teacher", samples * classes, 4));
    std::vector<int32_t> values;
    for (int64_t i = 0; i < samples; ++i) values.push_back(int32_t(7 * i % classes));
    device->backend().upload(labels, values.data());
  }
};

// One step's loss and gradient of `loss(pass, student)`.
template <class Loss>
void time_loss(benchmark::State& state, Batch& batch, const Loss& loss) {
  for (auto _ : state) {
    batch.device->step_arena().rewind();
    Tape tape(*batch.device);
    const Pass pass{*batch.device, &tape, true};
    tape.backward(loss(pass, tape.leaf(batch.student)));
  }
}

const bool registered = [] {
  for (const MethodInfo& method : methods()) {
    const MethodInfo::Reads& reads = method.reads;
    if (reads.features || reads.class_similarity || views_read(MethodSettings(method)) == 2) continue;
    benchmark::RegisterBenchmark(
        ("loss/" + method.name).c_str(),
        [name = method.name](benchmark::State& state) {
          Batch batch(state.range(0), state.range(1));
          const auto distiller = make_distiller(method_settings(name), *batch.device);
          time_loss(state, batch, [&](const Pass& pass, const Var& student) {
            const DistillInputs inputs{{student, Var(batch.teacher)}, Var(batch.labels)};
            return total(distiller->distillation_terms(inputs, pass), pass);
          });
        })
        ->ArgNames({"B", "C"})
        ->ArgsProduct({{64, 1024}, {100, 1000}})
        ->Unit(benchmark::kMicrosecond);
  }
  for (const bool ranked : {true, false}) {
    benchmark::RegisterBenchmark(ranked ? "pcd/ranked" : "pcd/class order",
                                 [ranked](benchmark::State& state) {
                                   Batch batch(state.range(0), state.range(1));
                                   const PcdSpec spec{.stages = int(state.range(2)), .ranked = ranked};
                                   time_loss(state, batch, [&](const Pass& pass, const Var& student) {
                                     return pcd_loss(pass, student, batch.teacher, spec);
                                   });
                                 })
        ->ArgNames({"B", "C", "S"})
        ->ArgsProduct({{64}, {100, 1000}, {1, 3, 5}})
        ->Unit(benchmark::kMicrosecond);
  }
  return true;
}();

}  // namespace
}  // namespace retort
