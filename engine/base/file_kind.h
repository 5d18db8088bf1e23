// What kind of file somebody named by mistake, so that a refusal can say so and what to do.
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace retort {

enum class FileKind {
  unknown,
  empty,
  zeros,  // of a download or a disk that broke off
  lfs_pointer,
  web_page,
  xml,
  json,
  text,
  zip,
  packed,  // gzip, bzip2, xz, zstd, 7z, rar
  tar,
  hdf5,
  onnx,
  tflite,
  gguf,
  network,  // .retort, of `retort export --to infer`
  npy,
  pickle,
  safetensors,
  picture,
  video,
  pdf,
  program
};

// By its content; `file` may be the whole of it or its beginning (1 KiB suffices).
FileKind kind_of_file(std::span<const std::byte> file);

// "a pointer of Git LFS, not the file itself: get it with `git lfs pull`": what the file is and what to do;
// empty for FileKind::unknown.
std::string described(FileKind kind, std::span<const std::byte> file);

// The same as a message: "NAME: is ...; expected WHAT"; empty where the kind cannot be told.
std::string refusal_of_kind(const std::string& name, std::span<const std::byte> file,
                            const std::string& expected);

}  // namespace retort
