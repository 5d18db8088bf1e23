#include "distill/mdistiller/config.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "distill/mdistiller/methods.h"
#include "distill/mdistiller/python_value.h"
#include "distill/mdistiller/yaml_file.h"
#include "distill/settings/setting_keys.h"
#include "distill/settings/toml_file.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "models/model.h"

namespace retort {

namespace {

// What every method has: our key, theirs, and mdistiller's default.
const std::vector<MdistillerKey>& run_keys() {
  static const std::vector<MdistillerKey> keys = {
      {"epochs", {"SOLVER.EPOCHS"}, "240"},
      {"batch", {"SOLVER.BATCH_SIZE"}, "64"},
      {"data.workers", {"DATASET.NUM_WORKERS"}, "2"},
      {"optimizer.lr", {"SOLVER.LR"}, "0.05"},
      {"optimizer.momentum", {"SOLVER.MOMENTUM"}, "0.9"},
      {"optimizer.weight_decay", {"SOLVER.WEIGHT_DECAY"}, "0.0001"},
      {"optimizer.nesterov", {"SOLVER.SGD_NESTEROV"}},
  };
  return keys;
}

// Which loop trains follows from the method here.
const MdistillerFixed trainer = {
    "SOLVER.TRAINER", {"base", "crd", "ours", "dot", "crd_dot", "crddot"}, "here it follows from the method"};

struct Leaf {
  std::string path;  // "KD.LOSS.CE_WEIGHT"
  const YamlValue* value;
  bool translated = false;
  std::string reason = "";  // why it is not, or not in full
  bool in_part = false;
};

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c;
  return text;
}

// A finite number as YAML writes it.
bool parse_number(std::string_view text, double& number) {
  if (text.starts_with('+')) text.remove_prefix(1);
  return parse(text, number) && std::isfinite(number);
}

// Of a value that stands in our tables as in a config.
bool same_value(const std::string& ours, const YamlValue& theirs) {
  return upper(python_value({.text = ours})) == upper(python_value(theirs));
}

// For a comment of TOML, which must be UTF-8 without control characters.
std::string printable(std::string text) {
  for (char& c : text) c = c < ' ' || c > '~' ? '?' : c;
  return text;
}

std::vector<std::string> supported_types() {
  std::vector<std::string> types;
  for (const MdistillerMethod& method : mdistiller_methods())
    types.insert(types.end(), method.types.begin(), method.types.end());
  return types;
}

class Translation {
 public:
  Translation(const std::filesystem::path& file, const YamlValue& root) : file_(file.string()) {
    check(root.kind == YamlValue::mapping && !root.items.empty(), Fault::usage, file_,
          ": no config of mdistiller: expected a mapping with DISTILLER, SOLVER and others");
    flatten("", root);
    for (size_t i = 0; i < leaves_.size(); ++i) by_path_[leaves_[i].path] = i;
    check_sections();
    choose_method();
  }

  TranslatedConfig translate() {
    for (const MdistillerRefusal& refusal : method_->refused) refuse(refusal);
    data_set();
    for (const MdistillerKey& key : run_keys()) set(key);
    schedule();
    for (const MdistillerKey& key : method_->keys) set(key);
    if (settings_.method.has("standardize") && !origin_.count("method.standardize"))
      set({"method.standardize", {"EXPERIMENT.LOGIT_STAND"}, "false"});
    if (method_->views) set_key(settings_, "method.views", std::to_string(views()));
    for (const MdistillerFixed& fixed : method_->fixed) judge(fixed);
    two_gradients();
    judge(trainer);
    refuse_other("SOLVER.TYPE", {"SGD"}, "SGD is the only optimiser here");
    settings_.model = network("DISTILLER.STUDENT", "resnet32");
    if (settings_.method.method().reads.teacher)
      settings_.teacher_model = network("DISTILLER.TEACHER", "ResNet50");
    const std::string toml = written();
    return {toml, notes()};
  }

 private:
  // GDKD's fork has a switch. Where the rate falls as a cosine its code reads no milestones either.
  void schedule() {
    const bool cosine =
        refuse_other("SOLVER.LR_SCHEDULER", {"step", "cosine"}, "other schedules are not here") == "cosine";
    if (!cosine) {
      set({"schedule.milestones", {"SOLVER.LR_DECAY_STAGES"}, "[150, 180, 210]"});
      set({"schedule.factor", {"SOLVER.LR_DECAY_RATE"}, "0.1"});
      take("SOLVER.LR_MIN");
      return;
    }
    take("SOLVER.LR_DECAY_STAGES");
    take("SOLVER.LR_DECAY_RATE");
    judge({"SOLVER.LR_MIN", {"0"}, "here the rate falls to 0"});
    set_key(settings_, "schedule.kind", "cosine");
    origin_["schedule.kind"] = "";
    remarks_.push_back(
        "schedule.kind: theirs falls once an epoch, to SOLVER.LR_MIN (0.0001), ours with every step, to 0.");
  }

