#include "models/export/c_code.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "engine/infer/places.h"

namespace retort {

namespace {

// The helper functions; a file gets those that its nodes call. WEIGHT stands for the type of a weight, SCALE
// for the parameter with the scales of int8 ones, SCALED for their use.
struct Helper {
  NodeKind kind;
  const char* code;
};

const Helper helpers[] = {
    {NodeKind::conv, R"(
/* y = relu?(conv(x) + bias + add); weights output, row, column, input channel of the group. */
static void conv(const float *x, int height, int width, int channels, const WEIGHT *weight,SCALE const float *bias,
                 const float *add, int relu, int kernel, int stride, int pad, int groups, int out_height,
                 int out_width, int outputs, float *y) {
  const int in = channels / groups, out = outputs / groups;
  for (int i = 0; i < out_height; ++i) {
    for (int j = 0; j < out_width; ++j) {
      for (int k = 0; k < outputs; ++k) {
        const int group = k / out * in;
        float sum = 0;
        for (int r = 0; r < kernel; ++r) {
          const int row = i * stride + r - pad;
          if (row < 0 || row >= height) continue;
          for (int s = 0; s < kernel; ++s) {
            const int column = j * stride + s - pad;
            if (column < 0 || column >= width) continue;
            const float *from = x + ((long)row * width + column) * channels + group;
            const WEIGHT *w = weight + (((long)k * kernel + r) * kernel + s) * in;
            for (int c = 0; c < in; ++c) sum += from[c] * WEIGHT_VALUE(w[c]);
          }
        }
        SCALED
        if (bias) sum += bias[k];
        if (add) sum += *add++;
        *y++ = relu && sum < 0 ? 0 : sum;
      }
    }
  }
}
)"},
    {NodeKind::linear, R"(
static void linear(const float *x, int channels, const WEIGHT *weight,SCALE const float *bias, int outputs,
                   float *y) {
  for (int k = 0; k < outputs; ++k) {
    float sum = 0;
    for (int c = 0; c < channels; ++c) sum += x[c] * WEIGHT_VALUE(*weight++);
    SCALED
    y[k] = bias ? sum + bias[k] : sum;
  }
}
)"},
    {NodeKind::scale_shift, R"(
static void scale_shift(const float *x, int places, int channels, const float *scale, const float *shift,
                        const float *add, int relu, float *y) {
  for (int p = 0; p < places; ++p) {
    for (int c = 0; c < channels; ++c) {
      float value = *x++ * scale[c] + shift[c];
      if (add) value += *add++;
      *y++ = relu && value < 0 ? 0 : value;
    }
  }
}
)"},
    {NodeKind::max_pool, R"(
static void max_pool(const float *x, int height, int width, int channels, int kernel, int stride, int pad,
                     int out_height, int out_width, float *y) {
  for (int i = 0; i < out_height; ++i) {
    for (int j = 0; j < out_width; ++j) {
      for (int c = 0; c < channels; ++c) {
        int found = 0;
        float most = 0;
        for (int row = i * stride - pad; row < i * stride - pad + kernel; ++row) {
          for (int column = j * stride - pad; column < j * stride - pad + kernel; ++column) {
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            const float value = x[((long)row * width + column) * channels + c];
            if (!found || value > most || value != value) most = value;
            found = 1;
          }
        }
        *y++ = most;
      }
    }
  }
}
)"},
    {NodeKind::average_pool, R"(
static void average_pool(const float *x, int height, int width, int channels, int kernel, int stride, int pad,
                         int out_height, int out_width, float *y) {
  const float share = 1.0f / (float)(kernel * kernel);
  for (int i = 0; i < out_height; ++i) {
    for (int j = 0; j < out_width; ++j) {
      for (int c = 0; c < channels; ++c) {
        float sum = 0;
        for (int row = i * stride - pad; row < i * stride - pad + kernel; ++row) {
          for (int column = j * stride - pad; column < j * stride - pad + kernel; ++column) {
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            sum += x[((long)row * width + column) * channels + c];
          }
        }
        *y++ = sum * share;
      }
    }
  }
}
)"},
    {NodeKind::global_average, R"(
static void global_average(const float *x, int places, int channels, float *y) {
  const float share = 1.0f / (float)places;
  for (int c = 0; c < channels; ++c) {
    float sum = 0;
    for (int p = 0; p < places; ++p) sum += x[(long)p * channels + c];
    y[c] = sum * share;
  }
}
)"},
    {NodeKind::relu, R"(
static void relu(const float *x, long count, float *y) {
  for (long i = 0; i < count; ++i) y[i] = x[i] < 0 ? 0 : x[i];
}
)"},
    {NodeKind::add, R"(
static void add(const float *a, const float *b, long count, float *y) {
  for (long i = 0; i < count; ++i) y[i] = a[i] + b[i];
}
)"},
    {NodeKind::concat, R"(
/* Channels [from_first, from_first + count) of x to channels [to_first, ...) of y. */
static void copy_channels(const float *x, int from_channels, int from_first, float *y, int to_channels,
                          int to_first, int places, int count) {
  for (int p = 0; p < places; ++p) {
    for (int c = 0; c < count; ++c)
      y[(long)p * to_channels + to_first + c] = x[(long)p * from_channels + from_first + c];
  }
}
)"},
    {NodeKind::pad_channels, R"(
static void zero(float *y, long count) {
  for (long i = 0; i < count; ++i) y[i] = 0;
}
)"},
    {NodeKind::shuffle, R"(
/* Channel g size + j goes to j groups + g. */
static void shuffle(const float *x, int places, int groups, int size, float *y) {
  for (int p = 0; p < places; ++p) {
    for (int j = 0; j < size; ++j) {
      for (int g = 0; g < groups; ++g) *y++ = x[g * size + j];
    }
    x += (long)groups * size;
  }
}
)"},
};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// The shortest literal that is this float.
std::string literal(float value) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string digits(buffer, end);
  if (digits.find_first_of(".en") == std::string::npos) digits += ".0";
  return digits + "f";
}

// Bytes beyond ASCII, and what a C compiler may read otherwise (quotes, trigraphs), as octal numbers.
std::string string_literal(const std::string& value) {
  std::string all = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\' && c != '?') {
      all += c;
      continue;
    }
    all += '\\';
    for (const int shift : {6, 3, 0}) all += char('0' + (byte >> shift & 7));
  }
  return all + "\"";
}

