#include "distill/methods/target_split.h"

#include "distill/methods/target_split_row.h"
#include "engine/ops/row_loss.h"

namespace retort {

namespace {

void check_shapes(const char* name, const Var& student, const Tensor& teacher, const Tensor& labels) {
  check(student.shape().rank() == 2 && teacher.shape == student.shape() && teacher.type == student.type() &&
            labels.type == DType::i32 && labels.size() == student.shape()[0],
        name, ": student ", student.shape(), ", teacher ", teacher.shape, ", labels ", labels.shape, " ",
        labels.type, ", expected B,C twice and i32 of B");
}

void check_classes(const Var& student) {
  const int64_t n = student.shape()[1];
  check(n >= 2, Fault::usage, "the logits have ", n,
        " class; splitting off the labelled one needs at least 2");
}

template <class T>
BinaryKlRow<T> binary_row(const Tensor& student, const Tensor& teacher, const Tensor& labels, TeacherClass k,
                          double temperature, T weight, T* loss, T* gradient) {
  return {.student = student.as<T>(),
          .teacher = teacher.as<T>(),
          .labels = labels.as<int32_t>(),
          .loss = loss,
          .gradient = gradient,
          .n = student.shape[1],
          .largest = k == TeacherClass::largest,
          .inverse_temperature = T(1 / temperature),
          .weight = weight};
}

template <class T>
SubsetKlRow<T> subset_row(const Tensor& student, const Tensor& teacher, const Tensor& labels, Subset subset,
                          double temperature, T weight, bool cross_entropy, T* loss, T* gradient) {
  return {.student = student.as<T>(),
          .teacher = teacher.as<T>(),
          .labels = labels.as<int32_t>(),
          .loss = loss,
          .gradient = gradient,
          .n = student.shape[1],
          .below_label = subset == Subset::below_label,
          .all = subset == Subset::all,
          .cross_entropy = cross_entropy,
          .inverse_temperature = T(1 / temperature),
          .weight = weight};
}

}  // namespace

Var binary_kl(const Pass& pass, const Var& student, const Tensor& teacher, const Tensor& labels,
              TeacherClass k, double temperature, double weight, const Var& weights) {
  check_shapes("binary_kl", student, teacher, labels);
  check_classes(student);
  return row_loss(
      pass, "binary_kl", student,
      [&]<class T>(T* loss, T* gradient, T row_weight) {
        return binary_row<T>(student, teacher, labels, k, temperature, T(weight) * row_weight, loss,
                             gradient);
      },
      weights);
}

Var subset_kl(const Pass& pass, const Var& student, const Tensor& teacher, const Tensor& labels,
              Subset subset, double temperature, double weight, bool cross_entropy, const Var& weights) {
  check_shapes("subset_kl", student, teacher, labels);
  return row_loss(
      pass, "subset_kl", student,
      [&]<class T>(T* loss, T* gradient, T row_weight) {
        return subset_row<T>(student, teacher, labels, subset, temperature, T(weight) * row_weight,
                             cross_entropy, loss, gradient);
      },
      weights);
}

Var target_cross_entropy(const Pass& pass, const Var& student, const Var& teacher, const Var& labels,
                         const Var& weights) {
  const Var index = labels.reshaped({labels.shape().size(), 1});
  const Var p = gather_columns(pass, softmax(pass, teacher), index);
  const Var log_q = gather_columns(pass, log_softmax(pass, student), index);
  Var each = mul(pass, p, log_q);
  if (weights) each = mul(pass, each, weights.reshaped({weights.shape().size(), 1}));
  return affine(pass, mean_all(pass, each), -1);
}

void launch_target_split(const TargetSplit& split, const Var& student, const Tensor& teacher,
                         const Tensor& labels, FusedRows& rows) {
  check_shapes(split.binary, student, teacher, labels);
  check_classes(student);
  rows.launch({split.binary, split.subset},
              binary_row<float>(student, teacher, labels, split.k, split.binary_temperature,
                                float(split.binary_weight) * rows.row_weight(), nullptr, nullptr),
              subset_row<float>(student, teacher, labels, split.members, split.subset_temperature,
                                float(split.subset_weight) * rows.row_weight(), false, nullptr, nullptr));
}

}  // namespace retort
