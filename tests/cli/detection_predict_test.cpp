// What a detector finds, shown and written: names and ids of its classes, parts of the data, files that keep
// apart, and what is not for detectors.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "datasets/formats/jpeg_turbo.h"
#include "datasets/formats/png_writer.h"
#include "models/weights.h"
#include "tests/support/expect_error.h"
#include "tests/support/photos.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort::testing {
namespace {

using nlohmann::json;

// A detector that has learned nothing, so that it finds both of its classes everywhere; and a data set whose
// ids are not 1 to 2, with two pictures of one name to train on, two to test on.
class DetectionPredict : public ::testing::Test {
 protected:
  void SetUp() override {
    write_weights("w.safetensors", 2,
                  {{"class_names", R"(["Zelle","Eisb\u00e4r"])"}, {"category_ids", "[7,90]"}});
    json categories = {{{"id", 7}, {"name", "Zelle"}}, {{"id", 90}, {"name", "Eisb\u00e4r"}}};
    add_part("train", categories, {"a/x.png", "b/x.png"}, 1);
    add_part("val", categories, {"c/y.png", "z.png"}, 3);
  }

  void write_weights(const std::string& file, int64_t classes, std::map<std::string, std::string> metadata) {
    const auto device = Device::open({.name = "portable", .threads = 1});
    const auto model = make_model("rcnn_tiny", *device, {.classes = classes});
    initialize(*model, *device, 5);
    const std::vector<HostTensor> state = state_of(*model, *device);
    std::vector<TensorView> views;
    for (const HostTensor& t : state) views.push_back(t.view());
    metadata.merge(weights_metadata(*model));
    write_safetensors(work_ / file, metadata, views);
  }
  void add_part(const std::string& part, const json& categories, const Strings& files, int id) {
    json all = {{"images", json::array()}, {"annotations", json::array()}, {"categories", categories}};
    for (const std::string& file : files) {
      const std::filesystem::path picture = work_ / ("c/" + part + "2017/" + file);
      std::filesystem::create_directories(picture.parent_path());
      write_png(picture, ruled_picture(40 + id, 64));
      all["images"].push_back({{"id", id}, {"file_name", file}, {"width", 64}, {"height", 40 + id}});
      all["annotations"].push_back(
          {{"id", id}, {"image_id", id}, {"category_id", 7}, {"bbox", {10, 10, 20, 20}}});
      ++id;
    }
    work_.write("c/annotations/instances_" + part + "2017.json", all.dump());
  }

  Strings predict(const Strings& more) const {
    return Strings{"predict", "--weights", "w.safetensors", "--score", "0"} + more;
  }
  json results(const Strings& more) const {
    EXPECT_EQ(succeed(predict(more + Strings{"--results", "r.json"}), work_).err, "");
    return json::parse(content_of(work_ / "r.json"));
  }
  static std::set<int64_t> all_of(const json& results, const char* key) {
    std::set<int64_t> values;
    for (const json& one : results) values.insert(one[key].get<int64_t>());
    return values;
  }

