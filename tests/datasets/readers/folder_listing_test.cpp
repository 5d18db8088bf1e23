// Every layout of folders of photos, and what is refused. Listing opens no picture: empty files do.
#include "datasets/readers/folder_listing.h"

#include <filesystem>
#include <memory>

#include "engine/base/text.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {
namespace {

using Names = std::vector<std::string>;

// "label path" of every file.
Names shown(const std::vector<FolderListing::File>& files) {
  Names all;
  for (const auto& file : files) all.push_back(std::to_string(file.label) + " " + file.path);
  return all;
}

void write(const TempFolder& folder, const Names& files) {
  for (const std::string& file : files) folder.write(file, "x");
}

void refused(const TempFolder& folder, const std::string& part, const std::string& labels = "") {
  expect_fault(Fault::input, part, [&] { list_folder(folder.path(), labels); });
}

TEST(FolderListing, ClassFoldersInByteOrder) {
  TempFolder folder;
  write(folder, {"train/b/1.jpg", "train/B/2.JPG", "train/a/3.JpEg", "train/a/10.png", "train/a-b/4.jpg",
                 "train/a/sub/5.jpg", "train/a/sub-2/0.jpg", "train/a/note.txt", "train/readme.md",
                 "val/b/6.png", "val/a/7.jpeg", "val/B/8.jpg", "val/a-b/9.jpg"});
  const FolderListing listing = list_folder(folder.path());
  EXPECT_EQ(listing.class_names, (Names{"B", "a", "a-b", "b"}));
  EXPECT_EQ(shown(listing.train),
            (Names{"0 train/B/2.JPG", "1 train/a/10.png", "1 train/a/3.JpEg", "1 train/a/sub/5.jpg",
                   "1 train/a/sub-2/0.jpg", "2 train/a-b/4.jpg", "3 train/b/1.jpg"}))
      << "as torchvision's ImageFolder: sorted folders, then files; a/sub before a/sub-2";
  EXPECT_EQ(shown(listing.test),
            (Names{"0 val/B/8.jpg", "1 val/a/7.jpeg", "2 val/a-b/9.jpg", "3 val/b/6.png"}));
  EXPECT_EQ(listing.train[0].bytes, 1);
  EXPECT_FALSE(listing.tiny_imagenet);
}

TEST(FolderListing, NamesOfTheParts) {
  for (const char* train : {"train", "training"})
    for (const char* test : {"val", "valid", "validation", "test"}) {
      TempFolder folder;
      write(folder, {std::string(train) + "/a/1.jpg", std::string(test) + "/a/2.jpg"});
      EXPECT_EQ(list_folder(folder.path()).test.size(), 1u) << train << " " << test;
    }
  TempFolder folder;
  write(folder, {"train/a/1.jpg", "val/a/2.jpg", "test/loose.jpg"});
  EXPECT_EQ(list_folder(folder.path()).test[0].path, "val/a/2.jpg") << "val comes before test";
}

TEST(FolderListing, LinksAreFollowed) {
  TempFolder folder;
  write(folder, {"elsewhere/cats/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg", "val/dog/4.jpg"});
  std::filesystem::create_directory_symlink(folder / "elsewhere/cats", folder / "train/cat");
  std::filesystem::create_symlink(folder / "elsewhere/cats/1.jpg", folder / "train/dog/5.jpg");
  const FolderListing listing = list_folder(folder.path());
  EXPECT_EQ(shown(listing.train), (Names{"0 train/cat/1.jpg", "1 train/dog/2.jpg", "1 train/dog/5.jpg"}));
  std::filesystem::create_directory_symlink(folder / "train", folder / "train/dog/round");
  refused(folder, "is a folder that it lies in itself: a link leads in a circle");
  std::filesystem::remove(folder / "train/dog/round");
  std::filesystem::create_symlink(folder / "nowhere.jpg", folder / "train/dog/6.jpg");
  refused(folder, "train/dog/6.jpg: is a link that leads nowhere");
}

TEST(FolderListing, TinyImageNet) {
  TempFolder folder;
  write(folder, {"train/n02/images/n02_0.JPEG", "train/n01/images/n01_0.JPEG", "train/n01/images/n01_1.JPEG",
                 "val/images/val_0.JPEG", "val/images/val_1.JPEG", "wnids.txt"});
  folder.write("val/val_annotations.txt", "val_1.JPEG\tn01\t0\t1\t2\t3\nval_0.JPEG\tn02\t0\t1\t2\t3\n");
  const FolderListing listing = list_folder(folder.path());
  EXPECT_TRUE(listing.tiny_imagenet);
  EXPECT_EQ(shown(listing.test), (Names{"0 val/images/val_1.JPEG", "1 val/images/val_0.JPEG"}));
  folder.write("val/val_annotations.txt", "val_1.JPEG\tn01\t0\t1\t2\t3\nval_0.JPEG\tn03\t0\t1\t2\t3\n");
  refused(folder, "val_annotations.txt:2: 'n03' is no class");
  folder.write("val/val_annotations.txt", "val_1.JPEG\tn01\t0\t1\t2\t3\n");
  refused(folder, "val_0.JPEG: ");
  folder.write("val/val_annotations.txt", "val_9.JPEG\tn01\t0\t1\t2\t3\n");
  refused(folder, "val_annotations.txt:1: there is no picture 'val_9.JPEG'");
}

// A flat val and what labels it: a list, Kaggle's file, or one that is named.
TEST(FolderListing, FlatTestImages) {
  TempFolder folder;
  write(folder, {"train/n02/a.JPEG", "train/n01/b.JPEG", "val/v1.JPEG", "val/v2.JPEG"});
  refused(folder, "nothing says which picture is of which class");
  const Names expected = {"0 val/v2.JPEG", "1 val/v1.JPEG"};
  for (const char* content :
       {"v1.JPEG n02\nv2.JPEG n01\n", "v1 1\nv2 0\n", "val/v1.JPEG 1\nval/v2.JPEG 0\n"}) {
    for (const char* place : {"val.txt", "val/val.txt"}) {
      folder.write(place, content);
      EXPECT_EQ(shown(list_folder(folder.path()).test), expected) << place << ": " << content;
      std::filesystem::remove(folder / place);
    }
    const auto named = folder.write("labels of mine.txt", content);
    EXPECT_EQ(shown(list_folder(folder.path(), named.string()).test), expected);
  }
  const auto csv =
      folder.write("LOC_val_solution.csv", "ImageId,PredictionString\nv1,n02 1 2 3 4 \nv2,n01 1 2 3 4 \n");
  EXPECT_EQ(shown(list_folder(folder.path()).test), expected);
  std::filesystem::remove(csv);

  const auto bad = [&](const std::string& content, const std::string& part) {
    folder.write("val.txt", content);
    refused(folder, part);
  };
  bad("490\n361\n", "a list of numbers without files");
  bad("v1.JPEG 2\nv2.JPEG 1\n", "val.txt:1: class number 2, expected 0 to 1: classes are numbered from 0");
  bad("v1.JPEG n02\nv2.JPEG n03\n", "val.txt:2: 'n03' is no class");
  bad("v1.JPEG 0\nv2.JPEG n02\n", "val.txt:2: 'n02': the name of a class where other lines have numbers");
  bad("v1.JPEG 0\nv1 0\nv2 0\n", "val.txt:2: 'v1' stands in line 1 already");
  bad("v1.JPEG 0\n", "v2.JPEG: ");
}

// Kaggle's archive of ImageNet.
TEST(FolderListing, BelowKagglesFolders) {
  TempFolder folder;
  write(folder, {"Data/CLS-LOC/train/n01/a.JPEG", "Data/CLS-LOC/val/v1.JPEG"});
  folder.write("LOC_val_solution.csv", "ImageId,PredictionString\nv1,n01 1 2 3 4\n");
  EXPECT_EQ(shown(list_folder(folder.path()).test), (Names{"0 Data/CLS-LOC/val/v1.JPEG"}));
}

TEST(FolderListing, Cub) {
  TempFolder folder;
  write(folder, {"images/002.Laysan/b 1.jpg", "images/001.Black/a.jpg", "images/001.Black/c.jpg",
                 "images/stray.jpg"});
  folder.write("images.txt", "1 001.Black/a.jpg\n2 002.Laysan/b 1.jpg\n3 001.Black/c.jpg\n");
  folder.write("image_class_labels.txt", "1 1\n2 2\n3 1\n");
  folder.write("train_test_split.txt", "1 1\n2 1\n3 0\n");
  const FolderListing listing = list_folder(folder.path());
  refused(TempFolder(), "holds neither a folder train nor lists of images");
  EXPECT_EQ(listing.class_names, (Names{"001.Black", "002.Laysan"}));
  EXPECT_EQ(shown(listing.train), (Names{"0 images/001.Black/a.jpg", "1 images/002.Laysan/b 1.jpg"}));
  EXPECT_EQ(shown(listing.test), (Names{"0 images/001.Black/c.jpg"}));
  folder.write("images.txt", "1 001.Black/a.jpg\n2 002.Laysan/b 1.jpg\n3 001.Black/a\n");
  refused(folder, "images.txt: image 3: '001.Black/a' is image 1 already; a picture");
  folder.write("image_class_labels.txt", "1 1\n2 1\n3 1\n");
  refused(folder, "image 2 ('002.Laysan/b 1.jpg') is of class '1', which is not that of its folder alone");
}

TEST(FolderListing, Lists) {
  TempFolder folder;
  write(folder, {"images/pie/1.jpg", "images/pie/2.jpg", "images/cake/3.jpg", "images/cake/4.jpg"});
  folder.write("meta/train.txt", "pie/1\ncake/3\n");
  folder.write("meta/test.txt", "pie/2\ncake/4\n");
  FolderListing listing = list_folder(folder.path());
  EXPECT_EQ(listing.class_names, (Names{"cake", "pie"}));
  EXPECT_EQ(shown(listing.train), (Names{"0 images/cake/3.jpg", "1 images/pie/1.jpg"}));
  EXPECT_EQ(shown(listing.test), (Names{"0 images/cake/4.jpg", "1 images/pie/2.jpg"}));

  TempFolder flowers;  // one folder for all, numbers in the lists
  write(flowers, {"jpg/a.jpg", "jpg/b.jpg", "jpg/c.jpg"});
  flowers.write("train.txt", "jpg/a.jpg 1\njpg/b.jpg 0\n");
  flowers.write("val.txt", "jpg/c.jpg 1\n");
  listing = list_folder(flowers.path());
  EXPECT_EQ(listing.class_names, (Names{"0", "1"}));
  EXPECT_EQ(shown(listing.test), (Names{"1 jpg/c.jpg"}));

  TempFolder flat;  // folders train and val without classes in them
  write(flat, {"train/0.jpg", "train/1.jpg", "val/2.jpg"});
  flat.write("train.txt", "train/0.jpg 1\ntrain/1.jpg 0\n");
  refused(flat, "holds train.txt, but not lists of images for testing");
  flat.write("val.txt", "val/2.jpg 1\n");
  listing = list_folder(flat.path());
  EXPECT_EQ(shown(listing.train), (Names{"0 train/1.jpg", "1 train/0.jpg"}));
  EXPECT_EQ(shown(listing.test), (Names{"1 val/2.jpg"}));
  // Class folders and lists, as for Caffe: the folders say the classes.
  write(flat, {"train/cat/3.jpg", "train/dog/4.jpg", "val/5.jpg"});
  flat.write("val.txt", "2.jpg 1\n5.jpg 0\n");
  EXPECT_EQ(list_folder(flat.path()).class_names, (Names{"cat", "dog"}));

  folder.write("meta/train.txt", "pie/1 0\ncake/3 1\n");
  folder.write("meta/test.txt", "pie/2 0\n");
  refused(folder,
          "folder 'images/cake' is class 1 there, and in the byte order of the folders' names its place is "
          "that of "
          "class 0");
  folder.write("meta/train.txt", "pie/1\n");
  folder.write("meta/test.txt", "cake/3\n");
  refused(folder, "test.txt:1: 'cake' is no class of the training images");
}

// A picture in both lists is tested on after it was learned.
TEST(FolderListing, APictureStandsInTheListsOnce) {
  TempFolder folder;
  write(folder, {"a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"});
  folder.write("train.txt", "a/1.jpg 0\nb/1.jpg 1\n");
  folder.write("val.txt", "a/2.jpg 0\nb/1.jpg 1\n");
  refused(folder, "val.txt:2: 'b/1.jpg' stands in train.txt:2 already; a picture");
  folder.write("val.txt", "a/2.jpg 0\nb/2.jpg 1\na/2.jpg 0\n");
  refused(folder, "val.txt:3: 'a/2.jpg' stands in val.txt:1 already");
  folder.write("val.txt", "a/2.jpg 0\nb/2.jpg 1\n");
  EXPECT_EQ(list_folder(folder.path()).test.size(), 2u);
}

// The test list's numbers were read by another rule than the training list's: labels were wrong by one, or
// sound lists were refused.
TEST(FolderListing, NumbersMeanTheSameInBothLists) {
  const auto lists = [](const Names& files, const std::string& train, const std::string& test) {
    auto folder = std::make_unique<TempFolder>();
    write(*folder, files);
    folder->write("train.txt", train);
    folder->write("val.txt", test);
    return folder;
  };
  const Names abc = {"a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "c/1.jpg", "c/2.jpg"};
  const std::string from_1 = "a/1.jpg 1\nb/1.jpg 2\nc/1.jpg 3\n";
  {
    const auto folder = lists(abc, from_1, "a/2.jpg 1\nb/2.jpg 2\n");
    EXPECT_EQ(list_folder(folder->path()).class_names, (Names{"a", "b", "c"}));
    EXPECT_EQ(shown(list_folder(folder->path()).test), (Names{"0 a/2.jpg", "1 b/2.jpg"}));
  }
  const auto whole = lists(abc, from_1, "a/2.jpg 1\nb/2.jpg\nc/2.jpg 3\n");
  EXPECT_EQ(shown(list_folder(whole->path()).test), (Names{"0 a/2.jpg", "1 b/2.jpg", "2 c/2.jpg"}));
  refused(*lists(abc, from_1, "a/2.jpg 0\n"),
          "val.txt:1: '0' is no class of the training list, which has 3 numbers, 1 to 3");
  refused(*lists(abc, from_1, "a/2.jpg 2\n"),
          "val.txt:1: 'a/2.jpg' lies in the folder of class 'a', and is 'b' here");
  {
    Names files;
    std::string train, test;
    for (int c = 1; c <= 12; ++c) {
      const std::string name = text("c", c < 10 ? "0" : "", c);
      files.push_back(name + "/1.jpg"), files.push_back(name + "/2.jpg");
      train += text(name, "/1.jpg ", c, "\n"), test += text(name, "/2.jpg ", c, "\n");
    }
    const auto folder = lists(files, train, test);
    EXPECT_EQ(shown(list_folder(folder->path()).test)[9], "9 c10/2.jpg");
  }
  // Folders that are called by other numbers than their classes.
  const auto others = lists({"1/a.jpg", "2/a.jpg", "3/a.jpg", "2/b.jpg", "3/b.jpg"},
                            "1/a.jpg 0\n2/a.jpg 1\n3/a.jpg 2\n", "2/b.jpg 1\n3/b.jpg 2\n");
  EXPECT_EQ(list_folder(others->path()).class_names, (Names{"1", "2", "3"}));
  EXPECT_EQ(shown(list_folder(others->path()).test), (Names{"1 2/b.jpg", "2 3/b.jpg"}));
  // Without folders numbers are in their own order, as torchvision's of the Oxford flowers.
  const auto flat = lists({"1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"}, "1.jpg 1\n2.jpg 2\n3.jpg 10\n",
                          "4.jpg 10\n5.jpg 2\n");
  EXPECT_EQ(list_folder(flat->path()).class_names, (Names{"1", "2", "10"}));
  EXPECT_EQ(shown(list_folder(flat->path()).test), (Names{"1 5.jpg", "2 4.jpg"}));
  refused(*lists({"1.jpg", "2.jpg", "3.jpg"}, "1.jpg 0\n2.jpg 2\n", "3.jpg 1\n"),
          "val.txt:1: '1' is no class of the training list");
  // Names in the training list, their numbers in the other.
  const auto named = lists({"1.jpg", "2.jpg", "3.jpg"}, "1.jpg cat\n2.jpg dog\n", "3.jpg 1\n");
  EXPECT_EQ(shown(list_folder(named->path()).test), (Names{"1 3.jpg"}));
}

// "1.jpg New York" was taken for a picture "1.jpg New" of class York.
TEST(FolderListing, NamesOfClassesMayHoldBlanks) {
  TempFolder folder;
  write(folder, {"train/New York/1.jpg", "train/York/2.jpg", "val/3.jpg", "val/my photo.jpg"});
  for (const char* content :
       {"3.jpg New York\nmy photo.jpg York\n", "3.jpg\tNew York\nmy photo.jpg\tYork\n",
        "ImageId,PredictionString\n3,New York 1 2 3 4 New York 5 6 7 8\nmy photo,York 1 2 3 4\n"}) {
    folder.write("val.txt", content);
    EXPECT_EQ(shown(list_folder(folder.path()).test), (Names{"0 val/3.jpg", "1 val/my photo.jpg"}))
        << content;
  }
  folder.write("val.txt",
               "\xff\xfe"
               "3\0.\0");
  refused(folder, "val.txt: is UTF-16; save it as UTF-8");
}

// Each blank of a line was tried as the end of a name: minutes for a list whose lines end in \r alone.
TEST(FolderListing, LinesMayBeLong) {
  TempFolder folder;
  write(folder, {"train/cat/1.jpg", "val/a.jpg", "val/b.jpg"});
  std::string lines;
  for (int i = 0; i < 200'000; ++i) lines += "b.jpg cat\r";
  folder.write("val.txt", lines);
  refused(folder, "val.txt:1: lines that end in \\r alone; expected \\n");
  folder.write("val.txt", "a.jpg cat\n./b.jpg" + std::string(100'000, ' ') + "cat\n");
  EXPECT_EQ(list_folder(folder.path()).test.size(), 2u);
}

// Links were followed 40 times where the folder itself was reached through one, and each time counted.
TEST(FolderListing, CirclesAreSeenThroughALinkToTheFolder) {
  TempFolder folder;
  write(folder, {"own/train/a/1.jpg", "own/train/b/2.jpg", "own/val/a/3.jpg"});
  std::filesystem::create_directory_symlink("own", folder / "link");
  EXPECT_EQ(list_folder(folder / "link").train.size(), 2u);
  std::filesystem::create_directory_symlink(".", folder / "own/train/a/loop");
  expect_fault(Fault::input, "a link leads in a circle", [&] { list_folder(folder / "link"); });
  expect_fault(Fault::input, "a link leads in a circle", [&] { list_folder(folder / "own"); });
  std::filesystem::remove(folder / "own/train/a/loop");
  // A class that leads nowhere: all behind it would have other numbers.
  std::filesystem::create_directory_symlink("gone", folder / "own/train/aa");
  expect_fault(Fault::input, "train/aa: is a link that leads nowhere", [&] { list_folder(folder / "own"); });
}

// A file of labels was not read, and nothing said so.
TEST(FolderListing, LabelsForOtherLayoutsAreRefused) {
  TempFolder folder;
  write(folder, {"1.jpg", "2.jpg"});
  folder.write("train.txt", "1.jpg a\n");
  folder.write("val.txt", "2.jpg a\n");
  EXPECT_EQ(list_folder(folder.path()).test.size(), 1u);
  expect_fault(Fault::usage, "data.val_labels is 'mine.txt', and is for test images beside a folder train",
               [&] { list_folder(folder.path(), "mine.txt"); });
}

TEST(FolderListing, WhatIsRefused) {
  {
    TempFolder folder;
    write(folder, {"train/a/1.jpg", "train/a/2.webp", "train/a/3.TIFF", "val/a/4.jpg"});
    refused(folder,
            "2 pictures are of a kind that is not read (.bmp .ppm .pgm .tif .tiff .webp), the first: ");
  }
  {
    TempFolder folder;
    write(folder, {"train/a/1.jpg", "train/b/note.txt", "val/a/4.jpg"});
    refused(folder, "train/b: an empty class");
    std::filesystem::remove_all(folder / "train/b");
    std::filesystem::create_directories(folder / "val/a/b");
    write(folder, {"val/c/5.jpg"});
    refused(folder, "val/c: a class of test images that has no training images");
    std::filesystem::remove_all(folder / "val/c");
    std::filesystem::remove(folder / "val/a/4.jpg");
    refused(folder, "val/a: an empty class");
  }
  {
    TempFolder folder;
    write(folder, {"train/a/1.jpg", "val/images/1.jpg", "val/images/2.jpg"});
    refused(folder, "its one folder, 'images', is no class of the training images");
  }
  {
    TempFolder folder;
    write(folder, {"train/a/1.jpg"});
    refused(folder,
            "holds training images but no test images; expected a folder val, valid, validation or test");
    write(folder, {"train/loose.jpg"});
    std::filesystem::remove_all(folder / "train/a");
    refused(folder, "train: holds no folders");
  }
  expect_fault(Fault::input, "no folder /nowhere/photos", [] { list_folder("/nowhere/photos"); });
}

// As ImageFolder, which looks for pictures in class folders alone.
TEST(FolderListing, PicturesOutsideOfClassesDoNotMatter) {
  TempFolder folder;
  write(folder, {"train/a/1.jpg", "val/a/2.jpg", "logo.bmp", "train/map.webp", "val/map.tif", "docs/a.ppm",
                 "test/x.bmp"});
  EXPECT_EQ(shown(list_folder(folder.path()).test), (Names{"0 val/a/2.jpg"}));
  write(folder, {"val/a/3.bmp"});
  refused(folder, "1 picture is of a kind that is not read (.bmp .ppm .pgm .tif .tiff .webp), the first: " +
                      (folder / "val/a/3.bmp").string());
  TempFolder flat;
  write(flat, {"train/a/1.jpg", "val/2.jpg", "val/3.webp"});
  flat.write("val.txt", "2.jpg a\n3.webp a\n");
  refused(flat, "1 picture is of a kind that is not read");
  TempFolder lists;
  write(lists, {"images/a/1.jpg", "images/a/2.jpg", "images/a/3.bmp", "logo.tiff"});
  lists.write("train.txt", "a/1.jpg\n");
  lists.write("val.txt", "a/2.jpg\n");
  EXPECT_EQ(list_folder(lists.path()).train.size(), 1u);
}

// Weights and reports could not hold it: better now than when an epoch is trained.
TEST(FolderListing, NamesOfClassesAreUtf8) {
  TempFolder folder;
  write(folder, {"train/a/1.jpg", "train/b\xe9/2.jpg", "val/a/3.jpg", "val/b\xe9/4.jpg"});
  refused(folder, "train/b\xe9/2.jpg: its class, 'b\xe9', has a name that is no UTF-8");
  TempFolder lists;
  write(lists, {"x/1.jpg", "x/2.jpg", "x/3.jpg"});
  lists.write("train.txt", "x/1.jpg b\xe9\nx/2.jpg a\n");
  lists.write("val.txt", "x/3.jpg a\n");
  refused(lists, "x/1.jpg: its class, 'b\xe9', has a name that is no UTF-8");
}

TEST(FolderListing, HashSeesPathsSizesAndLabels) {
  const std::vector<FolderListing::File> files = {{"a/1.jpg", 0, 5}, {"b/2.jpg", 1, 6}};
  const uint64_t hash = FolderListing::hash(files);
  for (const auto& other : {FolderListing::File{"a/1.jpeg", 0, 5}, {"a/1.jpg", 1, 5}, {"a/1.jpg", 0, 6}}) {
    auto changed = files;
    changed[0] = other;
    EXPECT_NE(FolderListing::hash(changed), hash);
  }
  EXPECT_NE(FolderListing::hash({files[0]}), hash);
}

}  // namespace
}  // namespace retort::testing
