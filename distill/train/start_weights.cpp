#include "distill/train/start_weights.h"

#include <algorithm>

#include "layers/state.h"

namespace retort {

namespace {

// "fc" of "fc.weight", where it is the file's last linear layer.
std::string last_layer(const Weights& init) {
  for (const char* name : {"fc", "linear", "classifier", "classifier.0"}) {
    const HostTensor *bias = init.file.find(text(name, ".bias")),
                     *weight = init.file.find(text(name, ".weight"));
    if (bias && weight && weight->shape.size() == 2 && bias->shape == std::vector<int64_t>{init.classes})
      return name;
  }
  return "";
}

}  // namespace

std::string load_start(const RunSettings& settings, const Weights& init, Model& student, Device& device) {
  const std::string source = init.path.string() + " as " + settings.model;
  std::vector<HostTensor> tensors = model_tensors(init.file);
  if (settings.init_head != "fresh") {
    check(init.classes == 0 || init.classes == student.classes, Fault::input, source, ": tells ",
          init.classes, " classes apart, the data has ", student.classes,
          "; --set init.head=fresh starts with a new last layer");
    load_state(student, device, tensors, source);
    return "";
  }
  const std::string head = last_layer(init);
  const auto of_head = [&](const std::string& name) {
    return !head.empty() && (name == head + ".weight" || name == head + ".bias");
  };
  std::erase_if(tensors, [&](const HostTensor& t) { return of_head(t.name); });
  const StateFit fit = load_what_fits(student, device, tensors, source);
  const bool rest = std::all_of(fit.missing.begin(), fit.missing.end(), of_head) && fit.unexpected.empty() &&
                    fit.misshaped.empty() && fit.missing.size() == 2;
  if (!rest) load_state(student, device, tensors, source);  // says what does not fit
  return text(source, ": the last layer, ", head, ", is new: ", student.classes, " classes instead of ",
              init.classes);
}

}  // namespace retort
