#include "distill/report/published.h"

#include <algorithm>
#include <sstream>

#include "distill/report/embedded.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "models/network_input.h"

namespace retort {

namespace {

std::vector<Published> parsed(const std::string& csv) {
  std::vector<Published> rows;
  std::istringstream in(csv);
  bool header = true;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (header) {
      header = false;
      continue;
    }
    std::istringstream cells(line);
    Published row;
    std::string top1, epochs;
    std::getline(cells, row.pair, ',');
    std::getline(cells, row.method, ',');
    std::getline(cells, top1, ',');
    std::getline(cells, epochs, ',');
    std::getline(cells, row.source);
    row.top1 = std::stod(top1);
    row.epochs = std::stoi(epochs);
    rows.push_back(row);
  }
  return rows;
}

// Keys that the recipes of the published numbers set per pair or tune; any other that is not at its default
// makes a variant of the method.
bool is_tuned(const MethodSettings& settings, bool standardized, const std::string& key) {
  const std::string& method = settings.method().name;
  const auto one_of = [&](std::initializer_list<const char*> keys) {
    return std::any_of(keys.begin(), keys.end(), [&](const char* name) { return key == name; });
  };
  if (key == "warmup") return true;  // judged with the epochs
  if (method == "kd") return standardized && one_of({"standardize", "temperature", "alpha", "ce_weight"});
  if (method == "dkd") return one_of({"alpha", "beta"});
  if (method == "rld") {
    // 1 in the authors' file, the other temperature by their command's --same-t; the table says neither.
    const bool same = settings.number("temperature_a") == settings.number("temperature");
    return one_of({"alpha", "beta"}) || (key == "temperature_a" && same);
  }
  if (method == "dist") return one_of({"beta", "gamma"});
  if (method == "mlkd") return one_of({"views", "ce_weight", "beta"});
  return method.starts_with("pcd") && key == "stages";
}

}  // namespace

std::string Published::data() const {
  return own_side(pair.substr(0, pair.find('-'))) == 224 ? "imagenet" : "cifar100";
}

const std::vector<Published>& published_results() {
  static const std::vector<Published> all = parsed(embedded_published_csv);
  return all;
}

std::string published_name(const MethodSettings& method) {
  const std::string& name = method.method().name;
  const bool standardized = name == "kd" && method.flag("standardize");
  for (const MethodSettings::Value& value : method.list()) {
    if (value.text != value.key.fallback && !is_tuned(method, standardized, value.key.name)) return "";
  }
  if (standardized) return "kd+ls";
  return name == "pcd-released" ? "pcd" : name;
}

std::optional<Published> find_published(const std::string& pair, const std::string& method) {
  for (const Published& row : published_results()) {
    if (row.pair == pair && row.method == method) return row;
  }
  return std::nullopt;
}

std::string departs_from_recipe(const RunSettings& settings, const Published& published) {
  const bool small_rate = settings.model == "MobileNetV2" || settings.model.starts_with("Shuffle");
  const double lr = small_rate ? 0.01 : 0.05;
  const bool usual_milestones =
      !settings.schedule.milestones || *settings.schedule.milestones == std::vector<int>{150, 180, 210};
  const bool mlkd = published.method == "mlkd";  // has a schedule of its own
  if (settings.epochs != published.epochs) return text(settings.epochs, " epochs");
  if (settings.data.limit != 0) return text(settings.data.limit, " training images");
  if (settings.data.validation != 0) return text(settings.data.validation, " images held out");
  if (settings.batch != 64) return text("batch ", settings.batch);
  if (!mlkd && settings.optimizer.lr != lr) return "lr " + exact_decimal(settings.optimizer.lr);
  if (settings.data.augment != "crop-flip" && settings.data.augment != "auto")
    return "augmentation " + settings.data.augment;
  if (settings.optimizer.kind != "sgd" || settings.optimizer.momentum != 0.9 ||
      settings.optimizer.weight_decay != 5e-4)
    return "another optimizer";
  if (settings.optimizer.nesterov) return "Nesterov's momentum";
  if (settings.schedule.kind != "multistep") return "a " + settings.schedule.kind + " schedule";
  if (settings.schedule.warmup_steps != 0)
    return text("lr warmed up over ", settings.schedule.warmup_steps, " steps");
  if (settings.schedule.ramp > 1 && settings.method.method().name != "ldrld")
    return text("lr ramped up over ", counted(int(settings.schedule.ramp), "epoch"));
  if (settings.shards > 1) return "batches in parts";
  if (settings.loss.label_smoothing != 0) return "smoothed labels";
  if (settings.ema.decay != 0) return "averaged weights";
  if (!mlkd && (!usual_milestones || settings.schedule.factor != 0.1)) return "other milestones";
  if (mlkd && (!settings.method.has("views") || settings.method.integer("views") != 2)) return "one view";
  return "";
}

PublishedBeside published_beside(const ResultPair& pair, const ResultRow& row) {
  if (!pair.is_cifar100() || !row.settings) return {};
  const std::string name = published_name(row.settings->method);
  const std::optional<Published> published = find_published(pair.teacher + "-" + pair.student, name);
  if (!published || published->data() != "cifar100") return {};
  return {published, departs_from_recipe(*row.settings, *published)};
}

}  // namespace retort