  // Of each image. Photos have one: that of a method that needs two is refused, another's is noted.
  int views() {
    if (method_->views == 1 || !images_->photos) return method_->views;
    Leaf* type = take("DISTILLER.TYPE");
    const std::string why =
        text("the second, strongly augmented view is made of images of at most 64 pixels a side, ",
             images_->type, "'s are larger");
    for (const MethodSettings::Value& value : settings_.method.list()) {
      check(value.key.name != "views" || value.key.minimum < 2, Fault::usage, place(*type),
            "DISTILLER.TYPE is '", type_, "', which reads two views of each image; ", why);
    }
    type->translated = false;
    type->in_part = true;
    type->reason = "it reads two views of each image, the recipe one: " + why;
    remarks_.push_back("views: 1 of two; " + why + ".");
    return 1;
  }

  void refuse(const MdistillerRefusal& refusal) {
    const Leaf* leaf = take(refusal.theirs);
    if (!leaf) return;
    double number = 0;
    const bool zero = parse_number(python_value(*leaf->value), number) && number == 0;
    check(zero != (refusal.when == MdistillerRefusal::zero), Fault::usage, place(*leaf), refusal.theirs,
          " is '", scalar(*leaf), "', which is not translated: ", refusal.why);
  }

  // That toolkit's trainers "dot" and "crd_dot" are an optimiser here.
  void two_gradients() {
    const Leaf* leaf = take("SOLVER.TRAINER");
    if (!leaf || upper(scalar(*leaf)).find("DOT") == std::string::npos) return;
    set_key(settings_, "optimizer.kind", "dot");
    origin_["optimizer.kind"] = "";
    set({"optimizer.delta", {"SOLVER.DOT.DELTA"}, "0.075"});
  }

  void flatten(const std::string& prefix, const YamlValue& mapping) {
    for (size_t i = 0; i < mapping.items.size(); ++i) {
      const YamlValue& value = mapping.items[i];
      if (value.kind == YamlValue::mapping)
        flatten(prefix + mapping.names[i] + ".", value);
      else
        leaves_.push_back({prefix + mapping.names[i], &value});
    }
  }

  std::string place(const Leaf& leaf) const { return text(file_, ":", leaf.value->line, ": "); }

  // The leaf of that path, taken as translated; nullptr if the file has none.
  Leaf* take(const std::string& path) {
    const auto below = by_path_.lower_bound(path + ".");
    check(below == by_path_.end() || !below->first.starts_with(path + "."), Fault::usage, file_, ": ", path,
          " is a mapping, expected a value");
    const auto found = by_path_.find(path);
    if (found == by_path_.end()) return nullptr;
    leaves_[found->second].translated = true;
    return &leaves_[found->second];
  }

  const std::string& scalar(const Leaf& leaf) const {
    check(leaf.value->kind == YamlValue::scalar, Fault::usage, place(leaf), leaf.path,
          " is a list, expected one value");
    return leaf.value->text;
  }

  // A value where a section has to be is no config of mdistiller.
  void check_sections() const {
    for (const char* section : {"EXPERIMENT", "DATASET", "DISTILLER", "SOLVER", "LOG"})
      check_section(section);
    for (const MdistillerMethod& method : mdistiller_methods()) {
      for (const MdistillerKey& key : method.keys) {
        for (const std::string& theirs : key.theirs) check_section(theirs.substr(0, theirs.find('.')));
      }
    }
  }

  void check_section(const std::string& section) const {
    const auto found = by_path_.find(section);
    if (found == by_path_.end()) return;
    fail(Fault::usage, place(leaves_[found->second]), section, " is a value, expected a mapping");
  }

  void choose_method() {
    const Leaf* type = take("DISTILLER.TYPE");
    check(type, Fault::usage, file_, ": no config of mdistiller: it has no DISTILLER.TYPE; expected one of ",
          join(supported_types()));
    const std::string name = upper(scalar(*type));
    for (const MdistillerMethod& method : mdistiller_methods()) {
      if (std::count(method.types.begin(), method.types.end(), name)) method_ = &method;
    }
    check(method_, Fault::usage, place(*type), "DISTILLER.TYPE is '", scalar(*type),
          "', a method that is not here; supported: ", join(supported_types()));
    settings_.method = method_settings(method_->ours);
    type_ = scalar(*type);
  }

