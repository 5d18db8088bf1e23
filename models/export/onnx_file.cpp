// The file of an OnnxModel. Field numbers are those of onnx.proto, which ONNX never changes.
#include <algorithm>
#include <bit>
#include <span>

#include "engine/base/hash.h"
#include "models/export/onnx_model.h"
#include "models/export/protobuf.h"

namespace retort {

namespace {

constexpr int64_t ir_version = 8, operator_set = 17;
constexpr const char* producer = "retort";

namespace model_field {
enum {
  ir_version = 1,
  producer_name = 2,
  producer_version = 3,
  model_version = 5,
  doc = 6,
  graph = 7,
  operator_sets = 8,
  metadata = 14
};
}
namespace operator_set_field {
enum { domain = 1, version = 2 };
}
namespace entry_field {
enum { key = 1, value = 2 };
}
namespace graph_field {
enum { node = 1, name = 2, initializer = 5, doc = 10, input = 11, output = 12 };
}
namespace node_field {
enum { input = 1, output = 2, name = 3, op = 4, attribute = 5 };
}
namespace attribute_field {
enum { name = 1, integer = 3, integers = 8, type = 20 };
}
namespace tensor_field {
enum { extent = 1, type = 2, name = 8, raw = 9 };
}
namespace value_field {
enum { name = 1, type = 2, doc = 3 };
}
namespace type_field {
enum { tensor = 1 };
}
namespace tensor_type_field {
enum { element = 1, shape = 2 };
}
namespace shape_field {
enum { dimension = 1 };
}
namespace dimension_field {
enum { value = 1, symbol = 2 };
}
enum AttributeType { attribute_integer = 2, attribute_integers = 7 };
enum ElementType { element_f32 = 1, element_i64 = 7 };
constexpr int64_t most_extent = int64_t{1} << 24;  // of images and logits
constexpr const char* batch_symbol = "N";

// --- the hash, a file's last metadata entry, of all before it

constexpr const char* hash_key = "xxh3";
// The model's version, near the start: a file of it that ends before its hash is damaged.
constexpr int64_t hashed_version = 2;

std::string metadata_entry(const std::string& key, const std::string& value) {
  ProtoWriter entry, out;
  entry.piece(entry_field::key, key);
  entry.piece(entry_field::value, value);
  out.piece(model_field::metadata, entry.bytes());
  return out.bytes();
}

std::string hash_entry(std::string_view before) {
  return metadata_entry(hash_key, hash_of(std::as_bytes(std::span(before))));
}

const size_t hash_entry_size = hash_entry("").size();

bool hash_holds(std::string_view file) {
  if (file.size() < hash_entry_size) return false;
  const std::string_view before = file.substr(0, file.size() - hash_entry_size);
  return file.substr(before.size()) == hash_entry(before);
}

// --- writing

std::string write(const OnnxTensor& tensor) {
  static_assert(std::endian::native == std::endian::little, "raw data are written as they lie in memory");
  ProtoWriter out;
  for (int64_t extent : tensor.shape) out.integer(tensor_field::extent, extent);
  out.integer(tensor_field::type, tensor.values.index() == 0 ? element_f32 : element_i64);
  out.piece(tensor_field::name, tensor.name);
  std::visit(
      [&](const auto& values) {
        out.piece(tensor_field::raw,
                  {reinterpret_cast<const char*>(values.data()), values.size() * sizeof values[0]});
      },
      tensor.values);
  return out.bytes();
}

std::string write(const OnnxNode& node) {
  ProtoWriter out;
  for (const std::string& input : node.inputs) out.piece(node_field::input, input);
  for (const std::string& output : node.outputs) out.piece(node_field::output, output);
  out.piece(node_field::name, node.name);
  out.piece(node_field::op, node.op);
  for (const auto& [name, value] : node.integers) {
    ProtoWriter attribute;
    attribute.piece(attribute_field::name, name);
    attribute.integer(attribute_field::integer, value);
    attribute.integer(attribute_field::type, attribute_integer);
    out.piece(node_field::attribute, attribute.bytes());
  }
  for (const auto& [name, values] : node.lists) {
    ProtoWriter attribute;
    attribute.piece(attribute_field::name, name);
    for (int64_t value : values) attribute.integer(attribute_field::integers, value);
    attribute.integer(attribute_field::type, attribute_integers);
    out.piece(node_field::attribute, attribute.bytes());
  }
  return out.bytes();
}

std::string write(const OnnxValue& value) {
  ProtoWriter shape, batch;
  batch.piece(dimension_field::symbol, batch_symbol);
  shape.piece(shape_field::dimension, batch.bytes());
  for (int64_t extent : value.shape) {
    ProtoWriter dimension;
    dimension.integer(dimension_field::value, extent);
    shape.piece(shape_field::dimension, dimension.bytes());
  }
  ProtoWriter tensor, type, out;
  tensor.integer(tensor_type_field::element, element_f32);
  tensor.piece(tensor_type_field::shape, shape.bytes());
  type.piece(type_field::tensor, tensor.bytes());
  out.piece(value_field::name, value.name);
  out.piece(value_field::type, type.bytes());
  out.piece(value_field::doc, value.doc);
  return out.bytes();
}

// --- reading

class Parser {
 public:
  explicit Parser(const std::string& file) : file_(file) {}

