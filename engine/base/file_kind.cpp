#include "engine/base/file_kind.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string_view>

#include "engine/base/text.h"

namespace retort {

namespace {

using namespace std::string_view_literals;

struct Beginning {
  std::string_view bytes;
  FileKind kind;
  const char* name;  // of the kinds that are several
  size_t at = 0;
};
constexpr Beginning beginnings[] = {
    {"version https://git-lfs.github.com/spec/"sv, FileKind::lfs_pointer, ""},
    {"PK\x03\x04"sv, FileKind::zip, ""},
    {"PK\x05\x06"sv, FileKind::zip, ""},
    {"\x1f\x8b"sv, FileKind::packed, "gzip"},
    {"BZh"sv, FileKind::packed, "bzip2"},
    {"\xfd"
     "7zXZ\0"sv,
     FileKind::packed, "xz"},
    {"\x28\xb5\x2f\xfd"sv, FileKind::packed, "zstd"},
    {"7z\xbc\xaf\x27\x1c"sv, FileKind::packed, "7z"},
    {"Rar!\x1a\x07"sv, FileKind::packed, "rar"},
    {"ustar"sv, FileKind::tar, "", 257},
    {"\x89HDF\r\n\x1a\n"sv, FileKind::hdf5, ""},
    {"TFL3"sv, FileKind::tflite, "", 4},
    {"GGUF"sv, FileKind::gguf, ""},
    {"RETORT\x1a\n"sv, FileKind::network, ""},
    {"\x93NUMPY"sv, FileKind::npy, ""},
    {"\x89PNG\r\n\x1a\n"sv, FileKind::picture, "PNG"},
    {"\xff\xd8\xff"sv, FileKind::picture, "JPEG"},
    {"GIF8"sv, FileKind::picture, "GIF"},
    {"WEBP"sv, FileKind::picture, "WebP", 8},
    {"II*\0"sv, FileKind::picture, "TIFF"},
    {"MM\0*"sv, FileKind::picture, "TIFF"},
    {"ftypheic"sv, FileKind::picture, "HEIC", 4},
    {"ftypavif"sv, FileKind::picture, "AVIF", 4},
    {"ftyp"sv, FileKind::video, "", 4},
    {"%PDF-"sv, FileKind::pdf, ""},
    {"\x7f"
     "ELF"sv,
     FileKind::program, ""},
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const Beginning* beginning_of(std::string_view bytes) {
  for (const Beginning& known : beginnings) {
    if (bytes.size() >= known.at && bytes.substr(known.at).starts_with(known.bytes)) return &known;
  }
  return nullptr;
}

bool is_text(std::string_view bytes) {
  return std::all_of(
      bytes.begin(), bytes.begin() + std::ptrdiff_t(std::min<size_t>(bytes.size(), 1024)), [](char c) {
        const auto value = static_cast<unsigned char>(c);
        return value >= 0x20 ? value != 0x7f : c == '\n' || c == '\r' || c == '\t' || c == '\f';
      });
}

bool begins_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

FileKind kind_of_text(std::string_view bytes) {
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);  // a byte order mark
  const std::string_view text = trimmed(bytes, " \t\r\n");
  for (const std::string_view tag : {"<!doctype html"sv, "<html"sv, "<head"sv, "<body"sv, "<script"sv})
    if (begins_with_word(text, tag)) return FileKind::web_page;
  if (text.starts_with("<?xml") || text.starts_with("<!")) {
    return text.substr(0, 1024).find("<html") != text.npos ? FileKind::web_page : FileKind::xml;
  }
  if (text.starts_with('{') || text.starts_with('[')) return FileKind::json;
  return FileKind::text;
}

// A protobuf whose field 1 is a small version and whose next field is a text or the graph (onnx.proto3).
bool is_onnx(std::string_view bytes) {
  if (bytes.size() < 4 || bytes[0] != 0x08 || bytes[1] < 1 || bytes[1] > 32) return false;
  const char next = bytes[2];
  return next == 0x12 || next == 0x1a || next == 0x22 || next == 0x32 || next == 0x3a || next == 0x42;
}

}  // namespace

FileKind kind_of_file(std::span<const std::byte> file) {
  const std::string_view bytes = text_of(file);
  if (bytes.empty()) return FileKind::empty;
  if (const Beginning* known = beginning_of(bytes)) return known->kind;
  if (bytes.size() > 8 && bytes[8] == '{' && bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0)
    return FileKind::safetensors;
  if (bytes.size() >= 2 && bytes[0] == '\x80' && bytes[1] >= 1 && bytes[1] <= 5) return FileKind::pickle;
  if (bytes.starts_with("BM") && bytes.size() > 14 && bytes.substr(6, 4) == "\0\0\0\0"sv)
    return FileKind::picture;
  if (is_onnx(bytes)) return FileKind::onnx;
  if (is_text(bytes)) return kind_of_text(bytes);
  const size_t looked_at = std::min<size_t>(bytes.size(), 1024);
  if (std::all_of(bytes.begin(), bytes.begin() + std::ptrdiff_t(looked_at), [](char c) { return c == 0; }))
    return FileKind::zeros;
  return FileKind::unknown;
}

std::string described(FileKind kind, std::span<const std::byte> file) {
  const Beginning* known = beginning_of(text_of(file));
  const std::string name = known ? known->name : "";
  switch (kind) {
    case FileKind::unknown:
      return "";
    case FileKind::empty:
      return "an empty file: copy or download it again";
    case FileKind::zeros:
      return "a file of zeros: copy or download it again";
    case FileKind::lfs_pointer:
      return "a pointer of Git LFS, not the file itself: get it with `git lfs pull`";
    case FileKind::web_page:
      return "a web page (HTML), as servers send it instead of a file: download the file itself";
    case FileKind::xml:
      return "an XML text, as servers send it instead of a file: download the file itself";
    case FileKind::json:
      return "a JSON text: name the file beside it";
    case FileKind::text:
      return "a text";
    case FileKind::zip:
      return "a zip archive: unpack it first";
    case FileKind::packed:
      return "an archive packed by " + name + ": unpack it first";
    case FileKind::tar:
      return "a tar archive: unpack it first";
    case FileKind::hdf5:
      return "an HDF5 file, as of Keras: save the weights with PyTorch or as safetensors";
    case FileKind::onnx:
      return "an ONNX network: take the weights it was made from (`retort eval` and `predict` run our "
             "exports)";
    case FileKind::tflite:
      return "a network of TensorFlow Lite: take the weights it was made from";
    case FileKind::gguf:
      return "a GGUF file of a language model";
    case FileKind::network:
      return "a network of `retort export --to infer`: take the weights it was made from (`retort eval` and "
             "`predict` run it)";
    case FileKind::npy:
      return "an array of NumPy (.npy)";
    case FileKind::pickle:
      return "a pickle, but not one of torch.save: save the state_dict() with torch.save";
    case FileKind::safetensors:
      return "a safetensors file";
    case FileKind::picture:
      return "a picture" + (name.empty() ? name : " (" + name + ")");
    case FileKind::video:
      return "a video";
    case FileKind::pdf:
      return "a PDF document";
    case FileKind::program:
      return "a program";
  }
  return "";
}

std::string refusal_of_kind(const std::string& name, std::span<const std::byte> file,
                            const std::string& expected) {
  const std::string what = described(kind_of_file(file), file);
  return what.empty() ? what : name + ": is " + what + "; expected " + expected;
}

}  // namespace retort
