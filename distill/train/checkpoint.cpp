#include "distill/train/checkpoint.h"

#include <algorithm>
#include <cmath>

#include "engine/base/check.h"
#include "engine/optim/narrow_weights.h"
#include "models/weights.h"

namespace retort {

namespace {

std::vector<HostTensor> distiller_tensors(const SafeTensors& file) {
  const std::string prefix = distiller_prefix;
  std::vector<HostTensor> tensors;
  for (const HostTensor& t : file.tensors) {
    if (!t.name.starts_with(prefix)) continue;
    tensors.push_back(t);
    tensors.back().name.erase(0, prefix.size());
  }
  return tensors;
}

void check_finite(const HostTensor& t) {
  bool finite = true;
  auto look = [&]<class T>() {
    for (T v : t.values<T>()) finite = finite && std::isfinite(v);
  };
  if (t.type == DType::f64)
    look.template operator()<double>();
  else
    look.template operator()<float>();
  check(finite, Fault::diverged, "checkpoint: tensor ", t.name,
        " holds values that are not finite; it was not written");
}

}  // namespace

std::vector<NamedParameter> learned_parameters(Model& model, Module& distiller, const Device* narrow_on,
                                               bool padded_images) {
  std::vector<NamedParameter> all = parameters_of(model);
  // A detector's first layers are frozen.
  std::erase_if(all, [](const NamedParameter& p) { return !p.parameter->grad; });
  if (narrow_on) all = in_16_bits(std::move(all), *narrow_on, padded_images);
  for (const NamedParameter& p : parameters_of(distiller)) {
    all.push_back({distiller_prefix + p.name, p.parameter});
  }
  return all;
}

Summary summary_of(const RunSettings& settings, const Counters& counters) {
  Summary s;
  s.command = settings.command;
  s.model = settings.model;
  s.teacher = settings.teacher;
  s.method = settings.method.method().name;
  s.data = settings.data.spec;
  s.device = settings.device;
  s.seed = settings.seed;
  s.views = settings.data.views;
  s.epochs = settings.epochs;
  s.epochs_done = counters.last ? counters.last->epoch : 0;
  s.seconds = counters.seconds;
  s.best_by = settings.data.validation > 0 ? "validation" : "test";
  s.best = counters.best;
  s.last = counters.last;
  return s;
}

void save_checkpoint(const std::filesystem::path& file, const std::filesystem::path& previous,
                     const TrainingState& state, const Counters& counters, const Binding& binding,
                     std::map<std::string, std::string> metadata) {
  std::vector<HostTensor> tensors = state_of(state.model, state.device);
  metadata["weights_hash"] = weights_hash(tensors);
  for (HostTensor& t : state_of(state.distiller, state.device)) {
    t.name = distiller_prefix + t.name;
    tensors.push_back(std::move(t));
  }
  for (const auto& [name, momentum] : optimizer_state(state.optimizer, state.average)) {
    tensors.push_back(to_file(state.device, optimizer_prefix + name, momentum));
  }
  std::vector<TensorView> views;
  for (const HostTensor& t : tensors) {
    check_finite(t);
    views.push_back(t.view());
  }
  metadata.merge(weights_metadata(state.model));
  put_record(counters, binding, metadata);
  write_safetensors(file, metadata, std::move(views), previous);
}

CheckpointRecord load_checkpoint(const std::filesystem::path& path, const TrainingState& state) {
  const SafeTensors file = read_safetensors(path);
  CheckpointRecord record = record_of(file.metadata, path.string());  // before anything is changed
  load_state(state.model, state.device, model_tensors(file), path.string(), Writer::ours);
  load_state(state.distiller, state.device, distiller_tensors(file), path.string() + " for this method",
             Writer::ours);
  for (const auto& [name, momentum] : optimizer_state(state.optimizer, state.average)) {
    const HostTensor* t = file.find(optimizer_prefix + name);
    check(t && int64_t(t->data.size()) == int64_t(momentum.bytes()) && t->type == momentum.type, Fault::input,
          path.string(), ": no momentum of ", name, "; this is a weights file, not a checkpoint");
    from_file(state.device, *t, momentum);
  }
  state.optimizer.values_changed();
  return record;
}

std::optional<LoadedCheckpoint> load_last_of(const std::filesystem::path& last,
                                             const std::filesystem::path& previous,
                                             const TrainingState& state,
                                             const std::function<void(const std::string&)>& tell) {
  const bool has_last = std::filesystem::exists(last), has_previous = std::filesystem::exists(previous);
  if (!has_last && !has_previous) return std::nullopt;
  std::string problem = last.string() + ": is not there";  // a kill may fall between two renames
  try {
    if (has_last) return LoadedCheckpoint{load_checkpoint(last, state)};
  } catch (const Error& error) {
    if (error.fault() != Fault::input || !has_previous) throw;
    problem = error.what();
  }
  tell(problem + "; going on from the checkpoint before it");
  return LoadedCheckpoint{load_checkpoint(previous, state), true};
}

void check_belongs(const CheckpointRecord& record, const std::filesystem::path& file, const Binding& now,
                   const RunExtent& run) {
  const Counters& c = record.counters;
  const std::string name = file.string() + ": the checkpoint";
  check(c.epoch <= run.epochs + 1, Fault::input, name, " stands in epoch ", c.epoch, ", the run has ",
        run.epochs);
  check(c.batch < run.batches, Fault::input, name, "'s counter batch is ", c.batch, ", an epoch has ",
        run.batches);
  const double images = double(std::min(c.batch * run.batch, run.images));
  check(c.totals.top1 <= images && c.totals.top5 <= images, Fault::input, name, " counts ", c.totals.top1,
        " right answers of ", images, " images");
  if (!record.binding.sealed) return;
  const auto hold = [&](const std::string& there, const std::string& here, const char* what) {
    check(there == here, Fault::input, name, " was trained with ", what, " of hash ", there, ", now it is ",
          here, "; the run cannot go on with others");
  };
  hold(record.binding.settings, now.settings, "settings");
  hold(record.binding.data, now.data, "images");
  hold(record.binding.teacher, now.teacher, "a teacher");
}

}  // namespace retort
