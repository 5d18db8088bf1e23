// Folders of photos from the command line: listed, verified, packed, trained on, tested.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"
#include "tests/support/program.h"

namespace retort::testing {
namespace {

using nlohmann::json;

json json_of(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.code == 0 ? json::parse(outcome.out) : json();
}

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

}  // namespace
}  // namespace retort::testing
