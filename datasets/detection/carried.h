// A set of pictures with boxes as a run carries its data.
#pragma once
#include <string>

#include "datasets/image_set.h"

namespace retort {

// As open_detection; of COCO's files options may follow the folder:
// "coco:DIR,train=FILE,test=FILE,images=FOLDER", which lie in it (see CocoSpec). The set is DataSet::boxes.
DataSet carried_boxes(const std::string& spec, Parts parts, Decoder decoder = Decoder::stb,
                      bool pictures_alone = false);

}  // namespace retort
