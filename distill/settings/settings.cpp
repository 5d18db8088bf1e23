#include "distill/settings/settings.h"

#include <algorithm>
#include <cmath>

#include "datasets/augment/augment.h"
#include "datasets/detection/coco_spec.h"
#include "datasets/loader.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "models/channel_numbers.h"
#include "models/detection/detector.h"
#include "models/model.h"

namespace retort {

namespace {

// The recipe of the distillation benchmarks on CIFAR-100.
constexpr int recipe_epochs = 240;
const std::vector<int> recipe_milestones = {150, 180, 210};

void check_model(const std::string& model, const char* key) {
  std::vector<std::string> known = model_names();
  for (const std::string& detector : detector_names()) known.push_back(detector);
  check(std::find(known.begin(), known.end(), model) != known.end(), Fault::usage, key, " is '", model,
        "', which is no known network; ", suggestion(model, known, "`retort info` lists all"));
}

void check_channels(const std::string& whose, const std::string& mean, const std::string& deviation) {
  check(mean.empty() == deviation.empty(), Fault::usage, "of the ", whose,
        "'s mean and std only one is given, ", mean.empty() ? deviation : mean,
        "; they go together (--mean, --std)");
  if (mean.empty()) return;
  channels_from("mean", mean, false, Fault::usage);
  channels_from("std", deviation, true, Fault::usage);
}

void validate(const RunSettings& settings) {
  const MethodInfo& method = settings.method.method();
  const bool distill = settings.command == "distill";
  check(!settings.model.empty(), Fault::usage, "no network is named; give one with ",
        distill ? "--student" : "--model", ", such as resnet20");
  check_model(settings.model, "model");
  if (!settings.teacher_model.empty()) check_model(settings.teacher_model, "teacher_model");
  check_channels("data", settings.data.mean, settings.data.std);
  check_channels("teacher", settings.teacher_mean, settings.teacher_std);
  check(!settings.optimizer.nesterov || settings.optimizer.momentum > 0, Fault::usage,
        "optimizer.nesterov is set, but optimizer.momentum is 0; it is a way to use momentum");
  check(settings.loss.label_smoothing == 0 || !settings.method.has("smoothing"), Fault::usage,
        "loss.label_smoothing is ", exact_decimal(settings.loss.label_smoothing), ", but method ",
        method.name, " smooths the labels itself (method.smoothing); leave it at 0, or choose method ce");
  const ScheduleSettings& schedule = settings.schedule;
  check(schedule.evaluate_every == 0 || schedule.steps > 0, Fault::usage, "schedule.evaluate_every is ",
        schedule.evaluate_every, ", but the run counts epochs and is tested after each; give --steps too");
  if (!is_detector(settings.model)) {
    check(schedule.steps == 0, Fault::usage, "schedule.steps is ", schedule.steps, ", but ", settings.model,
          " is a classifier, whose recipes count epochs; use --epochs");
    check(settings.normalize == "own", Fault::usage, "normalize is ", settings.normalize,
          ", a slip of mdistiller's detectors; ", settings.model, " is a classifier, use --mean and --std");
  }
  check(schedule.kind != "cosine" || !schedule.milestones || schedule.milestones->empty(), Fault::usage,
        "schedule.milestones are ", join(schedule.milestones.value_or(std::vector<int>{})),
        ", but schedule.kind is cosine, which has none; --set schedule.milestones=[]");
  if (distill) {
    check(!method.reads.teacher || !settings.teacher.empty(), Fault::usage, "method ", method.name,
          " needs a teacher; give a run's folder or a weights file with --teacher");
  } else {
    check(!method.reads.teacher, Fault::usage, "method ", method.name,
          " needs a teacher, and train has none; use `retort distill`");
    check(settings.teacher.empty(), Fault::usage, "train has no teacher, but '", settings.teacher,
          "' is set as one; use `retort distill`");
  }
}

// These shares of a run's epochs or steps: those that fall into it, each of its own.
std::vector<int> milestones_at(const std::vector<double>& shares, int64_t length) {
  std::vector<int> milestones;
  for (const double share : shares) {
    const int64_t end = std::llround(share * double(length));
    if (end >= 1 && end < length && (milestones.empty() || end > milestones.back()))
      milestones.push_back(int(end));
  }
  return milestones;
}

// The recipe's in a run of so many epochs.
std::vector<int> scaled_milestones(int epochs) {
  std::vector<double> shares;
  for (const int milestone : recipe_milestones) shares.push_back(double(milestone) / recipe_epochs);
  return milestones_at(shares, epochs);
}

// What a method is on boxes, where nobody says otherwise: logits are compared as they are, from the first
// step on; the releases of dkd and reviewkd for detectors have these weights.
void settle_method_on_boxes(const std::string& model, MethodSettings& method) {
  const auto settle = [&](const char* key, const char* value) {
    if (method.has(key)) method.settle(key, value);
  };
  const std::string name = method.method().name;
  settle("warmup", "0");
  if (name == "kd" || name == "dkd" || name.starts_with("pcd")) {
    settle("temperature", "1");
    settle("alpha", "1");
  }
  if (name == "dkd") settle("beta", "0.25");
  if (name.starts_with("pcd") && model == "rcnn_mv2") settle("stages", "5");
  if (name == "reviewkd") {
    settle("alpha", model == "rcnn_r18" ? "1.2" : model == "rcnn_mv2" ? "2" : "1");
    settle("width", "256");
  }
}

// The labels' part of a detector's loss is its own four terms, which no method weighs.
void check_labels_weight(const std::string& model, const MethodSettings& method) {
  const std::string key = "ce_weight";
  if (!method.has(key) || !method.is_set(key)) return;
  const MethodSettings usual(method.method());
  check(method.number(key) == usual.number(key), Fault::usage, "method.ce_weight is ",
        exact_decimal(method.number(key)), ", but ", model,
        " is a detector, whose four losses of the labels always count as 1; leave it out "
        "(method.alpha weighs the teacher's part)");
}

bool is_small(const std::string& model) {
  return model == "rcnn_tiny" || model == "rcnn_small";
}

// What a detector's recipe says of its rate.
struct DetectorRecipe {
  double epochs, steps;
  int64_t warmup;  // in steps