  TempFolder work_;
  const std::string train_ = "c/train2017/", test_ = "c/val2017/";
};

TEST_F(DetectionPredict, LoosePicturesGetTheNamesAndIdsThatTheWeightsHave) {
  const json found = results({train_ + "a/x.png", test_ + "z.png"});
  EXPECT_EQ(all_of(found, "category_id"), (std::set<int64_t>{7, 90}));
  EXPECT_EQ(all_of(found, "image_id"), (std::set<int64_t>{1, 2}));
  const std::string shown = succeed(predict({test_ + "z.png"}), work_).out;
  expect_contains(shown, "Zelle ");
  expect_contains(shown, "Eisb\xc3\xa4r ");

  write_weights("w.safetensors", 2, {{"class_names", R"(["cell","bear"])"}});  // as older ones are
  EXPECT_EQ(all_of(results({test_ + "z.png"}), "category_id"), (std::set<int64_t>{1, 2}));
  write_weights("w.safetensors", 2, {{"category_ids", "[3,5]"}});
  expect_contains(succeed(predict({test_ + "z.png"}), work_).out, "class 5 ");
  write_weights("w.safetensors", 2, {{"category_ids", "[3,5,7]"}});
  expect_contains(failure(3, predict({test_ + "z.png"}), work_), "'category_ids' holds 3");
}

TEST_F(DetectionPredict, PartsOfTheData) {
  EXPECT_EQ(all_of(results({"--data", "coco:c"}), "image_id"), (std::set<int64_t>{3, 4}));
  EXPECT_EQ(all_of(results({"--data", "coco:c", "--part", "test"}), "image_id"), (std::set<int64_t>{3, 4}));
  EXPECT_EQ(all_of(results({"--data", "coco:c", "--part", "train"}), "image_id"), (std::set<int64_t>{1, 2}));
  EXPECT_EQ(all_of(results({"--data", "coco:c"}), "category_id"), (std::set<int64_t>{7, 90}));
  expect_contains(failure(2, predict({"--data", "coco:c", "--part", "val"}), work_),
                  "expected train or test");
  expect_contains(failure(2, predict({"--part", "train", test_ + "z.png"}), work_), "--part is of --data");

  write_weights("w.safetensors", 24, {});
  const auto pictures = [&](const Strings& more) {
    const std::string out = succeed(predict(Strings{"--data", "scenes:train=3,test=2"} + more), work_).out;
    return std::count(out.begin(), out.end(), '\n');
  };
  EXPECT_EQ(pictures({}), 2);
  EXPECT_EQ(pictures({"--part", "train"}), 3);
}

TEST_F(DetectionPredict, SaysWhereTheDataHasOtherClasses) {
  write_weights("w.safetensors", 2, {{"class_names", R"(["cell","bear"])"}});
  expect_contains(succeed(predict({"--data", "coco:c"}), work_).err,
                  "class 0 is 'Zelle' in the images and 'cell'");
  expect_contains(succeed({"eval", "--weights", "w.safetensors", "--data", "coco:c"}, work_).err,
                  "class 0 is 'Zelle' in the images and 'cell'");
}

TEST_F(DetectionPredict, DrawsEachPictureToAFileOfItsOwn) {
  const auto drawn = [&](const Strings& more) {
    std::filesystem::remove_all(work_ / "drawn");
    succeed(predict(Strings{"--draw", "drawn"} + more), work_);
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(work_ / "drawn"))
      names.insert(entry.path().filename().string());
    return names;
  };
  const std::set<std::string> apart = {"x-1.png", "x-2.png"};
  EXPECT_EQ(drawn({"--data", "coco:c", "--part", "train"}), apart);
  EXPECT_EQ(drawn({train_ + "a/x.png", train_ + "b/x.png"}), apart);
  // Of one picture each: they are not equally high.
  EXPECT_NE(read_image(work_ / "drawn/x-1.png").height, read_image(work_ / "drawn/x-2.png").height);
  EXPECT_EQ(drawn({"--data", "coco:c"}), (std::set<std::string>{"y.png", "z.png"}));
}

TEST_F(DetectionPredict, ReplacesNothingThatItReads) {
  const std::string before = content_of(work_ / (test_ + "z.png"));
  const std::string weights = content_of(work_ / "w.safetensors");
  for (const Strings& more : {Strings{"--draw", test_, test_ + "z.png"},
                              {"--draw", "c/../" + test_, "--data", "coco:c"},
                              {"--results", test_ + "z.png", "--data", "coco:c"},
                              {"--results", test_ + "z.png", test_ + "z.png"},
                              {"--results", "w.safetensors", test_ + "z.png"}})
    expect_contains(failure(2, predict(more), work_), "would be replaced");
  EXPECT_EQ(content_of(work_ / (test_ + "z.png")), before);
  EXPECT_EQ(content_of(work_ / "w.safetensors"), weights);
  // Drawn pictures lie in no file.
  write_weights("w.safetensors", 24, {});
  work_.write("000001.png", "");
  succeed(predict({"--data", "scenes:train=1,test=1", "--draw", "."}), work_);
  EXPECT_EQ(read_image(work_ / "000001.png").width, 640);
}

TEST_F(DetectionPredict, PicturesOfAnyName) {
  const std::string name = "caf\xe9\x01.png";  // of a system before UTF-8
  write_png(work_ / name, ruled_picture(30, 30));
  const json found = results({name, "--draw", "drawn"});
  ASSERT_FALSE(found.empty());
  expect_contains(found[0]["file_name"], "caf");
  EXPECT_TRUE(std::filesystem::exists(work_ / "drawn" / name));
}

TEST_F(DetectionPredict, PicturesThatCannotBeRead) {
  work_.write("bad.png", content_of(work_ / (test_ + "z.png")).substr(0, 100));
  expect_contains(failure(3, predict({test_ + "z.png", "bad.png"}), work_), "bad.png");
  EXPECT_EQ(run(predict({test_ + "z.png", photo("truncated.jpg").string()}), work_).code, 3);
}

