#include "distill/teacher/stored_teacher.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "distill/evaluate/seen_by.h"
#include "distill/text/text_format.h"
#include "engine/base/cache_folder.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "models/weights.h"

namespace retort {

namespace {

LogitPrecision precision_of(const RunSettings& settings) {
  return settings.teacher_table.precision == "f16" ? LogitPrecision::f16 : LogitPrecision::f32;
}

std::string hash_of_floats(const float* values, int64_t count) {
  return hash_of(std::as_bytes(std::span(values, size_t(count))));
}

}  // namespace

double expected_reuse(int epochs, int views) {
  // An image meets views (1 - (1 - 1 / views)^epochs) different views. One epoch's rounding is not below 0.
  return std::max(0.0, 1 - views * (1 - std::pow(1 - 1.0 / views, epochs)) / epochs);
}

StoredTeacher::StoredTeacher(Model& teacher, Device& device, const ImageSet& images, const Normalize& numbers,
                           int64_t samples, const RunSettings& settings, Note note)
    : teacher_(teacher),
      device_(device),
      images_(images),
      numbers_(numbers),
      normalize_(numbers),
      settings_(settings),
      note_(std::move(note)),
      classes_(teacher.classes),
      largest_(std::min(settings.batch, samples)),
      last_(samples % settings.batch),
      precision_(precision_of(settings)),
      cache_(settings.teacher_table.folder.empty() ? cache_folder()
                                                   : std::filesystem::path(settings.teacher_table.folder)),
      graph_(device),
      input_(device.persistent({largest_, images.height, images.width, images.channels}, DType::f32)),
      logits_(device.persistent({largest_, classes_}, DType::f32)),
      rows_(size_t(largest_ * classes_)),
      computed_(size_t(largest_ * classes_)),
      gathered_(size_t(largest_ * images.image_bytes())) {
  probe();
  folder_ = cache_ / ("logits-" + hash_of(std::as_bytes(std::span(identity_))));
}

// Also writes down what the table is of. The logits of some images in it stand for everything that decides
// bits: backend, instruction set, versions of libraries and of this program.
void StoredTeacher::probe() {
  std::vector<float> pixels(size_t(largest_ * images_.image_bytes()));
  const int64_t image = images_.image_bytes();
  for (int64_t i = 0; i < largest_; ++i) {
    augment_image(images_.image(i % images_.size()), images_.height, images_.width, images_.channels, View{},
                  normalize_, 0, 1, pixels.data() + i * image);
  }
  run(largest_, pixels.data());
  const std::vector<float> whole = computed_;
  const auto same = [&](int64_t count) {
    return std::memcmp(whole.data(), computed_.data(), size_t(count * classes_) * sizeof(float)) == 0;
  };
  std::vector<int64_t> candidates = {largest_ / 4, largest_ / 2, largest_ * 3 / 4, last_};
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const int64_t size : candidates) {
    if (size < 1 || size >= largest_) continue;
    run(size, pixels.data());
    if (same(size)) sizes_.push_back(size);
  }
  // Nor may a sample's place in the batch matter.
  for (int64_t i = 0; i < largest_; ++i) {
    std::copy_n(pixels.begin() + (largest_ - 1 - i) * image, image, gathered_.begin() + i * image);
  }
  run(largest_, gathered_.data());
  for (int64_t i = 0; i < largest_ / 2; ++i) {
    std::swap_ranges(computed_.begin() + i * classes_, computed_.begin() + (i + 1) * classes_,
                     computed_.begin() + (largest_ - 1 - i) * classes_);
  }
  if (same(largest_)) {
    sizes_.push_back(largest_);
  } else {
    sizes_.clear();
  }

  const int64_t shown = std::min<int64_t>(largest_, 16);
  identity_ =
      text("teacher ", teacher_.name, " ", weights_hash(state_of(teacher_, device_)), "\nimages ",
           images_.size(), " ", images_.height, "x", images_.width, " ", text(std::hex, images_.hash()),
           "\nmean ", mean_text(numbers_), "\nstd ", deviation_text(numbers_), "\nclasses ", classes_,
           "\nprecision ", settings_.teacher_table.precision, "\ndevice ", device_.backend().name(),
           "\nprobe ", shown, " ", hash_of_floats(whole.data(), shown * classes_), "\n");
}

bool StoredTeacher::usable(int64_t size) const {
  return std::find(sizes_.begin(), sizes_.end(), size) != sizes_.end();
}

bool StoredTeacher::exists() const {
  return !cache_.empty() && LogitStore::holds_rows(folder_, identity_);
}

// Which pictures a run meets is a function of its settings.
std::string StoredTeacher::stock(std::span<const int32_t> samples) const {
  std::vector<bool> wanted(size_t(images_.size() * view_count));
  int64_t all = 0;
  const bool plain = augment_named(settings_.data.augment) == Augment::none;
  for (int epoch = 1; epoch <= settings_.epochs; ++epoch) {
    for (const int32_t sample : samples) {
      const View shown = plain ? View{}
                               : view_of(settings_.seed, uint32_t(epoch), uint32_t(sample), settings_.data.views);
      std::vector<bool>::reference slot = wanted[size_t(LogitStore::slot(sample, index_of(shown)))];
      all += !slot;
      slot = true;
    }
    if (plain) break;
  }
  const int64_t there = table_->count(wanted);
  // Their bits are those of their batch's size, which no other batch has.
  const std::string last =
      last_ > 0 && !usable(last_) ? text("; for an epoch's last batch, of ", last_, ", it is asked each time") : "";
  if (there == all) return text("all ", with_commas(all), " logits that this run needs are there") + last;
  return text(with_commas(there), " of the ", with_commas(all),
              " logits that this run needs are there; the teacher is asked for the others, once each") +
         last;
}

