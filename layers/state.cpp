#include "layers/state.h"

#include <cstring>
#include <map>
#include <sstream>

#include "engine/types.h"

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

// "a, b, c and 12 more"
std::string some_of(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < names.size() && i < 4; ++i) list += (i ? ", " : "") + names[i];
  if (names.size() > 4) list += text(" and ", names.size() - 4, " more");
  return list;
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
  std::vector<double> values(size_t(tensor.size()));
  auto read = [&]<class T>() {
    const auto in = file.values<T>();
    for_elements(tensor.shape,
                 [&](int64_t memory, int64_t at) { values[size_t(memory)] = double(in[size_t(at)]); });
  };
  if (file.type == DType::f64)
    read.template operator()<double>();
  else
    read.template operator()<float>();
  write_values(device, tensor, values);
}

std::vector<HostTensor> state_of(Module& module, Device& device) {
  std::vector<HostTensor> state;
  for (const Entry& e : entries_of(module)) state.push_back(to_file(device, e.name, e.tensor));
  return state;
}

void load_state(Module& module, Device& device, const std::vector<HostTensor>& tensors,
                const std::string& source) {
  std::map<std::string, const HostTensor*> given;
  for (const HostTensor& t : tensors) {
    if (!t.name.ends_with("num_batches_tracked")) given[t.name] = &t;
  }
  std::vector<std::string> missing, unexpected, misshaped;
  const std::vector<Entry> entries = entries_of(module);
  for (const Entry& e : entries) {
    const auto found = given.find(e.name);
    if (found == given.end()) {
      missing.push_back(e.name);
    } else if (found->second->shape != file_shape(e.tensor.shape)) {
      misshaped.push_back(text(e.name, " is ", shape_text(found->second->shape), ", expected ",
                               shape_text(file_shape(e.tensor.shape))));
    }
  }
  for (const auto& [name, tensor] : given) {
    bool known = false;
    for (const Entry& e : entries) known = known || e.name == name;
    if (!known) unexpected.push_back(name);
  }
  if (!missing.empty() || !unexpected.empty() || !misshaped.empty()) {
    std::string what;
    auto part = [&](const char* title, const std::vector<std::string>& names) {
      if (!names.empty())
        what += text(what.empty() ? "" : "; ", names.size(), " ", title, ": ", some_of(names));
    };
    part("missing", missing);
    part("unexpected", unexpected);
    part("of another shape", misshaped);
    fail(Fault::input, source, ": the weights do not fit this architecture (", what, ")");
  }
  for (const Entry& e : entries) {
    const HostTensor& t = *given.at(e.name);
    check(t.type == DType::f32 || t.type == DType::f64, Fault::input, source, ": tensor ", e.name, " is ",
          t.type, ", expected f32 or f64");
    from_file(device, t, e.tensor);
  }
}

}  // namespace retort
