// Every recipe loads and says what its paper's setting is; and a recipe of each method trains.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "distill/methods/registry.h"
#include "distill/settings/setting_keys.h"
#include "distill/settings/toml_file.h"
#include "models/model.h"
#include "tests/support/class_similarity.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::expect_contains;

const fs::path recipes = fs::path(testing::recipes_folder()) / "cifar100";

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> pairs() {
  return names_in(recipes);
}
std::vector<std::string> method_recipes() {
  return names_in(recipes / "methods");
}

RunSettings recipe(const std::string& pair, const std::string& method) {
  RunSettings settings = default_settings("distill");
  read_settings(recipes / pair / (method + ".toml"), settings);
  return settings;
}

bool is_mobile(const std::string& model) {
  return model == "MobileNetV2" || model == "ShuffleV1" || model == "ShuffleV2";
}

TEST(Recipes, EveryPairWithEveryMethod) {
  EXPECT_EQ(pairs().size(), 16u);
  ASSERT_GE(method_recipes().size(), 20u);
  for (const std::string& pair : pairs()) {
    for (const std::string& method : method_recipes()) {
      SCOPED_TRACE(pair + " " + method);
      RunSettings settings = recipe(pair, method);
      EXPECT_EQ(settings.teacher_model + "-" + settings.model, pair);
      EXPECT_TRUE(method == settings.method.method().name ||
                  method.starts_with(settings.method.method().name + "-"));
      EXPECT_EQ(settings.batch, 64);
      EXPECT_EQ(settings.optimizer.weight_decay, 5e-4);
      EXPECT_EQ(method.ends_with("-ls"),
                settings.method.has("standardize") && settings.method.flag("standardize"));
      if (views_read(settings.method) == 1) {
        EXPECT_EQ(settings.epochs, 240);
        EXPECT_EQ(settings.optimizer.lr, is_mobile(settings.model) ? 0.01 : 0.05);
      }
      if (settings.method.method().reads.teacher) settings.teacher = "given on the command line";
      const std::vector<std::string> notes = resolve(settings);
      EXPECT_TRUE(notes.empty()) << notes.front();
    }
  }
}

TEST(Recipes, EveryMethodHasOne) {
  const std::vector<std::string> names = method_recipes();
  for (const MethodInfo& method : methods()) {
    EXPECT_TRUE(std::count(names.begin(), names.end(), method.name)) << method.name;
  }
}

TEST(Recipes, TeachersTrain) {
  for (const std::string& name : names_in(recipes / "teachers")) {
    RunSettings settings = default_settings("train");
    read_settings(recipes / "teachers" / (name + ".toml"), settings);
    EXPECT_EQ(settings.model, name);
    EXPECT_TRUE(resolve(settings).empty());
  }
  for (const std::string& pair : pairs()) {
    EXPECT_TRUE(fs::exists(recipes / "teachers" / (recipe(pair, "ce").teacher_model + ".toml"))) << pair;
  }
}

RunSettings recipe_of(const std::string& family, const std::string& pair, const std::string& method) {
  RunSettings settings = default_settings("distill");
  read_settings(fs::path(testing::recipes_folder()) / family / pair / (method + ".toml"), settings);
  return settings;
}

