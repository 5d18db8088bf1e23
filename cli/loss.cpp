#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/setting_options.h"
#include "datasets/formats/npy.h"
#include "distill/methods/loss_probe.h"
#include "distill/methods/registry.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/device.h"
#include "engine/types.h"

namespace retort {

namespace {

// "3 2 0.5" or "3,2,0.5": numbers of one sample, where a file's name could stand; nothing if it is something
// else.
template <class T>
std::vector<T> typed_numbers(std::string given) {
  std::replace(given.begin(), given.end(), ',', ' ');
  std::vector<T> numbers;
  std::istringstream words(given);
  for (std::string word; words >> word;) {
    T number{};
    if (!parse(word, number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

template <class T>
NpyArray as_array(const std::vector<T>& values, std::vector<int64_t> shape) {
  const auto bytes = std::as_bytes(std::span<const T>(values));
  return {DTypeOf<T>::value, std::move(shape), {bytes.begin(), bytes.end()}};
}

NpyArray read_logits(const std::string& file) {
  const std::vector<double> typed = typed_numbers<double>(file);
  if (typed.size() >= 2) return as_array(typed, {1, int64_t(typed.size())});
  NpyArray array = read_npy(file);
  check(array.shape.size() == 2 && array.is_real(), Fault::input, file, ": holds ", shape_text(array),
        ", expected f32, f64 or f16 [samples, classes]");
  return array;
}

std::vector<double> finite_values(const NpyArray& array, const std::string& file) {
  const std::vector<double> values = array.reals();
  for (size_t i = 0; i < values.size(); ++i) {
    check(std::isfinite(values[i]), Fault::input, file, ": element [", int64_t(i) / array.shape[1], ", ",
          int64_t(i) % array.shape[1], "] is ", values[i], ", expected a finite number");
  }
  return values;
}

std::vector<int64_t> read_labels(const std::string& file) {
  const std::vector<int64_t> typed = typed_numbers<int64_t>(file);
  if (!typed.empty()) return typed;
  const NpyArray array = read_npy(file);
  check(array.shape.size() == 1 && (array.type == DType::i64 || array.type == DType::i32), Fault::input, file,
        ": holds ", shape_text(array), ", expected i64 [samples]");
  if (array.type == DType::i64) return {array.values<int64_t>().begin(), array.values<int64_t>().end()};
  return {array.values<int32_t>().begin(), array.values<int32_t>().end()};
}

// In the shape and the type of the logits that it is of.
void write_gradient(const std::string& file, const std::vector<double>& gradient, const NpyArray& student) {
  if (file.empty()) return;
  const DType type = student.type == DType::f64 ? DType::f64 : DType::f32;  // of f16 as well
  with_real_type(type, "loss", [&]<class T>() {
    const std::vector<T> values(gradient.begin(), gradient.end());
    write_npy(file, student.shape, std::span<const T>(values));
  });
}

// Those that `loss` can compute.
std::string logit_methods() {
  std::string all;
  for (const MethodInfo& method : methods()) {
    if (!method.reads.features) all += (all.empty() ? "" : " ") + method.name;
  }
  return all;
}

// 15 significant digits, zeros included.
std::string digits(double value) {
  char shown[40];
  std::snprintf(shown, sizeof shown, "%#.15g", value);
  return shown;
}

std::string text_of(const ProbeResult& result) {
  size_t width = 4;
  for (const auto& [name, value] : result.terms) width = std::max(width, name.size());
  std::string all;
  const auto line = [&](std::string name, double value) {
    name.resize(width + 2, ' ');
    all += name + digits(value) + "\n";
  };
  for (const auto& [name, value] : result.terms) line(name, value);
  line("loss", result.loss);
  return all;
}

}  // namespace

int run_loss(const Arguments& arguments) {
  Options options("loss", "a method's distillation terms on anybody's logits",
                  {"retort loss --method pcd --student zs.npy --teacher zt.npy",
                   "retort loss --method kd --student \"3 2 1 0\" --teacher \"6 4 1 0\"",
                   "retort loss --method dkd --set beta=2 --student zs.npy --teacher zt.npy \\",
                   "            --labels y.npy --grad g.npy"});
  std::string method = "pcd", student_file, teacher_file, labels_file, gradient_file;
  std::string strong_student_file, strong_teacher_file, strong_gradient_file, similarity_file;
  std::vector<std::string> sets;
  bool json = false;
  options.text("--method", "NAME", logit_methods(), method);
  options.text("--student", "FILE", ".npy [samples, classes], or numbers of one: \"2 1 0.5\"", student_file);
  options.text("--teacher", "FILE", "teacher's, as many", teacher_file);
  options.text("--labels", "FILE", "i64 [samples], or a number, for methods that read them", labels_file);
  options.text("--strong-student", "FILE", "of a second view, for the methods that read two",
               strong_student_file);
  options.text("--strong-teacher", "FILE", "the teacher's of that view", strong_teacher_file);
  options.text("--similarity", "FILE", "[classes, classes]: how alike a teacher sees them, for wkd-l",
               similarity_file);
  options.output("--grad", "FILE", "write the gradient by the student's logits, of two views the first's",
                 gradient_file);
  options.output("--strong-grad", "FILE", "write the gradient by those of the second view",
                 strong_gradient_file);
  options.value("--set", "KEY=VALUE", "a key of the method, as temperature=2; repeatable",
                [&](const std::string& given) { sets.push_back(given); });
  options.flag("--json", "result as JSON: {loss, terms}", json);
  if (!options.parse(arguments)) return 0;

  MethodSettings settings = method_settings(method);
  for (const std::string& set : sets) {
    const auto [key, value] = key_and_value(set);
    settings.set(key.starts_with("method.") ? key.substr(7) : key, value);
  }
  check(!student_file.empty(), Fault::usage,
        "loss: the student's logits are missing; give a .npy with --student");
  check(!teacher_file.empty() || !settings.method().reads.teacher, Fault::usage,
        "loss: the teacher's logits are missing; give a .npy with --teacher");
  check(!labels_file.empty() || !settings.method().reads.labels, Fault::usage, "loss: method ",
        settings.method().name, " reads labels; give an i64 .npy with --labels");

  const NpyArray student = read_logits(student_file);
  NpyArray strong_student;
  ProbeInput input;
  input.samples = student.shape[0];
  input.classes = student.shape[1];
  input.student = finite_values(student, student_file);
  const auto of_same_shape = [&](const std::string& file) {
    NpyArray logits = read_logits(file);
    check(logits.shape == student.shape, Fault::input, file, ": holds ", shape_text(logits), ", ",
          student_file, " holds ", shape_text(student), "; expected the same shape");
    return logits;
  };
  if (settings.method().reads.teacher)
    input.teacher = finite_values(of_same_shape(teacher_file), teacher_file);
  check(strong_student_file.empty() == strong_teacher_file.empty(), Fault::usage,
        "loss: a second view needs both networks' logits; give --strong-student and --strong-teacher");
  check(strong_gradient_file.empty() || !strong_student_file.empty(), Fault::usage,
        "loss: --strong-grad is of a second view, one is given; give --strong-student and --strong-teacher");
  if (!strong_student_file.empty()) {
    strong_student = of_same_shape(strong_student_file);
    input.strong_student = finite_values(strong_student, strong_student_file);
    input.strong_teacher = finite_values(of_same_shape(strong_teacher_file), strong_teacher_file);
  }
  if (!similarity_file.empty()) {
    const NpyArray similarity = read_logits(similarity_file);
    check(similarity.shape == std::vector<int64_t>(2, input.classes), Fault::input, similarity_file,
          ": holds ", shape_text(similarity), ", the logits are of ", input.classes,
          " classes; expected as many rows and columns");
    input.class_similarity = finite_values(similarity, similarity_file);
  }
  if (!labels_file.empty()) input.labels = read_labels(labels_file);
  for (const std::string& read :
       {student_file, teacher_file, labels_file, strong_student_file, strong_teacher_file, similarity_file}) {
    check_not_read("--grad", gradient_file, read);
    check_not_read("--strong-grad", strong_gradient_file, read);
  }
  check(gradient_file.empty() || gradient_file != strong_gradient_file, Fault::usage, "loss: --grad and ",
        "--strong-grad are both ", gradient_file, "; expected two files");

  const auto device = Device::open({.name = "portable"});
  const ProbeResult result = probe_loss(settings, *device, input);
  check(std::isfinite(result.loss), Fault::diverged, "loss: the result is ", result.loss,
        ", which is no loss");
  write_gradient(gradient_file, result.gradient, student);
  write_gradient(strong_gradient_file, result.strong_gradient, strong_student);
  if (json) {
    nlohmann::ordered_json terms = nlohmann::ordered_json::object();
    for (const auto& [name, value] : result.terms) terms[name] = value;
    print_json({{"loss", result.loss}, {"terms", terms}});
  } else {
    print(text_of(result));
  }
  return 0;
}

}  // namespace retort