  OnnxModel model(std::string_view bytes) {
    OnnxModel model;
    bool has_graph = false;
    int64_t version = 0;
    each(bytes, [&](const ProtoField& f) {
      if (f.number == model_field::ir_version)
        expect(f.integer() == ir_version, "IR version ", f.integer(), ", expected ", ir_version);
      if (f.number == model_field::producer_version) model.producer_version = f.text;
      if (f.number == model_field::model_version) version = f.integer();
      if (f.number == model_field::doc) model.doc = f.text;
      if (f.number == model_field::operator_sets) check_operator_set(f.text);
      if (f.number == model_field::metadata) {
        std::string key, value;
        each(f.text, [&](const ProtoField& e) { (e.number == entry_field::key ? key : value) = e.text; });
        model.metadata[key] = value;
      }
      if (f.number == model_field::graph) {
        graph(f.text, model);
        has_graph = true;
      }
    });
    expect(has_graph, "no graph; is it an ONNX file?");
    model.has_hash = model.metadata.erase(hash_key) > 0;
    expect(model.has_hash || version < hashed_version,
           "its hash (XXH3) is missing: the file is cut off, or was changed after `retort export`; export it "
           "again");
    expect(!model.has_hash || hash_holds(bytes),
           "its hash (XXH3) is another one: the file is damaged, or was changed after `retort export`; "
           "export it again");
    return model;
  }

 private:
  template <class... Parts>
  void expect(bool ok, const Parts&... parts) const {
    check(ok, Fault::input, file_, ": ", parts...);
  }
  template <class F>
  void each(std::string_view message, F f) const {
    ProtoReader reader(message, file_);
    for (ProtoField field; reader.next(field);) f(field);
  }

  void check_operator_set(std::string_view message) const {
    each(message, [&](const ProtoField& f) {
      if (f.number == operator_set_field::version)
        expect(f.integer() == operator_set, "operator set ", f.integer(), ", expected ", operator_set);
      if (f.number == operator_set_field::domain) expect(f.text.empty(), "operators of ", in_quotes(f.text));
    });
  }

  void graph(std::string_view message, OnnxModel& model) const {
    each(message, [&](const ProtoField& f) {
      if (f.number == graph_field::name) model.name = f.text;
      if (f.number == graph_field::node) model.nodes.push_back(node(f.text));
      if (f.number == graph_field::initializer) model.initializers.push_back(tensor(f.text));
      if (f.number == graph_field::input) model.input = value(f.text);
      if (f.number == graph_field::output) model.output = value(f.text);
    });
  }

  OnnxNode node(std::string_view message) const {
    OnnxNode node;
    each(message, [&](const ProtoField& f) {
      if (f.number == node_field::input) node.inputs.emplace_back(f.text);
      if (f.number == node_field::output) node.outputs.emplace_back(f.text);
      if (f.number == node_field::name) node.name = f.text;
      if (f.number == node_field::op) node.op = f.text;
      if (f.number == node_field::attribute) attribute(f.text, node);
    });
    return node;
  }

