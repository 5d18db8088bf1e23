// ONNX's operators by their definitions (onnx.ai/onnx/operators), for images N,C,H,W.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/base/byte_reader.h"
#include "models/export/onnx_model.h"

namespace retort {

namespace {

using Ints = std::vector<int64_t>;

struct Value {
  Ints shape;
  std::vector<float> data;
};

// More than any value of a network has, and than any window.
constexpr int64_t most_elements = int64_t{1} << 28;
constexpr int64_t most_window = 64;  // an axis of a kernel

// -1 where an extent is below 1, or there are more elements than that.
int64_t size_of_shape(const Ints& shape) {
  int64_t size = 1;
  for (int64_t extent : shape) {
    if (extent < 1 || extent > most_elements / size) return -1;
    size *= extent;
  }
  return size;
}

class Machine {
 public:
  Machine(const OnnxModel& model, const std::string& file, int64_t most_held)
      : model_(model), file_(file), most_held_(most_held) {
    for (const OnnxTensor& t : model.initializers) {
      if (const auto* reals = std::get_if<std::vector<float>>(&t.values))
        values_[t.name] = {t.shape, *reals}, initial_.insert(t.name);
      else
        integers_[t.name] = std::get<Ints>(t.values);
    }
  }

  std::vector<float> run(const std::vector<float>& images, int64_t count) {
    Ints shape = model_.input.shape;
    shape.insert(shape.begin(), count);
    require(size_of_shape(shape) == int64_t(images.size()), "the images do not fit its input");
    values_[model_.input.name] = {shape, images};
    const std::map<std::string, size_t> last = last_readers();
    int64_t held = 0;
    for (size_t i = 0; i < model_.nodes.size(); ++i) {
      const OnnxNode& node = model_.nodes[i];
      node_ = &node;
      require(!node.inputs.empty() && node.outputs.size() == 1, "one output expected");
      require(!values_.contains(node.outputs[0]), "writes ", in_quotes(node.outputs[0]), " anew");
      const Value& made = values_[node.outputs[0]] = result(node);
      held += int64_t(made.data.size());
      require(held <= most_held_, "more than ", most_held_, " numbers are needed at once");
      for (const std::string& name : node.inputs) {
        const auto value = values_.find(name);
        if (value == values_.end() || last.at(name) != i || name == model_.output.name) continue;
        if (made_here(name)) held -= int64_t(value->second.data.size());
        values_.erase(value);
      }
    }
    node_ = nullptr;
    const auto found = values_.find(model_.output.name);
    require(found != values_.end(), "no node writes its output ", in_quotes(model_.output.name));
    return found->second.data;
  }

 private:
  // The node that reads a value last.
  std::map<std::string, size_t> last_readers() const {
    std::map<std::string, size_t> last;
    for (size_t i = 0; i < model_.nodes.size(); ++i)
      for (const std::string& name : model_.nodes[i].inputs) last[name] = i;
    return last;
  }
  // By a node: not an initializer or the images.
  bool made_here(const std::string& name) const {
    return name != model_.input.name && !initial_.contains(name);
  }

  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    check(ok, Fault::input, file_, ": ", node_ ? node_->op + " " + in_quotes(node_->name) + ": " : "",
          parts...);
  }
  // What is read has as many elements as its shape says, and at least one.
  const Value& input(size_t i) const {
    require(i < node_->inputs.size(), "too few inputs");
    const auto found = values_.find(node_->inputs[i]);
    require(found != values_.end(), "reads ", in_quotes(node_->inputs[i]), " before it is there");
    require(size_of_shape(found->second.shape) == int64_t(found->second.data.size()), in_quotes(found->first),
            " is empty or too large");
    return found->second;
  }
  const Ints& integers(size_t i) const {
    require(i < node_->inputs.size() && integers_.contains(node_->inputs[i]), "no list of integers");
    return integers_.at(node_->inputs[i]);
  }
  int64_t first_integer(size_t i) const {
    require(!integers(i).empty(), "an empty list of integers");
    return integers(i)[0];
  }
  int64_t integer(const char* name, int64_t otherwise) const {
    const auto found = node_->integers.find(name);
    return found == node_->integers.end() ? otherwise : found->second;
  }
  // An attribute of two numbers that are equal, or of four.
  int64_t both(const char* name) const {
    const auto found = node_->lists.find(name);
    require(found != node_->lists.end() && !found->second.empty() &&
                std::equal(found->second.begin() + 1, found->second.end(), found->second.begin()),
            name, " is missing or not the same for both axes");
    return found->second[0];
  }

