// What commands do with detectors: score them, show what they find.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "distill/evaluate/coco.h"
#include "distill/settings/settings.h"
#include "engine/device.h"
#include "models/weights.h"

namespace retort {

struct BoxOptions {
  DeviceOptions device;
  bool quiet = false, json = false;
  DataSettings data;  // whose pictures are looked at, and who decodes them
  int64_t size = 0;   // a picture's shorter side, 0: the network's own
  int64_t batch = 8;
};

// Prints COCO's numbers of the weights on the data set's test pictures; per_class: as text, also those of
// each class, which JSON always has. An exit code.
int eval_boxes(Weights& weights, const std::string& architecture, bool per_class, const BoxOptions& options);

struct BoxOutputs {
  std::vector<std::string> pictures;  // files, looked at where options.data.spec is empty
  bool training = false;              // the data's training pictures, not the test ones
  std::string results;       // file for COCO's results; empty: none
  std::string draw;          // folder for pictures with boxes, see drawn_names(); empty: none
  double least_score = 0.5;  // of what is printed and drawn
};
int predict_boxes(Weights& weights, const std::string& architecture, const BoxOutputs& outputs,
                  const BoxOptions& options);

// As `retort coco-eval` shows them.
nlohmann::ordered_json json_of(const CocoScores& scores);
std::string text_of(const CocoScores& scores, bool per_class = true);

// Fault::usage where the network, or the weights', is a detector: `command` is not for them.
void check_no_detector(const std::string& network, const char* command);
void check_no_detector(const Weights& weights, const std::string& architecture, const char* command);

}  // namespace retort
