// Pickles of numpy arrays, as detectron2 and MSRA write weights, under names that become ours.
#include "layers/formats/numpy_pickle.h"
#include "models/detector_names.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_detector_pickle(Bytes bytes) {
  SafeTensors file = parse_numpy_pickle(bytes, "input");
  adopt_detector(file, "input", Channels::bgr);
  if (detector_file(file) == DetectorFile::none) adopt_backbone(file, "input");
}

}  // namespace retort::fuzz