std::string StoredTeacher::open(std::span<const int32_t> samples) {
  const LogitStore::Shape shape{images_.size(), classes_, precision_};
  const auto without = [&](const std::string& why) {
    return text("teacher table: ", why, "; the teacher is asked instead, with the same results");
  };
  if (sizes_.empty()) return without("a sample's logits depend on its place in the batch on this device");
  if (cache_.empty()) return without("no cache folder (RETORT_CACHE, or teacher_table.folder)");
  try {
    // Where the limit is in the way, better the tables of old studies go than this one stays small.
    const int views = views_of(settings_.data);
    const int64_t whole = images_.size() * views;
    const auto limit = uint64_t(settings_.teacher_table.limit_gib * double(1 << 30));
    const uint64_t room = make_room(cache_, folder_, shape.bytes(whole), limit);
    table_ = std::make_unique<LogitStore>(folder_, identity_, shape);
    const auto index = uint64_t(4 * shape.slots());
    table_->set_limit(room > index ? room - index : 0);
    return text("teacher table: ", folder_.string(), ", ", settings_.teacher_table.precision, ": ", stock(samples));
  } catch (const Error& error) {
    if (error.fault() != Fault::write) throw;
    return without(error.what());
  }
}

Tensor StoredTeacher::logits(const HostBatch& batch) {
  look_up(batch);
  const Tensor to{logits_.tensor.data, {batch.size, classes_}, DType::f32};
  device_.backend().upload(to, rows_.data());
  return to;
}

bool StoredTeacher::fill(const std::vector<int32_t>& samples,
                        const std::function<bool(int64_t done, int64_t total)>& go_on) {
  const int views = views_of(settings_.data);
  if (!table_ || table_->rows() >= int64_t(samples.size()) * views) return true;
  LoaderOptions loading{.batch = settings_.batch, .seed = 0, .shuffle = false};
  loading.augment = views == 1 ? augment_named(settings_.data.augment) : Augment::each_view;
  loading.views = settings_.data.views;
  loading.workers = settings_.data.workers;
  Loader loader(images_, samples, loading);
  const int64_t total = views * loader.batches();
  for (int view = 0; view < views; ++view) {
    loader.begin_epoch(view);
    for (int64_t done = view * loader.batches(); const HostBatch* batch = loader.next(); ++done) {
      if (!go_on(done, total)) return false;
      if (usable(batch->size)) look_up(*batch);
      if (!table_->error().empty()) return true;
    }
  }
  asked_ = found_ = 0;
  return true;
}

void StoredTeacher::run(int64_t size, const float* images) {
  const Tensor input{input_.tensor.data, {size, images_.height, images_.width, images_.channels}, DType::f32};
  const Tensor output{logits_.tensor.data, {size, classes_}, DType::f32};
  device_.backend().upload(input, images);
  graph_.run(size, [&] { device_.backend().copy(teacher_(Var(input), Pass{device_}), Sink(output)); });
  device_.backend().download(computed_.data(), output);
}

void StoredTeacher::look_up(const HostBatch& batch) {
  const bool known = table_ && usable(batch.size);
  missing_.clear();
  for (int64_t i = 0; i < batch.size; ++i) {
    if (!known || !table_->find(batch.indices[i], batch.views[i], rows_.data() + i * classes_))
      missing_.push_back(i);
  }
  asked_ += batch.size;
  found_ += batch.size - int64_t(missing_.size());
  if (!missing_.empty()) compute_missing(batch);
}

// From the set's bytes: the loader's pixels may be by the student's numbers, or on the device.
void StoredTeacher::render(const HostBatch& batch, int64_t place, float* to) const {
  augment_image(images_.image(batch.indices[place]), images_.height, images_.width, images_.channels,
                view_at(batch.views[place]), normalize_, 0, 1, to);
}

void StoredTeacher::compute_missing(const HostBatch& batch) {
  const auto count = int64_t(missing_.size()), image = images_.image_bytes();
  const auto fits = std::lower_bound(sizes_.begin(), sizes_.end(), count);
  const bool gathers = usable(batch.size) && fits != sizes_.end() && *fits < batch.size;
  const int64_t size = gathers ? *fits : batch.size;
  for (int64_t i = 0; i < size; ++i) {  // gathered ones are filled up with the first
    const int64_t place = gathers ? missing_[size_t(i < count ? i : 0)] : i;
    render(batch, place, gathered_.data() + i * image);
  }
  run(size, gathered_.data());
  std::vector<int64_t> slots;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t place = missing_[size_t(i)];
    float* from = computed_.data() + (gathers ? i : place) * classes_;
    float* to = computed_.data() + i * classes_;  // at or before `from`
    for (int64_t c = 0; c < classes_; ++c) {
      const float value = stored_value(from[c], precision_);
      check(std::isfinite(value) || !std::isfinite(from[c]), Fault::input, "a logit of the teacher, ",
            from[c], ", is too large for f16; set teacher_table.precision = f32, or --teacher-source live");
      to[c] = value;
    }
    std::copy_n(to, classes_, rows_.begin() + place * classes_);
    slots.push_back(LogitStore::slot(batch.indices[place], batch.views[place]));
  }
  if (!table_ || !usable(batch.size)) return;
  if (!table_->append(slots, computed_.data()) && !told_) {
    told_ = true;
    note_(text("teacher table: ", table_->error(),
               "; from now on what it lacks is computed and not stored, with the same results"));
  }
}

}  // namespace retort
