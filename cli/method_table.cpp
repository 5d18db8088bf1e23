#include "cli/method_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "distill/methods/registry.h"
#include "distill/settings/settings.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "distill/train/tasks/detection_task.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "models/model_summary.h"

namespace retort {

namespace {

// The pair whose learned parts are counted: that of the study `rivals`.
constexpr const char* student_name = "resnet8";
constexpr const char* teacher_name = "resnet20";

struct Row {
  const MethodInfo& method;
  std::string reads;
  int64_t learned = 0;  // parameters, for the pair above
  bool stored = false;  // works with stored logits of the teacher
  bool boxes = false;   // detectors are distilled with it too
  std::string devices;
};

std::string what_it_reads(const MethodSettings& settings) {
  const MethodInfo::Reads& reads = settings.method().reads;
  std::vector<std::string> parts;
  if (reads.features) parts.push_back("features");
  if (reads.teacher && !reads.features) parts.push_back("logits");
  if (reads.labels) parts.push_back("labels");
  if (reads.indices) parts.push_back("indices");
  if (reads.class_similarity) parts.push_back("classes' likeness");
  if (views_read(settings) == 2)
    parts.push_back("two views");
  else if (reads.two_views)
    parts.push_back("one view or two");
  return join(parts);
}

std::vector<Row> rows() {
  constexpr int64_t classes = 10;
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto student = make_model(student_name, *device, {.classes = classes});
  const auto teacher = make_model(teacher_name, *device, {.classes = classes});
  MethodContext context;
  context.student = feature_shapes(*student, *device);
  context.teacher = feature_shapes(*teacher, *device);
  context.teacher_norms = stage_norms(*teacher, *device);
  context.class_similarity.assign(size_t(classes * classes), 1.0);
  for (int32_t i = 0; i < int32_t(classes); ++i) {
    context.labels.push_back(i);
    context.samples.push_back(i);
  }
  std::vector<Row> all;
  for (const MethodInfo& method : methods()) {
    RunSettings run = default_settings("distill");
    run.method = MethodSettings(method);
    Row row{.method = method, .reads = what_it_reads(run.method), .devices = ""};
    MethodContext of_method = context;
    if (method.reads.borrows_classifier) {  // what it learns is a part of the student that it trains
      const auto whole =
          make_model(std::string(student_name) + "+" + teacher_name, *device, {.classes = classes});
      row.learned = count_parameters(*whole) - count_parameters(*student);
      of_method.student.map = feature_shapes(*whole, *device).map;
    }
    row.learned += count_parameters(*make_distiller(run.method, *device, of_method));
    row.stored = table_refusal(run).empty();
    const MethodInfo::Reads& reads = method.reads;
    row.boxes = distils_detectors(method);
    row.devices = reads.indices ? "no" : reads.batch ? "within a part" : "yes";
    all.push_back(row);
  }
  return all;
}

}  // namespace

std::string method_table() {
  TextTable table({"method", "paper", "reads", "learns", "stored logits", "boxes", "devices", "title"});
  for (const Row& row : rows()) {
    const auto yes = [](bool is) { return is ? "yes" : "no"; };
    table.add_row({row.method.name, row.method.paper.empty() ? "-" : row.method.paper, row.reads,
                   row.learned > 0 ? with_commas(row.learned) : "-", yes(row.stored), yes(row.boxes),
                   row.devices, row.method.title});
  }
  return text(table.plain(), "\nlearns: parameters besides the student's, here of ", student_name,
              " taught by ", teacher_name,
              "\nstored logits: a table of the teacher's logits stands in for it (--teacher-source table)\n"
              "boxes: detectors too\n"
              "devices: several; within a part: the loss relates samples, those of one device\n");
}

std::string method_table_json() {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Row& row : rows()) {
    all.push_back({{"name", row.method.name},
                   {"title", row.method.title},
                   {"paper", row.method.paper},
                   {"reads", row.reads},
                   {"learned", row.learned},
                   {"stored_logits", row.stored},
                   {"boxes", row.boxes},
                   {"devices", row.devices}});
  }
  return all.dump();
}

}  // namespace retort