  void attribute(std::string_view message, OnnxNode& node) const {
    std::string name;
    int64_t integer = 0, type = 0;
    std::vector<int64_t> integers;
    each(message, [&](const ProtoField& f) {
      if (f.number == attribute_field::name) name = f.text;
      if (f.number == attribute_field::integer) integer = f.integer();
      if (f.number == attribute_field::integers) integers.push_back(f.integer());
      if (f.number == attribute_field::type) type = f.integer();
    });
    expect(type == attribute_integer || type == attribute_integers, "attribute ", in_quotes(name),
           " of type ", type);
    if (type == attribute_integer)
      node.integers[name] = integer;
    else
      node.lists[name] = integers;
  }

  OnnxTensor tensor(std::string_view message) const {
    OnnxTensor tensor;
    int64_t type = 0;
    std::string_view raw;
    each(message, [&](const ProtoField& f) {
      if (f.number == tensor_field::extent) tensor.shape.push_back(f.integer());
      if (f.number == tensor_field::type) type = f.integer();
      if (f.number == tensor_field::name) tensor.name = f.text;
      if (f.number == tensor_field::raw) raw = f.text;
    });
    const auto take = [&]<class T>() {
      uint64_t bytes = sizeof(T);
      bool sound = true;
      for (int64_t extent : tensor.shape)
        sound = sound && extent >= 0 && !__builtin_mul_overflow(bytes, uint64_t(extent), &bytes);
      expect(sound && bytes == raw.size(), "initializer ", in_quotes(tensor.name), " has ", raw.size(),
             " bytes, which do not fit its shape");
      std::vector<T> values(raw.size() / sizeof(T));
      std::ranges::copy(raw, reinterpret_cast<char*>(values.data()));  // no bytes: no pointers for memcpy
      tensor.values = std::move(values);
    };
    expect(type == element_f32 || type == element_i64, "initializer ", in_quotes(tensor.name), " of type ",
           type);
    if (type == element_f32)
      take.operator()<float>();
    else
      take.operator()<int64_t>();
    return tensor;
  }

  OnnxValue value(std::string_view message) const {
    OnnxValue value;
    each(message, [&](const ProtoField& f) {
      if (f.number == value_field::name) value.name = f.text;
      if (f.number == value_field::doc) value.doc = f.text;
      if (f.number == value_field::type)
        each(f.text, [&](const ProtoField& t) { tensor_type(t.text, value); });
    });
    return value;
  }

  void tensor_type(std::string_view message, OnnxValue& value) const {
    bool is_batch = true;
    each(message, [&](const ProtoField& f) {
      if (f.number == tensor_type_field::element)
        expect(f.integer() == element_f32, in_quotes(value.name), " is of type ", f.integer());
      if (f.number != tensor_type_field::shape) return;
      each(f.text, [&](const ProtoField& dimension) {
        each(dimension.text, [&](const ProtoField& d) {
          expect(is_batch == (d.number == dimension_field::symbol), "the extents of ", in_quotes(value.name),
                 " are not a symbolic batch and numbers");
          if (!is_batch) {
            value.shape.push_back(d.integer());
            expect(d.integer() >= 1 && d.integer() <= most_extent, "an extent of ", in_quotes(value.name),
                   " is ", d.integer(), ", expected 1 to ", most_extent);
          }
          is_batch = false;
        });
      });
    });
  }

  const std::string& file_;
};

}  // namespace

std::string onnx_file(const OnnxModel& model) {
  ProtoWriter graph;
  for (const OnnxNode& node : model.nodes) graph.piece(graph_field::node, write(node));
  graph.piece(graph_field::name, model.name);
  for (const OnnxTensor& tensor : model.initializers) graph.piece(graph_field::initializer, write(tensor));
  graph.piece(graph_field::input, write(model.input));
  graph.piece(graph_field::output, write(model.output));

  ProtoWriter set, out;
  set.piece(operator_set_field::domain, "");
  set.integer(operator_set_field::version, operator_set);
  out.integer(model_field::ir_version, ir_version);
  out.piece(model_field::producer_name, producer);
  out.piece(model_field::producer_version, model.producer_version);
  out.integer(model_field::model_version, hashed_version);
  out.piece(model_field::doc, model.doc);
  out.piece(model_field::graph, graph.bytes());
  out.piece(model_field::operator_sets, set.bytes());
  std::string file = out.bytes();
  for (const auto& [key, value] : model.metadata) file += metadata_entry(key, value);
  return file + hash_entry(file);
}

OnnxModel parse_onnx(std::string_view bytes, const std::string& file) {
  return Parser(file).model(bytes);
}

}  // namespace retort
