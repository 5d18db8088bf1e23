#include "models/export/import_weights.h"

#include "models/channel_numbers.h"

namespace retort {

namespace {

constexpr uint64_t seed_of_the_rest = 1;

}  // namespace

Imported import_weights(const std::string& source, const std::filesystem::path& target,
                        const ImportOptions& options) {
  Weights weights = open_weights(source, options.read);
  set_channel_numbers(weights, options.mean, options.deviation);
  const auto device = Device::open({.name = "portable", .threads = 1});
  check_classes(weights);
  const auto model =
      make_model(architecture_of(weights, options.model), *device, {.classes = weights.classes});
  const std::string as = weights.path.string() + " as " + model->name;
  Imported result{model->name, model->classes, count_parameters(*model), weights.notes, {}};
  const std::vector<HostTensor> tensors = model_tensors(weights.file);
  if (options.strict) {
    load_state(*model, *device, tensors, as);
  } else {
    initialize(*model, *device, seed_of_the_rest);
    result.fit = load_what_fits(*model, *device, tensors, as);
  }
  const std::vector<HostTensor> state = state_of(*model, *device);

  const std::map<std::string, std::string> metadata = carried_metadata(weights, *model);
  std::vector<TensorView> views;
  for (const HostTensor& t : state) views.push_back(t.view());
  write_safetensors(target, metadata, std::move(views));
  return result;
}

}  // namespace retort