TEST(Recipes, OfImageNetAndTinyImageNetAreTheirPapers) {
  const std::map<std::string, std::pair<int, int64_t>> families = {{"imagenet", {2, 512}},
                                                                   {"tiny-imagenet", {2, 256}}};
  for (const auto& [family, expected] : families) {
    const fs::path folder = fs::path(testing::recipes_folder()) / family;
    const std::vector<std::string> all = names_in(folder), ways = names_in(folder / "methods");
    EXPECT_EQ(int(all.size()), expected.first);
    for (const std::string& pair : all) {
      const TomlValue file = read_toml(folder / (pair + ".toml"));
      if (const TomlValue* own = file.find("recipe")) {
        for (const std::string& of : own->names) EXPECT_TRUE(std::count(ways.begin(), ways.end(), of)) << of;
      }
      for (const std::string& method : ways) {
        SCOPED_TRACE(family + " " + pair + " " + method);
        RunSettings settings = recipe_of(family, pair, method);
        const bool dot = method.ends_with("-dot");
        EXPECT_EQ(settings.method.method().name, dot ? method.substr(0, method.size() - 4) : method);
        EXPECT_EQ(settings.optimizer.kind, dot ? "dot" : "sgd");
        const std::map<std::string, int64_t> smaller = {
            {"crd", 256}, {"reviewkd", 256}, {"wkd-l", 256}, {"ofd", 128}};
        const bool as_photos = family == "imagenet" && smaller.contains(method);
        EXPECT_EQ(settings.batch, as_photos ? smaller.at(method) : expected.second);
        EXPECT_EQ(settings.shards, family != "imagenet" ? 0 : method == "crd" ? 1 : 8);
        EXPECT_EQ(settings.epochs, family == "imagenet" ? 100 : 200);
        EXPECT_EQ(settings.optimizer.weight_decay, family == "imagenet" ? 1e-4 : 5e-4);
        const std::vector<int> milestones =
            family == "imagenet" ? std::vector<int>{30, 60, 90} : std::vector<int>{60, 120, 160};
        EXPECT_EQ(settings.schedule.milestones, milestones);
        if (settings.method.method().reads.teacher) settings.teacher = "given on the command line";
        const std::vector<std::string> notes = resolve(settings);
        EXPECT_TRUE(notes.empty()) << notes.front();
      }
    }
    for (const std::string& name : names_in(folder / "teachers")) {
      RunSettings settings = default_settings("train");
      read_settings(folder / "teachers" / (name + ".toml"), settings);
      EXPECT_EQ(settings.model, name);
      EXPECT_TRUE(resolve(settings).empty());
    }
  }
  const std::string r18 = "resnet34-resnet18", mv1 = "resnet50-mobilenetv1";
  EXPECT_EQ(recipe_of("imagenet", r18, "kd").method.number("ce_weight"), 0.5);
  EXPECT_EQ(recipe_of("imagenet", r18, "kd").method.number("temperature"), 1);
  EXPECT_EQ(recipe_of("imagenet", r18, "kd").optimizer.lr, 0.2);
  EXPECT_EQ(recipe_of("imagenet", r18, "dkd").method.number("beta"), 0.5);
  EXPECT_EQ(recipe_of("imagenet", mv1, "dkd").method.number("beta"), 2);
  EXPECT_EQ(recipe_of("imagenet", mv1, "rld").method.number("beta"), 2);
  EXPECT_EQ(recipe_of("imagenet", mv1, "pcd").method.number("warmup"), 1);
  EXPECT_EQ(recipe_of("imagenet", r18, "reviewkd").method.number("alpha"), 1);
  EXPECT_EQ(recipe_of("imagenet", mv1, "reviewkd").method.number("alpha"), 8);
  EXPECT_EQ(recipe_of("imagenet", mv1, "reviewkd").method.integer("width"), 256);
  for (const std::string method : {"rc", "swap"})
    EXPECT_EQ(recipe_of("imagenet", mv1, method).method.number("temperature"), 1) << method;
  EXPECT_EQ(recipe_of("imagenet", r18, "swap").method.number("ce_weight"), 0);
  for (const auto& [pair, weight] : {std::pair{r18, 1.0}, std::pair{mv1, 2.0}}) {
    const MethodSettings gdkd = recipe_of("imagenet", pair, "gdkd").method;
    EXPECT_EQ(gdkd.number("w0"), 0.5);
    EXPECT_EQ(gdkd.number("w1"), weight);
    EXPECT_EQ(gdkd.number("w2"), weight);
    EXPECT_EQ(gdkd.number("warmup"), 1);
    const MethodSettings wkd = recipe_of("imagenet", pair, "wkd-l").method;
    EXPECT_EQ(wkd.number("alpha"), pair == r18 ? 30 : 25);
    EXPECT_EQ(wkd.number("scale"), weight);
    EXPECT_EQ(wkd.number("temperature"), 2);
    EXPECT_EQ(wkd.number("decay_from"), 0);
  }
  EXPECT_EQ(recipe_of("imagenet", r18, "wkd-l").optimizer.lr, 0.1);
  EXPECT_EQ(recipe_of("imagenet", mv1, "ofd").method.number("alpha"), 0.0001);
  EXPECT_EQ(recipe_of("imagenet", mv1, "ofd").optimizer.lr, 0.05);
  EXPECT_EQ(recipe_of("imagenet", r18, "kd-dot").optimizer.delta, 0.09);
  EXPECT_EQ(recipe_of("imagenet", r18, "kd-dot").method.number("alpha"), 0.5);
  EXPECT_EQ(recipe_of("tiny-imagenet", "ResNet18-ShuffleV2", "kd-dot").optimizer.delta, 0.075);
  EXPECT_EQ(recipe_of("imagenet", r18, "crd").optimizer.lr, 0.1);
  EXPECT_EQ(recipe_of("imagenet", r18, "mlkd").optimizer.lr, 0.1);
  EXPECT_EQ(recipe_of("tiny-imagenet", "ResNet18-MobileNetV2", "kd").optimizer.lr, 0.2);
  EXPECT_EQ(recipe_of("tiny-imagenet", "ResNet18-MobileNetV2", "kd").method.number("temperature"), 4);
}

