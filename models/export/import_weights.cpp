#include "models/export/import_weights.h"

#include "models/channel_numbers.h"
#include "models/detection/detector.h"
#include "models/network_input.h"

namespace retort {

namespace {

constexpr uint64_t seed_of_the_rest = 1;

// A network that is mostly as at the start of training is not the one in the file.
void check_mostly_taken(const Imported& imported, const std::vector<HostTensor>& state,
                        const std::string& as) {
  int64_t all = 0;
  for (const HostTensor& t : state) all += int64_t(t.data.size() / size_of(t.type));
  check(2 * imported.fit.taken >= all, Fault::input, as, ": only ", imported.fit.taken, " of ", all,
        " numbers are in the file, the others would be random: ", imported.fit.missing.size(), " missing",
        imported.fit.missing.empty() ? "" : ", as " + imported.fit.missing[0],
        imported.fit.unexpected.empty()
            ? ""
            : "; is '" + imported.fit.unexpected[0] +
                  "' meant, in the file? --rename makes names ours, --model names another network");
}

}  // namespace

Imported import_weights(const std::string& source, const std::filesystem::path& target,
                        const ImportOptions& options) {
  Weights weights = open_weights(source, options.read);
  set_channel_numbers(weights, options.mean, options.deviation);
  const auto device = Device::open({.name = "portable", .threads = 1});
  const std::string architecture = architecture_of(weights, options.model);
  check(!is_detector(architecture) || detector_file(weights.file) == DetectorFile::whole, Fault::input,
        weights.path.string(), ": holds no detector, but ", architecture,
        " is one; a run starts from a backbone with --init FILE");
  check_classes(weights);
  const auto model = make_model(architecture, *device,
                                {.classes = weights.classes, .side = input_of(weights, architecture).size});
  const std::string as = weights.path.string() + " as " + model->name;
  Imported result{model->name, model->classes, count_parameters(*model), weights.notes, {}};
  check_not_left_out(*model, weights.file.left_out, as);
  const std::vector<HostTensor> tensors = model_tensors(weights.file);
  if (options.strict) {
    load_state(*model, *device, tensors, as);
  } else {
    initialize(*model, *device, seed_of_the_rest);
    result.fit = load_what_fits(*model, *device, tensors, as);
  }
  const std::vector<HostTensor> state = state_of(*model, *device);
  if (!options.strict) check_mostly_taken(result, state, as);

  const std::map<std::string, std::string> metadata = carried_metadata(weights, *model);
  std::vector<TensorView> views;
  for (const HostTensor& t : state) views.push_back(t.view());
  write_safetensors(target, metadata, std::move(views));
  return result;
}

}  // namespace retort
