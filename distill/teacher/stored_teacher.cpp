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
      batch_(std::min(settings.batch, samples)),
      // A part is seen as the live teacher sees it: alone.
      largest_((batch_ + std::max(settings.shards, 1) - 1) / std::max(settings.shards, 1)),
      last_(samples % settings.batch),
      own_{0, std::max(settings.shards, 1)},
      precision_(precision_of(settings)),
      cache_(settings.teacher_table.folder.empty() ? cache_folder()
                                                   : std::filesystem::path(settings.teacher_table.folder)) {
  make_batches_of(largest_);
  probe();
  folder_ = cache_ / ("logits-" + hash_of(std::as_bytes(std::span(identity_))));
}

// For batches of so many images; what was made for fewer is replaced.
void StoredTeacher::make_batches_of(int64_t size) {
  graph_ = std::make_unique<StepGraph>(device_);
  if (DeviceBatch::draws(device_, images_)) {
    DeviceBatchOptions drawing{.normalize = numbers_};
    if (trains_in_16_bits(settings_)) drawing.draw_for(device_.precision());
    drawn_.reset();
    drawn_ = std::make_unique<DeviceBatch>(device_, images_, size, drawing);
    no_labels_.resize(size_t(size));
  } else {
    input_ = device_.persistent({size, images_.height, images_.width, images_.channels}, DType::f32);
    drawing_.resize(size_t(size * images_.image_bytes()));
  }
  const int64_t most = std::max(size, batch_);  // where a part is asked for, a batch is handed out
  logits_ = device_.persistent({most, classes_}, DType::f32);
  for (std::vector<float>* rows : {&rows_, &computed_}) rows->resize(size_t(most * classes_));
  for (std::vector<int32_t>* numbers : {&gathered_indices_, &gathered_views_}) numbers->resize(size_t(size));
}

// Also writes down what the table is of. The logits of some images in it stand for everything that decides
// bits: backend, instruction set, versions of libraries and of this program.
void StoredTeacher::probe() {
  for (int64_t i = 0; i < largest_; ++i) gathered_indices_[size_t(i)] = int32_t(i % images_.size());
  std::fill(gathered_views_.begin(), gathered_views_.end(), int32_t(index_of(View{})));
  run(largest_, gathered_indices_.data(), gathered_views_.data());
  const std::vector<float> whole = computed_;
  const auto same = [&](int64_t count) {
    return std::memcmp(whole.data(), computed_.data(), size_t(count * classes_) * sizeof(float)) == 0;
  };
  std::vector<int64_t> candidates = {largest_ / 4, largest_ / 2, largest_ * 3 / 4, last_};
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const int64_t size : candidates) {
    if (size < 1 || size >= largest_) continue;
    run(size, gathered_indices_.data(), gathered_views_.data());
    if (same(size)) sizes_.push_back(size);
  }
  // Nor may a sample's place in the batch matter.
  std::reverse(gathered_indices_.begin(), gathered_indices_.end());
  run(largest_, gathered_indices_.data(), gathered_views_.data());
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
  identity_ = text("teacher ", teacher_.name, " ", weights_hash(state_of(teacher_, device_)), "\nimages ",
                   images_.size(), " ", images_.height, "x", images_.width, " ",
                   text(std::hex, images_.content_hash()), "\nmean ", mean_text(numbers_), "\nstd ",
                   deviation_text(numbers_), "\nclasses ", classes_, "\nprecision ",
                   settings_.teacher_table.precision, "\ndevice ", device_.backend().name(), "\nprobe ",
                   shown, " ", hash_of_floats(whole.data(), shown * classes_), "\n");
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
      const View shown =
          plain ? View{} : view_of(settings_.seed, uint32_t(epoch), uint32_t(sample), settings_.data.views);
      std::vector<bool>::reference slot = wanted[size_t(LogitStore::slot(sample, index_of(shown)))];
      all += !slot;
      slot = true;
    }
    if (plain) break;
  }
  const int64_t there = table_->count(wanted);
  // Their bits are those of their batch's size, which no other batch has.
  const std::string last = settings_.shards <= 1 && last_ > 0 && !usable(last_)
                               ? text("; for an epoch's last batch, of ", last_, ", it is asked each time")
                               : "";
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
    const auto index = uint64_t(shape.index_bytes());
    table_->set_limit(room > index ? room - index : 0);
    return text("teacher table: ", folder_.string(), ", ", settings_.teacher_table.precision, ": ",
                stock(samples));
  } catch (const Error& error) {
    if (error.fault() != Fault::write) throw;
    return without(error.what());
  }
}

