// The device code of the backend as plain functions over pointers: each enqueues its kernels on the stream
// and returns the status of the launch. `type` is the type of the elements that are void pointers here (f32,
// f16 or bf16; another gives cudaErrorInvalidValue); sums and everything said to be float are f32. Shapes
// were checked by the caller.
//
// Sums are taken in an order that depends on the shape only, so that they repeat bit by bit: none by atomics.
// Their partial results go into `scratch`, whose size *_scratch says.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "engine/backend.h"
#include "engine/kernels/elementwise.h"
#include "engine/shape.h"

namespace retort {

// --- elementwise.cu ---------------------------------------------------------------------------------------
cudaError_t fill_kernel(cudaStream_t stream, DType type, void* to, double value,
                        int64_t n);  // f64 and i32 too
cudaError_t set_scalar_kernel(cudaStream_t stream, double* to, double value);
// to = from, or to += from; between any two of f32, f16 and bf16.
cudaError_t cast_kernel(cudaStream_t stream, DType from_type, const void* from, DType to_type, void* to,
                        int64_t n, bool accumulate);
cudaError_t unary_kernel(cudaStream_t stream, DType type, const UnaryOp& op, const void* x, void* y,
                         int64_t n, bool accumulate);
cudaError_t unary_gradient_kernel(cudaStream_t stream, DType type, const UnaryOp& op, const void* x,
                                  const void* y, const void* dy, void* dx, int64_t n, bool accumulate);
// Operand element (row, column) is data[row * row_step + column * column_step].
struct BroadcastOperand {
  const void* data;
  int64_t row_step, column_step;
};
cudaError_t binary_kernel(cudaStream_t stream, DType type, Binary op, const BroadcastOperand& a,
                          const BroadcastOperand& b, void* y, int64_t rows, int64_t columns, bool accumulate);
// y = x * *scalar * factor
cudaError_t scale_kernel(cudaStream_t stream, DType type, const void* x, const double* scalar, double factor,
                         void* y, int64_t n, bool accumulate);
cudaError_t copy_columns_kernel(cudaStream_t stream, DType type, const void* from, int64_t from_columns,
                                void* to, int64_t to_columns, int64_t rows, int64_t count, bool accumulate);
cudaError_t transpose_kernel(cudaStream_t stream, DType type, const void* x, int64_t rows, int64_t columns,
                             void* y, bool accumulate);
// c[r, k] = bias[k]
cudaError_t spread_bias_kernel(cudaStream_t stream, const float* bias, float* c, int64_t rows,
                               int64_t columns, bool accumulate);
// g times the factor of the loss scale's state, and nothing where that is 0; loss_scale may be null.
cudaError_t sgd_kernel(cudaStream_t stream, float* w, const float* g, float* v, const double* lr,
                       float momentum, float weight_decay, const double* loss_scale, int64_t n);
// rounded may be null.
cudaError_t update_loss_scale_kernel(cudaStream_t stream, const float* g, int64_t n, DType rounded_type,
                                     const void* rounded, int64_t rounded_n, double* state);
// As sgd_kernel.
cudaError_t mixed_sgd_kernel(cudaStream_t stream, const MixedWeights& weights, const double* lr,
                             float momentum, float weight_decay, const double* loss_scale);

// --- reduce.cu --------------------------------------------------------------------------------------------
size_t sum_all_scratch(int64_t n);
// to = scale * sum of x (or +=); x may be f64, then to is too. Sums in f64.
cudaError_t sum_all_kernel(cudaStream_t stream, DType type, const void* x, double scale, void* to,
                           DType to_type, int64_t n, bool accumulate, void* scratch);
cudaError_t sum_columns_kernel(cudaStream_t stream, DType type, const void* x, double scale, void* to,
                               int64_t rows, int64_t columns, bool accumulate);  // -> one per row
size_t sum_rows_scratch(int64_t rows, int64_t columns);
cudaError_t sum_rows_kernel(cudaStream_t stream, DType type, const void* x, double scale, void* to,
                            DType to_type, int64_t rows, int64_t columns, bool accumulate,
                            void* scratch);  // -> one per column

// totals[k] += factors[k] * sum of row k of x; at most Backend::most_totals rows.
cudaError_t rows_to_totals_kernel(cudaStream_t stream, const float* x, int64_t rows, int64_t columns,
                                  const double* factors, double* totals);

// --- small_product.cu: matrices that are too small for cuBLAS to be worth several launches
// ------------------
bool is_small_product(int64_t rows, int64_t columns, int64_t inner);
// c (=|+=) op(a) op(b) + bias, row-major f32, as Cublas::product; bias (columns) may be null. sums, if not
// null, (=|+=) the sums of op(a)'s rows, `rows` numbers.
struct SmallProduct {
  const float *a, *b, *bias;
  float *c, *sums;
  int64_t rows, columns, inner;
  bool transpose_a, transpose_b, accumulate, sums_accumulate;
};
cudaError_t small_product_kernel(cudaStream_t stream, const SmallProduct& product);

// --- batch_norm.cu: x is rows x channels -------------------------------------------------------------------
struct BatchNormShape {
  DType type;  // of x, add, y, dy, dx, dadd
  int64_t rows, channels;
};
size_t batch_norm_scratch(const BatchNormShape& shape);
// Whether the kernels that may begin early were compiled to wait for what is ahead of them: code for an older
// device, compiled again by the driver, does not.
bool batch_norm_waits();
// Counters of the blocks that have ended, one for each 32 channels or more: 0 before and after every kernel.
constexpr size_t ticket_bytes = 64 << 10;
struct BatchNormForward {
  const void* x;
  const float *gamma, *beta;
  const void* add;  // may be null
  bool relu;
  double eps, momentum;
  float *running_mean, *running_var;  // moved towards the batch's
  float *mean, *inverse_std;          // of the batch
  void* y;
};
// cooperative: in one kernel whose blocks wait for each other, where they can all be resident together; the
// same bits come from two. Two such kernels on a device at once might each wait for room that the other has:
// the caller sees to it that there are none. programmatic: the second of two kernels begins while the first
// is ending, where the device can (compute capability 9.0).
cudaError_t batch_norm_train_kernel(cudaStream_t stream, const BatchNormShape& shape,
                                    const BatchNormForward& f, bool cooperative, bool programmatic,
                                    void* scratch, unsigned* tickets);
cudaError_t batch_norm_apply_kernel(cudaStream_t stream, const BatchNormShape& shape, const void* x,
                                    const float* gamma, const float* beta, const void* add, bool relu,
                                    const float* mean, const float* inverse_std, void* y);
struct BatchNormGradient {
  const void *x, *y, *dy;  // y: null without ReLU
  const float *gamma, *mean, *inverse_std;
  bool batch_statistics;
  void *dx, *dadd;  // may be null
  float *dgamma, *dbeta;
  bool dx_accumulates, dadd_accumulates, dgamma_accumulates, dbeta_accumulates;
};
cudaError_t batch_norm_gradient_kernel(cudaStream_t stream, const BatchNormShape& shape,
                                       const BatchNormGradient& g, bool programmatic, void* scratch,
                                       unsigned* tickets);
cudaError_t inverse_std_kernel(cudaStream_t stream, const float* var, double eps, float* to, int64_t n);

// --- direct_convolution.cu: any shape, any number of groups; simple, not fast ------------------------------
struct ConvShape {
  int64_t images, height, width, channels;  // of x
  int64_t filters, kernel_height,
      kernel_width;  // w is filters x kernel_height x kernel_width x channels / groups
  int64_t out_height, out_width;
  int stride, pad, groups;
};
// bias and add may be null; add may be y.
cudaError_t direct_convolution_kernel(cudaStream_t stream, DType type, const ConvShape& shape, const void* x,
                                      const void* w, const float* bias, const void* add, bool relu, void* y);
cudaError_t direct_input_gradient_kernel(cudaStream_t stream, DType type, const ConvShape& shape,
                                         const void* dy, const void* w, void* dx, bool accumulate);
size_t direct_weight_gradient_scratch(const ConvShape& shape);
// dw may be f32 where x and dy have 16 bits.
cudaError_t direct_weight_gradient_kernel(cudaStream_t stream, DType type, const ConvShape& shape,
                                          const void* x, const void* dy, DType dw_type, void* dw,
                                          bool accumulate, void* scratch);

}  // namespace retort