// A misspelt [recipe.NAME] would be passed over in silence.
TEST(Recipes, PairsSpeakOfRecipesThatExist) {
  const std::vector<std::string> names = method_recipes();
  for (const fs::path& folder : {recipes, recipes / "shared"}) {
    for (const std::string& name : names_in(folder)) {
      const TomlValue file = read_toml(folder / (name + ".toml"));
      const TomlValue* own = file.find("recipe");
      if (!own) continue;
      for (const std::string& of : own->names) {
        EXPECT_TRUE(std::count(names.begin(), names.end(), of)) << name << ": recipe." << of;
      }
    }
  }
}

TEST(Recipes, PerPairValues) {
  const auto number = [](const std::string& pair, const std::string& method, const std::string& key) {
    return recipe(pair, method).method.number(key);
  };
  const std::string r20 = "resnet56-resnet20", r8x4 = "resnet32x4-resnet8x4", v8 = "vgg13-vgg8";
  for (const std::string pair : {"resnet56-resnet20", "resnet110-resnet32", "resnet110-resnet20"}) {
    EXPECT_EQ(number(pair, "dkd", "beta"), 2) << pair;
    EXPECT_EQ(number(pair, "dkd-ls", "beta"), 18) << pair;
  }
  for (const std::string pair : {"vgg13-vgg8", "vgg13-MobileNetV2", "wrn_40_2-wrn_16_2", "wrn_40_2-wrn_40_1",
                                 "wrn_40_2-MobileNetV2", "wrn_40_2-resnet8x4"}) {
    EXPECT_EQ(number(pair, "dkd", "beta"), 6) << pair;
    EXPECT_EQ(number(pair, "dkd-ls", "beta"), 54) << pair;
  }
  for (const std::string pair :
       {"resnet32x4-resnet8x4", "resnet32x4-ShuffleV2", "resnet32x4-wrn_16_2", "resnet32x4-wrn_40_2",
        "ResNet50-MobileNetV2", "resnet32x4-ShuffleV1", "wrn_40_2-ShuffleV1"}) {
    EXPECT_EQ(number(pair, "dkd", "beta"), 8) << pair;
    EXPECT_EQ(number(pair, "dkd-ls", "beta"), 72) << pair;
  }
  const auto gdkd = [&](const std::string& pair, double w1, double w2) {
    EXPECT_EQ(number(pair, "gdkd", "w0"), 1) << pair;
    EXPECT_EQ(number(pair, "gdkd", "w1"), w1) << pair;
    EXPECT_EQ(number(pair, "gdkd", "w2"), w2) << pair;
  };
  gdkd(r20, 1, 1);
  gdkd("resnet110-resnet32", 1, 1);
  gdkd("resnet110-resnet20", 1, 8);
  gdkd(r8x4, 2, 8);
  gdkd(v8, 1, 6);
  gdkd("vgg13-MobileNetV2", 1, 6);
  for (const std::string pair : {"wrn_40_2-wrn_16_2", "wrn_40_2-wrn_40_1", "wrn_40_2-MobileNetV2",
                                 "wrn_40_2-resnet8x4", "wrn_40_2-ShuffleV1"})
    gdkd(pair, 2, 6);
  for (const std::string pair :
       {"resnet32x4-ShuffleV1", "resnet32x4-ShuffleV2", "resnet32x4-wrn_16_2", "ResNet50-MobileNetV2"})
    gdkd(pair, 1, 8);
  EXPECT_EQ(number("vgg13-MobileNetV2", "tfkd-reg", "temperature"), 40);
  EXPECT_EQ(number("resnet32x4-ShuffleV2", "tfkd-reg", "temperature"), 10);
  EXPECT_EQ(number(r20, "tfkd-reg", "multiplier"), 100);
  EXPECT_EQ(number(r20, "rc-ls", "beta"), 0.9);
  EXPECT_EQ(number(r20, "rld-ls", "alpha"), 9);
  EXPECT_EQ(number(r20, "rld-ls", "beta"), 72);
  EXPECT_EQ(number(r20, "rld-ls", "temperature"), 2);
  EXPECT_EQ(number(r20, "rld-ls", "temperature_a"), 2);
  EXPECT_EQ(number(r20, "ctkd-ls", "alpha"), 9);
  EXPECT_EQ(number(r20, "ctkd-ls", "ce_weight"), 0.1);
  EXPECT_EQ(number(r20, "pcd-released-ls", "alpha"), 9);
  EXPECT_EQ(number(r20, "pcd-released-ls", "temperature"), 2);
  EXPECT_EQ(number(r8x4, "wkd-l", "alpha"), 600);
  EXPECT_EQ(number("wrn_40_2-ShuffleV1", "wkd-l", "alpha"), 200);
  EXPECT_EQ(number("wrn_40_2-ShuffleV1", "wkd-l", "temperature"), 6);
  EXPECT_EQ(number("wrn_40_2-ShuffleV1", "reviewkd", "alpha"), 5);
  EXPECT_EQ(number("resnet32x4-ShuffleV1", "reviewkd", "alpha"), 5);
  for (const std::string& pair : pairs()) {
    EXPECT_EQ(number(pair, "sdd-dkd", "beta"), number(pair, "dkd", "beta")) << pair;
    EXPECT_EQ(number(pair, "dkd-dot", "beta"), number(pair, "dkd", "beta")) << pair;
    EXPECT_EQ(recipe(pair, "dkd-dot").optimizer.kind, "dot");
    EXPECT_EQ(number(pair, "sdd-nkd", "gamma"), number(pair, "dkd", "beta")) << pair;
    const bool coarse = pair == r8x4 || pair == v8;
    for (const std::string method : {"sdd-kd", "sdd-dkd", "sdd-nkd"})
      EXPECT_EQ(recipe(pair, method).method.choice("scales"), coarse ? "1,2" : "1,2,4") << pair;
  }
  EXPECT_EQ(number(r20, "swap-ls", "alpha"), 1);
  EXPECT_EQ(number(r20, "swap", "ce_weight"), 0);
  EXPECT_EQ(number(r8x4, "dkd-ls", "alpha"), 9);
  EXPECT_EQ(number(r20, "reviewkd", "alpha"), 0.6);
  EXPECT_EQ(number("resnet110-resnet32", "reviewkd", "alpha"), 1);
  EXPECT_EQ(number("resnet32x4-ShuffleV2", "reviewkd", "alpha"), 8);
  EXPECT_EQ(number("ResNet50-MobileNetV2", "reviewkd", "alpha"), 30);
  EXPECT_EQ(number(r8x4, "reviewkd", "alpha"), 5);
  EXPECT_EQ(number(r20, "kd-ls", "temperature"), 2);
  EXPECT_EQ(number(r20, "kd-ls", "alpha"), 9);
  EXPECT_EQ(number(v8, "kd-ls", "temperature"), 3);
  EXPECT_EQ(number("resnet110-resnet20", "kd-ls", "temperature"), 4);
  EXPECT_EQ(number("resnet110-resnet20", "kd-ls", "alpha"), 12);
  EXPECT_EQ(number("ResNet50-MobileNetV2", "kd-ls", "alpha"), 1);
  EXPECT_EQ(number(v8, "kd", "temperature"), 4);
  for (const std::string method : {"pcd", "pcd-ls", "pcd-released", "pcd-released-ls", "pcd-progressive"}) {
    for (const std::string& pair : {r20, r8x4, v8, std::string("wrn_40_2-wrn_40_1")}) {
      EXPECT_EQ(recipe(pair, method).method.integer("stages"), 3) << pair;
    }
    for (const std::string pair :
         {"resnet32x4-ShuffleV2", "resnet32x4-wrn_16_2", "resnet32x4-wrn_40_2", "ResNet50-MobileNetV2",
          "vgg13-MobileNetV2", "wrn_40_2-MobileNetV2", "wrn_40_2-resnet8x4"}) {
      EXPECT_EQ(recipe(pair, method).method.integer("stages"), 5) << pair;
    }
  }
}

