#include "engine/cpu/conv/winograd.h"

namespace retort {

namespace {

constexpr int64_t frequencies = winograd_frequencies, tile = winograd_tile, window = winograd_window;

// What a task works on should fit the second-level cache.
constexpr int64_t task_floats = 160 * 1024;
constexpr int64_t least_tiles = 16, wanted_tasks = 16;
// In a weight gradient the sums, 36 for each pair of channels, pass through the cache once per part: more
// tiles are worth more than a cache that holds them.
constexpr int64_t least_gradient_tiles = 64;
// Outputs that a task does at a time.
constexpr int64_t output_block = 128;
// Channels of weights that a task transforms.
constexpr int64_t weight_block = 16;
// Partial sums of a weight gradient: as in conv_runner.cpp.
constexpr int64_t least_shard = 256;
constexpr int64_t most_shards = 16;
constexpr int64_t partial_floats = 8 * 1024 * 1024;

int64_t divide_up(int64_t x, int64_t y) {
  return (x + y - 1) / y;
}

}  // namespace

// The cut into parts of whole rows of tiles, and the scratch of one task. Frequencies are a cache line
// further apart than need be, so that the 36 that are written together do not meet in the same sets of the
// cache.
struct Winograd::Plan {
  Parts parts;      // rows are rows of tiles
  int64_t columns;  // tiles
  int64_t tiles() const { return parts.most_images() * parts.most_rows() * columns; }
  static int64_t step(int64_t elements) { return elements + 16; }
  int64_t images_of(int64_t part) const { return parts.end_image(part) - parts.first_image(part); }
  int64_t rows_of(int64_t part) const { return parts.end_row(part) - parts.first_row(part); }
  int64_t tiles_of(int64_t part) const { return images_of(part) * rows_of(part) * columns; }
  int64_t padded_rows(int64_t rows, int64_t border) const { return rows * tile + border; }
  int64_t padded_columns(int64_t border) const { return columns * tile + border; }
  int64_t padded(int64_t channels, int64_t border) const {
    return parts.most_images() * padded_rows(parts.most_rows(), border) * padded_columns(border) * channels;
  }
  int64_t transformed(int64_t channels) const { return frequencies * step(tiles() * channels); }
};

Winograd::Winograd(const Workers& workers)
    : workers_(workers),
      kernels_(conv_kernels<float>(workers.isa())),
      winograd_(winograd_kernels<float>(workers.isa())) {}

bool Winograd::can(const Source<float>& x, int64_t outputs) const {
  return x.rows == 3 && x.columns == 3 && x.stride == 1 && x.groups == 1 && x.channel_step == 1 &&
         x.channels % winograd_.lanes == 0 && outputs % winograd_.lanes == 0;
}

bool Winograd::suits(const Source<float>& x, int64_t outputs, bool packed_once) const {
  const int64_t tiles = divide_up(x.height, tile) * divide_up(x.width, tile);
  return can(x, outputs) && x.images * tiles >= (packed_once ? 4 : 64) &&
         x.height * x.width >= 8 * tiles;  // half of the results of all tiles exist
}

Winograd::Plan Winograd::plan(const Source<float>& x, int64_t outputs, int64_t least) const {
  const int64_t rows = divide_up(x.height, tile), columns = divide_up(x.width, tile);
  const int64_t room = task_floats / (frequencies * (x.channels + outputs));
  const int64_t wanted = std::max(std::min(room, divide_up(x.images * rows * columns, wanted_tasks)), least);
  int64_t part_images = 1, part_rows = rows;
  if (rows * columns <= wanted)
    part_images = wanted / (rows * columns);
  else
    part_rows = std::max<int64_t>(wanted / columns, 1);
  return {{x.images, rows, divide_up(x.images, part_images), divide_up(rows, part_rows)}, columns};
}

void Winograd::transform_input(const Source<float>& x, const Plan& plan, int64_t part, float* padded,
                               float* to) const {
  const int64_t images = plan.images_of(part), rows = plan.rows_of(part);
  const int64_t padded_rows = plan.padded_rows(rows, window - tile),
                padded_columns = plan.padded_columns(window - tile);
  const int64_t row = padded_columns * x.channels, image = padded_rows * row;
  for (int64_t i = 0; i < images; ++i) {
    const float* from =
        x.data + (plan.parts.first_image(part) + i) * x.image_height * x.image_width * x.pixel_step;
    kernels_.pad({from, x.image_height, x.image_width, x.pixel_step, x.channels, 1,
                  x.top + plan.parts.first_row(part) * tile, x.left, padded_rows, padded_columns,
                  padded + i * image});
  }
  winograd_.transform_input({padded, image, row, x.channels, images, rows, plan.columns, x.channels, to,
                             Plan::step(plan.tiles_of(part) * x.channels)});
}

int64_t Winograd::chunk_of(int64_t outputs) const {
  const int64_t chunks = divide_up(outputs, output_block);
  return divide_up(divide_up(outputs, chunks), winograd_.lanes) * winograd_.lanes;
}

void Winograd::pack(int64_t channels, int64_t outputs, const WeightView<float>& w, float* packed) const {
  const int64_t chunk = chunk_of(outputs), chunks = divide_up(outputs, chunk);
  const int64_t blocks = divide_up(channels, weight_block);
  workers_.run(chunks * blocks, [&](int64_t task, int) {
    const int64_t first = task / blocks * chunk, begin = task % blocks * weight_block;
    WeightView<float> view = w;
    view.from += first * w.output_step;
    const int64_t taken = std::min(chunk, outputs - first);
    winograd_.transform_weights({view, taken, channels, begin, std::min(weight_block, channels - begin),
                                 packed + frequencies * channels * first, channels * taken});
  });
}

int64_t Winograd::scratch_size(const Source<float>& x, int64_t outputs) const {
  const int64_t chunk = chunk_of(outputs);
  const Plan plan = this->plan(x, chunk, least_tiles);
  return plan.padded(x.channels, window - tile) + plan.transformed(x.channels) + plan.transformed(chunk);
}

void Winograd::correlate(const Source<float>& x, const Target<float>& y, const WeightView<float>& w) const {
  float* packed = workers_.shared_scratch<float>(packed_size(x.channels, y.channels));
  pack(x.channels, y.channels, w, packed);
  correlate(x, y, packed);
}

void Winograd::correlate(const Source<float>& x, const Target<float>& y, const float* weights) const {
  const int64_t channels = x.channels, outputs = y.channels, chunk = chunk_of(outputs);
  const Plan plan = this->plan(x, chunk, least_tiles);
  const int64_t padded_size = plan.padded(channels, window - tile), input_size = plan.transformed(channels);
  const int64_t scratch = scratch_size(x, outputs);
  workers_.run(plan.parts.count(), [&](int64_t part, int thread) {
    float* padded = workers_.thread_scratch<float>(thread, scratch);
    float *input = padded + padded_size, *sums = input + input_size;
    transform_input(x, plan, part, padded, input);
    const int64_t tiles = plan.tiles_of(part), first_row = plan.parts.first_row(part) * tile;
    for (int64_t first = 0; first < outputs; first += chunk) {
      const int64_t count = std::min(chunk, outputs - first);
      const int64_t sums_step = Plan::step(tiles * count);
      Correlation<float> problem = {};
      problem.images = problem.height = 1;
      problem.width = tiles;
      problem.outputs = count;
      for (int64_t f = 0; f < frequencies; ++f) {
        problem.x = {input + f * Plan::step(tiles * channels), 0, 0, channels, 1, 0, channels};
        problem.w = weights + frequencies * channels * first + f * channels * count;
        problem.y = {sums + f * sums_step, 0, 0, count};
        kernels_.correlate(problem);
      }
      const int64_t offset = plan.parts.first_image(part) * y.y.image + first_row * y.y.row + first;
      problem.images = plan.images_of(part);
      problem.height = std::min(plan.rows_of(part) * tile, x.height - first_row);
      problem.width = x.width;
      problem.bias = y.bias ? y.bias + first : nullptr;
      problem.add = y.add ? y.add + offset : nullptr;
      problem.relu = y.relu;
      problem.y = {y.y.data + offset, y.y.image, y.y.row, y.y.pixel};
      winograd_.finish(sums, sums_step, problem);
    }
  });
}

void Winograd::weight_gradient(const Source<float>& x, const float* dy, int64_t outputs, float* dw,
                               bool accumulate) const {
  const int64_t channels = x.channels, size = frequencies * outputs * channels;
  const Plan plan = this->plan(x, outputs, least_gradient_tiles);
  const int64_t count = plan.parts.count(), all_tiles = x.images * plan.parts.rows * plan.columns;
  const int64_t shards =
      std::max<int64_t>(std::min({count, most_shards, all_tiles / least_shard, partial_floats / size}), 1);
  // Where there are few partial sums, tasks share the outputs.
  const int64_t step = 2 * kernels_.gradient_outputs;
  const int64_t chunk = divide_up(divide_up(outputs, wanted_tasks / shards), step) * step;
  const int64_t chunks = divide_up(outputs, chunk);
  float* partial = workers_.shared_scratch<float>(shards * size);

  const int64_t padded_size = std::max(plan.padded(channels, window - tile), plan.padded(chunk, 0));
  const int64_t input_size = plan.transformed(channels);
  const int64_t scratch = padded_size + input_size + plan.transformed(chunk);
  workers_.run(shards * chunks, [&](int64_t task, int thread) {
    const int64_t shard = task % shards, first = task / shards * chunk,
                  taken = std::min(chunk, outputs - first);
    float* padded = workers_.thread_scratch<float>(thread, scratch);
    float *input = padded + padded_size, *gradient = input + input_size;
    const int64_t first_part = shard * count / shards;
    for (int64_t part = first_part; part < (shard + 1) * count / shards; ++part) {
      transform_input(x, plan, part, padded, input);
      transform_gradient(x, dy + first, outputs, taken, plan, part, padded, gradient);
      const int64_t tiles = plan.tiles_of(part);
      WeightGradient<float> problem = {};
      problem.images = problem.height = 1;
      problem.width = tiles;
      problem.outputs = taken;
      problem.accumulate = part != first_part;
      for (int64_t f = 0; f < frequencies; ++f) {
        problem.x = {input + f * Plan::step(tiles * channels), 0, 0, channels, 1, 0, channels};
        problem.dy = {gradient + f * Plan::step(tiles * taken), 0, 0, taken};
        problem.dw = partial + shard * size + (f * outputs + first) * channels;
        kernels_.weight_gradient(problem);
      }
    }
  });

  workers_.for_ranges(outputs, 8, [&](int64_t begin, int64_t end) {
    winograd_.finish_weight_gradient(
        {partial, shards, size, outputs * channels, channels, begin, end - begin, dw, accumulate});
  });
}

void Winograd::transform_gradient(const Source<float>& x, const float* dy, int64_t pixel, int64_t channels,
                                  const Plan& plan, int64_t part, float* padded, float* to) const {
  const int64_t images = plan.images_of(part), rows = plan.rows_of(part),
                first_row = plan.parts.first_row(part) * tile;
  WinogradTiles<float> tiles;
  tiles.images = images;
  tiles.rows = rows;
  tiles.columns = plan.columns;
  tiles.channels = channels;
  tiles.to = to;
  tiles.frequency = Plan::step(plan.tiles_of(part) * channels);
  tiles.image = x.height * x.width * pixel;
  tiles.row = x.width * pixel;
  tiles.pixel = pixel;
  const float* first_image = dy + plan.parts.first_image(part) * tiles.image;
  tiles.from = first_image + first_row * tiles.row;
  if (x.height % tile != 0 || x.width % tile != 0) {
    const int64_t padded_row = plan.padded_columns(0) * channels,
                  padded_image = plan.padded_rows(rows, 0) * padded_row;
    for (int64_t i = 0; i < images; ++i) {
      kernels_.pad({first_image + i * tiles.image, x.height, x.width, pixel, channels, 1, first_row, 0,
                    plan.padded_rows(rows, 0), plan.padded_columns(0), padded + i * padded_image});
    }
    tiles.from = padded;
    tiles.image = padded_image;
    tiles.row = padded_row;
    tiles.pixel = channels;
  }
  winograd_.transform_gradient(tiles);
}

}  // namespace retort
