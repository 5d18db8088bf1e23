// COCO's files: what is read of them, and what is refused with file and id.
#include "datasets/readers/coco.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/base/atomic_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::expect_fault;
using testing::TempFolder;

const std::string images =
    R"("images": [{"id": 9, "file_name": "b.jpg", "width": 4, "height": 5}, {"id": 2}])";
const std::string categories =
    R"("categories": [{"id": 5, "name": "cell", "supercategory": "x"}, {"id": 1}])";

std::string annotations_of(const std::string& entries) {
  return "{\"info\": {\"a\": [1, {\"id\": 3}]}, \"licenses\": [1, \"x\"], " + images + ", " + categories +
         ", \"annotations\": [" + entries + "]}";
}

CocoAnnotations read(const std::string& content) {
  const TempFolder work;
  write_file(work / "a.json", content);
  return read_coco_annotations(work / "a.json");
}

CocoResults read_results(const std::string& content) {
  const TempFolder work;
  write_file(work / "a.json", annotations_of(""));
  write_file(work / "r.json", content);
  return read_coco_results(work / "r.json", read_coco_annotations(work / "a.json"));
}

TEST(Coco, ReadsWhatBoxesNeed) {
  const CocoAnnotations all = read(annotations_of(
      R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2.5, 3, 4e0], "area": 6, "iscrowd": 1,
          "segmentation": [[1, 2, 3], {"bbox": [9, 9]}], "attributes": {"id": 77, "bbox": [1]}},
         {"id": 3, "image_id": 2.0, "category_id": 1, "bbox": [0, 0, 2, 3], "segmentation": {"counts": "x", "size": [1, 2]}})"));
  ASSERT_EQ(all.images.size(), 2u);
  EXPECT_EQ(all.images[0].id, 2);
  EXPECT_EQ(all.images[1].file_name, "b.jpg");
  EXPECT_EQ(all.images[1].height, 5);
  ASSERT_EQ(all.categories.size(), 2u);
  EXPECT_EQ(all.categories[0].name, "1");
  EXPECT_EQ(all.categories[1].name, "cell");
  ASSERT_EQ(all.annotations.size(), 2u);
  EXPECT_EQ(all.annotations[0].id, 8);
  EXPECT_TRUE(all.annotations[0].crowd);
  EXPECT_EQ(all.annotations[0].area, 6);
  EXPECT_EQ(all.annotations[0].box.y, 2.5);
  EXPECT_EQ(all.annotations[0].box.height, 4);
  EXPECT_FALSE(all.annotations[1].crowd);
  EXPECT_EQ(all.annotations[1].area, 6);  // of its box
}

TEST(Coco, WhatIsWrongIsNamedWithItsId) {
  const auto refused = [](const std::string& entries, const std::string& part) {
    expect_fault(Fault::input, part, [&] { read(annotations_of(entries)); });
    expect_fault(Fault::input, "a.json", [&] { read(annotations_of(entries)); });
  };
  const auto entry = [](const std::string& changed) {
    return R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4], )" + changed + "}";
  };
  refused(R"({"image_id": 9})", "annotation number 1 has no number 'id'");
  refused(R"({"id": 8, "category_id": 5, "bbox": [1, 2, 3, 4]})", "annotation 8 has no number 'image_id'");
  refused(R"({"id": 8, "image_id": 9, "category_id": 5})", "annotation 8: 'bbox'");
  refused(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3]})", "annotation 8: 'bbox'");
  refused(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, "4"]})", "annotation 8: 'bbox'");
  refused(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, null]})", "annotation 8: 'bbox'");
  refused(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, [4]]})", "annotation 8: 'bbox'");
  refused(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": {"x": 1}})", "annotation 8: 'bbox'");
  refused(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, -3, 4]})",
          "annotation 8: a box of -3 x 4");
  refused(R"({"id": 8.5, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4]})", "'id' is 8.5");
  refused(entry(R"("image_id": 4)"), "annotation 8 is of image 4");
  refused(entry(R"("category_id": 4)"), "annotation 8 is of category 4");
  refused(entry(R"("area": -1)"), "annotation 8: 'area' is -1");
  refused(entry(R"("area": 1)") + "," + entry(R"("area": 1)"), "annotation 8 stands in the file twice");
  refused("[1]", "an entry of annotations is no object");
  refused("5", "an entry of annotations is no object");
}

// Python's json writes them, and more digits than a double has are none either.
const std::vector<std::string> not_finite = {"NaN", "Infinity", "-Infinity", "1e400", "-1e400"};

