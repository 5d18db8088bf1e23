#include "layers/state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "engine/kernels/numbers/half.h"
#include "engine/types.h"
#include "layers/layers.h"

namespace retort {

namespace {

// The shape a tensor has in a file.
std::vector<int64_t> file_shape(const Shape& s) {
  if (s.rank() == 4) return {s[0], s[3], s[1], s[2]};
  std::vector<int64_t> shape;
  for (int i = 0; i < s.rank(); ++i) shape.push_back(s[i]);
  return shape;
}

// Calls f(index in memory, index in the file) for every element of a K,R,S,C weight or any other tensor.
template <class F>
void for_elements(const Shape& s, F f) {
  if (s.rank() != 4) {
    for (int64_t i = 0; i < s.size(); ++i) f(i, i);
    return;
  }
  int64_t i = 0;
  for (int64_t k = 0; k < s[0]; ++k)
    for (int64_t r = 0; r < s[1]; ++r)
      for (int64_t q = 0; q < s[2]; ++q)
        for (int64_t c = 0; c < s[3]; ++c) f(i++, ((k * s[3] + c) * s[1] + r) * s[2] + q);
}

struct Entry {
  std::string name;
  Tensor tensor;
};

class Lister : public Visitor {
 public:
  std::vector<Entry> entries;

