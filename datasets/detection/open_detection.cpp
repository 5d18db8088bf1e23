#include "datasets/detection/open_detection.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>

#include "datasets/detection/scenes.h"
#include "datasets/formats/picture_decoder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

std::string name_of(const fs::path& file, const CocoImage& image) {
  return text(file.string(), " (image id ", image.id, ")");
}

Image decoded(const fs::path& file, const CocoImage& image, Decoder decoder) {
  try {
    return upright(read_image(file, decoder));
  } catch (const Error& error) {
    fail(error.fault(), error.what(), " (image id ", image.id, ")");
  }
}

Image read_upright(const fs::path& file, const CocoImage& image, Decoder decoder) {
  const Image picture = decoded(file, image, decoder);
  check(image.width == 0 || (picture.width == image.width && picture.height == image.height), Fault::input,
        name_of(file, image), ": the picture is ", picture.width, " x ", picture.height,
        ", its annotation says ", image.width, " x ", image.height);
  return picture;
}

DetectionPart read_part(const fs::path& json, const fs::path& folder, Decoder decoder, bool pictures_alone) {
  DetectionPart part;
  part.folder = folder;
  part.annotations = read_coco_annotations(json, pictures_alone);
  for (CocoImage& image : part.annotations.images) {
    check(!image.file_name.empty(), Fault::input, json.string(), ": image id ", image.id,
          " has no file_name");
    const fs::path file = folder / image.file_name;
    std::error_code ignored;
    check(fs::is_regular_file(file, ignored), Fault::input, name_of(file, image),
          fs::exists(file, ignored) ? ": is no file; " : ": no such file; ", json.string(), " names it");
    check(image.width <= max_picture_side && image.height <= max_picture_side &&
              image.width * image.height <= max_picture_pixels,
          Fault::input, name_of(file, image), ": ", json.string(), " says ", image.width, " x ", image.height,
          " pixels, expected at most ", max_picture_side, " along a side and ",
          with_commas(max_picture_pixels), " in all");
    if (image.width > 0 && image.height > 0) continue;
    image.width = image.height = 0;
    const Image picture = read_upright(file, image, decoder);
    image.width = picture.width;
    image.height = picture.height;
  }
  part.picture = [folder, decoder, images = part.annotations.images](int64_t i) {
    const CocoImage& image = images[size_t(i)];
    return read_upright(folder / image.file_name, image, decoder);
  };
  return part;
}

bool same(const std::vector<CocoCategory>& a, const std::vector<CocoCategory>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const CocoCategory& x, const CocoCategory& y) {
    return x.id == y.id && x.name == y.name;
  });
}

// Boxes that nothing is learned from, for the user: a wrong tool wrote them.
void note_useless(const std::string& file, const DetectionPart& part, DetectionData& data) {
  std::map<int64_t, const CocoImage*> images;
  for (const CocoImage& image : part.annotations.images) images[image.id] = &image;
  struct Found {
    int64_t count = 0, first = 0;  // an annotation's id
  } flat, outside;
  for (const CocoAnnotation& a : part.annotations.annotations) {
    const CocoImage& image = *images.at(a.image);
    if (learned_from(a.box, image)) continue;
    const bool meets = a.box.x < double(image.width) && a.box.y < double(image.height) &&
                       a.box.x + a.box.width > 0 && a.box.y + a.box.height > 0;
    Found& kind = meets || a.box.width == 0 || a.box.height == 0 ? flat : outside;
    if (kind.count++ == 0) kind.first = a.id;
  }
  for (const auto& [kind, one, many] :
       {std::tuple(flat, " box has a side of 0", " boxes have a side of 0"),
        std::tuple(outside, " box lies outside its picture", " boxes lie outside their pictures")})
    if (kind.count > 0)
      data.notes.push_back(text(file, ": ", kind.count, kind.count == 1 ? one : many,
                                " and nothing is learned from ", kind.count == 1 ? "it" : "them",
                                ", the first is annotation id ", kind.first));
}

DetectionData read_coco(const std::string& folder, const DetectionFiles& files, Parts parts, Decoder decoder,
                        bool pictures_alone) {
  const fs::path root = folder;
  check(fs::is_directory(root), Fault::input, folder, ": no such folder");
  const auto json = [&](const std::string& given, const char* usual) {
    return root / (given.empty() ? text("annotations/instances_", usual, "2017.json") : given);
  };
  const auto pictures = [&](const char* usual) {
    return root / (files.images.empty() ? text(usual, "2017") : files.images);
  };
  DetectionData data;
  data.name = "coco";
  data.mean = imagenet_mean;
  data.stddev = imagenet_deviation;
  const fs::path train = json(files.train_json, "train"), test = json(files.test_json, "val");
  if (parts == Parts::both) {
    data.train = read_part(train, pictures("train"), decoder, pictures_alone);
    data.categories = data.train.annotations.categories;
    if (!pictures_alone) {
      note_useless(train.string(), data.train, data);
      const auto objects = objects_of(data.train);
      check(std::any_of(objects.begin(), objects.end(), [](const auto& own) { return !own.empty(); }),
            Fault::input, train.string(), ": there is no box to learn from");
    }
  }
  data.test = read_part(test, pictures("val"), decoder, pictures_alone);
  if (parts == Parts::both)
    check(same(data.categories, data.test.annotations.categories), Fault::input, test.string(),
          ": its categories are not those of ", train.string());
  data.categories = data.test.annotations.categories;
  return data;
}

}  // namespace

DetectionData open_detection(const std::string& spec, const DetectionFiles& files, Parts parts,
                             Decoder decoder, bool pictures_alone) {
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon),
                    argument = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (name == "scenes") return draw_scenes(SyntheticOptions::parse(argument, scenes_defaults()), parts);
  check(name == "coco" && !argument.empty(), Fault::usage, "data set '", spec,
        "': expected scenes[:train=N,test=N,seed=N] or coco:DIR");
  return read_coco(argument, files, parts, decoder, pictures_alone);
}

}  // namespace retort