struct Extents {
  int64_t height = 1, width = 1, channels = 1;
  int64_t places() const { return height * width; }
};

Extents extents_of(const Shape& shape) {
  if (shape.rank() == 3) return {shape[0], shape[1], shape[2]};
  return {1, 1, shape.size()};
}

class Writer {
 public:
  Writer(const InferenceGraph& graph, const CCodeOptions& options) : graph_(graph), options_(options) {
    place_values();
  }

  CCode write() {
    std::string arrays, calls;
    std::set<NodeKind> used;
    for (const InferenceNode& node : graph_.nodes) {
      arrays += arrays_of(node);
      calls += "  " + call_of(node) + "\n";
      used.insert(node.kind);
      // Slices and paddings are copies too.
      if (node.kind == NodeKind::slice || node.kind == NodeKind::pad_channels) used.insert(NodeKind::concat);
    }
    std::string functions;
    for (const Helper& helper : helpers)
      if (used.contains(helper.kind)) functions += helper.code;
    const bool small = options_.weights == WeightType::int8;
    replace_all(functions, "WEIGHT_VALUE(", small ? "(float)(" : "(");
    replace_all(functions, "WEIGHT", small ? "signed char" : "float");
    replace_all(functions, ",SCALE", small ? ", const float *scale," : ",");
    replace_all(functions, "        SCALED\n", small ? "        sum *= scale[k];\n" : "");
    replace_all(functions, "    SCALED\n", small ? "    sum *= scale[k];\n" : "");
    CCode result;
    result.ram = bytes_of(work_) + bytes_of(image_size()) + bytes_of(graph_.classes);
    result.flash = flash_;
    result.text = heading(result) + functions + "\n" + arrays + "\n" + signature() + " {\n" + calls + "}\n" +
                  normalise();
    return result;
  }

