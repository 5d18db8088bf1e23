// Every input that ever was a finding, and the corpus that fuzzing begins with, in every build.
#include <gtest/gtest.h>

#include "engine/base/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/paths.h"

namespace retort::fuzz {
namespace {

namespace fs = std::filesystem;

class FuzzReplay : public ::testing::TestWithParam<Target> {};
INSTANTIATE_TEST_SUITE_P(, FuzzReplay, ::testing::ValuesIn(targets()),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST_P(FuzzReplay, KnownInputsEndWithAValueOrADocumentedError) {
  const fs::path files = fs::path(testing::data_folder()).parent_path() / "fuzz";
  int count = 0;
  for (const char* kind : {"corpus", "regressions"}) {
    std::error_code none;
    for (fs::directory_iterator at(files / kind / GetParam().name, none), end; !none && at != end;
         at.increment(none)) {
      SCOPED_TRACE(at->path().string());
      const std::vector<std::byte> bytes = read_file(at->path());
      EXPECT_NO_THROW(try_input(GetParam(), bytes));
      ++count;
    }
  }
  EXPECT_GT(count, 0) << "there is no corpus for " << GetParam().name;
}

}  // namespace
}  // namespace retort::fuzz