// Whoever decodes the training's JPEGs decodes those that are looked at.
TEST_F(DetectionPredict, DecodesWithTheDecoderThatIsAskedFor) {
  const std::string jpeg = photo("colour-420.jpg").string();
  const Strings turbo = {"--set", "data.decoder=turbo", jpeg};
  if (!turbo_built()) {
    expect_contains(failure(2, predict(turbo), work_), "built without libjpeg-turbo");
    return;
  }
  const json by_stb = results({jpeg}), by_turbo = results(turbo);
  EXPECT_NE(by_stb, by_turbo);  // a few bytes differ
  EXPECT_EQ(results({"--set", "data.decoder=stb", jpeg}), by_stb);
  // As one of a data set, too.
  std::filesystem::copy(jpeg, work_ / (test_ + "photo.jpg"));
  const Image photo = read_image(jpeg);
  json all = json::parse(content_of(work_ / "c/annotations/instances_val2017.json"));
  all["images"] = {{{"id", 1}, {"file_name", "photo.jpg"}, {"width", photo.width}, {"height", photo.height}}};
  all["annotations"] = json::array();
  work_.write("c/annotations/instances_val2017.json", all.dump());
  const auto boxes = [](json found) {
    for (json& one : found) one.erase("file_name");
    return found;
  };
  EXPECT_EQ(boxes(results({"--data", "coco:c", "--set", "data.decoder=turbo"})), boxes(by_turbo));
}

TEST_F(DetectionPredict, RefusesWhatIsNotForDetectors) {
  for (const Strings& more : {Strings{"--top", "3"}, {"--temperature", "2"}, {"--logits", "l.npy"}})
    expect_contains(failure(2, predict(more + Strings{test_ + "z.png"}), work_),
                    more[0] + " is for classifiers");
  expect_contains(failure(2, predict({"--image", "0"}), work_), "--image is for classifiers");
  for (const char* set : {"data.test_resize=80", "data.val_labels=labels.txt"}) {
    const std::string key = std::string(set).substr(0, std::string(set).find('='));
    for (const Strings& more : {Strings{test_ + "z.png"}, {"--data", "coco:c"}})
      expect_contains(failure(2, predict(Strings{"--set", set} + more), work_), key);
    expect_contains(
        failure(2, {"eval", "--weights", "w.safetensors", "--data", "coco:c", "--set", set}, work_),
        key + " is not for the pictures of detectors");
  }
  for (const char* data : {"coco:c", "scenes:train=1,test=1"})
    for (const char* set : {"data.bad=skip", "data.test_resize=80", "data.views=2", "data.cache_gib=1"})
      expect_contains(failure(2, {"train", "--model", "rcnn_tiny", "--data", data, "--set", set}, work_),
                      "is not for the pictures of detectors");
}

// And what is for detectors is not for others.
TEST_F(DetectionPredict, ClassifiersRefuseWhatIsForDetectors) {
  succeed(
      {"train", "--model", "resnet8", "--data", "synthetic:train=48,test=24", "--epochs", "1", "--out", "t"},
      work_);
  for (const Strings& more :
       {Strings{"--score", "3"}, {"--size", "64"}, {"--draw", "d"}, {"-o", "r.json"}, {"--part", "test"}})
    expect_contains(failure(2, Strings{"predict", "--weights", "t", "--image", "0"} + more, work_),
                    "is for detectors");
  expect_contains(failure(2, {"eval", "--weights", "t", "--size", "64"}, work_), "--size is for detectors");
}

TEST_F(DetectionPredict, EvalShowsClassesAndTakesBatches) {
  const auto eval = [&](const Strings& more) {
    return succeed(Strings{"eval", "--weights", "w.safetensors", "--data", "coco:c"} + more, work_).out;
  };
  EXPECT_EQ(eval({}).find("Zelle"), std::string::npos);
  expect_contains(eval({"--per-class"}), "Zelle");
  EXPECT_EQ(json::parse(eval({"--json"}))["classes"].size(), 2u);
  EXPECT_EQ(eval({"--json", "--batch", "1"}), eval({"--json", "--batch", "2"}));
  expect_contains(
      failure(2, {"eval", "--weights", "w.safetensors", "--data", "coco:c", "--batch", "0"}, work_),
      "--batch");
}

}  // namespace
}  // namespace retort::testing