TEST(Recipes, TwoViewsHaveAScheduleOfTheirOwn) {
  for (const std::string& pair : pairs()) {
    for (const std::string method : {"mlkd-two-views", "mlkd-two-views-ls"}) {
      SCOPED_TRACE(pair + " " + method);
      const RunSettings settings = recipe(pair, method);
      EXPECT_EQ(views_read(settings.method), 2);
      EXPECT_EQ(settings.epochs, settings.model.starts_with("Shuffle") ? 960 : 480);
      EXPECT_EQ(settings.schedule.milestones, (std::vector<int>{150, 180, 210}));
      double lr = is_mobile(settings.model) ? 0.01 : 0.025;
      if (method == "mlkd-two-views-ls" && pair == "vgg13-vgg8") lr = 0.01;
      if (method == "mlkd-two-views-ls" && pair == "wrn_40_2-MobileNetV2") lr = 0.005;
      EXPECT_EQ(settings.optimizer.lr, lr);
    }
  }
}

TEST(Recipes, AreMadeOfAPairAndAMethod) {
  const testing::TempFolder work;
  work.write("pairs/root.toml", "epochs = 100\n[recipe.b.method]\nalpha = 3\ntemperature = 7\n");
  work.write("pairs/p.toml", "inherit = \"root.toml\"\nmodel = \"resnet8\"\n[recipe.b.method]\nalpha = 4\n");
  work.write("pairs/methods/a.toml", "epochs = 50\n[method]\nname = \"kd\"\nalpha = 2\n");
  work.write("pairs/methods/b.toml", "inherit = \"a.toml\"\n[method]\nce_weight = 1\n");
  const auto read = [&](const std::string& file) {
    RunSettings settings = default_settings("distill");
    read_settings(work / file, settings);
    return settings;
  };
  const RunSettings a = read("pairs/p/a.toml"), b = read("pairs/p/b.toml");
  EXPECT_EQ(a.model, "resnet8");
  EXPECT_EQ(a.epochs, 50);
  EXPECT_EQ(a.method.number("alpha"), 2);
  EXPECT_EQ(b.method.number("alpha"), 4);
  EXPECT_EQ(b.method.number("temperature"), 7);
  EXPECT_EQ(b.method.number("ce_weight"), 1);
  EXPECT_EQ(read("pairs/p.toml").epochs, 100);
  expect_contains(error_of(Fault::input, [&] { read("pairs/p/bb.toml"); }), "expected one of a, b");
  expect_contains(error_of(Fault::input, [&] { read("pairs/q/a.toml"); }), "a.toml");
  // A file that is there is read as it is.
  work.write("pairs/p/a.toml", "epochs = 7\n");
  EXPECT_EQ(read("pairs/p/a.toml").epochs, 7);
}

