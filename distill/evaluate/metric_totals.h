// Sums over an epoch, kept on the device so that a step reads nothing back.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "distill/methods/distiller.h"

namespace retort {

// For each row 1 where the right class is the first, and where it is among the first five, else 0.
std::pair<Var, Var> right_answers(const Var& logits, const Tensor& labels, const Pass& pass);

class MetricTotals {
 public:
  explicit MetricTotals(Device& device);

  static constexpr int max_terms = 13;

  // Adds one batch: its mean loss, its terms and its right answers. The number of terms is that of the first
  // call; Fault::input if restored totals had another.
  void add(const Var& loss, const std::vector<LossTerm>& terms, const Var& logits, const Tensor& labels,
           const Pass& pass);

  // The same for what has no right answers to count: `images` images.
  void add(const Var& loss, const std::vector<LossTerm>& terms, int64_t images, const Pass& pass);
  // The same of a fused loss.
  void add(const FusedLoss& loss, const Pass& pass);

  // The same from numbers that are there: the mean loss and after it the terms, and how many were right.
  void add(const Tensor& means, const Tensor& right, int64_t images);

  struct Values {
    double loss = 0, top1 = 0, top5 = 0;  // sums over images
    std::vector<double> terms;
  };
  Values read() const;  // waits for the device
  // Fault::input for more terms than a method can have: they come from a file.
  void restore(const Values& values);
  void clear() { restore({}); }

 private:
  void expect_terms(size_t terms);

  Device& device_;
  Array totals_;  // f64: loss, top-1, top-5, terms
  int terms_ = 0;
  bool restored_ = false;  // terms_ is not known from a step yet
};

}  // namespace retort