 protected:
  void on_parameter(const std::string& name, Parameter& p, Init) override {
    entries.push_back({name, p.value});
  }
  void on_buffer(const std::string& name, Array& b, Init) override { entries.push_back({name, b}); }
};

std::vector<Entry> entries_of(Module& module) {
  Lister visitor;
  module.visit(visitor);
  return visitor.entries;
}

template <class T>
std::string shape_text(const T& extents) {
  std::ostringstream out;
  out << '[';
  for (size_t i = 0; i < extents.size(); ++i) out << (i ? ", " : "") << extents[i];
  out << ']';
  return out.str();
}

// The first unexpected name with the missing one it may stand for.
std::string suggestion(const StateFit& fit) {
  if (fit.missing.empty() || fit.unexpected.empty() || fit.unexpected[0].size() > 200) return "";
  const std::string near = nearest(fit.unexpected[0], fit.missing);
  return near.empty() ? "" : text("; is '", fit.unexpected[0], "' meant for '", near, "'?");
}

using Given = std::map<std::string, const HostTensor*>;

StateFit compare(const std::vector<Entry>& entries, const Given& given) {
  StateFit fit;
  std::set<std::string> known;
  for (const Entry& e : entries) {
    known.insert(e.name);
    const auto found = given.find(e.name);
    if (found == given.end()) {
      fit.missing.push_back(e.name);
    } else if (found->second->shape != file_shape(e.tensor.shape)) {
      fit.misshaped.push_back(text(e.name, " is ", shape_text(found->second->shape), ", expected ",
                                   shape_text(file_shape(e.tensor.shape))));
    } else {
      fit.taken += e.tensor.size();
    }
  }
  for (const auto& [name, tensor] : given) {
    const auto& shape = tensor->shape;
    const bool single = std::all_of(shape.begin(), shape.end(), [](int64_t extent) { return extent == 1; });
    if (!known.contains(name)) (single ? fit.counters : fit.unexpected).push_back(name);
  }
  return fit;
}

Given by_name(const std::vector<HostTensor>& tensors) {
  Given given;
  for (const HostTensor& t : tensors) {
    if (!t.name.ends_with("num_batches_tracked")) given[t.name] = &t;
  }
  return given;
}

// The file's numbers in the order of `tensor` in memory.
std::vector<double> values_of(const HostTensor& file, const Tensor& tensor) {
  std::vector<double> values(size_t(tensor.size()));
  const auto read = [&]<class T>(double (*widen)(T)) {
    const T* in = reinterpret_cast<const T*>(file.data.data());
    for_elements(tensor.shape,
                 [&](int64_t memory, int64_t at) { values[size_t(memory)] = widen(in[size_t(at)]); });
  };
  switch (file.type) {
    case DType::f64:
      read.operator()<double>([](double v) { return v; });
      break;
    case DType::f16:
      read.operator()<uint16_t>([](uint16_t v) { return double(float_of(v)); });
      break;
    case DType::bf16:
      read.operator()<uint16_t>([](uint16_t v) { return double(float_of_bfloat(v)); });
      break;
    default:
      read.operator()<float>([](float v) { return double(v); });
  }
  return values;
}

// A network with NaN inside may still give answers that look like some, behind a largest value of a window
// say.
void check_finite(const std::vector<double>& values, const Entry& e, const std::string& source) {
  with_real_type(e.tensor.type, "load", [&]<class T>() {
    for (double value : values)
      check(std::isfinite(T(value)), Fault::input, source, ": tensor ", e.name, " holds ", T(value),
            ", expected finite numbers that ", e.tensor.type, " can hold");
  });
}

void set_tensors(const std::vector<Entry>& entries, const Given& given, Device& device,
                 const std::string& source) {
  for (const Entry& e : entries) {
    const auto found = given.find(e.name);
    if (found == given.end() || found->second->shape != file_shape(e.tensor.shape)) continue;
    const DType type = found->second->type;
    check(type == DType::f32 || type == DType::f64 || type == DType::f16 || type == DType::bf16, Fault::input,
          source, ": tensor ", e.name, " is ", type, ", expected f32, f64, f16 or bf16");
    const std::vector<double> values = values_of(*found->second, e.tensor);
    check_finite(values, e, source);
    write_values(device, e.tensor, values);
  }
}

}  // namespace

HostTensor to_file(Device& device, const std::string& name, const Tensor& tensor) {
  HostTensor file{name, tensor.type, file_shape(tensor.shape), std::vector<std::byte>(tensor.bytes())};
  with_real_type(tensor.type, "to_file", [&]<class T>() {
    std::vector<T> values(size_t(tensor.size()));
    device.backend().download(values.data(), tensor);
    T* out = reinterpret_cast<T*>(file.data.data());
    for_elements(tensor.shape, [&](int64_t memory, int64_t at) { out[at] = values[size_t(memory)]; });
  });
  return file;
}

void from_file(Device& device, const HostTensor& file, const Tensor& tensor) {
  write_values(device, tensor, values_of(file, tensor));
}

std::vector<HostTensor> state_of(Module& module, Device& device) {
  std::vector<HostTensor> state;
  for (const Entry& e : entries_of(module)) state.push_back(to_file(device, e.name, e.tensor));
  return state;
}

StateFit load_what_fits(Module& module, Device& device, const std::vector<HostTensor>& tensors,
                        const std::string& source) {
  const std::vector<Entry> entries = entries_of(module);
  const Given given = by_name(tensors);
  set_tensors(entries, given, device, source);
  check_derived(module, device, source);
  return compare(entries, given);
}

void load_state(Module& module, Device& device, const std::vector<HostTensor>& tensors,
                const std::string& source, Writer writer) {
  const std::vector<Entry> entries = entries_of(module);
  const Given given = by_name(tensors);
  StateFit fit = compare(entries, given);
  if (writer == Writer::ours)
    fit.unexpected.insert(fit.unexpected.end(), fit.counters.begin(), fit.counters.end());
  if (!fit.complete()) {
    std::string what;
    auto part = [&](const char* title, const std::vector<std::string>& names) {
      if (!names.empty())
        what += text(what.empty() ? "" : "; ", names.size(), " ", title, ": ", some_of(names));
    };
    part("missing", fit.missing);
    part("unexpected", fit.unexpected);
    part("of another shape", fit.misshaped);
    fail(Fault::input, source, ": the weights do not fit this architecture (", what, suggestion(fit), ")");
  }
  set_tensors(entries, given, device, source);
  check_derived(module, device, source);
}

void check_not_left_out(Module& module, const std::vector<SafeTensors::LeftOut>& left_out,
                        const std::string& source) {
  std::set<std::string> wanted;
  for (const Entry& e : entries_of(module)) wanted.insert(e.name);
  for (const auto& [name, why] : left_out)
    check(!wanted.contains(name), Fault::input, source, ": tensor ", name, " ", why);
}

}  // namespace retort
