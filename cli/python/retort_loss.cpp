#include "cli/python/retort_loss.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/key_sheet.h"
#include "cli/python/answer.h"
#include "distill/methods/loss_probe.h"
#include "engine/base/check.h"
#include "engine/device.h"

namespace retort {

namespace {

std::string methods_json() {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const MethodInfo& method : methods()) {
    nlohmann::ordered_json keys = nlohmann::ordered_json::array();
    for (const KeySheet& key : key_sheets("distill", method)) {
      if (key.methods.empty()) continue;  // of runs, not of the method
      keys.push_back({{"name", key.name.substr(key.name.find('.') + 1)},
                      {"type", key.type},
                      {"default", key.fallback},
                      {"expected", key.expected},
                      {"help", key.help},
                      {"choices", key.choices}});
    }
    all.push_back({{"name", method.name},
                   {"title", method.title},
                   {"paper", method.paper},
                   {"reads",
                    {{"teacher", method.reads.teacher},
                     {"labels", method.reads.labels},
                     {"features", method.reads.features},
                     {"two_views", method.reads.two_views},
                     {"class_similarity", method.reads.class_similarity}}},
                   {"keys", keys}});
  }
  return all.dump();
}

void check_finite(const char* whose, const double* values, size_t samples, size_t classes) {
  for (size_t i = 0; i < samples * classes; ++i)
    check(std::isfinite(values[i]), Fault::input, "loss: ", whose, "'s logit [", i / classes, ", ",
          i % classes, "] is ", values[i], ", expected a finite number");
}

void compute(const retort_loss_input& input, retort_loss_output& output) {
  check(input.method && input.student && (input.settings || input.setting_count == 0), Fault::input,
        "loss: method, student or settings is a null pointer");
  // So that all products fit.
  constexpr size_t most = size_t{1} << 24;
  check(input.samples >= 1 && input.classes >= 1 && input.samples <= most && input.classes <= most &&
            input.samples * input.classes <= size_t{1} << 30,
        Fault::input, "loss: there are ", input.samples, " x ", input.classes,
        " logits, expected 1 x 1 to 2^30 in all");
  MethodSettings settings = method_settings(input.method);
  for (size_t i = 0; i < input.setting_count; ++i) {
    const char *key = input.settings[2 * i], *value = input.settings[2 * i + 1];
    check(key && value, Fault::input, "loss: a setting is a null pointer");
    settings.set(key, value);
  }
  const MethodInfo::Reads& reads = settings.method().reads;
  check(!reads.features, Fault::usage, "loss: method ", input.method, " compares features, not logits");
  check(!reads.teacher || input.teacher, Fault::input, "loss: method ", input.method,
        " reads the teacher's logits");
  check(!reads.class_similarity || input.similarity, Fault::input, "loss: method ", input.method,
        " reads how alike a teacher sees the classes, [classes, classes]");
  check(!reads.labels || input.labels, Fault::input, "loss: method ", input.method, " reads labels");

  const size_t count = input.samples * input.classes;
  ProbeInput probe;
  probe.samples = int64_t(input.samples);
  probe.classes = int64_t(input.classes);
  check_finite("the student", input.student, input.samples, input.classes);
  probe.student.assign(input.student, input.student + count);
  if (reads.teacher) {
    check_finite("the teacher", input.teacher, input.samples, input.classes);
    probe.teacher.assign(input.teacher, input.teacher + count);
  }
  check(!input.strong_student == !input.strong_teacher, Fault::input,
        "loss: of a second view, student and teacher are given together");
  if (input.strong_student) {
    check_finite("the second view's student", input.strong_student, input.samples, input.classes);
    check_finite("the second view's teacher", input.strong_teacher, input.samples, input.classes);
    probe.strong_student.assign(input.strong_student, input.strong_student + count);
    probe.strong_teacher.assign(input.strong_teacher, input.strong_teacher + count);
  }
  if (input.labels) probe.labels.assign(input.labels, input.labels + input.samples);
  if (reads.class_similarity) {
    check_finite("the similarity", input.similarity, input.classes, input.classes);
    probe.class_similarity.assign(input.similarity, input.similarity + input.classes * input.classes);
  }
  probe.arithmetic = input.single_precision ? DType::f32 : DType::f64;

  const auto device = Device::open({.name = "portable", .threads = 1});
  const ProbeResult result = probe_loss(settings, *device, probe);
  check(std::isfinite(result.loss), Fault::diverged, "loss: the result is ", result.loss,
        ", which is no loss");
  output.value = result.loss;
  output.term_count = result.terms.size();
  check(output.term_count <= output.term_capacity && (output.terms || output.term_count == 0), Fault::input,
        "loss: there are ", output.term_count, " terms, there is room for ", output.term_capacity);
  for (size_t i = 0; i < result.terms.size(); ++i) {
    retort_loss_term& term = output.terms[i];
    std::memset(term.name, 0, sizeof term.name);
    result.terms[i].first.copy(term.name, sizeof term.name - 1);
    term.value = result.terms[i].second;
  }
  if (output.gradient) std::copy(result.gradient.begin(), result.gradient.end(), output.gradient);
}

}  // namespace

}  // namespace retort

extern "C" retort_code retort_loss(const retort_loss_input* input, retort_loss_output* output) {
  if (!input || !output) return int(retort::Fault::input);
  output->term_count = 0;
  return retort::answer(output->message, output->message_bytes, [&] { retort::compute(*input, *output); });
}

extern "C" size_t retort_methods_json(char* json, size_t bytes) {
  try {
    const std::string all = retort::methods_json();
    if (json && bytes > 0) {
      const size_t length = std::min(all.size(), bytes - 1);
      all.copy(json, length);
      json[length] = 0;
    }
    return all.size() + 1;
  } catch (const std::exception&) {
    return 0;
  }
}
