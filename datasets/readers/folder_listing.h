// Which pictures a folder holds, and of which classes they are: every layout in which such data sets are
// passed around.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/readers/picture_walk.h"

namespace retort {

struct FolderListing {
  struct File {
    std::string path;  // below the folder that was named
    int32_t label = 0;
    int64_t bytes = 0;
  };
  bool tiny_imagenet = false;  // its own layout
  std::vector<std::string> class_names;
  std::vector<File> train,
      test;  // by (class, folder, file name) in byte order: the order of torchvision's ImageFolder
  std::vector<FolderStamp> stamps;  // of all that was looked into: while their times stay, the listing holds

  // XXH3 of a part's paths, sizes and labels.
  static uint64_t hash(const std::vector<File>& part);
};

// Training images are those of `train` or `training`, test images those of the first of val, valid,
// validation and test that there is: a folder for each class in both, named like it; or the test images
// together, with Tiny-ImageNet's val_annotations.txt, a val.txt, Kaggle's LOC_val_solution.csv, or
// test_labels. Or CUB-200's files; or lists train.txt and val.txt or test.txt, beside folders train and val
// that hold no class folders too. Classes are numbered in the byte order of their names. Links are followed.
//
// Fault::input, naming the place and what was expected: no such layout, an empty class, a class of test
// images alone, a class whose name is no UTF-8, labels that fit no class, pictures of kinds that are not read
// in a class or among the test images. Nothing is opened but files of labels.
FolderListing list_folder(const std::filesystem::path& folder, const std::string& test_labels = {});

}  // namespace retort
