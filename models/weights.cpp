#include "models/weights.h"

#include <algorithm>

#include "engine/base/hash.h"
#include "engine/base/text.h"
#include "layers/formats/weights_file.h"

namespace retort {

namespace {

const std::string weights_producer = "retort";
constexpr int64_t most_classes = 32768;

}  // namespace

const std::string* Weights::metadata(const std::string& key) const {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? nullptr : &found->second;
}

Weights open_weights(const std::filesystem::path& path, const ReadWeights& options) {
  Weights weights;
  weights.source = path.string();
  weights.path = path;
  weights.file = read_weights_file(weights.path, options.entry);
  // Names as they stand in the file may be renamed, and names as they are without their wrappers.
  std::vector<std::pair<std::string, std::string>> later;
  for (const auto& [from, to] : options.renames) {
    if (has_name(weights.file, from))
      rename_tensors(weights.file, from, to);
    else
      later.push_back({from, to});
  }
  const std::string* producer = weights.metadata("producer");
  if (!producer || *producer != weights_producer) {
    adopt_detector(weights.file, weights.source, options.channels);
    if (detector_file(weights.file) == DetectorFile::none) strip_prefixes(weights.file, weights.source);
  }
  for (const auto& [from, to] : later) rename_tensors(weights.file, from, to);
  weights.notes = weights.file.notes;
  if (!weights.file.left_out.empty()) {
    std::string all;  // one that the network asks for is an error when it is loaded
    for (size_t i = 0; i < weights.file.left_out.size() && i < 4; ++i)
      all += text(i ? "; " : "", weights.file.left_out[i].name, " ", weights.file.left_out[i].why);
    if (weights.file.left_out.size() > 4) all += text("; and ", weights.file.left_out.size() - 4, " more");
    weights.notes.push_back("left out: " + all);
  }
  if (const std::string* name = weights.metadata("architecture")) weights.architecture = *name;
  if (const HostTensor* bias = bias_of_last_layer(weights.file)) weights.classes = bias->shape[0];
  if (weights.classes == 0) {  // a detector's last layer knows background too, under names of its own
    const std::string* classes = weights.metadata("classes");
    if (classes && !parse(*classes, weights.classes)) weights.classes = 0;
  }
  return weights;
}

std::string architecture_of(const Weights& weights, const std::string& architecture) {
  const std::string& name = architecture.empty() ? weights.architecture : architecture;
  check(!name.empty(), Fault::usage, weights.path.string(),
        ": the file does not say which architecture it holds; name it (--model, or --teacher-model)");
  check(weights.architecture != name + stride_in_3x3, Fault::usage, weights.path.string(),
        ": its bottlenecks have ", "their stride in the 3x3 convolution, those of ", name,
        " in the first: it is ", weights.architecture);
  return name;
}

NetworkInput input_of(const Weights& weights, const std::string& architecture) {
  return input_from(weights.file.metadata, architecture, weights.classes, weights.path.string());
}

void check_classes(const Weights& weights) {
  for (const auto& [name, why] : weights.file.left_out) {
    check(weights.classes > 0 || !is_of_last_layer(name), Fault::input, weights.path.string(), ": tensor ",
          name, " ", why);
  }
  check(detector_file(weights.file) != DetectorFile::backbone, Fault::input, weights.path.string(),
        ": holds a detector's backbone alone; a run starts from it with --init");
  check(weights.classes > 0, Fault::input, weights.path.string(),
        ": no last linear layer (weight and bias of fc, linear or classifier) to tell the number of classes "
        "from; `retort import --rename OLD=NEW` can name it so");
  // A damaged size must not make a network that fills the memory.
  check(weights.classes <= most_classes, Fault::input, weights.path.string(), ": ", weights.classes,
        " classes, expected at most ", most_classes);
}

std::unique_ptr<Model> load_model(const Weights& weights, const std::string& architecture, Device& device,
                                  int64_t side) {
  const std::string name = architecture_of(weights, architecture);
  check_classes(weights);
  const NetworkInput input = input_of(weights, name);
  const bool says = weights.metadata("size") || side == 0;
  std::unique_ptr<Model> model =
      make_model(name, device, {.classes = weights.classes, .side = says ? input.size : side});
  const std::string as = weights.path.string() + " as " + name;
  check_not_left_out(*model, weights.file.left_out, as);
  load_state(*model, device, model_tensors(weights.file), as);
  return model;
}

std::vector<HostTensor> model_tensors(const SafeTensors& file) {
  std::vector<HostTensor> tensors;
  for (const HostTensor& t : file.tensors) {
    if (!t.name.starts_with(optimizer_prefix) && !t.name.starts_with(distiller_prefix)) tensors.push_back(t);
  }
  return tensors;
}

std::map<std::string, std::string> weights_metadata(const Model& model) {
  return {{"format", "pt"},
          {"producer", weights_producer},
          {"architecture", model.name},
          {"classes", std::to_string(model.classes)},
          {"size", std::to_string(model.side)}};
}

std::string weights_hash(const std::vector<HostTensor>& state) {
  std::string hashes;
  for (const HostTensor& t : state) hashes += t.name + hash_of(t.data);
  return hash_of(std::as_bytes(std::span(hashes)));
}

std::string weights_hash(const SafeTensors& file) {
  return weights_hash(model_tensors(file));
}

std::map<std::string, std::string> carried_metadata(const Weights& weights, const Model& model) {
  std::map<std::string, std::string> metadata = weights_metadata(model);
  for (const char* kept : {"data", "mean", "std", "pictures_size", "epoch", "top1", "AP"}) {
    if (const std::string* entry = weights.metadata(kept)) metadata[kept] = *entry;
  }
  NetworkInput input = input_of(weights, model.name);
  if (input.size != model.side) {
    input.size = model.side;
    input.test_resize = usual_test_resize(model.side);
  }
  put_input(input, metadata);
  return metadata;
}

}  // namespace retort
