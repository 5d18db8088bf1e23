#include "engine/cpu/conv/conv_runner.h"

namespace retort {

namespace {

// A padded copy should stay in the second-level cache, beside the weights.
constexpr int64_t padded_bytes = 256 * 1024;
// A task below this many multiplications costs more to hand out than it gains.
constexpr int64_t least_work = 200'000;
// Partial sums of a weight gradient: each over at least so many positions, at most so many, so much memory in
// all.
constexpr int64_t least_shard = 1024;
constexpr int64_t most_shards = 16;
constexpr int64_t partial_bytes = 16 * 1024 * 1024;

// Elements that one task sums.
constexpr int64_t range = 4096;

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

template <class T>
ConvRunner<T>::ConvRunner(const Workers& workers)
    : workers_(workers),
      kernels_(conv_kernels<T>(workers.isa())),
      depthwise_(depthwise_kernels<T>(workers.isa())) {}

template <class T>
void ConvRunner<T>::correlate(const Source<T>& x, const Target<T>& y, int64_t chunk, const T* w) const {
  const Parts parts = parts_of(x, y);
  const int64_t chunks = divide_up(y.channels, chunk), packed = kernels_.packed_size(y.channels, x.length());
  workers_.run(x.groups * chunks * parts.count(), [&](int64_t task, int thread) {
    const int64_t part = task % parts.count(), group = task / parts.count() / chunks;
    const int64_t first = task / parts.count() % chunks * chunk;
    kernels_.correlate(part_of(x, y, parts, part, group, first, std::min(chunk, y.channels - first),
                               w + group * packed + first * x.length(), thread));
  });
}

template <class T>
void ConvRunner<T>::depthwise(const Source<T>& x, const Target<T>& y, const T* w) const {
  const Parts parts = cut(x, x.direct(), x.length(), most_positions);
  workers_.run(parts.count(), [&](int64_t part, int thread) {
    depthwise_.correlate(part_of(x, y, parts, part, 0, 0, x.channels, w, thread));
  });
}

template <class T>
int64_t ConvRunner<T>::scratch_size(const Source<T>& x, const Target<T>& y) const {
  if (x.direct()) return 0;
  int64_t most = 0;
  for (const int64_t work : {x.length() * y.channels, x.length()}) {
    const Parts parts = cut(x, false, work, most_positions);
    most = std::max(most, padded_size(x, parts.most_images(), parts.most_rows()) + kernels_.overread);
  }
  return most;
}

template <class T>
int64_t ConvRunner<T>::padded_size(const Source<T>& x, int64_t images, int64_t rows) const {
  return images * ((rows - 1) * x.stride + x.rows) * ((x.width - 1) * x.stride + x.columns) * x.channels;
}

template <class T>
Parts ConvRunner<T>::cut(const Source<T>& x, bool direct, int64_t work, int64_t positions) const {
  const int64_t image = std::max<int64_t>(x.height * x.width, 1), all = x.images * image;
  int64_t wanted = std::min(positions, divide_up(all, wanted_tasks));
  wanted = std::max(wanted, divide_up(least_work, std::max<int64_t>(work, 1)));
  int64_t images = 1, rows = x.height;
  if (image <= wanted) {
    images = std::min(x.images, wanted / image);
    if (!direct) images = std::min(images, padded_bytes / int64_t(sizeof(T)) / padded_size(x, 1, rows));
    images = std::max<int64_t>(images, 1);
  } else {
    rows = std::max<int64_t>(wanted / x.width, 1);
  }
  while (!direct && rows > 1 && padded_size(x, images, rows) * int64_t(sizeof(T)) > padded_bytes)
    rows = divide_up(rows, 2);
  return {x.images, x.height, divide_up(x.images, images), divide_up(x.height, rows)};
}

template <class T>
int64_t ConvRunner<T>::output_chunk(int64_t tasks, int64_t work, int64_t outputs, int64_t multiple) const {
  const int64_t wanted = std::min(wanted_tasks, work / least_work);
  const int64_t chunks = std::max<int64_t>(wanted / std::max<int64_t>(tasks, 1), 1);
  return divide_up(divide_up(outputs, chunks), multiple) * multiple;
}

template <class T>
Windows<T> ConvRunner<T>::windows(const Source<T>& x, bool direct, const Parts& parts, int64_t part,
                                  int64_t group, int thread) const {
  const int64_t first_image = parts.first_image(part), first_row = x.top + parts.first_row(part) * x.stride;
  if (x.length() == 0) return {nullptr, 0, 0, 0, 0, 0, 0};
  const T* data = x.data + group * x.channels * x.channel_step;
  const int64_t image = x.image_height * x.image_width * x.pixel_step, row = x.image_width * x.pixel_step;
  if (direct) {
    return {data + first_image * image + first_row * row + x.left * x.pixel_step,
            image,
            x.stride * row,
            x.stride * x.pixel_step,
            x.rows,
            row,
            x.run()};
  }
  const int64_t rows = (parts.end_row(part) - parts.first_row(part) - 1) * x.stride + x.rows;
  const int64_t columns = (x.width - 1) * x.stride + x.columns;
  const int64_t padded_row = columns * x.channels, padded_image = rows * padded_row;
  const int64_t most = padded_size(x, parts.most_images(), parts.most_rows());
  T* padded = workers_.template thread_scratch<T>(thread, most + kernels_.overread);
  for (int64_t n = first_image; n < parts.end_image(part); ++n) {
    kernels_.pad({data + n * image, x.image_height, x.image_width, x.pixel_step, x.channels, x.channel_step,
                  first_row, x.left, rows, columns, padded + (n - first_image) * padded_image});
  }
  return {padded, padded_image, x.stride * padded_row, x.stride * x.channels, x.rows, padded_row, x.run()};
}

template <class T>
Correlation<T> ConvRunner<T>::part_of(const Source<T>& x, const Target<T>& y, const Parts& parts,
                                      int64_t part, int64_t group, int64_t first, int64_t outputs, const T* w,
                                      int thread) const {
  const int64_t channel = group * y.channels + first;
  const int64_t offset = parts.first_image(part) * y.y.image + parts.first_row(part) * y.y.row + channel;
  Correlation<T> problem;
  problem.images = parts.end_image(part) - parts.first_image(part);
  problem.height = parts.end_row(part) - parts.first_row(part);
  problem.width = x.width;
  problem.outputs = outputs;
  problem.x = windows(x, x.direct(), parts, part, group, thread);
  problem.w = w;
  problem.bias = y.bias ? y.bias + channel : nullptr;
  problem.add = y.add ? y.add + offset : nullptr;
  problem.relu = y.relu;
  problem.y = {y.y.data + offset, y.y.image, y.y.row, y.y.pixel};
  return problem;
}

template <class T>
WeightGradient<T> ConvRunner<T>::part_of(const Source<T>& x, bool direct, const Grid<const T>& dy,
                                         const Parts& parts, int64_t part, int64_t group, int64_t channel,
                                         int64_t outputs, int thread) const {
  const T* data = dy.data + parts.first_image(part) * dy.image + parts.first_row(part) * dy.row + channel;
  WeightGradient<T> problem;
  problem.images = parts.end_image(part) - parts.first_image(part);
  problem.height = parts.end_row(part) - parts.first_row(part);
  problem.width = x.width;
  problem.outputs = outputs;
  problem.x = windows(x, direct, parts, part, group, thread);
  problem.dy = {data, dy.image, dy.row, dy.pixel};
  return problem;
}

template <class T>
int64_t ConvRunner<T>::shard_count(const Source<T>& x, const Parts& parts, int64_t size) const {
  const int64_t positions = x.images * x.height * x.width;
  const int64_t room = partial_bytes / int64_t(sizeof(T)) / std::max<int64_t>(size, 1);
  return std::max<int64_t>(std::min({parts.count(), most_shards, positions / least_shard, room}), 1);
}

template <class T>
bool ConvRunner<T>::outputs_in_lanes(const Source<T>& x, int64_t outputs) const {
  const int64_t run = x.run(), filled = divide_up(run, kernels_.lanes) * kernels_.lanes;
  return x.groups == 1 && outputs % kernels_.lanes == 0 && run >= kernels_.gradient_outputs &&
         2 * filled >= 3 * run;
}

// The same kernel with the operands exchanged: row r of the windows stands for dy, dy for the windows, and
// the sums are those of rows x outputs.
template <class T>
void turned_weight_gradient(const ConvKernels<T>& kernels, const WeightGradient<T>& p) {
  for (int64_t r = 0; r < p.x.taps; ++r) {
    WeightGradient<T> row = p;
    row.outputs = p.x.run;
    row.x = {p.dy.data, p.dy.image, p.dy.row, p.dy.pixel, 1, 0, p.outputs};
    row.dy = {p.x.x + r * p.x.tap_step, p.x.image, p.x.row, p.x.pixel};
    row.dw = p.dw + r * p.x.run * p.outputs;
    kernels.weight_gradient(row);
  }
}

template <class T>
void ConvRunner<T>::weight_gradient(const Source<T>& x, const T* dy, int64_t outputs, T* dw,
                                    bool accumulate) const {
  const int64_t length = x.length(), channels = x.groups * outputs, size = channels * length;
  const int64_t positions = x.images * x.height * x.width;
  const bool direct = x.direct() && x.run() % kernels_.lanes == 0;
  const Parts parts = cut(x, direct, length * outputs, kernels_.gradient_positions);
  const int64_t count = parts.count(), shards = shard_count(x, parts, size);
  const int64_t chunk =
      output_chunk(x.groups * shards, positions * length * channels, outputs, 2 * kernels_.gradient_outputs);
  const int64_t chunks = divide_up(outputs, chunk);
  const Grid<const T> dy_grid = {dy, x.height * x.width * channels, x.width * channels, channels};
  if (count == 0 && !accumulate) std::fill(dw, dw + size, T(0));
  if (count == 0) return;
  const bool turned = chunks == 1 && outputs_in_lanes(x, outputs), in_place = shards == 1 && !turned;
  T* partial = in_place ? dw : workers_.template shared_scratch<T>(shards * size);

  workers_.run(shards * x.groups * chunks, [&](int64_t task, int thread) {
    const int64_t shard = task % shards, group = task / shards / chunks,
                  first = task / shards % chunks * chunk;
    const int64_t channel = group * outputs + first;
    bool more = in_place && accumulate;
    for (int64_t part = shard * count / shards; part < (shard + 1) * count / shards; ++part, more = true) {
      WeightGradient<T> problem =
          part_of(x, direct, dy_grid, parts, part, group, channel, std::min(chunk, outputs - first), thread);
      problem.dw = partial + shard * size + channel * length;
      problem.accumulate = more;
      turned ? turned_weight_gradient(kernels_, problem) : kernels_.weight_gradient(problem);
    }
  });

  if (in_place) return;
  workers_.for_ranges(size, range, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = turned ? i % length * outputs + i / length : i;
      T sum = accumulate ? dw[i] : T(0);
      for (int64_t shard = 0; shard < shards; ++shard) sum += partial[shard * size + at];
      dw[i] = sum;
    }
  });
}