TEST(Coco, NumbersThatAreNotFiniteAreNamedWithTheirId) {
  for (const std::string& number : not_finite) {
    SCOPED_TRACE(number);
    const auto refused = [&](const std::string& entry, const std::string& part) {
      // Behind it there is more that is none, and what no box needs.
      const std::string content =
          annotations_of(R"({"id": 1, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4],
                             "segmentation": [[5, "\" NaN"]]},)" +
                         entry + R"(, {"id": 2, "bbox": [NaN]})");
      expect_fault(Fault::input, part + " is not a finite number (" + number + ")", [&] { read(content); });
      expect_fault(Fault::input, "a.json", [&] { read(content); });
    };
    refused(R"({"bbox": [1, 2, )" + number + R"(, 4], "image_id": 9, "category_id": 5, "id": 8})",
            "bbox of annotation 8");
    refused(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [)" + number + ", " + number + "]}",
            "bbox of annotation 8");
    refused(R"({"area": )" + number + R"(,"bbox": [1, 2, 3, 4], "id": 8000000})",
            "area of annotation 8000000");
    refused(R"({"iscrowd":)" + number + "}", "iscrowd of annotation number 2");
    refused(R"({"bbox": [1, 2, 3, 4], "id": )" + number + "}", "id of annotation number 2");
    expect_fault(Fault::input, "height of image 3 is not a finite number", [&] {
      read(R"({"images": [{"height": )" + number + R"(, "id": 3}], "annotations": [], "categories": []})");
    });
    // In what is not read it is no JSON all the same.
    expect_fault(Fault::input, "no JSON at byte",
                 [&] { read(annotations_of(R"({"id": 8, "segmentation": [)" + number + "]}")); });
    const auto result = [&](const std::string& box, const std::string& score) {
      return R"({"image_id": 2, "category_id": 1, "bbox": [0, 0, )" + box + R"(, 3], "score": )" + score +
             "}";
    };
    expect_fault(Fault::input, "r.json: score of result number 2 (image 2) is not a finite number",
                 [&] { read_results("[" + result("2", "0.5") + "," + result("2", number) + "]"); });
    expect_fault(Fault::input, "r.json: bbox of result number 1 (image 2) is not a finite number",
                 [&] { read_results("[" + result(number, "0.5") + "]"); });
  }
}

// Larger than the pieces in which a file is read.
TEST(Coco, NumbersThatAreNotFiniteAreFoundAcrossPieces) {
  for (int more = 0; more < 20; ++more) {
    const std::string filling(size_t(1 << 16) - 200 + size_t(10 * more), ' ');
    expect_fault(Fault::input, "bbox of annotation 8 is not a finite number (-Infinity)", [&] {
      read(R"({"images": [{"id": 9}], "categories": [{"id": 5}], "annotations": [)" + filling +
           R"({"bbox": [1,2,-Infinity,-Infinity,-Infinity,-Infinity,-Infinity], "id": 8}]})");
    });
  }
}

TEST(Coco, OfAKeyThatStandsTwiceTheLastCounts) {
  const CocoAnnotations all = read(annotations_of(
      R"({"id": 3, "id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4], "bbox": [5, 6, 7, 8]},
         {"id": 4, "image_id": 9, "category_id": 5, "bbox": "none", "bbox": [5, 6, 7, 9]})"));
  ASSERT_EQ(all.annotations.size(), 2u);
  EXPECT_EQ(all.annotations[0].id, 8);
  EXPECT_EQ(all.annotations[0].box.x, 5);
  EXPECT_EQ(all.annotations[0].box.height, 8);
  EXPECT_EQ(all.annotations[1].box.height, 9);
  expect_fault(Fault::input, "annotation 8: 'bbox'", [] {
    read(annotations_of(R"({"id": 8, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4], "bbox": null})"));
  });
}

TEST(Coco, WhatIsNoFileOfAnnotationsIsRefused) {
  for (const std::string content :
       {"", "[", "{", "nothing", "{\"images\": 1e999}", "\xff\xfe", "[{}]", "5", "{}",
        "{\"images\": [], \"annotations\": []}", "{\"images\": [], \"annotations\": [], \"categories\": {}}",
        "{\"images\": [], \"images\": [], \"annotations\": [], \"categories\": []}",
        "{\"images\": [], \"annotations\": [], \"categories\": []} x"}) {
    SCOPED_TRACE(content);
    expect_fault(Fault::input, "a.json", [&] { read(content); });
  }
  expect_fault(Fault::input, "image 1 stands",
               [] { read(R"({"images": [{"id": 1}, {"id": 1}], "annotations": [], "categories": []})"); });
  expect_fault(Fault::input, "deeper", [] { read("{\"x\": " + std::string(100000, '[')); });
  EXPECT_TRUE(read(R"({"images": [], "annotations": [], "categories": []})").images.empty());
}

TEST(Coco, ResultsAreOfAnnotatedImages) {
  const std::string good = R"({"image_id": 2, "category_id": 1, "bbox": [0, 0, 2, 3], "score": 0.5})";
  EXPECT_EQ(read_results("[" + good + "," + good + "]").detections.size(), 2u);
  EXPECT_TRUE(read_results("[]").detections.empty());
  const CocoResults unknown =
      read_results(R"([{"image_id": 2, "category_id": 66, "bbox": [0, 0, 2, 3], "score": 0.5}])");
  EXPECT_TRUE(unknown.detections.empty());
  EXPECT_EQ(unknown.of_unknown_categories, 1);
  for (const auto& [content, part] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "expected a list"},
           {"3", "no list"},
           {"[3]", "no object"},
           {R"([{"image_id": 3, "category_id": 1, "bbox": [0, 0, 2, 3], "score": 0.5}])",
            "result number 1 is of image 3"},
           {R"([{"image_id": 2, "category_id": 1, "bbox": [0, 0, 2, 3]}])", "no number 'score'"},
           {R"([{"image_id": 2, "category_id": 1, "bbox": [0, 0, -2, 3], "score": 1}])",
            "a box of -2 x 3"}}) {
    SCOPED_TRACE(content);
    const std::string& results = content;
    expect_fault(Fault::input, part, [&] { read_results(results); });
  }
}

TEST(Coco, IdsAreBelowTwoToThe53) {
  expect_fault(Fault::input, "expected below 2^53", [] {
    read(
        annotations_of(R"({"id": 9007199254740992, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4]})"));
  });
  expect_fault(Fault::input, "expected a whole number", [] {
    read(annotations_of(R"({"id": 1.5, "image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4]})"));
  });
}

}  // namespace
}  // namespace retort
