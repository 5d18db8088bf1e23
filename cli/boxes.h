// What commands do with detectors: score them, show what they find.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "distill/evaluate/coco.h"
#include "engine/device.h"
#include "models/weights.h"

namespace retort {

struct BoxOptions {
  DeviceOptions device;
  bool quiet = false, json = false;
  int64_t size = 0;  // a picture's shorter side, 0: the network's own
};

// Prints COCO's numbers of the weights on the data set's test pictures. An exit code.
int eval_boxes(Weights& weights, const std::string& architecture, const std::string& data,
               const BoxOptions& options);

struct BoxOutputs {
  std::string data;  // a data set whose test pictures are looked at; else `pictures`
  std::vector<std::string> pictures;
  std::string results;       // file for COCO's results; empty: none
  std::string draw;          // folder for pictures with boxes; empty: none
  double least_score = 0.5;  // of what is printed and drawn
};
int predict_boxes(Weights& weights, const std::string& architecture, const BoxOutputs& outputs,
                  const BoxOptions& options);

// As `retort coco-eval` shows them.
nlohmann::ordered_json json_of(const CocoScores& scores);
std::string text_of(const CocoScores& scores);

// Fault::usage where the network, or the weights', is a detector: `command` is not for them.
void check_no_detector(const std::string& network, const char* command);
void check_no_detector(const Weights& weights, const std::string& architecture, const char* command);

}  // namespace retort
