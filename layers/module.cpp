#include "layers/module.h"

#include <cmath>
#include <numbers>

#include "engine/random.h"
#include "engine/types.h"

namespace retort {

Init Init::he(int kernel, int64_t channels_out) {
  return {normal, std::sqrt(2.0 / double(kernel * kernel * channels_out))};
}
Init Init::fan_in(int64_t fan_in) {
  return {uniform, 1.0 / std::sqrt(double(fan_in))};
}

std::string Visitor::full(std::string_view name) const {
  return prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
}
void Visitor::parameter(std::string_view name, Parameter& p, Init init) {
  on_parameter(full(name), p, init);
}
void Visitor::buffer(std::string_view name, Array& b, Init init) {
  on_buffer(full(name), b, init);
}
void Visitor::child(std::string_view name, Module& m) {
  std::string outer = prefix_;
  // A child without a name lives in its parent's scope.
  if (!name.empty()) prefix_ = full(name);
  on_module(prefix_, m);
  m.visit(*this);
  prefix_ = std::move(outer);
}
void Visitor::on_parameter(const std::string&, Parameter&, Init) {}
void Visitor::on_buffer(const std::string&, Array&, Init) {}
void Visitor::on_module(const std::string&, Module&) {}

std::vector<double> read_values(Device& device, const Tensor& tensor) {
  std::vector<double> values(size_t(tensor.size()));
  if (is_16_bit(tensor.type)) {
    std::vector<uint16_t> host(values.size());
    device.backend().download(host.data(), tensor);
    for (size_t i = 0; i < host.size(); ++i) values[i] = float_of_bits16(tensor.type, host[i]);
    return values;
  }
  with_real_type(tensor.type, "read_values", [&]<class T>() {
    std::vector<T> host(values.size());
    device.backend().download(host.data(), tensor);
    values.assign(host.begin(), host.end());
  });
  return values;
}

void write_values(Device& device, const Tensor& tensor, const std::vector<double>& values) {
  check(int64_t(values.size()) == tensor.size(), "write_values: ", values.size(), " values for ",
        tensor.shape);
  if (is_16_bit(tensor.type)) {
    std::vector<uint16_t> host(values.size());
    for (size_t i = 0; i < host.size(); ++i) host[i] = bits16_of(tensor.type, float(values[i]));
    return device.backend().upload(tensor, host.data());
  }
  with_real_type(tensor.type, "write_values", [&]<class T>() {
    const std::vector<T> host(values.begin(), values.end());
    device.backend().upload(tensor, host.data());
  });
}

namespace {

// FNV-1a: an index for the random numbers of a name.
uint32_t name_hash(const std::string& name) {
  uint32_t hash = 2166136261u;
  for (char c : name) hash = (hash ^ uint8_t(c)) * 16777619u;
  return hash;
}

class Initializer : public Visitor {
 public:
  Initializer(Device& device, uint64_t seed) : device_(device), seed_(seed) {}

 protected:
  void on_parameter(const std::string& name, Parameter& p, Init init) override { set(name, p.value, init); }
  void on_buffer(const std::string& name, Array& b, Init init) override { set(name, b, init); }

 private:
  void set(const std::string& name, const Tensor& tensor, Init init) {
    if (init.kind == Init::kept) return;
    std::vector<double> values(size_t(tensor.size()), init.value);
    if (init.kind != Init::constant) {
      const uint32_t stream = name_hash(name);
      for (size_t i = 0; i < values.size(); ++i) {
        const Random4 r = random4(seed_, Purpose::weights, 0, stream, uint32_t(i));
        const double u = (double(r.v[0]) + 0.5) / 4294967296.0, v = double(r.v[1]) / 4294967296.0;
        // Box and Muller, 1958, for the normal.
        values[i] = init.kind == Init::uniform
                        ? init.value * (2 * u - 1)
                        : init.value * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
      }
    }
    write_values(device_, tensor, values);
  }
  Device& device_;
  uint64_t seed_;
};

class Collector : public Visitor {
 public:
  std::vector<NamedParameter> parameters;

 protected:
  void on_parameter(const std::string& name, Parameter& p, Init) override {
    parameters.push_back({name, &p});
  }
  // Behind its layer's parameters.
  void on_buffer(const std::string& name, Array&, Init) override {
    constexpr std::string_view statistics = "running_mean";
    if (!name.ends_with(statistics)) return;
    const std::string layer = name.substr(0, name.size() - statistics.size());
    for (auto p = parameters.rbegin(); p != parameters.rend() && p->name.starts_with(layer); ++p)
      p->norm = true;
  }
};

}  // namespace

void initialize(Module& module, Device& device, uint64_t seed) {
  Initializer visitor(device, seed);
  module.visit(visitor);
}

std::vector<NamedParameter> parameters_of(Module& module) {
  Collector visitor;
  module.visit(visitor);
  return visitor.parameters;
}

int64_t count_parameters(Module& module) {
  int64_t total = 0;
  for (const NamedParameter& p : parameters_of(module)) total += p.parameter->value.tensor.size();
  return total;
}

void freeze(Module& module) {
  for (const NamedParameter& p : parameters_of(module)) p.parameter->grad = {};
}

}  // namespace retort