 private:
  // Offsets of the values in the working memory, in floats.
  void place_values() {
    std::vector<uint32_t> last_use(graph_.values.size(), 0);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const InferenceNode& node = graph_.nodes[i];
      last_use[size_t(node.output)] = uint32_t(i);
      for (const int input : node.inputs) last_use[size_t(input)] = uint32_t(i);
      if (node.add >= 0) last_use[size_t(node.add)] = uint32_t(i);
    }
    offsets_.assign(graph_.values.size(), 0);
    infer::Places places;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const int value = graph_.nodes[i].output;
      if (value == graph_.output && i + 1 == graph_.nodes.size()) continue;  // goes to the caller's logits
      offsets_[size_t(value)] =
          places.take(uint64_t(graph_.values[size_t(value)].size()), last_use[size_t(value)]);
      check(offsets_[size_t(value)] >= 0, Fault::usage, graph_.model,
            ": more than 64 values are needed at the same time");
      places.release(uint32_t(i));
    }
    work_ = std::max<int64_t>(int64_t(places.peak()), 1);
  }

  std::string place_of(int value) const {
    if (value < 0) return "0";
    if (value == graph_.input) return "image";
    if (value == graph_.output && graph_.nodes.back().output == value) return "logits";
    return text("work + ", offsets_[size_t(value)]);
  }
  Extents extents(int value) const { return extents_of(graph_.values[size_t(value)]); }

  static std::string array_name(const InferenceNode& node, const char* part) {
    return node.name + "_" + part;
  }

  template <class Values, class Print>
  std::string array(const char* type, const std::string& name, const Values& values, const Print& print) {
    std::string all = text("static const ", type, " ", name, "[", values.size(), "] = {");
    size_t line = 0;
    for (const auto& value : values) {
      const std::string item = print(value) + ",";
      line += item.size();
      if (line > 100 || &value == values.data()) all += "\n    ", line = item.size();
      all += item;
    }
    flash_ += int64_t(values.size() * sizeof values[0]);
    return all + "};\n";
  }
  std::string floats(const std::string& name, const std::vector<float>& values) {
    return array("float", name, values, literal);
  }

  std::string arrays_of(const InferenceNode& node) {
    std::string all;
    if (node.weight >= 0) {
      const InferenceConstant& weights = graph_.constants[size_t(node.weight)];
      if (options_.weights == WeightType::int8 && node.kind != NodeKind::scale_shift) {
        const QuantizedWeights q = quantize(weights);
        all += array("signed char", array_name(node, "weight"), q.values,
                     [](int8_t value) { return std::to_string(int(value)); });
        all += floats(array_name(node, "scale"), q.scales);
      } else {
        all += floats(array_name(node, "weight"), weights.values);
      }
    }
    if (node.bias >= 0) all += floats(array_name(node, "bias"), graph_.constants[size_t(node.bias)].values);
    return all;
  }

  std::string call_of(const InferenceNode& node) const {
    const int from = node.inputs[0];
    const Extents x = extents(from), y = extents(node.output);
    const std::string in = place_of(from), out = place_of(node.output);
    const std::string bias = node.bias >= 0 ? array_name(node, "bias") : "0";
    std::string weights = array_name(node, "weight");
    if (options_.weights == WeightType::int8) weights += ", " + array_name(node, "scale");
    const std::string image = text(in, ", ", x.height, ", ", x.width, ", ", x.channels);
    switch (node.kind) {
      case NodeKind::conv: {
        const Shape& w = graph_.constants[size_t(node.weight)].shape;
        check(w[1] == w[2], Fault::usage, graph_.model, ": ", node.name, " has a kernel of ", w[1], "x", w[2],
              ", --to c writes square ones only");
        return text("conv(", image, ", ", weights, ", ", bias, ", ", place_of(node.add), ", ", int(node.relu),
                    ", ", w[1], ", ", node.conv.stride, ", ", node.conv.pad, ", ", node.conv.groups, ", ",
                    y.height, ", ", y.width, ", ", y.channels, ", ", out, ");");
      }
      case NodeKind::linear:
        return text("linear(", in, ", ", x.channels, ", ", weights, ", ", bias, ", ", y.channels, ", ", out,
                    ");");
      case NodeKind::scale_shift:
        return text("scale_shift(", in, ", ", x.places(), ", ", x.channels, ", ", array_name(node, "weight"),
                    ", ", bias, ", ", place_of(node.add), ", ", int(node.relu), ", ", out, ");");
      case NodeKind::max_pool:
      case NodeKind::average_pool:
        return text(name_of(node.kind), "(", image, ", ", node.pool.kernel, ", ", node.pool.stride, ", ",
                    node.pool.pad, ", ", y.height, ", ", y.width, ", ", out, ");");
      case NodeKind::global_average:
        return text("global_average(", in, ", ", x.places(), ", ", x.channels, ", ", out, ");");
      case NodeKind::relu:
        return text("relu(", in, ", ", x.places() * x.channels, ", ", out, ");");
      case NodeKind::add:
        return text("add(", in, ", ", place_of(node.inputs[1]), ", ", x.places() * x.channels, ", ", out,
                    ");");
      case NodeKind::slice:
        return copy(in, x.channels, node.first, out, y, 0, y.channels);
      case NodeKind::pad_channels:
        return text("zero(", out, ", ", y.places() * y.channels, ");\n  ") +
               copy(in, x.channels, 0, out, y, node.first, x.channels);
      case NodeKind::concat: {
        std::string all;
        int64_t first = 0;
        for (const int part : node.inputs) {
          const int64_t channels = extents(part).channels;
          all += (first ? "\n  " : "") + copy(place_of(part), channels, 0, out, y, first, channels);
          first += channels;
        }
        return all;
      }
      case NodeKind::shuffle:
        return text("shuffle(", in, ", ", x.places(), ", ", node.groups, ", ", x.channels / node.groups, ", ",
                    out, ");");
    }
    fail(Fault::internal, "c code: a node of unknown kind");
  }
  static std::string copy(const std::string& from, int64_t from_channels, int64_t from_first,
                          const std::string& to, const Extents& y, int64_t to_first, int64_t count) {
    return text("copy_channels(", from, ", ", from_channels, ", ", from_first, ", ", to, ", ", y.channels,
                ", ", to_first, ", ", y.places(), ", ", count, ");");
  }

  static std::string three(const std::array<float, 3>& v) {
    return literal(v[0]) + ", " + literal(v[1]) + ", " + literal(v[2]);
  }
  static int64_t bytes_of(int64_t floats) { return floats * int64_t(sizeof(float)); }
  int64_t image_size() const { return graph_.values[size_t(graph_.input)].size(); }

  bool knows_pixels() const { return options_.std[0] > 0 && extents(graph_.input).channels == 3; }
  std::string normalise_signature() const {
    return text("void ", options_.name, "_normalise(const unsigned char *pixels, float *image)");
  }
  // Pixels of 8 bits as an image, where the numbers are known.
  std::string normalise() const {
    if (!knows_pixels()) return "";
    return text("\n", normalise_signature(), " {\n  static const float mean[3] = {", three(options_.mean),
                "}, std[3] = {", three(options_.std), "};\n  for (long i = 0; i < ", image_size(),
                "; ++i) image[i] = ((float)pixels[i] / 255.0f - mean[i % 3]) / std[i % 3];\n}\n");
  }

  std::string signature() const {
    return text("void ", options_.name, "_predict(const float *image, float *logits, float *work)");
  }

  std::string heading(const CCode& code) const {
    const Extents in = extents(graph_.input);
    std::string capitals = options_.name;
    std::transform(capitals.begin(), capitals.end(), capitals.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    std::string normal = "normalised as in training";
    if (options_.std[0] > 0)
      normal = text("normalised, (value / 255 - mean) / std per channel, with\n *   mean ",
                    three(options_.mean), "\n *   std  ", three(options_.std));
    std::string resize, names, pixels;
    if (knows_pixels())
      pixels =
          text(" * ", options_.name, "_normalise makes an image of pixels of 8 bits, red, green, blue.\n");
    if (options_.test_resize > 0)
      resize = text(
          "\n/* Of a picture of another size the shorter side is resized to this, then its centre is cut "
          "out. */",
          "\n#define ", capitals, "_TEST_RESIZE ", options_.test_resize);
    if (!options_.class_names.empty()) {
      names = text("\n/* const char *const names[", capitals, "_CLASSES] = {", capitals,
                   "_CLASS_NAMES}; */\n#define ", capitals, "_CLASS_NAMES");
      for (const std::string& name : options_.class_names)
        names += (&name == options_.class_names.data() ? " " : ", \\\n    ") + string_literal(name);
    }
    return text("/* The network ", graph_.model, ", written by retort ", options_.version, ".\n *\n *   ",
                signature(), ";\n *\n * image: ", in.height, " x ", in.width, " x ", in.channels, ", ",
                normal, ".\n * logits: ", graph_.classes,
                " numbers, the largest is the likeliest class.\n * work: ", capitals,
                "_WORK_FLOATS floats, whose content matters neither before nor after.\n", pixels,
                " *\n * RAM: ", code.ram, " bytes: ", bytes_of(work_), " of work, ", bytes_of(image_size()),
                " of an image, ", bytes_of(graph_.classes),
                " of logits; and some 200 bytes of stack.\n * Flash: ", code.flash, " bytes of weights (",
                options_.weights == WeightType::int8
                    ? "int8 with a scale per output channel; sums are made in float"
                    : "float",
                "), and a few KB of code.\n * Multiply-adds: ", graph_.macs(),
                ".\n *\n * C11, also freestanding: calls no library (a compiler may call memcpy and memset), "
                "allocates "
                "nothing, keeps\n * no state.\n */\n",
                "#define ", capitals, "_HEIGHT ", in.height, "\n#define ", capitals, "_WIDTH ", in.width,
                "\n#define ", capitals, "_CHANNELS ", in.channels, resize, "\n#define ", capitals,
                "_CLASSES ", graph_.classes, names, "\n#define ", capitals, "_WORK_FLOATS ", work_,
                "\n#define ", capitals, "_RAM_BYTES ", code.ram, "\n#define ", capitals, "_FLASH_BYTES ",
                code.flash, "\n\n", signature(), ";\n", knows_pixels() ? normalise_signature() + ";\n" : "");
  }

  const InferenceGraph& graph_;
  const CCodeOptions& options_;
  std::vector<int64_t> offsets_;
  int64_t work_ = 0, flash_ = 0;
};

bool is_identifier(const std::string& name) {
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c < 128 && (std::isalnum(c) || c == '_'); });
}

}  // namespace

CCode c_code(const InferenceGraph& graph, const CCodeOptions& options) {
  check(is_identifier(options.name), Fault::usage, "--name '", options.name,
        "' is no C identifier; letters, digits and _ make one");
  check(options.weights != WeightType::f16, Fault::usage, "--to c: C11 has no float16; expected f32 or int8");
  int64_t parameters = 0;
  for (const InferenceConstant& constant : graph.constants) parameters += int64_t(constant.values.size());
  check(parameters <= most_c_parameters, Fault::usage, "--to c: ", graph.model, " has ", parameters,
        " parameters, a C file is written of up to ", most_c_parameters, "; --to infer has no such limit");
  return Writer(graph, options).write();
}

}  // namespace retort
