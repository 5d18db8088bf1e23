#include "distill/methods/feature_pairs.h"

#include <algorithm>

namespace retort {

std::pair<Var, Var> pooled_to_smaller(const Pass& pass, const Var& student, const Var& teacher) {
  const Shape &s = student.shape(), &t = teacher.shape();
  const int64_t height = std::min(s[1], t[1]), width = std::min(s[2], t[2]);
  const auto pooled = [&](const Var& map) {
    const bool larger = map.shape()[1] != height || map.shape()[2] != width;
    return larger ? adaptive_average_pool(pass, map, height, width) : map;
  };
  return {pooled(student), pooled(teacher)};
}

Var sum_over_stages(const DistillInputs& inputs, const Pass& pass, const MapLoss& loss) {
  const auto &student = inputs.features.student.stages, &teacher = inputs.features.teacher.stages;
  Var sum;
  for (size_t i = 1; i < std::min(student.size(), teacher.size()); ++i) {  // 0 is the stem
    const Var of_stage = loss(pass, student[i], teacher[i]);
    sum = sum ? add(pass, sum, of_stage) : of_stage;
  }
  return sum;
}

}  // namespace retort