  static DetectorRecipe of(const std::string& model) {
    constexpr double images = 117266;  // of COCO, with boxes
    return is_small(model) ? DetectorRecipe{10, 2400, 200}
                           : DetectorRecipe{180000 * 8 / images, 180000, 1000};
  }
  // In a run that is shorter it is as much shorter.
  int64_t warmup_in(const RunSettings& settings) const {
    const ScheduleSettings& schedule = settings.schedule;
    const double share = schedule.steps > 0 ? double(schedule.steps) / steps : settings.epochs / epochs;
    return share >= 1 ? warmup : std::max<int64_t>(std::llround(share * double(warmup)), 1);
  }
};

void note_scaled_warmup(const RunSettings& settings, std::vector<std::string>& notes) {
  const DetectorRecipe recipe = DetectorRecipe::of(settings.model);
  const int64_t own = settings.schedule.warmup_steps;
  if (own == recipe.warmup || own != recipe.warmup_in(settings)) return;
  notes.push_back(text("lr rises over ", counted(own, "step"), ": the recipe's are ", recipe.warmup, " of ",
                       settings.schedule.steps > 0 ? text(with_commas(int64_t(recipe.steps)), " steps")
                                                   : text(is_small(settings.model) ? "" : "COCO's ",
                                                          fixed(recipe.epochs, 0), " epochs"),
                       " (schedule.warmup_steps)"));
}

// mdistiller's code for detectors gives a ResNet18, and the teacher beside it, the numbers of blue for red
// and the other way round.
void swap_numbers(RunSettings& settings) {
  check(settings.model == "rcnn_r18", Fault::usage,
        "normalize is mdistiller, which is a slip of its rcnn_r18; ", settings.model,
        " sees its images as its weights say");
  const auto settle = [](std::string& own, const char* value) {
    if (own.empty()) own = value;
  };
  settle(settings.data.mean, "0.406 0.456 0.485");
  settle(settings.data.std, "0.225 0.224 0.229");
  if (settings.teacher.empty()) return;
  settle(settings.teacher_mean, "0.406 0.456 0.485");
  settle(settings.teacher_std, "0.00392156862745098 0.00392156862745098 0.00392156862745098");  // 1 of 255
}

// The rate falls after 70 and 90 % of a small detector's epochs or steps, and where detectron2's falls, after
// 120,000 and 160,000 of 180,000 steps, of the others.
void settle_detector_milestones(RunSettings& settings, std::vector<std::string>& notes) {
  ScheduleSettings& schedule = settings.schedule;
  if (schedule.milestones) return;
  const int64_t length = schedule.steps > 0 ? schedule.steps : settings.epochs;
  const std::vector<int> milestones =
      milestones_at(is_small(settings.model) ? std::vector{0.7, 0.9} : std::vector{2.0 / 3, 8.0 / 9}, length);
  schedule.milestones = milestones;
  if (milestones.empty()) return;
  notes.push_back(text("lr is lowered after ", join(milestones), " of ",
                       counted(length, schedule.steps > 0 ? "step" : "epoch"), " (schedule.milestones)"));
}

void resolve_detector(RunSettings& settings, std::vector<std::string>& notes) {
  ScheduleSettings& schedule = settings.schedule;
  if (settings.normalize == "mdistiller") swap_numbers(settings);
  if (schedule.steps > 0) {
    if (schedule.evaluate_every == 0) schedule.evaluate_every = schedule.steps;
    check(schedule.steps % schedule.evaluate_every == 0, Fault::usage, "schedule.steps is ", schedule.steps,
          ", schedule.evaluate_every ", schedule.evaluate_every,
          "; the last test would not be at the end, take a "
          "number of steps that it divides");
    settings.epochs = int(schedule.steps / schedule.evaluate_every);
  }
  if (schedule.kind == "cosine") schedule.milestones = std::vector<int>{};
  settle_detector_milestones(settings, notes);
  note_scaled_warmup(settings, notes);
}

}  // namespace

RunSettings composed_settings(const std::string& command, const std::function<void(RunSettings&)>& lay) {
  RunSettings settings = default_settings(command);
  lay(settings);
  if (!is_detector(settings.model)) return settings;
  const std::string model = settings.model;
  settings = default_settings(command);
  settings.data.spec = "scenes";
  settings.epochs = 10;
  settings.batch = 8;
  const bool small = is_small(model);
  const double rate = small ? 0.02 : 0.01;  // of a batch of 8
  settings.optimizer.weight_decay = 1e-4;
  settings.optimizer.norm_decay = false;
  settings.schedule.warmup_steps = DetectorRecipe::of(model).warmup;
  lay(settings);
  settings.optimizer.lr = rate * double(settings.batch) / 8;
  settings.schedule.warmup_steps = DetectorRecipe::of(model).warmup_in(settings);
  lay(settings);
  settle_method_on_boxes(model, settings.method);
  check_labels_weight(model, settings.method);
  name_files(settings.data);
  return settings;
}

void name_files(DataSettings& data) {
  if (!CocoSpec::is_one(data.spec)) return;
  CocoSpec named = CocoSpec::parse(data.spec);
  named.lay({data.train_json, data.test_json, data.images});
  data.spec = named.spec();
}

RunSettings default_settings(const std::string& command) {
  RunSettings settings;
  settings.command = command;
  settings.method = method_settings(command == "distill" ? "pcd" : "ce");
  return settings;
}

std::string table_refusal(const RunSettings& settings) {
  if (is_detector(settings.model)) return "a detector's boxes are other ones in every step";
  const MethodInfo& method = settings.method.method();
  if (!method.reads.teacher) return text("method ", method.name, " reads no teacher");
  if (method.reads.features)
    return text("method ", method.name, " reads the teacher's features; the table holds its logits");
  if (views_read(settings.method) == 2)
    return text("method ", method.name, " reads two views of an image; the table holds crops and flips only");
  return "";
}

bool trains_in_16_bits(const RunSettings& settings) {
  return (settings.precision == "bf16" || settings.precision == "fp16") && views_read(settings.method) == 1 &&
         settings.optimizer.kind == "sgd" && !settings.optimizer.nesterov && settings.optimizer.norm_decay &&
         settings.shards <= 1;
}

int views_of(const DataSettings& data) {
  return data.augment == "none" ? 1 : data.views;
}

std::vector<std::string> resolve(RunSettings& settings) {
  validate(settings);
  std::vector<std::string> notes;
  settings.data.decoder = name_of(decoder_named(settings.data.decoder));
  // In one spelling, by which settings are compared.
  for (std::string* mean : {&settings.data.mean, &settings.teacher_mean})
    if (!mean->empty()) *mean = text_of(channels_from("mean", *mean, false, Fault::usage));
  for (std::string* deviation : {&settings.data.std, &settings.teacher_std})
    if (!deviation->empty()) *deviation = text_of(channels_from("std", *deviation, true, Fault::usage));
  if (!settings.method.method().reads.teacher && !settings.teacher.empty()) {
    notes.push_back(text("method ", settings.method.method().name, " reads no teacher; '", settings.teacher,
                         "' is not used"));
  }
  if (settings.loss.label_smoothing > 0 && settings.method.has("ce_weight") &&
      settings.method.number("ce_weight") == 0) {
    notes.push_back(
        text("method.ce_weight is 0, so there is no cross-entropy whose labels could be smoothed; "
             "loss.label_smoothing is not used"));
  }
  const std::string refusal = table_refusal(settings);
  if (!refusal.empty()) {
    check(settings.teacher_source != "table", Fault::usage, "teacher_source is table, but ", refusal,
          "; use live");
    settings.teacher_source = "live";
  }
  if (!CocoSpec::is_one(settings.data.spec)) {
    const std::pair<const char*, const std::string&> files[] = {{"data.train_json", settings.data.train_json},
                                                                {"data.test_json", settings.data.test_json},
                                                                {"data.images", settings.data.images}};
    for (const auto& [key, file] : files)
      if (!file.empty())
        notes.push_back(text(key, " is '", file, "', which is not used: it is of coco:DIR, and the data are ",
                             settings.data.spec));
  }
  if (is_detector(settings.model)) {
    resolve_detector(settings, notes);
    return notes;
  }
  if (settings.data.views < view_count) {
    notes.push_back(text("augmentation is limited to ", settings.data.views, " of ", view_count,
                         " views of an image (data.views); results are not those of the full recipe"));
  }
  const bool shorter = settings.epochs < recipe_epochs;
  if (settings.schedule.kind == "cosine") settings.schedule.milestones = std::vector<int>{};
  if (!settings.schedule.milestones) {
    const std::vector<int> milestones = shorter ? scaled_milestones(settings.epochs) : recipe_milestones;
    settings.schedule.milestones = milestones;
    if (shorter) {
      const std::string run = counted(settings.epochs, "epoch");
      notes.push_back(milestones.empty()
                          ? text("lr stays the same for the ", run, ": the recipe lowers it after ",
                                 join(recipe_milestones), " of ", recipe_epochs,
                                 " epochs (schedule.milestones)")
                          : text("lr is lowered after ", join(milestones), " of ", run, ", scaled from ",
                                 join(recipe_milestones), " of ", recipe_epochs, " (schedule.milestones)"));
    }
  }
  // To a tenth of an epoch, so that config.toml is readable.
  const auto scale = [&](const std::string& key, const std::string& what, double least = 0) {
    if (!shorter || !settings.method.has(key) || settings.method.is_set(key)) return;
    const double full = settings.method.number(key);
    if (full <= 0) return;
    const double scaled = std::max(std::round(10 * full * settings.epochs / recipe_epochs) / 10, least);
    settings.method.set(key, exact_decimal(scaled));
    notes.push_back(text(what, " ", exact_decimal(scaled), " of ", counted(settings.epochs, "epoch"),
                         ", scaled from ", exact_decimal(full), " of ", recipe_epochs, " (method.", key,
                         ")"));
  };
  scale("warmup", "warm-up lasts");
  scale("decay_from", "the method's weight falls after");
  scale("curriculum", "its temperature's gradient grows over", 0.1);
  const std::vector<int>& milestones = *settings.schedule.milestones;
  if (const int64_t ramp = settings.schedule.ramp;
      ramp > settings.epochs || (!milestones.empty() && ramp > milestones.front()))
    notes.push_back(text("lr grows over ", counted(ramp, "epoch"), " of ", settings.epochs,
                         ", and is lowered or ends before it is whole (schedule.ramp)"));
  return notes;
}

}  // namespace retort
