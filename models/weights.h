// Weights and run states in files, ours and PyTorch's. A checkpoint is a weights file with more in it: the
// model's tensors under their PyTorch names, "optimizer.NAME" and "distiller.NAME" beside them, counters in
// the metadata.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "layers/state.h"
#include "models/detector_names.h"
#include "models/model.h"
#include "models/network_input.h"

namespace retort {

// Before the names of a checkpoint's other tensors.
inline constexpr const char* optimizer_prefix = "optimizer.";
inline constexpr const char* distiller_prefix = "distiller.";

struct Weights {
  std::string source;  // as the user named it, for messages
  std::filesystem::path path;
  std::string architecture;        // from the metadata; empty if the file does not say
  int64_t classes = 0;             // from the metadata, or the last linear layer; 0 if neither is there
  SafeTensors file;                // with the names of our models, as far as they could be found
  std::vector<std::string> notes;  // what was done to names, for the user

  const std::string* metadata(const std::string& key) const;
};

struct ReadWeights {
  std::string entry;                                         // see parse_pytorch()
  std::vector<std::pair<std::string, std::string>> renames;  // see rename_tensors()
  Channels channels = Channels::usual;                       // see adopt_detector()
};

// A .safetensors file, a PyTorch checkpoint or a pickle of numpy arrays. In files that are not ours, prefixes
// are taken off the names, and detectors' names become ours.
// Fault::input if it is not there or not sound.
Weights open_weights(const std::filesystem::path& path, const ReadWeights& options = {});

// Fault::usage if neither `architecture` nor the file names one, or if the file's has the stride of its
// bottlenecks at another place.
std::string architecture_of(const Weights& weights, const std::string& architecture);

// What the file says of pictures and classes, see input_from().
NetworkInput input_of(const Weights& weights, const std::string& architecture);

// Fault::input if the number of classes cannot be told from the file.
void check_classes(const Weights& weights);

// Builds the architecture (architecture, if given, else what the file says), for images of the size that the
// file names, else of `side`, else of what the architecture was made for, and loads the tensors. Fault::input
// naming the file if they do not fit; Fault::usage if neither names an architecture.
std::unique_ptr<Model> load_model(const Weights& weights, const std::string& architecture, Device& device,
                                  int64_t side = 0);

// A file's tensors without those of optimizer and distiller.
std::vector<HostTensor> model_tensors(const SafeTensors& file);

// What a file says of the model in it: format, architecture, classes, size.
std::map<std::string, std::string> weights_metadata(const Model& model);

// The same for weights that are written again, with what their file said of input (see NetworkInput), data
// and training.
std::map<std::string, std::string> carried_metadata(const Weights& weights, const Model& model);

// XXH3 of all parameters and buffers, 16 digits: two models of equal hash compute the same.
std::string weights_hash(const std::vector<HostTensor>& state);
// Of the model in a file: by it runs know their teachers.
std::string weights_hash(const SafeTensors& file);

}  // namespace retort
