#include "distill/train/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <sstream>

#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/hash.h"
#include "engine/optim/narrow_weights.h"
#include "models/weights.h"

namespace retort {

namespace {

constexpr const char* counters_key = "counters";
constexpr const char* format_key = "run_format";

// Files of 0.1.0 have none of it.
Binding binding_from(const std::map<std::string, std::string>& metadata, const std::string& file) {
  Binding binding;
  const auto format = metadata.find(format_key);
  if (format == metadata.end()) return binding;
  check(format->second == std::to_string(run_format), Fault::input, file, ": is of run format ",
        format->second, ", expected ", run_format, "; a newer retort may read it");
  const auto entry = [&](const char* key) {
    const auto found = metadata.find(key);
    check(found != metadata.end(), Fault::input, file, ": its metadata lack '", key, "'");
    return found->second;
  };
  binding.settings = entry("settings_hash");
  binding.data = entry("data_hash");
  binding.teacher = entry("teacher_hash");
  binding.weights = entry("weights_hash");
  binding.metrics = parse_metrics(entry("metrics"), file + ": metrics");
  binding.sealed = true;
  return binding;
}

CheckpointRecord record_from(const std::map<std::string, std::string>& metadata, const std::string& file) {
  const auto counters = metadata.find(counters_key);
  check(counters != metadata.end(), Fault::input, file,
        ": no counters; this is a weights file, not a checkpoint");
  const Binding binding = binding_from(metadata, file);
  CheckpointRecord record{counters_from(counters->second, file, binding.metrics.metrics), binding};
  const int last = record.counters.last ? record.counters.last->epoch : 0;
  const auto& rows = record.binding.metrics.rows;
  check(!record.binding.sealed || rows.empty() || rows.back().epoch == last, Fault::input, file,
        ": its metrics end with another epoch than its counters");
  return record;
}

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
        " holds values that are not finite; it was not written. A smaller --lr may help");
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

std::string settings_hash(RunSettings settings) {
  RunSettings usual;
  usual.method = MethodSettings(settings.method.method());
  settings.epochs = usual.epochs;
  std::set<std::string> usual_lines;
  std::istringstream all(deciding(settings)), of_usual(deciding(usual));
  std::string line, lines = settings.method.method().name + "\n";
  while (std::getline(of_usual, line)) usual_lines.insert(line);
  while (std::getline(all, line))
    if (!usual_lines.contains(line)) lines += line + "\n";
  return hash_of(std::as_bytes(std::span(lines)));
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
  metadata[counters_key] = counters_text(counters);
  metadata[format_key] = std::to_string(run_format);
  metadata["settings_hash"] = binding.settings;
  metadata["data_hash"] = binding.data;
  metadata["teacher_hash"] = binding.teacher;
  metadata["metrics"] = metrics_text(binding.metrics);
  write_safetensors(file, metadata, std::move(views), previous);
}

CheckpointRecord load_checkpoint(const std::filesystem::path& path, const TrainingState& state) {
  const SafeTensors file = read_safetensors(path);
  CheckpointRecord record = record_from(file.metadata, path.string());  // before anything is changed
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

std::optional<CheckpointRecord> load_last_of(const std::filesystem::path& last,
                                             const std::filesystem::path& previous,
                                             const TrainingState& state,
                                             const std::function<void(const std::string&)>& tell) {
  const bool has_last = std::filesystem::exists(last), has_previous = std::filesystem::exists(previous);
  if (!has_last && !has_previous) return std::nullopt;
  try {
    return load_checkpoint(has_last ? last : previous, state);  // a kill may fall between two renames
  } catch (const Error& error) {
    if (error.fault() != Fault::input || !has_last || !has_previous) throw;
    tell(text(error.what(), "; going on from the checkpoint before it"));
    return load_checkpoint(previous, state);
  }
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

CheckpointRecord read_checkpoint_record(const std::filesystem::path& file) {
  return record_from(read_safetensors_metadata(file), file.string());
}

}  // namespace retort