  Value result(const OnnxNode& node) {
    const Value& x = input(0);
    if (node.op == "Conv") return conv(x, input(1), node.inputs.size() > 2 ? &input(2) : nullptr);
    if (node.op == "Gemm") return gemm(x, input(1), input(2));
    if (node.op == "Relu") return map(x, [](float v) { return v < 0 ? 0 : v; });
    if (node.op == "Add") return combine(x, input(1), [](float a, float b) { return a + b; });
    if (node.op == "Mul") return combine(x, input(1), [](float a, float b) { return a * b; });
    if (node.op == "MaxPool") return pool(x, false);
    if (node.op == "AveragePool") return pool(x, true);
    if (node.op == "GlobalAveragePool") return global_average(x);
    if (node.op == "Flatten") {
      require(!x.shape.empty(), "shapes do not fit");
      return {{x.shape[0], size_of_shape(x.shape) / x.shape[0]}, x.data};
    }
    if (node.op == "Reshape") return reshape(x);
    if (node.op == "Transpose") return transpose(x);
    if (node.op == "Slice") return channels(x, first_integer(1), first_integer(2), 0, 0);
    if (node.op == "Pad") return pad(x);
    if (node.op == "Concat") return concat();
    require(false, "an operator that is not known");
    return {};
  }

  template <class F>
  static Value map(Value x, F f) {
    for (float& v : x.data) v = f(v);
    return x;
  }

  // b has x's shape, or is C,1,1.
  template <class F>
  Value combine(Value x, const Value& b, F f) const {
    const bool per_channel = b.shape.size() == 3 && x.shape.size() == 4 && b.shape[0] == x.shape[1];
    require(per_channel || b.shape == x.shape, "shapes do not fit");
    const size_t plane = per_channel ? size_t(x.shape[2] * x.shape[3]) : 1, period = b.data.size();
    for (size_t i = 0; i < x.data.size(); ++i) x.data[i] = f(x.data[i], b.data[i / plane % period]);
    return x;
  }

  // How many windows an axis has.
  int64_t windows(int64_t extent, int64_t kernel, int64_t stride, int64_t pad) const {
    require(kernel >= 1 && kernel <= most_window && stride >= 1 && pad >= 0 && pad <= kernel &&
                kernel <= extent + 2 * pad,
            "a window that does not fit");
    return (extent + 2 * pad - kernel) / stride + 1;
  }

  // Before a value is filled.
  size_t elements_of(const Value& y) const {
    const int64_t size = size_of_shape(y.shape);
    require(size > 0, "its value is empty or too large");
    return size_t(size);
  }

