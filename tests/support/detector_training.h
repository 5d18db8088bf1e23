// A detector on some pictures of the drawn set, and what trains it: for tests.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "datasets/detection/open_detection.h"
#include "distill/detection/detection_step.h"
#include "distill/methods/registry.h"
#include "distill/train/run_context.h"
#include "models/weights.h"

namespace retort::testing {

class DetectorTraining {
 public:
  explicit DetectorTraining(const std::string& method = "ce", int threads = 0, int images = 16,
                            const std::string& backend = "portable")
      : data(open_detection(text("scenes:train=", images, ",test=1"))),
        device(Device::open({.name = backend, .threads = threads})),
        student(make_detector("rcnn_tiny", *device, {.classes = 24})),
        loader(data.train, loading()) {
    initialize(*student, *device, 1);
    if (method != "ce") {
      teacher = make_detector("rcnn_small", *device, {.classes = 24});
      initialize(*teacher, *device, 2);
      freeze(*teacher);
      fold_batch_norms(*teacher, *device);
    }
    RunSettings settings = default_settings("distill");
    settings.method = method_settings(method);
    distiller = make_distiller(settings.method, *device,
                               method_context(settings, *student, teacher.get(), *device, {}, {}));
    initialize(*distiller, *device, 1);
    std::vector<NamedParameter> learned = parameters_of(*student);
    for (const NamedParameter& p : parameters_of(*distiller)) learned.push_back(p);
    optimizer = std::make_unique<Sgd>(
        *device, learned, SgdOptions{.learning_rate = 0.02, .momentum = 0.9, .weight_decay = 1e-4});
  }
  DetectionLoaderOptions loading() const {
    return {.batch = 8, .seed = 3, .workers = 0, .normalize = normalize()};
  }
  Normalize normalize() const {
    Normalize n{};
    for (int c = 0; c < 3; ++c) {
      n.mean[c] = data.mean[size_t(c)];
      n.stddev[c] = data.stddev[size_t(c)];
    }
    return n;
  }
  DetectionStep step(Shards* shards = nullptr) {
    return DetectionStep(
        {*device, *student, *distiller, *optimizer, teacher.get(), 3, positives, background, shards});
  }
  void epochs(DetectionStep& step, int first, int last) {
    for (int epoch = first; epoch <= last; ++epoch) {
      distiller->begin_epoch(epoch);
      loader.begin_epoch(epoch);
      while (const HostDetections* batch = loader.next()) step.run(*batch, epoch);
    }
  }
  std::string hash() { return weights_hash(state_of(*student, *device)); }

  DetectionData data;
  std::unique_ptr<Device> device;
  std::unique_ptr<Detector> student, teacher;
  std::unique_ptr<Distiller> distiller;
  DetectionLoader loader;
  std::unique_ptr<Sgd> optimizer;
  bool positives = false, background = true;
};

}  // namespace retort::testing
