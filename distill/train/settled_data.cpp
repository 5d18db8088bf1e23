#include "distill/train/settled_data.h"

#include <set>

#include "datasets/detection/detection_set.h"
#include "distill/evaluate/seen_by.h"
#include "distill/run/named_weights.h"
#include "engine/base/check.h"

namespace retort {

void settle_data(DataSettings& own, const ImageSet& train) {
  const bool photos = !train.in_memory();
  if (own.augment == "auto") own.augment = photos && train.height > largest_in_memory ? "resized-crop" : "crop-flip";
  check(photos || own.augment != "resized-crop", Fault::usage,
        "data.augment is resized-crop, but the images of ", own.spec,
        " are held in memory as they are; use crop-flip or none");
  if (!photos) return;
  own.size = train.photo.size;
  own.test_resize = train.photo.resize;
}

void check_photos(const RunSettings& settings, const ImageSet& train) {
  if (train.in_memory()) return;
  const DataSettings usual;
  check(settings.data.views == usual.views, Fault::usage, "data.views is ", settings.data.views, ", but ",
        settings.data.spec,
        " holds photos, which are cut out anew each time and have no fixed views; leave it at ", usual.views);
  check(settings.teacher_source != "table", Fault::usage,
        "teacher_source is table, but crops of photos never repeat; use live");
  check(views_read(settings.method) == 1, Fault::usage, "method ", settings.method.method().name,
        " reads two views of an image, and the second, strongly augmented one is made of images of at most ",
        largest_in_memory, " pixels a side, ", settings.data.spec,
        " holds photos; choose one view (method.views) or another method");
}

void settle_numbers(RunSettings& settings, const Weights& init, const ImageSet& train) {
  DataSettings& own = settings.data;
  if (!own.mean.empty() || train.numbers_from.empty()) return;
  own.numbers = train.numbers_from;
  if (init.metadata("mean")) {
    own.numbers = "of " + settings.init;
  } else if (settings.method.method().reads.teacher && !settings.teacher.empty()) {
    Weights teacher_file = read_weights(settings.teacher);
    set_channel_numbers(teacher_file, settings.teacher_mean, settings.teacher_std);
    const std::string *mean = teacher_file.metadata("mean"), *deviation = teacher_file.metadata("std");
    if (!mean || !deviation) return;
    own.mean = *mean;
    own.std = *deviation;
    own.numbers =
        settings.teacher_mean.empty() ? "of " + settings.teacher : "as given for " + settings.teacher;
  }
}

std::string limit_note(const DataSettings& data, const ImageSet& train, const std::vector<int32_t>& samples) {
  if (data.limit == 0) return "";
  std::set<int32_t> seen;
  for (const int32_t sample : samples) seen.insert(train.labels[size_t(sample)]);
  if (int64_t(seen.size()) == train.classes) return "";
  return text("data.limit leaves images of ", seen.size(), " of ", train.classes, " classes: the first ", data.limit,
              " in the data's order");
}

Metadata metadata_of(const DataSet& data, const Normalize& sees, int64_t side, int64_t pictures_size) {
  Metadata metadata = {{"mean", mean_text(sees)}, {"std", deviation_text(sees)}, {"data", data.name}};
  const int64_t resize = data.train.in_memory() ? usual_test_resize(side) : data.train.photo.resize;
  NetworkInput input{side, resize, data.train.class_names};
  if (data.boxes)
    for (const CocoCategory& category : data.boxes->categories) input.category_ids.push_back(category.id);
  put_input(input, metadata);
  if (data.boxes && pictures_size > 0) metadata["pictures_size"] = std::to_string(pictures_size);
  return metadata;
}

}  // namespace retort
