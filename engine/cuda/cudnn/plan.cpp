#include "engine/cuda/cudnn/plan.h"

#include <algorithm>

#include "engine/base/check.h"

namespace retort {
namespace {

constexpr int64_t most_configurations = 64;
constexpr int64_t most_workspace = int64_t(1) << 30;
// Engines that refuse or do not compile, before we give up: a compilation takes up to a second.
constexpr int most_failures = 16;

std::vector<CudnnDescriptor> configurations(const CudnnOperations& operations, cudnnBackendHeurMode_t mode,
                                            const CudnnTarget& target) {
  CudnnDescriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, operations.graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (target.properties()) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.properties());
  heuristics.finalize("heuristics");
  std::vector<CudnnDescriptor> found;
  for (int64_t i = 0; i < most_configurations; ++i) found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  const int64_t count = heuristics.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, found);
  found.erase(found.begin() + count, found.end());
  return found;
}

struct EngineNotes {
  std::vector<cudnnBackendNumericalNote_t> numerical;
  bool compiled_at_run_time = false;
  std::string name;
};

EngineNotes notes_of(const CudnnDescriptor& configuration) {
  std::vector<CudnnDescriptor> engines;
  engines.emplace_back(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  configuration.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, engines);
  const CudnnDescriptor& engine = engines[0];
  EngineNotes notes;
  notes.numerical = engine.get_list<cudnnBackendNumericalNote_t>(
      CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  for (const auto behavior : engine.get_list<cudnnBackendBehaviorNote_t>(
           CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT))
    notes.compiled_at_run_time |= behavior == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
  notes.name = text("engine ", engine.get_integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  std::vector<CudnnDescriptor> knobs;
  for (int i = 0; i < CUDNN_KNOB_TYPE_COUNTS; ++i) knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
  const int64_t count = configuration.get_descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs);
  for (int64_t i = 0; i < count; ++i) {
    const auto type = knobs[size_t(i)].get_list<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE,
                                                                        CUDNN_TYPE_KNOB_TYPE, 1);
    notes.name += text(i == 0 ? " knobs " : " ", type.empty() ? -1 : int(type[0]), '=',
                       knobs[size_t(i)].get_integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  return notes;
}

bool has(const std::vector<cudnnBackendNumericalNote_t>& notes, cudnnBackendNumericalNote_t note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

CudnnPlan build(CudnnDescriptor configuration, const CudnnTarget& target, const EngineNotes& notes) {
  CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (const cudnnHandle_t handle = target.handle())
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  plan.finalize("execution plan");
  return CudnnPlan(std::move(plan), std::move(configuration), notes.name,
                   has(notes.numerical, CUDNN_NUMERICAL_NOTE_TENSOR_CORE), notes.compiled_at_run_time);
}

}  // namespace

CudnnTarget CudnnTarget::described(const std::string& json) {
  CudnnTarget target;
  target.properties_.emplace(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  target.properties_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, int64_t(json.size()),
                          json.data());
  target.properties_->finalize("device properties");
  return target;
}

CudnnPlan::CudnnPlan(CudnnDescriptor plan, std::optional<CudnnDescriptor> configuration, std::string engine,
                     bool tensor_cores, bool compiled)
    : configuration_(std::move(configuration)),
      plan_(std::move(plan)),
      workspace_(plan_.get_integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)),
      engine_(std::move(engine)),
      tensor_cores_(tensor_cores),
      compiled_(compiled) {}

std::string CudnnPlan::serialised() const {
  try {
    return plan_.get_text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
  } catch (const CudnnRefusal&) {
    return "";
  }
}

bool forbidden(const std::vector<cudnnBackendNumericalNote_t>& notes, DType type,
               const CudnnOptions& options) {
  // Sums are promised in f32, operands as they are, but for TF32.
  if (has(notes, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return true;
  if (options.deterministic && has(notes, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return true;
  if (type != DType::f32) return false;
  if (has(notes, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return true;  // to 16 bit
  return options.math == CudnnMath::fp32 && has(notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

int64_t little_workspace(const CudnnProblem& problem) {
  constexpr int64_t always_little = int64_t(700) << 10;
  const CudnnSlot result = problem.op == CudnnOp::conv_input_gradient    ? CudnnSlot::dx
                           : problem.op == CudnnOp::conv_weight_gradient ? CudnnSlot::dw
                                                                         : CudnnSlot::y;
  return std::max(always_little, block_of(problem, result).size() * int64_t(size_of(type_of(problem, result))));
}

std::vector<CudnnPlan> make_cudnn_plans(const CudnnProblem& problem, const CudnnOptions& options,
                                        const CudnnTarget& target, size_t most) {
  // Engines to look at: the good one is among the first eight of every convolution of the models.
  const size_t considered = is_convolution(problem.op) ? std::max<size_t>(most, 12) : most;
  std::vector<CudnnPlan> plans;
  try {
    const CudnnOperations operations = cudnn_operations(problem, target.handle(), CudnnPlan::alignment);
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      std::vector<CudnnDescriptor> found;
      try {
        found = configurations(operations, mode, target);
      } catch (const CudnnRefusal& refusal) {
        if (!refusal.unsupported()) throw;
      }
      std::vector<EngineNotes> notes;
      bool precompiled = false;
      for (const CudnnDescriptor& configuration : found) {
        notes.push_back(notes_of(configuration));
        precompiled |= !notes.back().compiled_at_run_time && !forbidden(notes.back().numerical, problem.type, options);
      }
      int failures = 0;
      for (size_t i = 0; i < found.size() && plans.size() < considered; ++i) {
        if (forbidden(notes[i].numerical, problem.type, options)) continue;
        if (precompiled && notes[i].compiled_at_run_time && is_convolution(problem.op)) continue;
        try {
          CudnnPlan plan = build(std::move(found[i]), target, notes[i]);
          if (plan.workspace() <= most_workspace) plans.push_back(std::move(plan));
        } catch (const CudnnRefusal&) {
          if (++failures == most_failures) break;
          continue;  // the next engine may take it
        }
      }
      if (!plans.empty()) break;  // the fallback is for what the heuristics do not know
    }
  } catch (const CudnnRefusal& refusal) {
    check(refusal.unsupported(), "cuDNN: ", problem, " cannot be planned: ", refusal.why);
  }
  std::stable_partition(plans.begin(), plans.end(), [&](const CudnnPlan& plan) {
    return plan.tensor_cores() && plan.workspace() <= little_workspace(problem);
  });
  if (plans.size() > most) plans.erase(plans.begin() + int64_t(most), plans.end());
  return plans;
}

std::optional<CudnnPlan> read_cudnn_plan(const std::string& serialised, const CudnnTarget& target) {
  try {
    CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, int64_t(serialised.size()),
             serialised.data());
    if (target.properties()) {
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.properties());
    } else {
      const cudnnHandle_t handle = target.handle();
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    }
    plan.finalize("execution plan from a file");
    return CudnnPlan(std::move(plan));
  } catch (const CudnnRefusal&) {
    return std::nullopt;  // another version or device, or a damaged file: it is planned again
  }
}

}  // namespace retort
