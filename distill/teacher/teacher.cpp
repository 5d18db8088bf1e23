#include "distill/teacher/teacher.h"

#include "distill/detection/detection_evaluator.h"
#include "distill/evaluate/evaluate.h"
#include "distill/evaluate/seen_by.h"
#include "distill/run/named_weights.h"
#include "distill/settings/data_options.h"
#include "distill/text/text_format.h"
#include "models/network_input.h"

namespace retort {

Normalize settled_numbers(Weights& weights, std::string& mean, std::string& deviation, const ImageSet& images,
                          const Teacher::Tell& tell) {
  set_channel_numbers(weights, mean, deviation);
  for (const std::string& note : weights.notes) tell(note);
  const Normalize numbers = seen_by(weights, images);
  mean = mean_text(numbers);
  deviation = deviation_text(numbers);
  return numbers;
}

Teacher::Teacher(RunSettings& settings, const DataSet& data, Device& device, Progress& progress, Tell tell,
                 bool untrained)
    : settings_(settings), data_(data), device_(device), progress_(progress), tell_(std::move(tell)) {
  if (untrained) {
    make_untrained();
    return;
  }
  check(!settings.teacher.empty(), Fault::usage, "method ", settings.method.method().name,
        " needs a teacher: --teacher RUN or FILE");
  Weights weights = read_weights(settings.teacher);
  model_ = load_model(weights, settings.teacher_model, device, data.train.height);
  hash_ = weights_hash(weights.file);
  check(model_->classes == data.train.classes, Fault::input, settings.teacher, ": the teacher tells ",
        model_->classes, " classes apart, the data has ", data.train.classes);
  if (!data.boxes) check_side();
  freeze(*model_);
  const bool says = weights.metadata("mean") || !settings.teacher_mean.empty();
  sees_ = settled_numbers(weights, settings.teacher_mean, settings.teacher_std, data.train, tell_);
  if (!says)
    tell_(text(settings.teacher,
               ": the file does not say how its images were normalised; it is shown them by the ",
               "data's own numbers, ", text_of(sees_), " (--mean, --std)"));
  const std::string other =
      other_classes_note(model_->name, input_of(weights, model_->name).class_names, data.train.class_names);
  if (!other.empty()) tell_(other);
  if (const std::string* trained_on = weights.metadata("data"); trained_on && *trained_on != data.name)
    tell_(text("the teacher was trained on ", *trained_on, ", this is ", data.name));
}

void Teacher::check_side() const {
  const int64_t own = model_->side, found = data_.train.height;
  const bool fixed_size = data_.train.in_memory();
  check(own == found, fixed_size ? Fault::input : Fault::usage, settings_.teacher,
        ": the teacher sees images of ", own, "x", own, ", the data's are ", found, "x", found,
        fixed_size ? std::string("; choose another teacher, or other data")
                   : text("; --set data.size=", own, " makes them of its size"));
}

void Teacher::make_untrained() {
  model_ = make_model(settings_.teacher_model, device_,
                      {.classes = data_.train.classes, .side = data_.train.height});
  initialize(*model_, device_, settings_.seed);
  freeze(*model_);
  fold_batch_norms(*model_, device_);
  Weights none;
  sees_ = settled_numbers(none, settings_.teacher_mean, settings_.teacher_std, data_.train, tell_);
}

void Teacher::test() {
  if (hash_.empty()) return;
  // torchvision names files by their hash.
  if (std::filesystem::path(settings_.teacher).filename().string().find("11ad3fa6") != std::string::npos)
    tell_(text("note: ", settings_.teacher,
               ": of this name are torchvision's newer weights of resnet50 (top-1 80.86 %); the teacher of "
               "published runs is resnet50-0676ba61 (76.13 %)"));
  if (data_.boxes) return test_on_boxes();
  Evaluator evaluator(*model_, device_, data_.test,
                      {.workers = test_workers(settings_.data, data_.test),
                       .threads = settings_.threads,
                       .normalize = sees_});
  const Evaluation e = evaluator.run(
      [&](int64_t done, int64_t total) { progress_.activity("testing the teacher", done, total); });
  tell_(text("teacher ", model_->name, " (", settings_.teacher, "): top-1 ", fixed(e.top1, 2), " %, top-5 ",
             fixed(e.top5, 2), " % on ", e.n, " test images"));
}

// On at most 500 pictures: COCO's 5,000 take a while.
void Teacher::test_on_boxes() {
  constexpr int64_t most = 500;
  auto* const detector = dynamic_cast<Detector*>(model_.get());
  check(detector, Fault::input, settings_.teacher, ": ", model_->name,
        " is no detector, and the data has boxes");
  DetectionPart part = data_.boxes->test;
  if (part.size() > most) {
    part.annotations.images.resize(size_t(most));
    const int64_t last = part.annotations.images.back().id;  // ids ascend
    std::erase_if(part.annotations.annotations, [&](const CocoAnnotation& a) { return a.image > last; });
  }
  DetectionLoaderOptions options = pictures_for(detector->spec(), settings_.data.size, sees_, false);
  options.workers = settings_.data.workers;
  DetectionEvaluator evaluator(*detector, device_, part, options);
  const CocoScores scores = evaluator.scores(evaluator.detect(
      [&](int64_t done, int64_t total) { progress_.activity("testing the teacher", done, total); }));
  const auto percent = [](double fraction) {
    return fraction < 0 ? std::string("-") : fixed(100 * fraction, 2) + " %";
  };
  tell_(text("teacher ", model_->name, " (", settings_.teacher, "): AP ", percent(scores.ap), ", AP50 ",
             percent(scores.ap50), " on ", part.size(), " test pictures"));
}

std::string Teacher::choose_source(const std::vector<int32_t>& trained) {
  const auto samples = int64_t(trained.size());
  if (!data_.train.in_memory()) settings_.teacher_source = "live";  // see check_photos()
  if (settings_.teacher_source != "live") {
    stored_ =
        std::make_unique<StoredTeacher>(*model_, device_, data_.train, sees_, samples, settings_, tell_);
    if (settings_.teacher_source == "auto") settings_.teacher_source = stored_->exists() ? "table" : "live";
  }
  if (settings_.teacher_source == "table") {
    tell_(stored_->open(trained));
    return "";
  }
  stored_.reset();
  if (!table_refusal(settings_).empty() || !data_.train.in_memory()) return "";
  return text("teacher: asked in every step; --teacher-source table would save ",
              fixed(100 * expected_reuse(settings_.epochs, views_of(settings_.data)), 0),
              " % of its work in this run, and all of it in later ones with the same seed");
}

std::optional<Normalize> Teacher::images_besides(const Normalize& student) const {
  if (stored_ || sees_ == student) return std::nullopt;
  return sees_;
}

bool Teacher::fill(const std::vector<int32_t>& samples, const std::function<bool()>& go_on) {
  const std::string& fill = settings_.teacher_table.fill;
  if (!stored_ || fill == "lazy" || (fill == "auto" && settings_.device != "cuda")) return true;
  return stored_->fill(samples, [&](int64_t done, int64_t total) {
    progress_.activity("filling the teacher table", done, total);
    return go_on();
  });
}

}  // namespace retort
