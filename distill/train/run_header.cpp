#include "distill/train/run_header.h"

#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

// What was set of the method and differs from its defaults counts most, but a reader knows few defaults.
std::string method_numbers(const MethodSettings& method, bool boxes) {
  std::string all;
  for (const auto& [key, value] : method.list()) {
    if (boxes && key.name == "ce_weight") continue;  // it has no effect there
    if (key.kind == MethodKey::flag && value == "false") continue;
    all += (all.empty() ? "" : ", ") + key.name + (key.kind == MethodKey::flag ? "" : " " + value);
  }
  return all;
}

std::string length_text(const RunSettings& settings) {
  const ScheduleSettings& schedule = settings.schedule;
  if (schedule.steps == 0) return counted(settings.epochs, "epoch");
  return text(with_commas(schedule.steps), " steps, tested after every ",
              with_commas(schedule.evaluate_every));
}

}  // namespace

std::vector<std::string> run_header(const Assembly& run, const std::filesystem::path& folder) {
  const RunSettings& settings = run.settings;
  const std::string numbers = method_numbers(settings.method, bool(run.data.boxes));
  const int64_t classes = run.data.train.classes;
  std::vector<std::string> lines = {
      text("network  ", settings.model, ", ", with_commas(count_parameters(*run.student)), " parameters; ",
           settings.method.method().name, numbers.empty() ? "" : " (" + numbers + ")", "; ",
           length_text(settings), ", batch ", settings.batch, ", lr ", significant(settings.optimizer.lr, 6),
           ", seed ", settings.seed),
      text("data     ", settings.data.spec, ": ", run.task->images_text(), ", ", counted(classes, "class"),
           ", hash ", std::hex, run.data.hash()),
      text("device   ", settings.device, ": ", run.device->backend().description(), ", ", settings.precision),
      text("folder   ", folder.string(), "; `retort ", settings.command, " --resume ", folder.string(),
           "` goes on after a stop")};
  const std::string photos = run.task->photos_text();
  if (!photos.empty()) lines.insert(lines.begin() + 2, "photos   " + photos);
  return lines;
}

}  // namespace retort
