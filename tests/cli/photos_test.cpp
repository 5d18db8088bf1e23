// Folders of photos from the command line: listed, verified, packed, trained on, tested.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "distill/run/run_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/flat_pictures.h"
#include "tests/support/peak_memory.h"
#include "tests/support/photo_folder.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort::testing {
namespace {

using nlohmann::json;

TEST(Photos, ListVerifyPack) {
  TempFolder work;
  write_photo_folder(work, 3, 2);
  const json listed = json_of(run({"data", "list", "folder:.", "--json"}, work));
  EXPECT_EQ(listed["classes"],
            json::parse(R"([{"name":"amber","train":3,"test":2},{"name":"beryl","train":3,"test":2},
                                               {"name":"coral","train":3,"test":2}])"));
  EXPECT_EQ(json_of(run({"data", "verify", "folder:.", "--json"}, work))["good"], 15);
  const json packed = json_of(run({"data", "pack", "folder:.", "all.pack", "--json"}, work));
  EXPECT_EQ(packed["pictures"], 15);

  work.write("train/beryl/1.png", "not a picture");
  const Outcome bad = run({"data", "verify", "folder:."}, work);
  EXPECT_EQ(bad.code, 3);
  expect_contains(bad.out, "train/beryl/1.png: ");
  expect_contains(bad.out, "14 good, 1 bad");
  std::filesystem::create_directories(work / "train/empty");
  expect_contains(failure(3, {"data", "list", "folder:."}, work), "train/empty: an empty class");
  std::filesystem::remove(work / "train/empty");
  work.write("val/only/1.png", "");
  expect_contains(failure(3, {"data", "list", "folder:."}, work), "val/only: a class of test images");
  failure(2, {"data", "list", "."}, work);
}

// Photos of many sizes, a killed run that goes on, and the same from a pack: the same weights.
TEST(Photos, TrainResumeAndTest) {
  TempFolder work;
  write_photo_folder(work, 13, 4);
  for (const auto& [name, place] : std::map<std::string, std::string>{{"colour-420.jpg", "train/amber"},
                                                                      {"progressive-420.jpg", "train/beryl"},
                                                                      {"grey.jpg", "train/coral"}})
    std::filesystem::copy(photo(name), work / place / name);
  std::filesystem::create_directories(work / "photos");
  for (const char* part : {"train", "val"}) std::filesystem::rename(work / part, work / "photos" / part);
  ASSERT_EQ(run({"data", "pack", "folder:photos", "all.pack"}, work).code, 0);
  const auto training = [](const std::string& data, const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> all = {"train",
                                    "--data",
                                    data,
                                    "--model",
                                    "resnet8",
                                    "--epochs",
                                    "3",
                                    "--batch",
                                    "8",
                                    "--out",
                                    out,
                                    "--set",
                                    "checkpoint_minutes=0",
                                    "--set",
                                    "data.augment=resized-crop",
                                    "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Outcome whole = run(training("folder:photos", "a", {"--workers", "0", "--threads", "1"}), work);
  const std::string hash = json_of(whole)["weights_hash"];
  expect_contains(
      whole.err,
      "photos   32 x 32 pixels by resized-crop, tests at a shorter side of 32, decoder stb; memory");

  const std::string config = content_of(work / "a/config.toml");
  for (const char* line : {"augment = \"resized-crop\"", "size = 32", "test_resize = 32", "decoder = \"stb\"",
                           "numbers = \"measured on 42 training images\""})
    expect_contains(config, line);
  EXPECT_EQ(config.find(work.path().string()), std::string::npos);

  EXPECT_EQ(json_of(run(training("pack:all.pack", "b", {"--workers", "3", "--set", "data.cache_gib=0"}),
                        work))["weights_hash"],
            hash);
  Program killed(training("folder:photos", "c", {}), work.path());
  const std::filesystem::path last = RunFolder::last_of(work / "c");
  ASSERT_TRUE(killed.wait_until([&] { return std::filesystem::exists(last); })) << killed.err_so_far();
  killed.signal(SIGKILL);
  killed.wait();
  std::filesystem::copy(work / "c", work / "d", std::filesystem::copy_options::recursive);
  EXPECT_EQ(json_of(run({"train", "--resume", "c", "--json"}, work))["weights_hash"], hash);

  const json summary = json::parse(content_of(work / "a/summary.json"));
  const json tested = json_of(run({"eval", "--weights", "a", "--json"}, work));
  EXPECT_EQ(tested["n"], 12);
  EXPECT_EQ(tested["top1"], summary["last"]["top1"]);
  // Other images: the run does not go on.
  ASSERT_TRUE(std::filesystem::remove(work / "photos/train/amber/0.png"));
  const Outcome other = run({"train", "--resume", "d"}, work);
  EXPECT_EQ(other.code, 3);
  expect_contains(other.err, "is not the data that d was trained on");
}

// What the header says that photos take is more than the whole program does.
TEST(Photos, MemoryIsAtMostWhatTheHeaderSays) {
  if (!counts_memory) GTEST_SKIP() << "an instrumented program takes several times as much";
  TempFolder work;
  for (int i = 0; i < 6; ++i)
    work.write(std::string(i < 4 ? "train/" : "val/") + (i % 2 ? "a/" : "b/") + std::to_string(i) + ".jpg",
               flat_jpeg(4096, 4, true));
  const Outcome trained = run({"train", "--data", "folder:.", "--model", "resnet8", "--epochs", "1",
                               "--batch", "1", "--workers", "2", "--out", "a", "--set", "data.cache_gib=0",
                               "--set", "data.mean=0.5 0.5 0.5", "--set", "data.std=0.2 0.2 0.2"},
                              work);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string words = "memory at most ";
  const size_t at = trained.err.find(words);
  ASSERT_NE(at, std::string::npos) << trained.err;
  const double said = std::stod(trained.err.substr(at + words.size())) * double(1 << 30);
  EXPECT_GT(double(trained.peak_bytes), 15. * 4096 * 4096) << "what one photo takes";
  EXPECT_LT(double(trained.peak_bytes), said) << trained.err;
}

TEST(Photos, NamesOfClassesAreUtf8) {
  TempFolder work;
  for (const char* name : {"train/a/0.png", "train/b\xe9/1.png", "val/a/2.png", "val/b\xe9/3.png"})
    work.write(name, png_of(class_picture(0, 1, 40, 50)));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"data", "list", "folder:."},
           {"train", "--data", "folder:.", "--model", "resnet8", "--epochs", "1", "--out", "a"}}) {
    const Outcome outcome = run(command, work);
    EXPECT_EQ(outcome.code, 3);
    expect_contains(outcome.err, "has a name that is no UTF-8");
  }
  EXPECT_FALSE(std::filesystem::exists(work / "a"));
}

