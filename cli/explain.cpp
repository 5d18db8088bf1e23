#include "distill/lesson/explain.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/boxes.h"
#include "cli/commands.h"
#include "cli/data_choice.h"
#include "cli/device_choice.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_of_weights.h"
#include "cli/setting_options.h"
#include "datasets/open.h"
#include "distill/evaluate/predict.h"
#include "distill/evaluate/seen_by.h"
#include "distill/methods/pcd.h"
#include "distill/methods/registry.h"
#include "distill/run/named_weights.h"
#include "distill/settings/data_options.h"
#include "distill/study/places.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "models/network_input.h"

namespace retort {

namespace {

// A network's logits on one image, as pixels of its side.
class Judge {
 public:
  Judge(const std::string& spec, const std::string& architecture, Device& device)
      : weights_(read_weights(spec)), device_(device), model_(load(architecture)) {
    name = model_->name + " (" + spec + ")";
  }

  int64_t side() const { return model_->side; }
  const Weights& weights() const { return weights_; }
  const std::string& network() const { return model_->name; }
  int64_t classes() const { return model_->classes; }

  // set: whose numbers normalise the image where the weights do not say; null: they have to.
  std::vector<double> logits(const std::vector<uint8_t>& pixels, const ImageSet* set) {
    check(set || (channel_numbers(weights_, "mean") && channel_numbers(weights_, "std")), Fault::input, name,
          ": does not say how its images were normalised; name its data with --data");
    const NormalizeTable normalize(seen_by(weights_, set ? *set : ImageSet{}));
    PreparedImages prepared{.count = 1, .side = side(), .names = {"the image"}};
    prepared.pixels.resize(pixels.size());
    normalize(pixels.data(), int64_t(pixels.size()), prepared.pixels.data());
    const std::vector<float> answer = predict_logits(*model_, device_, prepared);
    return {answer.begin(), answer.end()};
  }

  std::string name;

 private:
  std::unique_ptr<Model> load(const std::string& architecture) {
    check_no_detector(weights_, architecture, "explain");
    return load_model(weights_, architecture, device_);
  }

