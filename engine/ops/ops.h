// The differentiable ops: the list a user reads. Each computes its value with the pass's backend and records
// its pullback; forward and pullback stand side by side in ops/*.cpp. Every op is defined for f32 and (on the
// portable backend) f64, and throws Error(Fault::internal) naming itself and the shapes if they do not fit.
// Where the backend computes in 16 bits (cuda), convolution, batch norm, pooling, unary ops, add, sub, mul, div and
// the ops of shape take images of f16 and bf16; parameters and statistics stay f32, which the convolution rounds, and
// global_average_pool gives f32.
#pragma once
#include "engine/autograd.h"

namespace retort {

// --- convolution and normalisation (images N,H,W,C)
// --------------------------------------------------------- w: K,R,S,C/groups. Output side: (side + 2 pad -
// kernel) / stride + 1. bias (K) and add, of the result's shape, may be empty: conv(x, w) + bias + add.
Var conv2d(const Pass& pass, const Var& x, const Var& w, const Var& bias, const Conv2dSpec& spec,
           const Var& add = {});

// The transpose of conv2d as a map of its input: what conv2d(spec) maps to x's size. w: K,R,S,C/groups of
// that convolution, so x has K channels and the result C, of side (side - 1) stride - 2 pad + kernel. bias
// (C) may be empty. PyTorch's ConvTranspose2d.
Var conv2d_transposed(const Pass& pass, const Var& x, const Var& w, const Var& bias, const Conv2dSpec& spec);

// Folded inference: relu?(conv(x, w) + bias + add); add may be empty. No gradient.
Var conv2d_fused(const Pass& pass, const Var& x, const Var& w, const Var& bias, const Var& add, bool relu,
                 const Conv2dSpec& spec);

// relu?(batch_norm(x) + add) over all but the last axis; add may be empty. Training: batch statistics, and
// running_mean and running_var (C, in place) move by spec.momentum; otherwise the running ones are used, and
// must stay as they are until the backward pass.
Var batch_norm(const Pass& pass, const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, const Var& add, const BatchNormSpec& spec);

Var pool2d(const Pass& pass, const Var& x, const Pool2dSpec& spec);
// Mean over height and width: N,H,W,C -> N,C.
Var global_average_pool(const Pass& pass, const Var& x);
// Mean over the cells [floor(i H / height), ceil((i + 1) H / height)) of each axis, which overlap where
// height does not divide H: N,H,W,C -> N,height,width,C.
Var adaptive_average_pool(const Pass& pass, const Var& x, int64_t height, int64_t width);
// Place i of height takes floor(i H / height): N,H,W,C -> N,height,width,C.
Var resize_nearest(const Pass& pass, const Var& x, int64_t height, int64_t width);
// Rows of a matrix divided by max(their Euclidean length, least).
Var normalize_rows(const Pass& pass, const Var& x, double least = 0);

// --- matrices ------------------------------------------------------------------------------------------
// x (B,I) times w (O,I) transposed, plus bias (O, may be empty).
Var linear(const Pass& pass, const Var& x, const Var& w, const Var& bias);
// op(a) op(b), op transposes if said.
Var matmul(const Pass& pass, const Var& a, const Var& b, bool transpose_a = false, bool transpose_b = false);
Var transpose(const Pass& pass, const Var& x);
// x (B,N,D) -> B,N,N: the scalar products of each block's N vectors.
Var batched_gram(const Pass& pass, const Var& x);
// x (N,D) -> N,N,D: y[i,j] = x[j] - x[i].
Var pair_differences(const Pass& pass, const Var& x);

// --- element-wise --------------------------------------------------------------------------------------
Var unary(const Pass& pass, const UnaryOp& op, const Var& x);
Var relu(const Pass& pass, const Var& x);
Var exp(const Pass& pass, const Var& x);
Var log(const Pass& pass, const Var& x);
Var sqrt(const Pass& pass, const Var& x);  // derivative 0 at 0
Var square(const Pass& pass, const Var& x);
Var abs(const Pass& pass, const Var& x);
Var sigmoid(const Pass& pass, const Var& x);
Var reciprocal(const Pass& pass, const Var& x);
// scale * x + shift
Var affine(const Pass& pass, const Var& x, double scale, double shift = 0);
// max(x, least); derivative 0 at the bound.
Var at_least(const Pass& pass, const Var& x, double least);
// x^2 / 2 where |x| < 1, else |x| - 1/2.
Var smooth_l1(const Pass& pass, const Var& x);
// The same values in another type; x itself where it has it.
Var cast(const Pass& pass, const Var& x, DType type);
// x * factor * scalar, with a value that changes between steps.
Var scale_by(const Pass& pass, const Var& x, const Scalar& scalar, double factor = 1);

// Broadcasting as in Backend::binary: one operand has the shape of the result, the other the same, one
// element, [rows, 1], [1, columns] or [columns].
Var add(const Pass& pass, const Var& a, const Var& b);
Var sub(const Pass& pass, const Var& a, const Var& b);
Var mul(const Pass& pass, const Var& a, const Var& b);
Var div(const Pass& pass, const Var& a, const Var& b);

// --- reductions: x seen as a matrix [rows, columns] ----------------------------------------------------
Var sum_all(const Pass& pass, const Var& x, double scale = 1);      // -> [1], times scale
Var mean_all(const Pass& pass, const Var& x);                       // -> [1]
Var sum_columns(const Pass& pass, const Var& x, double scale = 1);  // within each row -> [rows, 1]
Var sum_rows(const Pass& pass, const Var& x, double scale = 1);     // within each column -> [1, columns]

// --- softmax family, over the last axis ----------------------------------------------------------------
Var softmax(const Pass& pass, const Var& logits, double temperature = 1);
Var log_softmax(const Pass& pass, const Var& logits, double temperature = 1);
// Mean over rows of -log softmax(logits)[label]; labels i32 (B). -> [1]
Var cross_entropy(const Pass& pass, const Var& logits, const Tensor& labels);
// Mean over rows of KL(p || q), p = softmax(teacher/temperature), q = softmax(student/temperature), for the
// student; teacher is a constant. Times weight. -> [1]
Var kl_divergence(const Pass& pass, const Var& student, const Tensor& teacher, double temperature,
                  double weight = 1);

// --- shape ---------------------------------------------------------------------------------------------
Var reshape(const Pass& pass, const Var& x, const Shape& shape);
// Columns [first, first + count) of the last axis.
Var slice_columns(const Pass& pass, const Var& x, int64_t first, int64_t count);
// Along the last axis.
Var concat_columns(const Pass& pass, const std::vector<Var>& parts);
// Zeros around the columns of the last axis: they become columns [first, first + C) of `columns`.
Var pad_columns(const Pass& pass, const Var& x, int64_t first, int64_t columns);
// y[r, j] = x[r, index[r, j]]; index i32, a constant. Indices of one row may repeat.
Var gather_columns(const Pass& pass, const Var& x, const Var& index);
// The C columns of the last axis, seen as groups x C/groups, transposed: column g C/groups + j becomes column
// j groups + g. Zhang et al., ShuffleNet, arXiv:1707.01083, section 3.1.
Var channel_shuffle(const Pass& pass, const Var& x, int64_t groups);

}  // namespace retort
