#include "distill/train/start_weights.h"

#include <algorithm>

#include "layers/state.h"
#include "models/detection/detector.h"

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

// A backbone under a detector whose other layers stay as they are; which others, as a line for the user.
std::string load_backbone(const SafeTensors& file, const std::string& source, Detector& student,
                          Device& device) {
  std::vector<HostTensor> tensors = model_tensors(file);
  const std::string prefix = "backbone.bottom_up.";
  for (HostTensor& t : tensors) t.name.erase(0, prefix.size());
  check_not_left_out(student, file.left_out, source);
  load_state(student.backbone(), device, tensors, source);
  return text(source, ": a backbone; the feature pyramid and the heads are new");
}

}  // namespace

std::string load_start(const RunSettings& settings, Weights& init, Model& student, Device& device) {
  const std::string source = init.path.string() + " as " + settings.model;
  auto* const detector = dynamic_cast<Detector*>(&student);
  if (detector) {
    if (detector_file(init.file) == DetectorFile::none) adopt_backbone(init.file, init.path.string());
    if (const std::string* own = init.metadata("architecture")) init.architecture = *own;
    architecture_of(init, settings.model);
    if (detector_file(init.file) == DetectorFile::backbone)
      return load_backbone(init.file, source, *detector, device);
  }
  std::vector<HostTensor> tensors = model_tensors(init.file);
  if (settings.init_head != "fresh") {
    check(init.classes == 0 || init.classes == student.classes, Fault::input, source, ": tells ",
          init.classes, " classes apart, the data has ", student.classes,
          "; --set init.head=fresh starts with a new last layer");
    load_state(student, device, tensors, source);
    return "";
  }
  const std::string head = detector ? "roi_heads.box_predictor" : last_layer(init);
  const auto of_head = [&](const std::string& name) {
    return !head.empty() && name.starts_with(head + ".") &&
           (detector || name == head + ".weight" || name == head + ".bias");
  };
  std::erase_if(tensors, [&](const HostTensor& t) { return of_head(t.name); });
  const StateFit fit = load_what_fits(student, device, tensors, source);
  const bool rest = std::all_of(fit.missing.begin(), fit.missing.end(), of_head) && fit.unexpected.empty() &&
                    fit.misshaped.empty() && fit.missing.size() == (detector ? 4u : 2u);
  if (!rest) load_state(student, device, tensors, source);  // says what does not fit
  return text(source, ": the last layer, ", head, ", is new: ", student.classes, " classes instead of ",
              init.classes);
}

}  // namespace retort
