#include "distill/report/published.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "distill/report/embedded.h"
#include "distill/settings/recipe_names.h"
#include "distill/settings/setting_keys.h"
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

bool is_one_of(const std::string& key, std::initializer_list<const char*> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// Keys that the recipes of the published numbers set per pair or tune; any other that is not at its default
// makes a variant of the method.
bool is_tuned(const MethodSettings& settings, bool standardized, const std::string& key) {
  const std::string& method = settings.method().name;
  const auto one_of = [&](std::initializer_list<const char*> keys) { return is_one_of(key, keys); };
  if (key == "warmup") return true;  // judged with the epochs, which scale it
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

// How 32 bits are rounded; how the teacher sees images, which is the teacher's; what photos are read by; and
// what does nothing without another key, which is compared.
bool is_free(const std::string& key) {
  return is_one_of(key,
                   {"device", "tune", "reduce", "teacher_mean", "teacher_std", "data.decoder", "data.bad",
                    "data.val_labels", "init_head", "optimizer.delta", "schedule.ramp_slip"});
}

// The recipe that comes along for this pair and number; none where there is none.
std::optional<RunSettings> recipe_that_comes_along(const Published& published) {
  const std::map<std::string, std::string> others = {{"kd+ls", "kd-ls"}, {"mlkd", "mlkd-two-views"}};
  const auto other = others.find(published.method);
  const std::string name = published.data() + "/" + published.pair + "/" +
                           (other == others.end() ? published.method : other->second);
  const std::vector<std::string> known = recipe_names();
  if (std::find(known.begin(), known.end(), name) == known.end()) return std::nullopt;
  RunSettings recipe = default_settings("distill");
  read_settings(recipe_file(name), recipe);
  return recipe;
}

// The published number's recipe beside a run: the program's defaults, which are mdistiller's, and of the
// run's own what makes it no other.
RunSettings recipe_of(const RunSettings& run, const Published& published) {
  RunSettings recipe;
  recipe.method = run.method;
  recipe.device = run.device;
  recipe.teacher_source = run.teacher_source;
  recipe.epochs = published.epochs;
  if (run.precision != "bf16" && run.precision != "fp16") recipe.precision = run.precision;
  if (run.data.augment != "auto") recipe.data.augment = "crop-flip";
  // CIFAR-100's own numbers, which a run settles where nobody gives it others.
  if (!run.data.mean.empty())
    recipe.data.mean = "0.5071 0.4867 0.4408", recipe.data.std = "0.2675 0.2565 0.2761";
  if (run.schedule.ramp <= 1 || run.method.method().name == "ldrld") recipe.schedule.ramp = run.schedule.ramp;
  if (run.model == "MobileNetV2" || run.model.starts_with("Shuffle")) recipe.optimizer.lr = 0.01;
  recipe.schedule.milestones = run.schedule.milestones;
  if (published.method == "mlkd") {  // has a schedule of its own
    const RunSettings own = recipe_that_comes_along(published).value_or(run);
    recipe.optimizer.lr = own.optimizer.lr;
    recipe.schedule.factor = own.schedule.factor;
    recipe.schedule.milestones = own.schedule.milestones;
  } else if (run.schedule.milestones && run.schedule.kind == "multistep" && run.epochs == recipe.epochs) {
    recipe.schedule.milestones = std::vector<int>{150, 180, 210};  // of other lengths they are scaled
  }
  return recipe;
}

// What the page calls a key that is set otherwise, # is its value; others are called as they are.
std::string departure(const std::string& key, const std::string& value) {
  static const std::map<std::string, std::string> known = {
      {"data.limit", "# training images"},
      {"data.shuffle", "images in one order"},
      {"data.validation", "# images held out"},
      {"data.views", "# views"},
      {"double_batch_norm", "norms' statistics moved twice"},
      {"ema.decay", "averaged weights"},
      {"epochs", "# epochs"},
      {"init", "pretrained weights"},  // not where they lie
      {"loss.label_smoothing", "smoothed labels"},
      {"optimizer.kind", "another optimizer"},
      {"optimizer.nesterov", "Nesterov's momentum"},
      {"optimizer.norm_decay", "no weight decay of norms"},
      {"schedule.kind", "a # schedule"},
      {"schedule.ramp", "lr ramped up over # epochs"},
      {"schedule.warmup_steps", "lr warmed up over # steps"},
      {"shards", "batches in # parts"},
      {"warmup", "# epochs of warm-up"}};
  const auto at = known.find(key);
  std::string words = at == known.end() ? key.substr(key.rfind('.') + 1) + " #" : at->second;
  const size_t gap = words.find('#');
  if (gap == std::string::npos) return words;
  if (gap == 0 && value == "1" && words.ends_with('s')) words.pop_back();  // "1 epoch"
  return words.replace(gap, 1, value);
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

namespace {

// The keys that the recipe of this pair sets as its number was made, as far as nothing else judges them; none
// where no such recipe comes along or the method is another.
std::map<std::string, std::string> constants_of(const Published& published, const MethodInfo& method) {
  std::map<std::string, std::string> constants;
  const std::optional<RunSettings> recipe = recipe_that_comes_along(published);
  if (!recipe || &recipe->method.method() != &method) return constants;
  for (const MethodSettings::Value& value : recipe->method.list())
    if (!is_one_of(value.key.name, {"warmup", "temperature_a", "views", "stages"}))
      constants[value.key.name] = value.text;
  return constants;
}

}  // namespace

std::string departs_from_recipe(const RunSettings& settings, const Published& published) {
  const KeysAndTexts own = training_keys(settings), recipe = training_keys(recipe_of(settings, published));
  std::vector<std::string> departures;
  for (size_t i = 0; i < own.size(); ++i)
    if (own[i].second != recipe[i].second && !is_free(own[i].first))
      departures.push_back(departure(own[i].first, own[i].second));
  const MethodSettings& method = settings.method;
  if (published.method == "mlkd" && (!method.has("views") || method.integer("views") != 2))
    departures.push_back("one view");
  const std::map<std::string, std::string> constants = constants_of(published, method.method());
  for (const MethodSettings::Value& value : method.list()) {
    const std::string& key = value.key.name;
    const auto constant = constants.find(key);
    const bool departs = key == "warmup"
                             ? value.text != value.key.fallback && settings.epochs == published.epochs
                             : constant != constants.end() && value.text != constant->second;
    if (departs) departures.push_back(departure(key, value.text));
  }
  return join(departures);
}

PublishedBeside published_beside(const ResultPair& pair, const ResultRow& row) {
  if (!pair.is_cifar100() || !row.settings) return {};
  const std::string name = published_name(row.settings->method);
  const std::optional<Published> published = find_published(pair.teacher + "-" + pair.student, name);
  if (!published || published->data() != "cifar100") return {};
  return {published, departs_from_recipe(*row.settings, *published)};
}

}  // namespace retort