  Weights weights_;
  Device& device_;
  std::unique_ptr<Model> model_;
};

}  // namespace

int run_explain(const Arguments& arguments) {
  Options options("explain", "PCD at work on one image: ranking, groups, weights, shares of the loss",
                  {"retort explain --weights runs/pcd --teacher runs/teacher --image 7",
                   "retort explain --weights runs/pcd --image cat.png --html cat.html"});
  std::string weights, model, teacher, teacher_model, image, data, svg, html;
  std::vector<std::string> sets;
  DataChoice photos;
  int64_t rows = 10;
  options.text("--weights", "RUN|FILE", "the student", weights);
  options.text("--model", "NAME", "its network, if the file does not say", model);
  options.text("--teacher", "RUN|FILE", "the teacher (the run's)", teacher);
  options.text("--teacher-model", "NAME", "its network", teacher_model);
  options.text("--image", "N|FILE", "number of a test image, from 0 on, or a JPEG or PNG", image);
  options.text("--data", "SPEC", "test images and names of the classes (the run's)", data);
  options.value("--set", "KEY=VALUE",
                "a key of pcd, as stages=5 (the run's, where that is pcd), or data.decoder; repeatable",
                [&](const std::string& given) {
                  if (given.starts_with("data.")) return photos.add(given);
                  sets.push_back(given);
                });
  options.integer("--rows", "classes shown", rows, 1);
  options.output("--svg", "FILE", "write a drawing", svg);
  options.output("--html", "FILE", "write a page", html);
  const DeviceChoice device_choice(options);
  if (!options.parse(arguments)) return 0;
  check(!weights.empty(), Fault::usage, "explain: no student is named; give it with --weights");
  check(!image.empty(), Fault::usage, "explain: no image is named; give its number or file with --image");

  const std::optional<RunSettings> run = settings_of_run(weights);
  if (run) check_no_detector(run->model, "explain");
  const bool own_teacher = teacher.empty() && run;
  if (own_teacher) teacher = run->teacher;
  if (teacher_model.empty() && run) teacher_model = run->teacher_model;
  check(!teacher.empty(), Fault::usage, "explain: no teacher is named; give it with --teacher");
  Explanation explained{.student = {},
                        .teacher = {},
                        .image_name = {},
                        .image = {},
                        .class_names = {},
                        .method = method_settings("pcd")};
  if (run && run->method.method().name == "pcd") {
    explained.method = run->method;
  } else {
    explained.note =
        text("The student was trained with ", run ? run->method.method().name : "settings unknown",
             "; shown is what pcd would make of it, with its defaults.");
  }
  for (const std::string& set : sets) {
    const auto [key, value] = key_and_value(set);
    explained.method.set(key.starts_with("method.") ? key.substr(7) : key, value);
  }

  int64_t index = 0;
  const bool numbered = parse(image, index);
  DataSettings reading;
  const bool own = data.empty() && run;
  if (own)
    reading = run->data, data = reading.spec;
  else if (run)
    reading.val_labels = labels_elsewhere(data, run->data);
  photos.apply(reading);
  check(!numbered || !data.empty(), Fault::usage, "explain: whose test image ", image,
        " is not known; name the data with --data");
  const auto device = Device::open(device_choice.options());
  Judge student(weights, model, *device), judge(teacher, teacher_model, *device);
  if (const std::string other = not_its_teacher(student.weights(), judge.weights()); !other.empty()) {
    check(!own_teacher, Fault::input, other, "; name the one that is to be shown with --teacher");
    print_error("note: " + other);
  }
  const DataOptions reads = test_options(reading, student.weights(), student.network());
  std::optional<DataSet> set;
  if (numbered) {
    set = open_dataset(data, reads);
    if (own && !options.given("--set")) note_changed_images(student.weights(), set->test);
  } else if (!data.empty()) {
    try {
      set = open_dataset(data, reads);
    } catch (const Error& error) {  // the picture can do without the names of its classes
      if (error.fault() != Fault::input) throw;
      print_error(text("note: classes have no names: ", error.what()));
    }
  }
  check(student.classes() == judge.classes(), Fault::input, "explain: ", student.name, " has ",
        student.classes(), " classes, ", judge.name, " ", judge.classes());
  check(student.side() == judge.side(), Fault::input, "explain: ", student.name, " sees images of side ",
        student.side(), ", ", judge.name, " of ", judge.side());
  explained.student = student.name;
  explained.teacher = judge.name;
  if (const std::string fitted = fit_stages(explained.method, student.classes()); !fitted.empty())
    print_error(fitted);
  if (set && set->test.classes == student.classes()) explained.class_names = set->test.class_names;
  ChosenImage& shown = explained.image;
  shown.side = int(student.side());
  if (numbered) {
    const ImageSet& test = set->test;
    check(index >= 0 && index < test.size(), Fault::usage, "--image is ", image, ", ", data,
          " has test images 0 to ", test.size() - 1);
    check(test.height == shown.side && test.width == shown.side && test.classes == student.classes(),
          Fault::input, data, ": has images ", test.height, "x", test.width, " of ", test.classes,
          " classes, ", student.name, " sees ", shown.side, "x", shown.side, " of ", student.classes());
    shown.index = index;
    shown.label = test.labels[size_t(index)];
    PictureReader reader(test.decoder);
    shown.pixels.resize(size_t(test.image_bytes()));
    test.read(index, reader, shown.pixels.data());
    explained.image_name = text("Test image ", index);
  } else {
    shown.label = -1;
    const NetworkInput input = input_of(student.weights(), student.network());
    const int64_t resize = reading.test_resize > 0 ? reading.test_resize : input.test_resize;
    FittedPicture fitted = read_fitted(image, shown.side, int(resize), reads.decoder);
    for (const std::string& note : fitted.notes) print_error(note);
    shown.pixels = std::move(fitted.pixels);
    explained.image_name = std::filesystem::path(image).filename().string();
  }
  shown.student = student.logits(shown.pixels, set ? &set->test : nullptr);
  shown.teacher = judge.logits(shown.pixels, set ? &set->test : nullptr);

  const std::string words = explanation_text(explained, size_t(rows));
  if (!svg.empty()) write_file(svg, explanation_svg(explained));
  if (!html.empty()) write_file(html, explanation_html(explained));
  print(words);
  return 0;
}

}  // namespace retort
