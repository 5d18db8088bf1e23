#include "datasets/readers/picture_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "datasets/permute.h"
#include "engine/base/check.h"
#include "engine/cpu/thread_pool.h"

namespace retort {
namespace {

constexpr int default_size = 224, default_resize = 256;  // ImageNet's
constexpr int64_t measured_pictures = 10'000;

Box whole(const PictureSize& size) {
  return {0, 0, size.height, size.width};
}

// The first `count` of a random order of n places, ascending.
std::vector<int32_t> drawn_places(int64_t n, int64_t count) {
  std::vector<int32_t> places = first_numbers(n);
  if (count >= n) return places;
  permute(places, count, 0, Purpose::measured_pictures, 0);
  places.resize(size_t(count));
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

std::atomic<int64_t> PictureRoom::taken_{0};

bool PictureRoom::take(int64_t bytes) {
  if (taken_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= most_) return true;
  give_back(bytes);
  return false;
}

PictureFiles::PictureFiles(FileNames files, Bytes bytes, std::shared_ptr<PictureRoom> room)
    : files_(std::move(files)),
      bytes_(std::move(bytes)),
      room_(std::move(room)),
      kept_(room_ ? files_.names.size() : 0) {}

PictureFiles::~PictureFiles() {
  for (const auto& place : kept_) {
    const Kept* const kept = place.load();
    if (kept) room_->give_back(kept->bytes());
    delete kept;
  }
}

PictureSize PictureFiles::measure(int64_t i, PictureReader& reader) const {
  return reader.decoder.measure(bytes_(i, reader.file), files_.prefix + files_.names[size_t(i)]);
}

PixelView PictureFiles::read(int64_t i, const PictureDecoder::Choose& window, PictureReader& reader) const {
  const std::atomic<const Kept*>* const place = kept_.empty() ? nullptr : &kept_[size_t(i)];
  const Kept* kept = place ? place->load(std::memory_order_acquire) : nullptr;
  if (kept) return kept->view().part(window({kept->height, kept->width}));

  const std::span<const uint8_t> file = bytes_(i, reader.file);
  int64_t taken = 0;  // of the room, until the picture is kept
  const auto give_back = [&] {
    if (taken > 0) room_->give_back(std::exchange(taken, 0));
  };
  const auto decoded = [&] {
    return reader.decoder.decode(file, files_.prefix + files_.names[size_t(i)], [&](const PictureSize& size) {
      const int64_t bytes = 3 * int64_t(size.height) * size.width;
      if (place && room_->take(bytes)) taken = bytes;
      return taken > 0 ? whole(size) : window(size);
    });
  };
  try {
    const PixelView view = decoded();
    if (taken == 0) return view;
    auto own = std::make_unique<Kept>(Kept{view.height, view.width, nullptr});
    own->pixels = std::make_unique_for_overwrite<uint8_t[]>(size_t(taken));
    view.copy_to(own->pixels.get());
    const Kept* there = nullptr;
    // Another thread may have kept it meanwhile.
    if (kept_[size_t(i)].compare_exchange_strong(there, own.get(), std::memory_order_acq_rel)) {
      taken = 0;
      there = own.release();
    }
    give_back();
    return there->view().part(window({there->height, there->width}));
  } catch (...) {
    give_back();
    throw;
  }
}

int photo_size(const DataOptions& options) {
  return options.size > 0 ? options.size : options.network_size > 0 ? options.network_size : default_size;
}

PhotoOptions photo_options(const DataOptions& options) {
  PhotoOptions photo = options.photo;
  photo.size = photo_size(options);
  photo.resize = options.resize > 0           ? options.resize
                 : photo.size == default_size ? default_resize
                                              : photo.size;
  check(photo.resize >= photo.size, Fault::usage, "data.test_resize is ", photo.resize,
        ", expected at least the size ", photo.size, " of the images that are cut out");
  return photo;
}

void for_each_picture(int64_t n, int threads, Decoder decoder,
                      const std::function<bool(int64_t i, PictureReader& reader)>& f) {
  std::atomic<int64_t> next{0};
  std::atomic<bool> ends{false};
  std::mutex mutex;
  std::exception_ptr error;
  int64_t error_at = n;
  const auto work = [&] {
    PictureReader reader(decoder);
    while (!ends) {
      const int64_t i = next++;  // before the end is seen: then all lower ones have been begun
      if (i >= n) return;
      try {
        if (!f(i, reader)) ends = true;
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < error_at) {
          error = std::current_exception();
          error_at = i;
        }
        ends = true;
      }
    }
  };
  {
    const int64_t helpers = std::min<int64_t>(threads > 0 ? threads : cpu_quota(), n) - 1;
    std::vector<std::jthread> others;
    for (int64_t t = 0; t < helpers; ++t) others.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

ChannelStatistics measure_channels(const ImageSource& pictures, int threads, Decoder decoder) {
  const std::vector<int32_t> places = drawn_places(pictures.size(), measured_pictures);
  // Whole numbers: the order of threads cannot matter.
  std::mutex mutex;
  uint64_t pixels = 0, read = 0;
  std::array<uint64_t, 3> sums{}, squares{};
  for_each_picture(int64_t(places.size()), threads, decoder, [&](int64_t i, PictureReader& reader) {
    std::array<uint64_t, 3> own{}, own_squares{};
    PixelView view;
    try {
      view = pictures.read(places[size_t(i)], whole, reader);
    } catch (const Error& error) {
      if (error.fault() != Fault::input) throw;
      return true;
    }
    for (int y = 0; y < view.height; ++y) {
      const uint8_t* row = view.data + y * view.stride;
      std::array<uint32_t, 3> of_row{}, squares_of_row{};  // 16,384 pixels of 255 squared fit
      for (int x = 0; x < view.width; ++x)
        for (size_t c = 0; c < 3; ++c) {
          const uint32_t value = row[3 * x + int(c)];
          of_row[c] += value;
          squares_of_row[c] += value * value;
        }
      for (size_t c = 0; c < 3; ++c) {
        own[c] += of_row[c];
        own_squares[c] += squares_of_row[c];
      }
    }
    const std::lock_guard lock(mutex);
    ++read;
    pixels += uint64_t(view.height) * uint64_t(view.width);
    for (size_t c = 0; c < 3; ++c) {
      sums[c] += own[c];
      squares[c] += own_squares[c];
    }
    return true;
  });
  ChannelStatistics found;
  found.pictures = int64_t(read);
  for (size_t c = 0; c < 3; ++c) {
    const double n = double(std::max<uint64_t>(pixels, 1)), mean = double(sums[c]) / n;
    const double variance = std::max(0.0, double(squares[c]) / n - mean * mean);
    found.mean[c] = float(mean / 255);
    // Of one colour everywhere: nothing to divide by.
    found.deviation[c] = variance > 0 ? float(std::sqrt(variance) / 255) : 1.0f;
  }
  return found;
}

}  // namespace retort
