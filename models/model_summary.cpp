#include "models/model_summary.h"

#include <map>

namespace retort {

namespace {

// The names of a model's modules, and the parameters that are each one's own.
class Names : public Visitor {
 public:
  std::map<const Module*, std::string> modules;
  std::map<std::string, int64_t> parameters;  // by module name

 protected:
  void on_module(const std::string& name, Module& module) override { modules[&module] = name; }
  void on_parameter(const std::string& name, Parameter& parameter, Init) override {
    const size_t dot = name.rfind('.');
    parameters[dot == std::string::npos ? "" : name.substr(0, dot)] += parameter.value.tensor.size();
  }
};

class Recorder : public LayerObserver {
 public:
  explicit Recorder(const Names& names) : names_(names) {}

  void on_call(const LayerCall& call) override {
    LayerSummary layer;
    const auto name = names_.modules.find(call.module);
    if (name != names_.modules.end()) layer.name = name->second;
    layer.kind = call.kind;
    int64_t extents[Shape::max_rank];
    for (int i = 1; i < call.output.rank(); ++i) extents[i - 1] = call.output[i];
    layer.output = Shape(extents, call.output.rank() - 1);
    const auto own = names_.parameters.find(layer.name);
    if (own != names_.parameters.end()) layer.parameters = own->second;
    layer.macs = call.macs;
    layers.push_back(std::move(layer));
  }

  std::vector<LayerSummary> layers;

 private:
  const Names& names_;
};

}  // namespace

ModelSummary summarize(Model& model, Device& device) {
  return summarize(model, device, {1, model.side, model.side, 3});
}

ModelSummary summarize(Model& model, Device& device, const Shape& input) {
  Names names;
  model.visit(names);
  Recorder recorder(names);
  device.step_arena().rewind();
  {
    const Pass pass{.device = device, .observer = &recorder};
    const Array image(device.step_arena(), input, DType::f32);
    device.backend().fill(image, 0);
    model(Var(image), pass);
  }
  ModelSummary summary;
  summary.layers = std::move(recorder.layers);
  summary.parameters = count_parameters(model);
  for (const LayerSummary& layer : summary.layers) summary.macs += layer.macs;
  return summary;
}

}  // namespace retort
