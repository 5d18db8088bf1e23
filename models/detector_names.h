// Detectors' weights under other programs' names, made ours, which are detectron2's.
#pragma once
#include <string>

#include "layers/formats/safetensors.h"

namespace retort {

// What a file's names are those of.
enum class DetectorFile {
  none,      // no detector
  whole,     // with its heads
  backbone,  // the ImageNet network under it alone, all under backbone.bottom_up.
};
DetectorFile detector_file(const SafeTensors& file);

// The bytes of an image that the network was trained on, in the order it took them.
enum class Channels { usual, rgb, bgr };

// Where the names are those of detectron2 (also of the students and teachers that mdistiller trained, the
// teacher's under "teacher."), of torchvision's fasterrcnn_*, or of MSRA's ImageNet networks (conv1_w): makes
// names, layouts and the order of classes ours, keeps one of several networks, a student before its teacher,
// and drops what is no weight (pixel_mean, cell_anchors). Networks take RGB: the first layer of one that took
// BGR is turned round. Says in the metadata how images are normalised and, where the tensors tell,
// which architecture it is, and in notes what was done. Channels::usual: as such files have it, BGR in 0..255
// of detectron2's and MSRA's, but RGB of a ResNet-18, for which they have no weights.
// Nothing happens to other files. Fault::input, naming the file, where several networks are equally likely.
void adopt_detector(SafeTensors& file, const std::string& name, Channels channels = Channels::usual);

// torchvision's classifier (resnet18 ... resnet101, mobilenet_v2, also tonylins' names of that) as a
// detector's backbone: what lies behind it goes. Fault::input if its names are no such network's.
void adopt_backbone(SafeTensors& file, const std::string& name);

// Behind the names of networks whose bottlenecks have their stride in the 3x3 convolution, not in the first.
inline constexpr const char* stride_in_3x3 = "_v15";

}  // namespace retort
