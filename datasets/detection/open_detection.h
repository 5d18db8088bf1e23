// Sets of pictures with boxes by name.
#pragma once
#include <string>

#include "datasets/detection/detection_set.h"

namespace retort {

struct DetectionFiles {
  std::string train_json, test_json, images;  // in the set's folder, see open_detection
};

// "scenes[:train=N,test=N,seed=N]", drawn by the program, or "coco:DIR". DIR holds COCO's own files,
// annotations/instances_{train,val}2017.json with pictures in train2017 and val2017, or what `files` names. A
// part that is not asked for has no images. Fault::usage for another spec; Fault::input, naming file and id,
// for files that are not there or not sound (see read_coco_annotations), and where training has no box to
// learn from, but with pictures_alone, where files may lack the list of boxes too. decoder: of the JPEGs.
DetectionData open_detection(const std::string& spec, const DetectionFiles& files = {},
                             Parts parts = Parts::both, Decoder decoder = Decoder::stb,
                             bool pictures_alone = false);

}  // namespace retort
