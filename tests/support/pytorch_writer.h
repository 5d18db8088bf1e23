// Files as torch.save writes them, and as it never would, from their parts.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/zip_archive.h"
#include "layers/formats/safetensors.h"

namespace retort::testing {

template <class T>
std::string little(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Pieces of pickles, protocol 2.
namespace pickle {
inline std::string str(const std::string& s) {
  return "X" + little(uint32_t(s.size())) + s;
}
inline std::string integer(int32_t value) {
  return "J" + little(value);
}
inline std::string big(int64_t value) {
  return "\x8a\x08" + little(value);
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string all = "(";
  for (const std::string& item : items) all += item;
  return all + "t";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string all = "}(";
  for (const auto& [key, value] : entries) all += str(key) + value;
  return all + "u";
}
inline std::string call(const std::string& module, const std::string& name,
                        const std::vector<std::string>& args) {
  return global(module, name) + tuple(args) + "R";
}
inline std::string whole(const std::string& value) {
  return "\x80\x02" + value + ".";
}
// elements: a pickled integer.
inline std::string storage(const std::string& type, const std::string& key, const std::string& elements,
                           bool stream = false) {
  std::vector<std::string> id = {str("storage"), global("torch", type), str(key), str("cuda:1"), elements};
  if (stream) id.push_back("N");
  return tuple(id) + "Q";
}
inline std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                          const std::vector<int64_t>& strides) {
  const auto sizes = [](const std::vector<int64_t>& values) {
    std::vector<std::string> all;
    for (int64_t v : values) all.push_back(big(v));
    return tuple(all);
  };
  return call(
      "torch._utils", "_rebuild_tensor_v2",
      {storage, big(offset), sizes(shape), sizes(strides), "\x89", call("collections", "OrderedDict", {})});
}
}  // namespace pickle

struct ZipPart {
  std::string name, data;
  uint16_t method = 0, flags = 0;
};

// zip64: with every number of the directory in its zip64 field.
inline std::string zip_of(const std::vector<ZipPart>& parts, bool zip64 = false) {
  std::string file, directory;
  for (const ZipPart& part : parts) {
    const uint64_t at = file.size(), size = part.data.size();
    const auto bytes = std::as_bytes(std::span(part.data));
    const std::string common =
        little(part.flags) + little(part.method) + little(uint32_t{0}) + little(crc32(bytes));
    const std::string sizes = little(uint32_t(size)) + little(uint32_t(size));
    const std::string far = little(UINT32_MAX);
    const std::string extra =
        zip64 ? little(uint16_t{1}) + little(uint16_t{24}) + little(size) + little(size) + little(at) : "";
    file += "PK\3\4" + little(uint16_t{45}) + common + sizes + little(uint16_t(part.name.size())) +
            little(uint16_t{0}) + part.name + part.data;
    directory += "PK\1\2" + little(uint32_t{45}) + common + (zip64 ? far + far : sizes) +
                 little(uint16_t(part.name.size())) + little(uint16_t(extra.size())) + std::string(10, '\0') +
                 (zip64 ? far : little(uint32_t(at))) + part.name + extra;
  }
  const uint64_t at = file.size(), count = parts.size();
  file += directory;
  if (zip64) {
    const uint64_t record = file.size();
    file += "PK\6\6" + little(uint64_t{44}) + little(uint32_t{45}) + little(uint64_t{0}) + little(count) +
            little(count) + little(uint64_t(directory.size())) + little(at);
    file += "PK\6\7" + little(uint32_t{0}) + little(record) + little(uint32_t{1});
    return file + "PK\5\6" + little(uint32_t{0}) + little(uint16_t{0xffff}) + little(uint16_t{0xffff}) +
           little(UINT32_MAX) + little(UINT32_MAX) + little(uint16_t{0});
  }
  return file + "PK\5\6" + little(uint32_t{0}) + little(uint16_t(count)) + little(uint16_t(count)) +
         little(uint32_t(directory.size())) + little(uint32_t(at)) + little(uint16_t{0});
}

// The archive that holds this object and these storages' data.
inline std::string checkpoint_zip(const std::string& object, const std::vector<ZipPart>& storages,
                                  const std::string& byte_order = "little", bool zip64 = false) {
  std::vector<ZipPart> parts = {{"archive/data.pkl", pickle::whole(object)},
                                {"archive/byteorder", byte_order}};
  for (const ZipPart& s : storages) parts.push_back({"archive/data/" + s.name, s.data, s.method, s.flags});
  parts.push_back({"archive/version", "3\n"});
  return zip_of(parts, zip64);
}

// The container before PyTorch 1.6. elements: of each storage.
inline std::string checkpoint_stream(const std::string& object,
                                     const std::vector<std::pair<std::string, std::string>>& storages,
                                     const std::vector<int64_t>& elements, bool little_endian = true) {
  std::string keys = "](", data;
  for (size_t i = 0; i < storages.size(); ++i) {
    keys += pickle::str(storages[i].first);
    data += little(elements[i]) + storages[i].second;
  }
  return std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15) +
         pickle::whole("M\xe9\x03") +
         pickle::whole(pickle::dict({{"little_endian", little_endian ? "\x88" : "\x89"}})) +
         pickle::whole(object) + pickle::whole(keys + "e") + data;
}

// f32 tensors under these names as {"model": {...}}.
inline std::string checkpoint_of(const std::vector<HostTensor>& tensors, bool stream) {
  std::vector<std::pair<std::string, std::string>> entries, data;
  std::vector<ZipPart> parts;
  std::vector<int64_t> elements;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const HostTensor& t = tensors[i];
    const std::string key = std::to_string(i),
                      bytes(reinterpret_cast<const char*>(t.data.data()), t.data.size());
    const int64_t count = int64_t(t.values<float>().size());
    std::vector<int64_t> strides(t.shape.size(), 1);
    for (size_t d = t.shape.size(); d-- > 1;) strides[d - 1] = strides[d] * t.shape[d];
    entries.push_back(
        {t.name, pickle::tensor(pickle::storage("FloatStorage", key, pickle::big(count), stream), 0, t.shape,
                                strides)});
    data.push_back({key, bytes});
    parts.push_back({key, bytes});
    elements.push_back(count);
  }
  const std::string object = pickle::dict({{"model", pickle::dict(entries)}});
  return stream ? checkpoint_stream(object, data, elements) : checkpoint_zip(object, parts);
}

}  // namespace retort::testing
