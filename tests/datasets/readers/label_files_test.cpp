// The small files that label pictures.
#include "datasets/readers/label_files.h"

#include "tests/support/expect_error.h"

namespace retort::testing {
namespace {

std::vector<std::string> shown(const std::vector<LabelledFile>& files) {
  std::vector<std::string> all;
  for (const LabelledFile& file : files) all.push_back(file.file + "|" + file.label);
  return all;
}

using Lines = std::vector<std::string>;

TEST(LabelFiles, LinesOfFileAndLabel) {
  EXPECT_EQ(shown(read_label_lines("\xef\xbb\xbf"
                                   "a.jpg n1\r\n\n  b/c.JPEG\t 7 \nd.jpg",
                                   "f")),
            (Lines{"a.jpg|n1", "b/c.JPEG|7", "d.jpg|"}));
  EXPECT_EQ(read_label_lines("my photo.jpg 3", "f")[0].whole, "my photo.jpg 3");
  EXPECT_TRUE(read_label_lines("", "f").empty());
  EXPECT_EQ(shown(read_label_lines("1\ncat/2\n", "f")), (Lines{"1|", "cat/2|"}));
  expect_fault(Fault::input, "truth.txt: a list of numbers without files",
               [] { read_label_lines("490\n361\n171\n", "truth.txt"); });
}

TEST(LabelFiles, KagglesSolution) {
  EXPECT_EQ(shown(read_solution_csv(
                "ImageId,PredictionString\r\nval_1,n01 1 2 3 4 n01 5 6 7 8 \nval_2,n02 0 0 1 1\n", "f")),
            (Lines{"val_1|n01", "val_2|n02"}));
  expect_fault(Fault::input, "f.csv:2: 'val_1'",
               [] { read_solution_csv("ImageId,PredictionString\nval_1\n", "f.csv"); });
}

TEST(LabelFiles, TabsOfTinyImageNet) {
  EXPECT_EQ(shown(read_tab_annotations(
                "val_0.JPEG\tn03444034\t0\t32\t44\t62\nval_1.JPEG\tn04067472\t52\t55\t57\t59\n", "f")),
            (Lines{"val_0.JPEG|n03444034", "val_1.JPEG|n04067472"}));
  expect_fault(Fault::input, "f:1: 'val_0.JPEG n1'", [] { read_tab_annotations("val_0.JPEG n1", "f"); });
}

TEST(LabelFiles, NumberedLines) {
  EXPECT_EQ(read_numbered_lines("2 b c.jpg\n1 a.jpg\n", "f"), (Lines{"a.jpg", "b c.jpg"}));
  for (const char* bad : {"1 a\n1 b\n", "1 a\n3 b\n", "0 a\n", "a b\n", "1\n"})
    expect_fault(Fault::input, "f:", [&] { read_numbered_lines(bad, "f"); });
}

}  // namespace
}  // namespace retort::testing