template <class T>
void ConvRunner<T>::depthwise_weight_gradient(const Source<T>& x, const T* dy, T* dw, bool accumulate) const {
  const int64_t channels = x.channels, taps = x.rows * x.columns, size = x.length();
  const bool direct = x.direct();
  const Parts parts = cut(x, direct, size, kernels_.gradient_positions);
  const int64_t count = parts.count(), shards = shard_count(x, parts, size);
  const Grid<const T> dy_grid = {dy, x.height * x.width * channels, x.width * channels, channels};
  T* partial = workers_.template shared_scratch<T>(shards * size);
  if (count == 0) std::fill(partial, partial + size, T(0));

  workers_.run(shards, [&](int64_t shard, int thread) {
    bool more = false;
    for (int64_t part = shard * count / shards; part < (shard + 1) * count / shards; ++part, more = true) {
      WeightGradient<T> problem = part_of(x, direct, dy_grid, parts, part, 0, 0, channels, thread);
      problem.dw = partial + shard * size;
      problem.accumulate = more;
      depthwise_.weight_gradient(problem);
    }
  });

  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < taps; ++t) {
      T sum = accumulate ? dw[c * taps + t] : T(0);
      for (int64_t shard = 0; shard < shards; ++shard) sum += partial[shard * size + t * channels + c];
      dw[c * taps + t] = sum;
    }
  }
}

template class ConvRunner<float>;
template class ConvRunner<double>;

}  // namespace retort
