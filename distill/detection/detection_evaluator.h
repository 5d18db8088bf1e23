// What a detector finds on pictures, and how COCO scores it.
#pragma once
#include <functional>
#include <vector>

#include "datasets/detection/detection_loader.h"
#include "distill/evaluate/coco.h"
#include "engine/distributed/communicator.h"
#include "models/detection/detector.h"

namespace retort {

// How a detector is shown pictures: their shorter side `size`, or, with 0, what it was made for.
DetectionLoaderOptions pictures_for(const DetectorSpec& spec, int size, const Normalize& sees, bool training);

class DetectionEvaluator {
 public:
  // Of all pictures of the part, which must outlive it; options.training must be false. world: processes that
  // share the pictures; all of them call detect(), and get what one process gets. Null: this one has all.
  DetectionEvaluator(Detector& detector, Device& device, const DetectionPart& part,
                     const DetectionLoaderOptions& options, Communicator* world = nullptr);

  // In the pictures' own pixels, by the ids of images and categories; images in ascending order, an image's
  // the highest score first. `activity` is called now and then with how many pictures are done, of how many.
  // Fault::diverged if a weight has become a number that is not finite.
  std::vector<CocoDetection> detect(const std::function<void(int64_t done, int64_t total)>& activity = {});

  CocoScores scores(const std::vector<CocoDetection>& detections) const {
    return coco_scores(part_.annotations, detections);
  }

 private:
  using OfImages = std::vector<std::vector<CocoDetection>>;  // by the image's number
  void detect(const HostDetections& batch, OfImages& found);
  OfImages detect_own(const std::function<void(int64_t done, int64_t total)>& activity);
  void gather(OfImages& found) const;

  Detector& detector_;
  Device& device_;
  const DetectionPart& part_;
  Communicator* const world_;
  DetectionLoader loader_;
  Anchors anchors_;
};

}  // namespace retort