Tensor StoredTeacher::logits(const HostBatch& batch) {
  const int parts = std::max(settings_.shards, 1);
  for (int i = own_.first; i < own_.end; ++i) {
    const Part part = part_of(batch.size, parts, i);
    HostBatch own = batch;
    own.size = part.count;
    own.labels += part.first;
    own.indices += part.first;
    own.views += part.first;
    if (part.count > 0) look_up(own, table_ && usable(own.size), rows_.data() + part.first * classes_);
  }
  const Tensor to{logits_.tensor.data, {batch.size, classes_}, DType::f32};
  device_.backend().upload(to, rows_.data());
  return to;
}

bool StoredTeacher::fill(const std::vector<int32_t>& samples,
                         const std::function<bool(int64_t done, int64_t total)>& go_on) {
  const int views = views_of(settings_.data);
  if (!table_ || table_->rows() >= int64_t(samples.size()) * views) return true;
  LoaderOptions loading{.batch = largest_, .seed = 0, .shuffle = false};
  loading.augment = views == 1 ? augment_named(settings_.data.augment) : Augment::each_view;
  loading.views = settings_.data.views;
  loading.workers = settings_.data.workers;
  loading.pixels = false;
  const bool many = fills_by_many(int64_t(samples.size()));
  if (many) loading.batch = sizes_.back();
  Loader loader(images_, samples, loading);
  const int64_t total = views * loader.batches();
  // While a batch's rows are stored, the device is at the next one.
  std::optional<Question> pending;
  const auto read_pending = [&] {
    if (pending) read(pending->size);
  };
  const auto keep_pending = [&] {
    if (pending) keep(*pending, true, rows_.data());
    pending.reset();
  };
  bool wanted = true;
  for (int view = 0; view < views && wanted && table_->error().empty(); ++view) {
    loader.begin_epoch(view);
    for (int64_t done = view * loader.batches(); const HostBatch* batch = loader.next(); ++done) {
      wanted = go_on(done, total);
      if (!wanted || !table_->error().empty()) break;
      if (!many && !usable(batch->size)) continue;
      read_pending();
      std::optional<Question> next = ask(*batch, true, rows_.data());
      keep_pending();
      pending = std::move(next);
    }
  }
  read_pending();
  keep_pending();
  if (wanted) asked_ = found_ = 0;
  return wanted;
}

// Whether batches of many images, the last of sizes_ then, give a sample the bits that it has in those of the
// run.
bool StoredTeacher::fills_by_many(int64_t samples) {
  constexpr int64_t many = 1024;
  const int64_t size = std::min(many, samples);
  if (!drawn_ || !usable(largest_) || size <= largest_) return false;
  make_batches_of(size);
  for (int64_t i = 0; i < size; ++i) gathered_indices_[size_t(i)] = int32_t(i % largest_ % images_.size());
  std::fill(gathered_views_.begin(), gathered_views_.end(), int32_t(index_of(View{})));
  run(largest_, gathered_indices_.data(), gathered_views_.data());
  const std::vector<float> whole(computed_.begin(), computed_.begin() + largest_ * classes_);
  run(size, gathered_indices_.data(), gathered_views_.data());
  for (int64_t i = 0; i < size; ++i) {
    const float *here = computed_.data() + i * classes_, *there = whole.data() + i % largest_ * classes_;
    if (std::memcmp(here, there, size_t(classes_) * sizeof(float)) == 0) continue;
    make_batches_of(largest_);
    return false;
  }
  sizes_.push_back(size);
  return true;
}