  // The one of several keys that the file has; nullptr if it has none.
  Leaf* take_one(const std::vector<std::string>& names) {
    Leaf* source = nullptr;
    for (const std::string& theirs : names) {
      Leaf* leaf = take(theirs);
      if (!leaf) continue;
      check(!source, Fault::usage, place(*leaf), theirs, " says again what ", source ? source->path : "",
            " says; remove one");
      source = leaf;
    }
    return source;
  }

  void set(const MdistillerKey& key) {
    const Leaf* source = take_one(key.theirs);
    for (const std::string& other : key.otherwise) {
      if (source && by_path_.count(other)) leaves_[by_path_[other]].reason = source->path + " says it";
    }
    if (!source) source = take_one(key.otherwise);
    const Leaf* factor = key.times.empty() ? nullptr : take(key.times);
    if (!source && !factor && key.fallback.empty()) return;
    const Leaf* named = source ? source : factor;
    try {
      std::string value = source ? text_of(*source) : key.fallback;
      if (factor) value = exact_decimal(number_of(value) * number_of(text_of(*factor)));
      set_key(settings_, key.ours, value);
    } catch (const Error& error) {
      fail(error.fault(), named ? place(*named) + named->path + ": " : file_ + ": ", error.what());
    }
    origin_[key.ours] = named ? "" : "  # mdistiller's default";
  }

  double number_of(const std::string& value) const {
    double number = 0;
    check(parse_number(value, number), Fault::usage, "'", value, "' is no number");
    return number;
  }

  // Lists as "[150, 180, 210]"; also those that Python's config reads from text, "(150, 180, 210)".
  std::string text_of(const Leaf& leaf) const {
    if (leaf.value->kind == YamlValue::scalar) {
      std::string value = leaf.value->text;
      if (!value.starts_with('(') || !value.ends_with(')')) return python_value(*leaf.value);
      value = value.substr(1, value.size() - 2);
      while (value.ends_with(' ') || value.ends_with(',')) value.pop_back();  // a tuple of one: (150,)
      return "[" + value + "]";
    }
    std::vector<std::string> items;
    for (const YamlValue& item : leaf.value->items) {
      check(item.kind == YamlValue::scalar, Fault::usage, "a list in a list, expected numbers");
      items.push_back(python_value(item));
    }
    return "[" + join(items) + "]";
  }

  void judge(const MdistillerFixed& fixed) {
    Leaf* leaf = take(fixed.theirs);
    if (!leaf) return;
    leaf->translated = leaf->value->kind == YamlValue::scalar &&
                       std::any_of(fixed.same.begin(), fixed.same.end(),
                                   [&](const std::string& same) { return same_value(same, *leaf->value); });
    leaf->reason = fixed.reason;
  }

  // Of what would make it another training altogether.
  std::string refuse_other(const std::string& path, const std::vector<std::string>& allowed,
                           const char* why) {
    const Leaf* leaf = take(path);
    if (!leaf) return allowed.front();
    for (const std::string& value : allowed) {
      if (upper(value) == upper(scalar(*leaf))) return value;
    }
    fail(Fault::usage, place(*leaf), path, " is '", scalar(*leaf), "', expected ", join(allowed), "; ", why);
  }

  void data_set() {
    std::vector<std::string> types;
    for (const MdistillerImages& images : mdistiller_images()) types.push_back(images.type);
    const std::string type = refuse_other("DATASET.TYPE", types, "other images are not here");
    for (const MdistillerImages& images : mdistiller_images()) {
      if (images.type == type) images_ = &images;
    }
    settings_.data.spec = images_->spec;
    set_key(settings_, "data.augment", images_->augment);
  }

  std::string network(const std::string& path, const std::string& fallback) {
    const Leaf* leaf = take(path);
    origin_[path] = leaf ? "" : "  # mdistiller's default";
    const std::string asked = leaf ? scalar(*leaf) : fallback;
    // SDD's code names the same networks apart where they give the logits of regions too.
    const std::string name = asked.ends_with("_sdd") ? asked.substr(0, asked.size() - 4) : asked;
    std::vector<std::string> known;
    for (const auto& [theirs, ours] : images_->networks) {
      if (theirs == name) return ours;
      known.push_back(theirs);
    }
    if (known.empty()) known = model_names();
    const std::string near = nearest(name, known);
    check(std::count(known.begin(), known.end(), name), Fault::usage, leaf ? place(*leaf) : file_ + ": ",
          path, leaf ? " is '" : " is not given and means '", asked, "', which is no network here for ",
          images_->type, "; ", near.empty() ? near : "did you mean '" + near + "'? ", "known: ", join(known));
    return name;
  }

