// predict on photos with torchvision's own files: its logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "datasets/formats/jpeg_turbo.h"
#include "datasets/formats/npy.h"
#include "tests/support/program.h"

namespace retort::testing {
namespace {

// Needs torchvision on Pillow 10 in the python3 of the path, or in RETORT_PYTHON. libjpeg-turbo gives
// Pillow's bytes, as every decoder does of a PNG. stb_image's differ a little: measured .004 of the largest
// logit on the small drawn photos, which are enlarged, and 6e-4 on real ones, of which RETORT_PHOTOS names a
// folder.
TEST(PredictPhotos, TorchvisionsFilesGiveItsLogits) {
  const char* given = std::getenv("RETORT_PYTHON");
  const std::string python = given ? given : "python3";
  const std::string script = data_folder() + "/torchvision_logits.py";
  if (std::system((python + " " + script + " has-torchvision > /dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << python << " has no torchvision; RETORT_PYTHON names another";
  const TempFolder work;
  std::vector<std::string> photos = {data_folder() + "/photos/png-inside.JPEG",
                                     data_folder() + "/photos/colour-420.jpg",
                                     data_folder() + "/photos/grey.jpg"};
  const size_t drawn = photos.size();
  if (const char* real = std::getenv("RETORT_PHOTOS"); real != nullptr)
    for (const char* file : {"n01440764/n01440764_tench.JPEG", "n01820546/n01820546_lorikeet.JPEG",
                             "n02692877/n02692877_airship.JPEG"})
      photos.push_back(real + std::string("/") + file);
  for (const std::string name : {"resnet18", "resnet50"}) {
    SCOPED_TRACE(name);
    std::string command = python + " " + script + " " + name + " " + work.path().string();
    for (const std::string& photo : photos) command += " " + photo;
    ASSERT_EQ(std::system(command.c_str()), 0);
    const std::vector<double> expected = read_npy(work / (name + ".npy")).reals();
    ASSERT_EQ(expected.size(), 1000 * photos.size());
    for (const std::string decoder : {"stb", "turbo"}) {
      if (decoder == "turbo" && !turbo_built()) continue;
      std::vector<std::string> words = {"predict",
                                        "--weights",
                                        name + ".pth",
                                        "--model",
                                        name + "_imagenet",
                                        "--mean",
                                        "0.485,0.456,0.406",
                                        "--std",
                                        "0.229,0.224,0.225",
                                        "--logits",
                                        "y.npy",
                                        "--set",
                                        "data.decoder=" + decoder};
      words.insert(words.end(), photos.begin(), photos.end());
      const Outcome predicted = run(words, work);
      ASSERT_EQ(predicted.code, 0) << predicted.err;
      const std::vector<double> found = read_npy(work / "y.npy").reals();
      ASSERT_EQ(found.size(), expected.size());
      for (size_t p = 0; p < photos.size(); ++p) {
        double largest = 0, difference = 0;
        for (size_t k = 1000 * p; k < 1000 * (p + 1); ++k) {
          largest = std::max(largest, std::abs(expected[k]));
          difference = std::max(difference, std::abs(found[k] - expected[k]));
        }
        const double by_stb = p == 0 ? 1e-4 : p < drawn ? 8e-3 : 2e-3;
        EXPECT_LT(difference, largest * (decoder == "stb" ? by_stb : 1e-4)) << decoder << ' ' << photos[p];
      }
    }
  }
}

}  // namespace
}  // namespace retort::testing
