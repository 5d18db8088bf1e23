// Modules: parameters, buffers and children under names, and calls to ops. Saving, loading, counting, folding
// and optimising are visitors.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "engine/autograd.h"
#include "engine/optim.h"

namespace retort {

// How a parameter or buffer starts.
struct Init {
  enum Kind { constant, normal, uniform, kept } kind = constant;  // kept: as the module was made
  double value = 0;  // the constant, the standard deviation, or the bound: U(-value, value)

  static Init zeros() { return {constant, 0}; }
  static Init ones() { return {constant, 1}; }
  static Init normal_of(double deviation) { return {normal, deviation}; }
  // He et al., arXiv:1502.01852, fan-out form: standard deviation sqrt(2 / (kernel^2 Cout)).
  static Init he(int kernel, int64_t channels_out);
  // PyTorch's default for convolutions and linear layers: U(+-1/sqrt(fan_in)).
  static Init fan_in(int64_t fan_in);
};

class Module;

class Visitor {
 public:
  virtual ~Visitor() = default;
  // Called by Module::visit with names local to the module.
  void parameter(std::string_view name, Parameter& p, Init init);
  void buffer(std::string_view name, Array& b, Init init);
  void child(std::string_view name, Module& m);

 protected:
  // Called with full names, "layer1.0.conv1.weight".
  virtual void on_parameter(const std::string& name, Parameter& p, Init init);
  virtual void on_buffer(const std::string& name, Array& b, Init init);
  // Before the module's own visit.
  virtual void on_module(const std::string& name, Module& m);

 private:
  std::string full(std::string_view name) const;
  std::string prefix_;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual void visit(Visitor& visitor) = 0;
};

// Sets every parameter and buffer: a value is a function of (seed, the parameter's name, its index).
void initialize(Module& module, Device& device, uint64_t seed);

std::vector<NamedParameter> parameters_of(Module& module);
int64_t count_parameters(Module& module);

// Drops all gradients: passes see constants. For teachers.
void freeze(Module& module);

// What one layer did in a pass, for `retort info`.
struct LayerCall {
  const Module* module;
  const char* kind;  // "conv 3x3 /2", ...
  Shape output;
  int64_t macs;
};

class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  virtual void on_call(const LayerCall& call) = 0;
};

// Elements between device memory and host doubles, whatever the tensor's type (f32 or f64).
std::vector<double> read_values(Device& device, const Tensor& tensor);
void write_values(Device& device, const Tensor& tensor, const std::vector<double>& values);

}  // namespace retort
