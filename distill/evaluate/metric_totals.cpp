#include "distill/evaluate/metric_totals.h"

#include <algorithm>
#include <iterator>

#include "engine/kernels/rows.h"
#include "engine/types.h"

namespace retort {

namespace {

constexpr int64_t before_terms = 3;

Tensor element(const Tensor& numbers, int64_t i) {
  return numbers.part(i, {1});
}

}  // namespace

MetricTotals::MetricTotals(Device& device)
    : device_(device), totals_(device.persistent({before_terms + max_terms}, DType::f64, 0)) {}

std::pair<Var, Var> right_answers(const Var& logits, const Tensor& labels, const Pass& pass) {
  const int64_t n = logits.shape()[0];
  const Var correct1 = pass.make({n}, logits.type()), correct5 = pass.make({n}, logits.type());
  with_real_type(logits.type(), "top_k", [&]<class T>() {
    launch_rows(pass.backend(),
                TopKRow<T>{logits.tensor().as<T>(), labels.as<int32_t>(), correct1.tensor().as<T>(),
                           correct5.tensor().as<T>(), logits.shape()[1]},
                n);
  });
  return {correct1, correct5};
}

void MetricTotals::add(const Var& loss, const std::vector<LossTerm>& terms, const Var& logits,
                       const Tensor& labels, const Pass& pass) {
  const auto [correct1, correct5] = right_answers(logits, labels, pass);
  Backend& backend = pass.backend();
  backend.add_to_total(correct1, 1, element(totals_, 1));
  backend.add_to_total(correct5, 1, element(totals_, 2));
  add(loss, terms, logits.shape()[0], pass);
}

void MetricTotals::expect_terms(size_t terms) {
  check(terms <= max_terms, "MetricTotals: ", terms, " loss terms, at most ", max_terms);
  check(!restored_ || terms_ == int(terms), Fault::input, "the checkpoint's counters hold ", terms_,
        " loss terms, the method has ", terms);
  restored_ = false;
  terms_ = int(terms);
}

void MetricTotals::add(const Tensor& means, const Tensor& right, int64_t images) {
  expect_terms(size_t(means.size() - 1));
  Backend& backend = device_.backend();
  for (int64_t i = 0; i < means.size(); ++i)
    backend.add_to_total(element(means, i), double(images),
                         element(totals_, i == 0 ? 0 : before_terms + i - 1));
  backend.add_to_total(element(right, 0), 1, element(totals_, 1));
  backend.add_to_total(element(right, 1), 1, element(totals_, 2));
}

void MetricTotals::add(const Var& loss, const std::vector<LossTerm>& terms, int64_t images,
                       const Pass& pass) {
  expect_terms(terms.size());
  Backend& backend = pass.backend();
  backend.add_to_total(loss, double(images), element(totals_, 0));
  for (size_t i = 0; i < terms.size(); ++i)
    backend.add_to_total(terms[i].value, double(images), element(totals_, before_terms + int64_t(i)));
}

void MetricTotals::add(const FusedLoss& loss, const Pass& pass) {
  static_assert(before_terms + max_terms <= Backend::most_totals);
  expect_terms(loss.names.size());
  double factors[before_terms + max_terms];
  std::fill(std::begin(factors), std::end(factors), double(loss.rows.shape()[1]));
  factors[1] = factors[2] = 1;  // right answers are counted
  pass.backend().add_rows_to_totals(loss.rows, factors, totals_);
}

MetricTotals::Values MetricTotals::read() const {
  std::vector<double> all(size_t(before_terms + max_terms));
  device_.backend().download(all.data(), totals_);
  return {all[0], all[1], all[2], {all.begin() + before_terms, all.begin() + before_terms + terms_}};
}

void MetricTotals::restore(const Values& values) {
  check(values.terms.size() <= max_terms, Fault::input, "totals of an epoch: ", values.terms.size(),
        " loss terms, expected at most ", max_terms);
  // After clear() they are the same terms again, from 0 on.
  if (!values.terms.empty()) terms_ = int(values.terms.size());
  restored_ = !values.terms.empty();
  std::vector<double> all(size_t(before_terms + max_terms), 0.0);
  all[0] = values.loss;
  all[1] = values.top1;
  all[2] = values.top5;
  std::copy(values.terms.begin(), values.terms.end(), all.begin() + before_terms);
  device_.backend().upload(totals_, all.data());
}

}  // namespace retort