  std::string heading() {
    std::string all = "# From a config of mdistiller, DISTILLER.TYPE " + printable(type_) + ".\n";
    for (const char* path : {"EXPERIMENT.PROJECT", "EXPERIMENT.NAME", "EXPERIMENT.TAG"}) {
      const Leaf* leaf = take(path);
      if (leaf && !scalar(*leaf).empty()) all += text("# ", path, ": ", printable(scalar(*leaf)), "\n");
    }
    const bool teacher = settings_.method.method().reads.teacher;
    all += text("# retort ", teacher ? "distill" : "train", " --config THIS",
                teacher ? " --teacher RUN|FILE" : "", " --data ",
                images_->spec.substr(0, images_->spec.find(':')), ":DIR\n");
    std::vector<std::string> remarks = {method_->remark, images_->remark};
    remarks.insert(remarks.end(), remarks_.begin(), remarks_.end());
    for (const std::string& remark : remarks)
      if (!remark.empty()) all += "# " + remark + "\n";
    if (settings_.model.starts_with("wrn_") || settings_.teacher_model.starts_with("wrn_"))
      all += "# double_batch_norm = true would move batch norms' statistics as mdistiller's WRNs do.\n";
    return all;
  }

  std::string origin(const std::string& key) const {
    const auto found = origin_.find(key);
    return found == origin_.end() ? "" : found->second;
  }

  std::string written() {
    std::string all = heading(), table;
    all += "model = " + toml_quoted(settings_.model) + origin("DISTILLER.STUDENT") + "\n";
    if (!settings_.teacher_model.empty())
      all += "teacher_model = " + toml_quoted(settings_.teacher_model) + origin("DISTILLER.TEACHER") + "\n";
    for (const SettingKey& key : setting_keys()) {
      const bool spec = key.name == "data.spec";
      if (!spec && key.name != "data.augment" && !origin_.count(key.name)) continue;
      const size_t dot = key.name.find('.');
      const std::string its_table = dot == std::string::npos ? "" : key.name.substr(0, dot);
      if (its_table != table) all += "\n[" + its_table + "]\n";
      table = its_table;
      all += key.name.substr(dot == std::string::npos ? 0 : dot + 1) + " = " +
             toml_value(key, get_key(settings_, key)) + origin(key.name) +
             (spec ? "  # the folder: --data NAME:DIR" : "") + "\n";
    }
    all += "\n[method]\nname = " + toml_quoted(method_->ours) + "\n";
    for (const auto& [key, value] : settings_.method.list())
      all += key.name + " = " + toml_value(key, value) + origin("method." + key.name) + "\n";
    return all;
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> all;
    for (const Leaf& leaf : leaves_) {
      if (leaf.translated) continue;
      std::string reason = leaf.reason;
      if (reason.empty())
        reason = is_other_methods(leaf) ? "DISTILLER.TYPE is " + type_ : "it has no counterpart here";
      all.push_back(place(leaf) + leaf.path +
                    (leaf.in_part ? " is translated in part: " : " is not translated: ") + reason);
    }
    return all;
  }

  bool is_other_methods(const Leaf& leaf) const {
    const auto section_of = [](const std::string& path) { return path.substr(0, path.find('.')); };
    const std::string section = section_of(leaf.path);
    // What the method reads may stand in another's section: SWAP's temperature is KD's.
    std::vector<std::string> own = method_->types;
    for (const MdistillerKey& key : method_->keys) {
      for (const auto* names : {&key.theirs, &key.otherwise})
        for (const std::string& theirs : *names) own.push_back(section_of(theirs));
    }
    if (std::count(own.begin(), own.end(), section)) return false;
    return std::any_of(mdistiller_methods().begin(), mdistiller_methods().end(), [&](const auto& method) {
      return std::count(method.types.begin(), method.types.end(), section) > 0;
    });
  }

  std::string file_, type_;
  std::vector<std::string> remarks_;  // for the reader of the recipe, of what this config says
  std::vector<Leaf> leaves_;
  std::map<std::string, size_t> by_path_;
  const MdistillerMethod* method_ = nullptr;
  const MdistillerImages* images_ = nullptr;
  RunSettings settings_;
  std::map<std::string, std::string> origin_;  // of our keys that are written: the comment behind the value
};

}  // namespace

TranslatedConfig translate_mdistiller_config(const std::filesystem::path& file) {
  const YamlValue root = read_yaml(file);
  return Translation(file, root).translate();
}

}  // namespace retort
