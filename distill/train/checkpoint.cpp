#include "distill/train/checkpoint.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/weights.h"

namespace retort {

namespace {

nlohmann::json json_of(const std::optional<EpochResult>& result) {
  if (!result) return nullptr;
  return {{"epoch", result->epoch}, {"top1", result->top1}, {"top5", result->top5}, {"loss", result->loss}};
}

std::optional<EpochResult> result_of(const nlohmann::json& json) {
  if (json.is_null()) return std::nullopt;
  return EpochResult{json.at("epoch"), json.at("top1"), json.at("top5"), json.at("loss")};
}

// nlohmann prints doubles so that they read back as the same bits.
std::string counters_text(const Counters& c) {
  return nlohmann::json{{"epoch", c.epoch},           {"batch", c.batch},
                        {"seconds", c.seconds},       {"epoch_seconds", c.epoch_seconds},
                        {"best_score", c.best_score}, {"best", json_of(c.best)},
                        {"last", json_of(c.last)},    {"loss", c.totals.loss},
                        {"top1", c.totals.top1},      {"top5", c.totals.top5},
                        {"terms", c.totals.terms}}
      .dump();
}

Counters counters_from(const std::string& text) {
  const nlohmann::json j = nlohmann::json::parse(text);
  Counters c;
  c.epoch = j.at("epoch");
  c.batch = j.at("batch");
  c.seconds = j.at("seconds");
  c.epoch_seconds = j.at("epoch_seconds");
  c.best_score = j.at("best_score");
  c.best = result_of(j.at("best"));
  c.last = result_of(j.at("last"));
  c.totals = {j.at("loss"), j.at("top1"), j.at("top5"), j.at("terms")};
  return c;
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
        " holds values that are not finite; the checkpoint before it was kept. A smaller --lr may help");
}

}  // namespace

std::vector<NamedParameter> learned_parameters(Model& model, Module& distiller) {
  std::vector<NamedParameter> all = parameters_of(model);
  for (const NamedParameter& p : parameters_of(distiller)) {
    all.push_back({distiller_prefix + p.name, p.parameter});
  }
  return all;
}

void save_checkpoint(const std::filesystem::path& file, const std::filesystem::path& previous,
                     const TrainingState& state, const Counters& counters,
                     std::map<std::string, std::string> metadata) {
  std::vector<HostTensor> tensors = state_of(state.model, state.device);
  for (HostTensor& t : state_of(state.distiller, state.device)) {
    t.name = distiller_prefix + t.name;
    tensors.push_back(std::move(t));
  }
  for (const auto& [name, momentum] : state.optimizer.momenta()) {
    tensors.push_back(to_file(state.device, optimizer_prefix + name, momentum));
  }
  std::vector<TensorView> views;
  for (const HostTensor& t : tensors) {
    check_finite(t);
    views.push_back(t.view());
  }
  metadata.merge(weights_metadata(state.model));
  metadata["counters"] = counters_text(counters);
  write_safetensors(file, metadata, std::move(views), previous);
}

Counters load_checkpoint(const std::filesystem::path& path, const TrainingState& state) {
  const SafeTensors file = read_safetensors(path);
  load_state(state.model, state.device, model_tensors(file), path.string(), Writer::ours);
  load_state(state.distiller, state.device, distiller_tensors(file), path.string() + " for this method",
             Writer::ours);
  for (const auto& [name, momentum] : state.optimizer.momenta()) {
    const HostTensor* t = file.find(optimizer_prefix + name);
    check(t && int64_t(t->data.size()) == int64_t(momentum.bytes()) && t->type == momentum.type, Fault::input,
          path.string(), ": no momentum of ", name, "; this is a weights file, not a checkpoint");
    from_file(state.device, *t, momentum);
  }
  const auto text = file.metadata.find("counters");
  check(text != file.metadata.end(), Fault::input, path.string(),
        ": no counters; this is a weights file, not a checkpoint");
  try {
    return counters_from(text->second);
  } catch (const nlohmann::json::exception& e) {
    fail(Fault::input, path.string(), ": its counters cannot be read: ", e.what());
  }
}

}  // namespace retort