TEST(Photos, BadFilesAndSettings) {
  TempFolder work;
  write_photo_folder(work, 3, 1);
  const std::vector<std::string> training = {"train",    "--data", "folder:.", "--model", "resnet8",
                                             "--epochs", "1",      "--out",    "a"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = training;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  work.write("train/coral/1.png", "text");
  const Outcome stopped = run(with({}), work);
  EXPECT_EQ(stopped.code, 3);
  expect_contains(stopped.err, "train/coral/1.png: ");
  std::filesystem::remove(work / "train/coral/1.png");
  std::filesystem::remove_all(work / "a");
  expect_contains(failure(2, with({"--set", "data.test_resize=20"}), work),
                  "data.test_resize is 20, expected at least the size 32");
  expect_contains(failure(2, with({"--set", "data.scale=2 1"}), work), "data.scale is '2 1'");
  for (const char* set : {"lr=1", "data.augment=none"})
    expect_contains(failure(2, {"predict", "--weights", "a", "x.png", "--set", set}, work),
                    "expected data.decoder=");
}

// One bad photo of a thousand is passed over, in memory and out of it, and the run says so.
TEST(Photos, SkippedOnesAreToldOf) {
  for (const int side : {12, 0}) {
    SCOPED_TRACE(side);
    TempFolder work;
    write_photo_folder(work, 350, 1, 12);
    if (side == 0) work.write("train/amber/0.png", png_of(class_picture(0, 0, 20, 30)));  // not of one size
    work.write("train/beryl/17.png", "text");
    const std::vector<std::string> training = {"train",    "--data", "folder:.",     "--model", "resnet8",
                                               "--epochs", "1",      "--batch",      "128",     "--out",
                                               "a",        "--set",  "data.size=12", "--json"};
    const Outcome stopped = run(training, work);
    EXPECT_EQ(stopped.code, 3);
    expect_contains(stopped.err, "train/beryl/17.png: ");
    std::vector<std::string> skipping = training;
    skipping.insert(skipping.end(), {"--force", "--set", "data.bad=skip"});
    const Outcome skipped = run(skipping, work);
    EXPECT_EQ(json_of(skipped)["bad_pictures"], 1);
    expect_contains(skipped.err,
                    "1 of 1,050 training images could not be read, the next ones took their place; "
                    "the first: ");
    expect_contains(skipped.err, "train/beryl/17.png: ");
    EXPECT_EQ(json::parse(content_of(work / "a/summary.json"))["bad_pictures"], 1);
    work.write("val/coral/350.png", "text");
    const Outcome tested = run({"eval", "--weights", "a"}, work);
    EXPECT_EQ(tested.code, 3);
    expect_contains(tested.err, "val/coral/350.png: ");
  }
}

// What a run of photos knows of them goes with its weights: into tests, answers and every export. The last
// batch has one photo.
TEST(Photos, WeightsKnowHowTheirPhotosAreSeen) {
  TempFolder work;
  write_photo_folder(work, 6, 3);
  const json trained =
      json_of(run({"train", "--data", "folder:.", "--model", "resnet8", "--epochs", "1", "--batch", "17",
                   "--out", "a", "--set", "data.test_resize=40", "--set", "data.size=32", "--json"},
                  work));
  const json metadata = json_of(run({"info", "a/checkpoints/last.safetensors", "--json"}, work))["metadata"];
  EXPECT_EQ(metadata["size"], "32");
  EXPECT_EQ(metadata["test_resize"], "40");
  EXPECT_EQ(metadata["class_names"], R"(["amber","beryl","coral"])");
  const std::string numbers = metadata["mean"].get<std::string>() + metadata["std"].get<std::string>();

  ASSERT_EQ(run({"export", "a", "--to", "infer", "-o", "a.retort"}, work).code, 0);
  ASSERT_EQ(run({"export", "a", "--to", "safetensors", "-o", "a.safetensors"}, work).code, 0);
  const json carried = json_of(run({"info", "a.safetensors", "--json"}, work))["metadata"];
  EXPECT_EQ(carried["test_resize"], "40");
  EXPECT_EQ(carried["mean"].get<std::string>() + carried["std"].get<std::string>(), numbers);

  const std::string photo_file = "val/beryl/7.png";  // number 1 of its class, 4 of all
  const auto seen = [&](const std::string& weights, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"predict", "--weights", weights, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words, work);
    return std::pair(json_of(outcome)["predictions"][0]["top"], outcome.err);
  };
  const auto [own, notes] = seen("a", {photo_file});
  expect_contains(notes, "resized to a shorter side of 40 and centre-cropped to 32x32");
  EXPECT_EQ(seen("a", {"--image", "4"}).first, own);
  EXPECT_EQ(seen("a", {photo_file, "--data", "folder:."}).first, own);
  EXPECT_NE(seen("a", {photo_file, "--set", "data.test_resize=32"}).first, own);
  EXPECT_EQ(seen("a.safetensors", {photo_file}).first, own);
  expect_contains(seen("a.retort", {photo_file}).second, "a shorter side of 40");
  EXPECT_TRUE(own[0]["name"] == "amber" || own[0]["name"] == "beryl" || own[0]["name"] == "coral");

  for (const std::string weights : {"a", "a.safetensors", "a.retort"}) {
    const json tested = json_of(run({"eval", "--weights", weights, "--data", "folder:.", "--json"}, work));
    EXPECT_EQ(tested["top1"], trained["last"]) << weights;
    EXPECT_NEAR(tested["loss"].get<double>(), trained["last_loss"].get<double>(), 1e-5) << weights;
  }
  const json otherwise =
      json_of(run({"eval", "--weights", "a", "--set", "data.test_resize=32", "--json"}, work));
  EXPECT_NE(otherwise["loss"], trained["last_loss"]);
  const json exported = json_of(run(
      {"export", "a", "--to", "infer", "--quantize", "f16", "-o", "h.retort", "--data", "folder:.", "--json"},
      work));
  EXPECT_EQ(exported["accuracy"]["top1_f32"], trained["last"]);
}

}  // namespace
}  // namespace retort::testing