  Value conv(const Value& x, const Value& w, const Value* bias) const {
    const int64_t groups = integer("group", 1), stride = both("strides"), pad = both("pads");
    require(x.shape.size() == 4 && w.shape.size() == 4 && groups >= 1 && groups <= x.shape[1] &&
                w.shape[1] * groups == x.shape[1] && w.shape[0] % groups == 0 && w.shape[2] == w.shape[3] &&
                both("dilations") == 1 && (!bias || int64_t(bias->data.size()) == w.shape[0]),
            "shapes do not fit");
    const int64_t height = x.shape[2], width = x.shape[3], kernel = w.shape[2], in = w.shape[1];
    const int64_t rows = windows(height, kernel, stride, pad), columns = windows(width, kernel, stride, pad);
    Value y{{x.shape[0], w.shape[0], rows, columns}, {}};
    y.data.reserve(elements_of(y));
    for (int64_t n = 0; n < x.shape[0]; ++n) {
      for (int64_t k = 0; k < w.shape[0]; ++k) {
        const int64_t first = k / (w.shape[0] / groups) * in;
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < columns; ++j) {
            double sum = bias ? double(bias->data.at(size_t(k))) : 0;
            for (int64_t c = 0; c < in; ++c) {
              for (int64_t r = 0; r < kernel; ++r) {
                for (int64_t s = 0; s < kernel; ++s) {
                  const int64_t row = i * stride + r - pad, column = j * stride + s - pad;
                  if (row < 0 || row >= height || column < 0 || column >= width) continue;
                  sum +=
                      double(x.data[size_t(((n * x.shape[1] + first + c) * height + row) * width + column)]) *
                      double(w.data[size_t(((k * in + c) * kernel + r) * kernel + s)]);
                }
              }
            }
            y.data.push_back(float(sum));
          }
        }
      }
    }
    return y;
  }

  Value gemm(const Value& x, const Value& w, const Value& bias) const {
    require(x.shape.size() == 2 && w.shape.size() == 2 && w.shape[1] == x.shape[1] &&
                integer("transB", 0) == 1 && int64_t(bias.data.size()) == w.shape[0],
            "shapes do not fit");
    Value y{{x.shape[0], w.shape[0]}, {}};
    y.data.reserve(elements_of(y));
    for (int64_t n = 0; n < x.shape[0]; ++n) {
      for (int64_t k = 0; k < w.shape[0]; ++k) {
        double sum = double(bias.data[size_t(k)]);
        for (int64_t c = 0; c < x.shape[1]; ++c)
          sum += double(x.data[size_t(n * x.shape[1] + c)]) * double(w.data[size_t(k * x.shape[1] + c)]);
        y.data.push_back(float(sum));
      }
    }
    return y;
  }

  Value pool(const Value& x, bool average) const {
    const int64_t kernel = both("kernel_shape"), stride = both("strides"), pad = both("pads");
    require(x.shape.size() == 4 && (!average || integer("count_include_pad", 0) == 1), "shapes do not fit");
    const int64_t height = x.shape[2], width = x.shape[3];
    Value y{
        {x.shape[0], x.shape[1], windows(height, kernel, stride, pad), windows(width, kernel, stride, pad)},
        {}};
    y.data.reserve(elements_of(y));
    for (int64_t plane = 0; plane < x.shape[0] * x.shape[1]; ++plane) {
      for (int64_t i = 0; i < y.shape[2]; ++i) {
        for (int64_t j = 0; j < y.shape[3]; ++j) {
          double sum = 0, most = -INFINITY;
          for (int64_t r = 0; r < kernel; ++r) {
            for (int64_t s = 0; s < kernel; ++s) {
              const int64_t row = i * stride + r - pad, column = j * stride + s - pad;
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              const double v = double(x.data[size_t((plane * height + row) * width + column)]);
              sum += v;
              if (v > most || v != v) most = v;  // NaN is the largest
            }
          }
          y.data.push_back(float(average ? sum / double(kernel * kernel) : most));
        }
      }
    }
    return y;
  }

  Value global_average(const Value& x) const {
    require(x.shape.size() == 4, "shapes do not fit");
    const int64_t plane = x.shape[2] * x.shape[3];
    Value y{{x.shape[0], x.shape[1], 1, 1}, {}};
    for (int64_t p = 0; p < x.shape[0] * x.shape[1]; ++p) {
      double sum = 0;
      for (int64_t i = 0; i < plane; ++i) sum += double(x.data[size_t(p * plane + i)]);
      y.data.push_back(float(sum / double(plane)));
    }
    return y;
  }

  Value reshape(const Value& x) const {
    Ints shape = integers(1);
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] == 0 && d < x.shape.size()) shape[d] = x.shape[d];  // "as before"
    }
    require(size_of_shape(shape) == int64_t(x.data.size()), "shapes do not fit");
    return {shape, x.data};
  }

  // Of the second and third of five axes.
  Value transpose(const Value& x) const {
    const auto perm = node_->lists.find("perm");
    require(x.shape.size() == 5 && perm != node_->lists.end() && perm->second == Ints{0, 2, 1, 3, 4},
            "an order of axes that is not known");
    const int64_t a = x.shape[1], b = x.shape[2], run = x.shape[3] * x.shape[4];
    Value y{{x.shape[0], b, a, x.shape[3], x.shape[4]}, {}};
    y.data.reserve(elements_of(y));
    for (int64_t n = 0; n < x.shape[0]; ++n) {
      for (int64_t j = 0; j < b; ++j) {
        for (int64_t i = 0; i < a; ++i) {
          const auto from = x.data.begin() + ((n * a + i) * b + j) * run;
          y.data.insert(y.data.end(), from, from + run);
        }
      }
    }
    return y;
  }

  // Channels [first, end) with so many of zeros before and behind.
  Value channels(const Value& x, int64_t first, int64_t end, int64_t before, int64_t behind) const {
    require(x.shape.size() >= 2 && first >= 0 && first <= end && end <= x.shape[1] && before >= 0 &&
                before <= most_elements && behind >= 0 && behind <= most_elements,
            "channels that are not there");
    const int64_t run = size_of_shape(x.shape) / (x.shape[0] * x.shape[1]), count = end - first;
    Value y{x.shape, {}};
    y.shape[1] = before + count + behind;
    y.data.reserve(elements_of(y));
    for (int64_t n = 0; n < x.shape[0]; ++n) {
      y.data.insert(y.data.end(), size_t(before * run), 0.0f);
      const auto from = x.data.begin() + (n * x.shape[1] + first) * run;
      y.data.insert(y.data.end(), from, from + count * run);
      y.data.insert(y.data.end(), size_t(behind * run), 0.0f);
    }
    return y;
  }

  Value pad(const Value& x) const {
    const Ints& pads = integers(1);
    require(x.shape.size() >= 2 && pads.size() == 2 * x.shape.size(), "pads do not fit");
    for (size_t i = 0; i < pads.size(); ++i)
      require(pads[i] == 0 || i % x.shape.size() == 1, "pads another axis than that of the channels");
    return channels(x, 0, x.shape[1], pads[1], pads[x.shape.size() + 1]);
  }

  Value concat() const {
    require(integer("axis", 0) == 1, "along another axis than that of the channels");
    Value y{input(0).shape, {}};
    require(y.shape.size() >= 2, "shapes do not fit");
    y.shape[1] = 0;
    for (size_t p = 0; p < node_->inputs.size(); ++p) {
      const Ints& shape = input(p).shape;
      require(shape.size() == y.shape.size(), "shapes do not fit");
      require(shape[0] == y.shape[0] && std::equal(shape.begin() + 2, shape.end(), y.shape.begin() + 2),
              "shapes do not fit");
      y.shape[1] += shape[1];
    }
    y.data.reserve(elements_of(y));
    for (int64_t n = 0; n < y.shape[0]; ++n) {
      for (size_t p = 0; p < node_->inputs.size(); ++p) {
        const Value& part = input(p);
        const int64_t run = int64_t(part.data.size()) / part.shape[0];
        y.data.insert(y.data.end(), part.data.begin() + n * run, part.data.begin() + (n + 1) * run);
      }
    }
    return y;
  }

  const OnnxModel& model_;
  const std::string& file_;
  const int64_t most_held_;
  const OnnxNode* node_ = nullptr;
  std::set<std::string> initial_;  // names of initializers
  std::map<std::string, Value> values_;
  std::map<std::string, Ints> integers_;
};

}  // namespace

std::vector<float> run_onnx(const OnnxModel& model, const std::vector<float>& images, int64_t count,
                            const std::string& file, int64_t most_held) {
  return Machine(model, file, most_held).run(images, count);
}

}  // namespace retort
