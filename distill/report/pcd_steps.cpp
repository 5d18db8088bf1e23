#include "distill/report/pcd_steps.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "distill/text/statistics.h"
#include "engine/base/check.h"

namespace retort {

namespace {

// Finite where the probability itself is too small for a double.
std::vector<double> log_softmax(std::span<const double> logits, double tau) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double value : logits) sum += std::exp((value - top) / tau);
  std::vector<double> log_p;
  for (const double value : logits) log_p.push_back((value - top) / tau - std::log(sum));
  return log_p;
}

std::vector<double> exponentials(std::vector<double> values) {
  for (double& value : values) value = std::exp(value);
  return values;
}

}  // namespace

std::vector<double> softmax(std::span<const double> logits, double tau) {
  return exponentials(log_softmax(logits, tau));
}

namespace {

PcdGroup distilled(std::span<const double> teacher, std::span<const double> student, double tau,
                   bool cosine) {
  const std::vector<double> log_p = log_softmax(teacher, tau), log_q = log_softmax(student, tau);
  const std::vector<double> p = exponentials(log_p), q = exponentials(log_q);
  PcdGroup group;
  double pp = 0, qq = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    group.kl += p[i] * (log_p[i] - log_q[i]);
    pp += p[i] * p[i];
    qq += q[i] * q[i];
  }
  if (cosine) {
    // 1 - cos(p, q) without losing its digits near agreement.
    group.lambda = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      const double u = p[i] / std::sqrt(pp) - q[i] / std::sqrt(qq);
      group.lambda += u * u / 2;
    }
  }
  return group;
}

// (z - mean) / (1e-7 + std), std unbiased.
std::vector<double> standardized(std::vector<double> z) {
  const double mean = mean_of(z), deviation = deviation_of(z);
  for (double& value : z) value = (value - mean) / (1e-7 + deviation);
  return z;
}

}  // namespace

PcdSteps pcd_steps(const MethodSettings& method, const std::vector<double>& teacher_logits,
                   const std::vector<double>& student_logits) {
  const bool standardize = method.flag("standardize");
  const std::vector<double> teacher = standardize ? standardized(teacher_logits) : teacher_logits;
  const std::vector<double> student = standardize ? standardized(student_logits) : student_logits;
  const auto classes = int64_t(teacher.size());
  const int stages = method.integer("stages");
  check(student.size() == teacher.size() && stages <= classes, "pcd_steps: ", teacher.size(), " and ",
        student.size(), " logits, ", stages, " stages");
  const double tau = method.number("temperature");
  const double directions = method.choice("direction") == "both" ? 2 : 1;
  const bool cosine = method.choice("weight") == "cosine";

  PcdSteps steps;
  steps.order.resize(size_t(classes));
  std::iota(steps.order.begin(), steps.order.end(), 0);
  if (method.choice("ranking") == "difference") {
    std::stable_sort(steps.order.begin(), steps.order.end(), [&](int32_t a, int32_t b) {
      const auto gap = [&](int32_t c) { return std::abs(teacher[size_t(c)] - student[size_t(c)]); };
      return gap(a) > gap(b);
    });
  }
  std::vector<double> t, s;
  for (const int32_t c : steps.order) {
    t.push_back(teacher[size_t(c)]);
    s.push_back(student[size_t(c)]);
  }
  for (int64_t k = 1; k <= stages; ++k) {
    std::vector<PcdGroup> groups;
    for (int64_t g = 0; g < k; ++g) {
      const int64_t first = g * (classes / k);
      const int64_t count = g + 1 < k ? classes / k : classes - first;
      PcdGroup group = distilled(std::span(t).subspan(size_t(first), size_t(count)),
                                 std::span(s).subspan(size_t(first), size_t(count)), tau, cosine);
      group.first = first;
      group.count = count;
      group.loss = directions * tau * tau * group.lambda * group.kl;
      steps.loss += group.loss;
      groups.push_back(group);
    }
    steps.stages.push_back(std::move(groups));
  }
  return steps;
}

}  // namespace retort
