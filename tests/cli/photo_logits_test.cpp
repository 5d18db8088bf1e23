// predict on photos with torchvision's own files: its logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "datasets/formats/npy.h"
#include "tests/support/program.h"

namespace retort::testing {
namespace {

// Needs torchvision in the python3 of the path, or in RETORT_PYTHON. JPEGs are decoded by stb_image, whose
// bytes differ a little from Pillow's: measured .004 of the largest logit; a PNG's are the same.
TEST(PredictPhotos, TorchvisionsFilesGiveItsLogits) {
  const char* given = std::getenv("RETORT_PYTHON");
  const std::string python = given ? given : "python3";
  const std::string script = data_folder() + "/torchvision_logits.py";
  if (std::system((python + " " + script + " has-torchvision > /dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << python << " has no torchvision; RETORT_PYTHON names another";
  const TempFolder work;
  const std::vector<std::string> photos = {data_folder() + "/photos/png-inside.JPEG",
                                           data_folder() + "/photos/colour-420.jpg",
                                           data_folder() + "/photos/grey.jpg"};
  for (const std::string name : {"resnet18", "resnet50"}) {
    SCOPED_TRACE(name);
    std::string command = python + " " + script + " " + name + " " + work.path().string();
    for (const std::string& photo : photos) command += " " + photo;
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::vector<std::string> words = {
        "predict", "--weights",         name + ".pth", "--model",           name + "_imagenet",
        "--mean",  "0.485,0.456,0.406", "--std",       "0.229,0.224,0.225", "--logits",
        "y.npy"};
    words.insert(words.end(), photos.begin(), photos.end());
    const Outcome predicted = run(words, work);
    ASSERT_EQ(predicted.code, 0) << predicted.err;
    const std::vector<double> found = read_npy(work / "y.npy").reals(),
                              expected = read_npy(work / (name + ".npy")).reals();
    ASSERT_EQ(found.size(), 1000 * photos.size());
    ASSERT_EQ(expected.size(), found.size());
    for (size_t p = 0; p < photos.size(); ++p) {
      double largest = 0, difference = 0;
      for (size_t k = 1000 * p; k < 1000 * (p + 1); ++k) {
        largest = std::max(largest, std::abs(expected[k]));
        difference = std::max(difference, std::abs(found[k] - expected[k]));
      }
      EXPECT_LT(difference, largest * (p == 0 ? 1e-4 : 2e-2)) << photos[p];
    }
  }
}

}  // namespace
}  // namespace retort::testing