// One step at batch 4 of a recipe as the trainer takes it, on noise.
void one_step(const RunSettings& settings, int64_t side = 32) {
  constexpr int64_t batch = 4, classes = 10;
  const auto device = Device::open({.name = "auto", .threads = 2});
  const bool borrows = settings.method.method().reads.borrows_classifier;
  const auto student = make_model(settings.model + (borrows ? "+" + settings.teacher_model : ""), *device,
                                  {.classes = classes, .side = side});
  const auto teacher = make_model(settings.teacher_model, *device, {.classes = classes, .side = side});
  initialize(*student, *device, 1);
  initialize(*teacher, *device, 2);
  freeze(*teacher);
  MethodContext context;
  context.epochs = settings.epochs;
  const bool features = settings.method.method().reads.features;
  if (features) {
    context.student = feature_shapes(*student, *device);
    context.teacher = feature_shapes(*teacher, *device);
    context.teacher_norms = stage_norms(*teacher, *device);
  }
  std::vector<int32_t> numbers;
  for (int32_t i = 0; i < 40; ++i) numbers.push_back(i);
  context.samples = numbers;
  for (int32_t i = 0; i < 40; ++i) context.labels.push_back(i % int32_t(classes));
  if (settings.method.method().reads.class_similarity)
    context.class_similarity = some_class_similarity(classes);
  const auto distiller = make_distiller(settings.method, *device, context);
  initialize(*distiller, *device, 3);
  distiller->begin_epoch(1);
  Sgd optimizer(*device, parameters_of(*student), {settings.optimizer.lr});
  Tape tape(*device);
  const Pass pass{*device, &tape, true};
  const Var images = pass.make({batch, side, side, 3}, DType::f32), indices = pass.make({batch}, DType::i32);
  std::vector<double> pixels;
  for (int64_t i = 0; i < images.tensor().size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
  write_values(*device, images, pixels);
  device->backend().upload(indices, numbers.data());
  DistillInputs inputs;
  inputs.features.teacher = teacher->forward(images, Pass{*device}, features);
  inputs.features.student = student->forward(images, pass, features);
  inputs.logits = {inputs.features.student.logits, inputs.features.teacher.logits};
  if (!borrows) {
    inputs.classifiers.student = [&](const Var& rows) { return (*student->classifier())(rows, pass); };
    inputs.classifiers.teacher = [&](const Var& rows) {
      return (*teacher->classifier())(rows, Pass{*device});
    };
  }
  if (views_read(settings.method) == 2) {
    inputs.strong = {(*student)(images, pass), inputs.logits.teacher};
  }
  inputs.labels = inputs.indices = indices;  // image i is of class i
  const Var loss = total(distiller->terms(inputs, pass), pass);
  tape.backward(loss);
  optimizer.step();
  EXPECT_TRUE(std::isfinite(read_values(*device, loss)[0]));
}

void one_step(const std::string& pair, const std::string& method) {
  SCOPED_TRACE(pair + " " + method);
  one_step(recipe(pair, method));
}

// Of ImageNet's pairs at a size that keeps it quick.
TEST(Recipes, EveryMethodOfImageNetTakesAStep) {
  const fs::path folder = fs::path(testing::recipes_folder()) / "imagenet";
  for (const std::string& method : names_in(folder / "methods")) {
    SCOPED_TRACE(method);
    one_step(recipe_of("imagenet", "resnet34-resnet18", method), 64);
  }
  for (const std::string method : {"pcd", "reviewkd", "fitnet", "at", "ofd"})
    one_step(recipe_of("imagenet", "resnet50-mobilenetv1", method), 64);
}

// Every method on the smallest pair; the other pairs' networks meet every kind of method once. The teachers
// of full depth are what takes the time.
TEST(Recipes, EveryMethodTakesAStep) {
  for (const std::string& method : method_recipes()) one_step("wrn_40_2-wrn_40_1", method);
}

TEST(Recipes, EveryPairTakesAStep) {
  const std::vector<std::string> some = {"pcd",  "reviewkd", "at",  "fitnet", "crd",
                                         "mlkd", "rkd",      "nst", "sdd-dkd"};
  size_t next = 0;
  for (const std::string& pair : pairs()) {
    std::string method = some[next++ % some.size()];
    if (pair == "wrn_40_2-MobileNetV2" && method == "reviewkd") method = "at";
    one_step(pair, method);
  }
}

TEST(Recipes, TheOnePairThatReviewKdRefuses) {
  EXPECT_THROW(one_step("wrn_40_2-MobileNetV2", "reviewkd"), Error);
}

}  // namespace
}  // namespace retort
