// cuBLAS, opened at run time: the one product that the backend needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace retort {

class Cublas {
 public:
  // cuBLAS works on the stream, in the workspace (device memory that must outlive this): it then allocates
  // nothing itself, and one stream with a workspace of its own gives the same bits in every run. Throws
  // Error(Fault::device) if the library is missing or of another major version than the one this program was
  // built with.
  static constexpr size_t workspace_bytes = size_t(32) << 20;  // what NVIDIA recommends for Hopper
  Cublas(CUstream_st* stream, void* workspace);
  ~Cublas();
  Cublas(Cublas&&) noexcept;
  Cublas& operator=(Cublas&&) noexcept;

  std::string description() const;  // "cuBLAS 13.1.0"

  // c (rows x columns) = op(a) op(b) + beta c in f32, row-major; a is rows x inner, or inner x rows if
  // transposed, b inner x columns, or columns x inner if transposed. Throws Error naming the sizes.
  void product(const float* a, bool transpose_a, const float* b, bool transpose_b, float* c, int64_t rows,
               int64_t columns, int64_t inner, float beta);

  // What Cublas() would throw, as text; empty if the library is there.
  static std::string missing();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort
