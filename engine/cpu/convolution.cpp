#include <type_traits>

#include "engine/cpu/conv/forward_conv.h"
#include "engine/cpu/portable.h"
#include "engine/types.h"

namespace retort {

namespace {

ConvShape shape_of(const Shape& x, const Shape& w, const Conv2dSpec& spec) {
  return {x[0], x[1], x[2], x[3], w[0], w[1], w[2], spec.stride, spec.pad, spec.groups};
}

template <class T>
Grid<T> grid_of(const Tensor& y) {
  const Shape& s = y.shape;
  return {y.as<T>(), s[1] * s[2] * s[3], s[2] * s[3], s[3]};
}

void check_shapes(const char* op, const Shape& x, const Shape& w, const Shape& y, const Conv2dSpec& spec) {
  check(x.rank() == 4 && w.rank() == 4 && y.rank() == 4 && x[0] == y[0] && w[0] == y[3] &&
            w[3] * spec.groups == x[3] && w[0] % spec.groups == 0 &&
            (x[1] + 2 * spec.pad - w[1]) / spec.stride + 1 == y[1] &&
            (x[2] + 2 * spec.pad - w[2]) / spec.stride + 1 == y[2],
        op, ": x ", x, ", w ", w, ", y ", y, ", stride ", spec.stride, ", pad ", spec.pad, ", groups ",
        spec.groups, " do not belong together");
}

template <class T>
void forward(const Workers& workers, ConvAlgorithm algorithm, const Tensor& x, const Tensor& w,
             const Conv2dSpec& spec, const ConvEpilogue& epilogue, const Tensor& y) {
  using Sums = typename ForwardConv<T>::Sums;
  const ForwardConv<T> conv(workers, shape_of(x.shape, w.shape, spec),
                            algorithm == ConvAlgorithm::winograd ? Sums::winograd : Sums::direct);
  T* packed = workers.shared_scratch<T>(conv.packed_size());
  conv.pack(w.as<T>(), packed);
  conv.run(x.as<T>(), x.shape[0], packed, epilogue.bias ? epilogue.bias.as<T>() : nullptr,
           epilogue.add ? epilogue.add.as<T>() : nullptr, epilogue.relu, y.as<T>());
}

// Winograd::correlate in f32, if that is the algorithm; a phase of a stride decides for itself.
template <class T>
bool winograd_correlate(const Workers& workers, ConvAlgorithm algorithm, const Conv2dSpec& spec,
                        const Source<T>& x, const Target<T>& y, const WeightView<T>& w) {
  if constexpr (std::is_same_v<T, float>) {
    const Winograd winograd(workers);
    const bool wanted =
        spec.stride == 1 ? algorithm == ConvAlgorithm::winograd : winograd.suits(x, y.channels);
    if (wanted) winograd.correlate(x, y, w);
    return wanted;
  }
  return false;
}

// Row i of dx receives from row o of dy through kernel row r where i + pad = o stride + r: rows with the same
// (i + pad) mod stride use the same kernel rows. Such a class is a correlation of stride 1 with kernel rows
// phase, phase + stride, ..., last one first, over rows of dy; its results lie `stride` rows apart. The same
// holds for columns.
struct PhaseClass {
  int64_t first, count;  // the first row of dx, and how many
  int64_t taps;          // kernel rows
  int64_t top;           // the row of dy under the first tap of the first row
};

PhaseClass phase_class(int64_t phase, int64_t extent, int64_t kernel, const Conv2dSpec& spec) {
  const int64_t stride = spec.stride, pad = spec.pad;
  const int64_t taps = kernel > phase ? (kernel - phase + stride - 1) / stride : 0;
  const int64_t o = pad > phase ? (pad - phase + stride - 1) / stride : 0;  // the least with a row >= 0
  const int64_t first = o * stride + phase - pad;
  return {first, first < extent ? (extent - first + stride - 1) / stride : 0, taps, o - (taps - 1)};
}

template <class T>
void input_gradient(const Workers& workers, ConvAlgorithm algorithm, const Tensor& dy, const Tensor& w,
                    const Conv2dSpec& spec, const Sink& dx) {
  const ConvRunner<T> runner(workers);
  const int64_t kernel_rows = w.shape[1], kernel_columns = w.shape[2], channels = w.shape[3];
  const int64_t outputs = w.shape[0] / spec.groups, stride = spec.stride;
  const Shape& shape = dx.to.shape;
  const T* weights = w.as<T>();
  const Grid<T> grid = grid_of<T>(dx.to);
  for (int64_t phase = 0; phase < stride * stride; ++phase) {
    const int64_t row_phase = phase / stride, column_phase = phase % stride;
    const PhaseClass rows = phase_class(row_phase, shape[1], kernel_rows, spec);
    const PhaseClass columns = phase_class(column_phase, shape[2], kernel_columns, spec);
    const bool nothing = rows.taps == 0 || columns.taps == 0;
    if (rows.count == 0 || columns.count == 0 || (nothing && dx.accumulates())) continue;

    Source<T> source;
    source.data = dy.as<T>();
    source.images = shape[0];
    source.image_height = dy.shape[1];
    source.image_width = dy.shape[2];
    source.groups = spec.groups;
    source.channels = outputs;
    source.pixel_step = dy.shape[3];
    source.channel_step = 1;
    source.top = rows.top;
    source.left = columns.top;
    source.stride = 1;
    source.rows = nothing ? 0 : rows.taps;
    source.columns = columns.taps;
    source.height = rows.count;
    source.width = columns.count;

    Target<T> target;
    target.y = {grid.data + rows.first * grid.row + columns.first * grid.pixel, grid.image, stride * grid.row,
                stride * grid.pixel};
    target.channels = channels;
    target.bias = nullptr;
    target.add = dx.accumulates() ? target.y.data : nullptr;
    target.relu = false;

    const auto kernel_row = [&](int64_t u) { return row_phase + (source.rows - 1 - u) * stride; };
    const auto kernel_column = [&](int64_t v) { return column_phase + (source.columns - 1 - v) * stride; };
    if (make_depthwise(runner, channels, &source, &target)) {
      T* const packed = workers.shared_scratch<T>(source.length());
      T* to = packed;
      for (int64_t u = 0; u < source.rows; ++u)
        for (int64_t v = 0; v < source.columns; ++v)
          for (int64_t c = 0; c < source.channels; ++c)
            *to++ = weights[(c * kernel_rows + kernel_row(u)) * kernel_columns + kernel_column(v)];
      runner.depthwise(source, target, packed);
      continue;
    }
    const int64_t column = channels, row = kernel_columns * column, output_step = kernel_rows * row;
    // In the window the kernel lies the other way round.
    const T* last = weights + output_step - column;
    if (winograd_correlate<T>(workers, algorithm, spec, source, target,
                              {last, 1, output_step, -row, -column}))
      continue;
    const auto pack = [&](const ConvKernels<T>& kernels, int64_t group, int64_t first, int64_t count, T* to) {
      for (int64_t u = 0; u < source.rows; ++u) {
        for (int64_t v = 0; v < source.columns; ++v) {
          const T* from = weights + group * outputs * output_step +
                          (kernel_row(u) * kernel_columns + kernel_column(v)) * channels + first;
          const int64_t element = (u * source.columns + v) * outputs;
          kernels.pack({from, 1, output_step, count, source.length(), element, outputs, to});
        }
      }
    };
    runner.correlate(source, target, pack);
  }
}

}  // namespace

void Portable::conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
                      const Tensor& y) {
  check_shapes("conv2d", x.shape, w.shape, y.shape, spec);
  ConvProblem problem = problem_of(ConvPass::forward, x.shape, w.shape, y.shape, spec);
  problem.bias = bool(epilogue.bias);
  problem.add = bool(epilogue.add);
  problem.relu = epilogue.relu;
  conv2d_by(algorithm_for(problem, x.type), x, w, spec, epilogue, y);
}

void Portable::conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                                     const Sink& dx) {
  if (!dx) return;
  check_shapes("conv2d_input_gradient", dx.to.shape, w.shape, dy.shape, spec);
  ConvProblem problem = problem_of(ConvPass::input_gradient, dx.to.shape, w.shape, dy.shape, spec);
  problem.accumulate = dx.accumulates();
  conv2d_input_gradient_by(algorithm_for(problem, dy.type), dy, w, spec, dx);
}

void Portable::conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                                      const Sink& dw) {
  if (!dw) return;
  check_shapes("conv2d_weight_gradient", x.shape, dw.to.shape, dy.shape, spec);
  ConvProblem problem = problem_of(ConvPass::weight_gradient, x.shape, dw.to.shape, dy.shape, spec);
  problem.accumulate = dw.accumulates();
  conv2d_weight_gradient_by(algorithm_for(problem, x.type), x, dy, spec, dw);
}

void Portable::conv2d_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& w, const Conv2dSpec& spec,
                         const ConvEpilogue& epilogue, const Tensor& y) {
  with_real_type(x.type, "conv2d",
                 [&]<class T>() { forward<T>(workers(), algorithm, x, w, spec, epilogue, y); });
}

void Portable::conv2d_input_gradient_by(ConvAlgorithm algorithm, const Tensor& dy, const Tensor& w,
                                        const Conv2dSpec& spec, const Sink& dx) {
  with_real_type(dy.type, "conv2d_input_gradient",
                 [&]<class T>() { input_gradient<T>(workers(), algorithm, dy, w, spec, dx); });
}

void Portable::conv2d_weight_gradient_by(ConvAlgorithm algorithm, const Tensor& x, const Tensor& dy,
                                         const Conv2dSpec& spec, const Sink& dw) {
  with_real_type(x.type, "conv2d_weight_gradient", [&]<class T>() {
    const ConvRunner<T> runner(workers());
    Source<T> source = windows_of(static_cast<const T*>(x.as<T>()), shape_of(x.shape, dw.to.shape, spec));
    const int64_t outputs = dw.to.shape[0] / spec.groups;
    T* to = dw.to.as<T>();
    if (make_depthwise<T>(runner, outputs, &source, nullptr))
      return runner.depthwise_weight_gradient(source, dy.as<T>(), to, dw.accumulates());
    if constexpr (std::is_same_v<T, float>) {
      if (algorithm == ConvAlgorithm::winograd)
        return Winograd(workers()).weight_gradient(source, dy.as<T>(), outputs, to, dw.accumulates());
    }
    runner.weight_gradient(source, dy.as<T>(), outputs, to, dw.accumulates());
  });
}

}  // namespace retort