void StoredTeacher::run(int64_t size, const int32_t* indices, const int32_t* views) {
  show(size, indices, views);
  read(size);
}

void StoredTeacher::read(int64_t size) {
  device_.backend().download(computed_.data(), {logits_.tensor.data, {size, classes_}, DType::f32});
}

void StoredTeacher::show(int64_t size, const int32_t* indices, const int32_t* views) {
  const Tensor output{logits_.tensor.data, {size, classes_}, DType::f32};
  const auto answer = [&](const Tensor& images) {
    device_.backend().copy(teacher_(Var(images), Pass{device_}), Sink(output));
  };
  if (drawn_) {
    const Batch batch =
        drawn_->upload({.size = size, .labels = no_labels_.data(), .indices = indices, .views = views});
    graph_->run(size, [&] {
      drawn_->render(batch);
      answer(batch.images);
    });
  } else {
    const int64_t image = images_.image_bytes();
    for (int64_t i = 0; i < size; ++i)
      augment_image(images_.image(indices[i]), images_.height, images_.width, images_.channels,
                    view_at(views[i]), normalize_, 0, 1, drawing_.data() + i * image);
    const Tensor input{
        input_.tensor.data, {size, images_.height, images_.width, images_.channels}, DType::f32};
    device_.backend().upload(input, drawing_.data());
    graph_->run(size, [&] { answer(input); });
  }
}

void StoredTeacher::look_up(const HostBatch& batch, bool known, float* rows) {
  const std::optional<Question> question = ask(batch, known, rows);
  if (!question) return;
  read(question->size);
  keep(*question, known, rows);
}

std::optional<StoredTeacher::Question> StoredTeacher::ask(const HostBatch& batch, bool known, float* rows) {
  Question question{{}, {}, batch.size, true};
  for (int64_t i = 0; i < batch.size; ++i) {
    if (known && table_->find(batch.indices[i], batch.views[i], rows + i * classes_)) continue;
    question.places.push_back(i);
    question.slots.push_back(LogitStore::slot(batch.indices[i], batch.views[i]));
  }
  const auto count = int64_t(question.places.size());
  asked_ += batch.size;
  found_ += batch.size - count;
  if (count == 0) return std::nullopt;
  const auto fits = std::lower_bound(sizes_.begin(), sizes_.end(), count);
  if (known && fits != sizes_.end() && (*fits < batch.size || !usable(batch.size))) {
    question.size = *fits;
    question.whole = false;
    for (int64_t i = 0; i < *fits; ++i) {  // filled up with the first
      const int64_t place = question.places[size_t(i < count ? i : 0)];
      gathered_indices_[size_t(i)] = batch.indices[place];
      gathered_views_[size_t(i)] = batch.views[place];
    }
    show(*fits, gathered_indices_.data(), gathered_views_.data());
  } else {
    show(batch.size, batch.indices, batch.views);
  }
  return question;
}

void StoredTeacher::keep(const Question& question, bool known, float* rows) {
  const auto count = int64_t(question.places.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t place = question.places[size_t(i)];
    const float* from = computed_.data() + (question.whole ? place : i) * classes_;
    float* to = computed_.data() + i * classes_;  // at or before `from`
    for (int64_t c = 0; c < classes_; ++c) {
      const float value = stored_value(from[c], precision_);
      check(std::isfinite(value) || !std::isfinite(from[c]), Fault::input, "a logit of the teacher, ",
            from[c], ", is too large for f16; set teacher_table.precision = f32, or --teacher-source live");
      to[c] = value;
    }
    std::copy_n(to, classes_, rows + place * classes_);
  }
  if (!table_ || !known) return;
  if (!table_->append(question.slots, computed_.data()) && !told_) {
    told_ = true;
    note_(text("teacher table: ", table_->error(),
               "; from now on what it lacks is computed and not stored, with the same results"));
  }
}

}  // namespace retort
