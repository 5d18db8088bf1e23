// A moving average of what the optimizer moves, which is what is tested, kept as best and exported.
#pragma once
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "engine/optim.h"

namespace retort {

// After each step average = d average + (1 - d) value, after the first one average = value, as
// torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(d). Running statistics of batch norms are no
// parameters: the averaged network has those of the trained one.
class WeightAverage {
 public:
  // decay 0: none is kept, and nothing below does anything.
  WeightAverage(Device& device, Sgd& optimizer, double decay);

  bool kept() const { return decay_ > 0; }
  // Before step `step`, counted from 0 over the whole training.
  void begin_step(int64_t step) { is_first_ = step == 0; }
  // Behind the optimizer's step: enqueues the average's.
  void step();
  // Values and averages change places: what is run and saved between two calls is the average.
  void exchange();
  // For checkpoints: what is not in the parameters, as "other.NAME".
  std::vector<std::pair<std::string, Tensor>> tensors() const;

 private:
  Device& device_;
  Sgd& optimizer_;
  double decay_;
  bool is_first_ = true;
  Array average_, aside_;
};

// All that a checkpoint holds of them; average may be null.
std::vector<std::pair<std::string, Tensor>> optimizer_state(const Sgd& optimizer, const WeightAverage* average);

// The average is in the parameters' place while this lives.
class Averaged {
 public:
  explicit Averaged(WeightAverage& average) : average_(average) { average_.exchange(); }
  // Where an error of the device ends the evaluation, it fails again here: the first one is what is told.
  ~Averaged() noexcept(false) {
    try {
      average_.exchange();
    } catch (...) {
      if (std::uncaught_exceptions() == errors_) throw;
    }
  }
  Averaged(const Averaged&) = delete;
  Averaged& operator=(const Averaged&) = delete;

 private:
  WeightAverage& average_;
  const int errors_ = std::uncaught_exceptions();
};

}  // namespace retort
