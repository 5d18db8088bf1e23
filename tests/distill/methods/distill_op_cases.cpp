#include "tests/distill/methods/distill_op_cases.h"

#include "distill/methods/at.h"
#include "distill/methods/batched_transpose.h"
#include "distill/methods/crd.h"
#include "distill/methods/ctkd.h"
#include "distill/methods/edited_kl.h"
#include "distill/methods/kdsvd.h"
#include "distill/methods/nst.h"
#include "distill/methods/ofd.h"
#include "distill/methods/pcd.h"
#include "distill/methods/pkt.h"
#include "distill/methods/registry.h"
#include "distill/methods/reviewkd.h"
#include "distill/methods/rkd.h"
#include "distill/methods/sp.h"
#include "distill/methods/standardize.h"
#include "distill/methods/target_split.h"
#include "distill/methods/vid.h"
#include "tests/support/class_similarity.h"

namespace retort {

namespace {

constexpr int64_t samples = 6, classes = 23;

Var some_labels(const Pass& pass) {
  Var labels = pass.make({samples}, DType::i32);
  std::vector<int32_t> values;
  for (int64_t i = 0; i < samples; ++i) values.push_back(int32_t((7 * i + 3) % classes));
  pass.backend().upload(labels, values.data());
  return labels;
}

using Loss = std::function<Var(const Pass& pass, const Var& student, const Var& teacher)>;

OpCase loss_case(const std::string& name, const Loss& loss) {
  const Shape shape{samples, classes};
  return {name,
          {{shape, OpInput::logits}, {shape, OpInput::constant}},
          [loss](const Pass& pass, const std::vector<Var>& in) { return loss(pass, in[0], in[1]); }};
}

OpCase method_case(const MethodInfo& method, bool standardised) {
  return loss_case(
      text("method ", method.name, standardised ? ", standardised" : ""),
      [name = method.name, standardised](const Pass& pass, const Var& student, const Var& teacher) {
        MethodSettings settings = method_settings(name);
        if (standardised) settings.set("standardize", "true");
        MethodContext context(student.type());
        if (settings.method().reads.class_similarity)
          context.class_similarity = some_class_similarity(classes);
        const auto distiller = make_distiller(settings, pass.device, context);
        freeze(*distiller);  // it dies before the tape runs backward, which may not know its parameters
        const Var labels = some_labels(pass);
        DistillInputs inputs{{student, teacher}, labels};
        if (views_read(settings) == 2)
          inputs.strong = {affine(pass, student, 0.5, 0.25), affine(pass, teacher, 1.5)};
        return total(distiller->distillation_terms(inputs, pass), pass);
      });
}

OpCase pcd_case(const std::string& name, const PcdSpec& spec) {
  return loss_case(name, [spec](const Pass& pass, const Var& student, const Var& teacher) {
    return pcd_loss(pass, student, teacher, spec);
  });
}

}  // namespace

void add_distillation_cases(std::vector<OpCase>& all) {
  all.push_back({"standardize",
                 {{{samples, classes}, OpInput::logits}},
                 [](const Pass& pass, const auto& in) { return standardize(pass, in[0]); }});
  all.push_back(pcd_case("pcd, class order", {.ranked = false}));
  all.push_back(pcd_case("pcd, unweighted", {.cosine = false}));
  all.push_back(pcd_case("pcd, every class alone", {.temperature = 1, .stages = int(classes)}));
  // More classes than are ranked by counting.
  all.push_back({"pcd of 300 classes",
                 {{{2, 300}, OpInput::logits}, {{2, 300}, OpInput::constant}},
                 [](const Pass& pass, const auto& in) { return pcd_loss(pass, in[0], in[1], {}); }});
  for (const TeacherClass k : {TeacherClass::label, TeacherClass::largest}) {
    all.push_back(loss_case(k == TeacherClass::label ? "binary kl, label" : "binary kl, largest",
                            [k](const Pass& pass, const Var& student, const Var& teacher) {
                              return binary_kl(pass, student, teacher, some_labels(pass), k, 2.0, 4.0);
                            }));
  }
  for (const bool cross_entropy : {false, true}) {
    all.push_back(loss_case(cross_entropy ? "subset cross-entropy" : "subset kl, below the label",
                            [=](const Pass& pass, const Var& student, const Var& teacher) {
                              const Subset subset = cross_entropy ? Subset::not_label : Subset::below_label;
                              return subset_kl(pass, student, teacher, some_labels(pass), subset, 2.0, 4.0,
                                               cross_entropy);
                            }));
  }
  for (const bool raise : {false, true}) {
    all.push_back(loss_case(raise ? "kl from a raised target" : "kl from a swapped target",
                            [raise](const Pass& pass, const Var& student, const Var& target) {
                              const TargetEdit edit =
                                  raise ? TargetEdit::raise_by_largest : TargetEdit::swap_with_largest;
                              return edited_kl(pass, student, target, some_labels(pass), edit, 2.0, 4.0);
                            }));
  }
  OpCase learned = loss_case("kl at a learned temperature", nullptr);
  learned.inputs.push_back({{1}});
  learned.op = [](const Pass& pass, const std::vector<Var>& in) {
    return learned_temperature_kl(pass, in[0], in[1], in[2], pass.device.scalar(1));
  };
  all.push_back(learned);
  const auto features = [&](const std::string& name, const Shape& student, const Shape& teacher, auto loss) {
    all.push_back(
        {name,
         {{student}, {teacher, OpInput::constant}},
         [loss](const Pass& pass, const std::vector<Var>& in) { return loss(pass, in[0], in[1]); }});
  };
  features("attention", {3, 4, 4, 5}, {3, 4, 4, 7}, attention_loss);
  features("attention of a larger map", {3, 6, 6, 5}, {3, 4, 4, 7}, attention_loss);
  features("relational distance", {5, 7}, {5, 9}, relational_distance_loss);
  features("relational angle", {5, 7}, {5, 9}, relational_angle_loss);
  features("hierarchical context", {2, 7, 7, 5}, {2, 7, 7, 5}, hierarchical_context_loss);
  features("similarity", {4, 3, 3, 5}, {4, 2, 2, 7}, similarity_loss);
  features("neighbourhood", {5, 7}, {5, 9}, neighbourhood_loss);
  features("selectivity", {2, 4, 4, 3}, {2, 3, 3, 5}, selectivity_loss);
  features("partial l2", {2, 3, 3, 5}, {2, 3, 3, 5}, [](const Pass& pass, const Var& x, const Var& target) {
    const Var margins = pass.make({5}, x.type());
    pass.backend().fill(margins, -0.4);
    return partial_l2(pass, x, target, margins, 2);
  });
  features("nearest eigenvector", {3, 4, 9}, {3, 4},
           [](const Pass& pass, const Var& x, const Var& direction) {
             const Var vector = nearest_eigenvector(pass, batched_gram(pass, x), direction);
             return correlation_gap(pass, vector, slice_columns(pass, vector, 0, 3), direction,
                                    slice_columns(Pass{pass.device}, direction, 1, 3));
           });
  features("gaussian", {2, 3, 3, 5}, {2, 3, 3, 5}, [](const Pass& pass, const Var& x, const Var& target) {
    return gaussian_loss(pass, x, target,
                         reshape(pass, slice_columns(pass, reshape(pass, x, {1, 90}), 0, 5), {5}));
  });
  all.push_back({"batched transpose", {{{3, 5, 37}}}, [](const Pass& pass, const auto& in) {
                   return batched_transpose(pass, in[0]);
                 }});
  features("contrast", {3, 9}, {7, 9}, [](const Pass& pass, const Var& v, const Var& memory) {
    const Var index = pass.make({3, 40}, DType::i32), partition = pass.make({1}, v.type());
    std::vector<int32_t> places;
    for (int i = 0; i < 120; ++i) places.push_back((i * 5 + i / 7) % 7);
    pass.backend().upload(index, places.data());
    pass.backend().fill(partition, 1.5);
    return contrast_loss(pass, v, memory, index, partition, {.samples = 50, .temperature = 2});
  });
  for (const MethodInfo& method : methods()) {
    if (method.reads.features || method.name == "rc")
      continue;  // rc: a part of its target is the student itself
    all.push_back(method_case(method, false));
    if (MethodSettings(method).has("standardize")) all.push_back(method_case(method, true));
  }
}

}  // namespace retort
