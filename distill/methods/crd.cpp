#include "distill/methods/crd.h"

#include <algorithm>
#include <cmath>

#include "distill/methods/crd_row.h"
#include "distill/methods/distiller.h"
#include "engine/types.h"
#include "layers/layers.h"

namespace retort {

Var contrast_loss(const Pass& pass, const Var& v, const Tensor& memory, const Tensor& index,
                  const Tensor& partition, const ContrastSpec& spec) {
  check(v.shape().rank() == 2 && memory.shape.rank() == 2 && memory.shape[1] == v.shape()[1] &&
            memory.type == v.type() && partition.type == v.type() && partition.size() == 1,
        "contrast_loss: v ", v.shape(), " ", v.type(), ", memory ", memory.shape, " ", memory.type,
        ", partition ", partition.shape, " ", partition.type);
  check(index.shape.rank() == 2 && index.type == DType::i32 && index.shape[0] == v.shape()[0] &&
            index.shape[1] >= 2,
        "contrast_loss: index ", index.shape, " ", index.type, " for ", v.shape()[0], " samples");
  constexpr int64_t parts = 16;  // of a sample's negatives, so that a device has enough rows to work on
  const DType type = v.type();
  const int64_t batch = v.shape()[0], d = v.shape()[1], width = index.shape[1];
  const Var scores = pass.make(index.shape, type), per_row = pass.make({batch}, type);
  const Var gradient = v.requires_grad() ? pass.make(v.shape(), type) : Var();
  Var loss = pass.make({1}, type);
  with_real_type(type, "contrast_loss", [&]<class T>() {
    const T inverse_temperature = T(1 / spec.temperature);
    Backend& backend = pass.backend();
    T *s = scores.tensor().as<T>(), *z = partition.as<T>();
    const T* rows = memory.as<T>();
    const auto* at = index.as<int32_t>();
    launch_rows(backend, ContrastScoreRow<T>{rows, at, v.tensor().as<T>(), s, width, d, inverse_temperature},
                batch * width);
    launch_rows(backend, FirstPartitionRow<T>{s, z, batch * width, T(spec.samples / double(batch * width))},
                1);
    launch_rows(backend,
                ContrastLossRow<T>{s, z, per_row.tensor().as<T>(), width, T(double(width - 1) / spec.samples),
                                   inverse_temperature, T(1) / T(batch)},
                batch);
    // Now, not in the pullback: by then the memory has moved on.
    if (gradient) {
      const Var sums = pass.make({batch * parts, d}, type);
      launch_rows(backend, ContrastGradientRow<T>{rows, at, s, sums.tensor().as<T>(), width, d, parts},
                  batch * parts);
      launch_rows(backend, SumPartsRow<T>{sums.tensor().as<T>(), gradient.tensor().as<T>(), d, parts}, batch);
    }
    backend.reduce_sum(per_row, 1.0, loss);
  });
  pass.record("contrast_loss", loss, {v}, [gradient](const Tensor& dy, Grads& g) {
    g.backend().binary(Binary::mul, gradient, dy, g.sink(0));
  });
  return loss;
}

void remember(Backend& backend, const Tensor& memory, const Tensor& index, const Tensor& v, double keep) {
  with_real_type(v.type, "remember", [&]<class T>() {
    launch_rows(
        backend,
        RememberRow<T>{memory.as<T>(), index.as<int32_t>(), v.as<T>(), index.shape[1], v.shape[1], T(keep)},
        v.shape[0]);
  });
}

namespace {

// The images that are trained on, numbered by their places in the memory, and sorted by class: for drawing
// negatives on the device.
class Negatives {
 public:
  Negatives(Device& device, const MethodContext& context, int64_t count)
      : device_(device), seed_(context.seed), count_(count), places_(int64_t(context.samples.size())) {
    check(places_ > 0, "crd: the context names no images that are trained on");
    const int32_t classes = 1 + *std::max_element(context.labels.begin(), context.labels.end());
    std::vector<int32_t> place_of(context.labels.size(), 0), by_class, first;
    for (size_t i = 0; i < context.samples.size(); ++i) place_of[size_t(context.samples[i])] = int32_t(i);
    for (int32_t c = 0; c < classes; ++c) {
      first.push_back(int32_t(by_class.size()));
      for (const int32_t image : context.samples) {
        if (context.labels[size_t(image)] == c) by_class.push_back(place_of[size_t(image)]);
      }
      check(int64_t(by_class.size()) - first.back() < places_, Fault::usage,
            "method crd: all training images are of class ", c, "; it contrasts classes");
    }
    first.push_back(int32_t(by_class.size()));
    place_of_ = uploaded(place_of);
    by_class_ = uploaded(by_class);
    first_ = uploaded(first);
    epoch_ = device.scalar(1);
  }

  void begin_epoch(int epoch) { device_.set(epoch_, epoch); }

  // B,K+1 places in the memory, i32: the sample's own, then its negatives'.
  Var draw(const Pass& pass, const Tensor& images, const Tensor& labels) const {
    Var index = pass.make({images.size(), count_ + 1}, DType::i32);
    launch_rows(pass.backend(),
                DrawNegativesRow{.images = images.as<int32_t>(),
                                 .labels = labels.as<int32_t>(),
                                 .place_of = place_of_.tensor.as<int32_t>(),
                                 .by_class = by_class_.tensor.as<int32_t>(),
                                 .first = first_.tensor.as<int32_t>(),
                                 .out = index.tensor().as<int32_t>(),
                                 .epoch = epoch_.value.as<double>(),
                                 .seed = seed_,
                                 .count = count_,
                                 .n = int32_t(places_)},
                images.size());
    return index;
  }

  int64_t places() const { return places_; }

 private:
  Array uploaded(const std::vector<int32_t>& values) const {
    Array array = device_.persistent({int64_t(values.size())}, DType::i32);
    device_.backend().upload(array, values.data());
    return array;
  }

  Device& device_;
  uint64_t seed_;
  int64_t count_, places_;
  Array place_of_, by_class_, first_;
  Scalar epoch_;
};

// alpha (L_1 + L_2): the student's features against the memory of the teacher's, and the other way round.
// Both go through a linear layer that is trained, to vectors of length 1.
class Crd : public Distiller {
 public:
  Crd(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device),
        alpha_(settings.number("alpha")),
        keep_(settings.number("momentum")),
        width_(settings.integer("width")),
        negatives_(device, context, settings.integer("negatives")),
        spec_{double(negatives_.places()), settings.number("temperature")},
        student_(device, context.student, width_, negatives_.places(), context.type),
        teacher_(device, context.teacher, width_, negatives_.places(), context.type) {}

  void begin_epoch(int epoch) override {
    Distiller::begin_epoch(epoch);
    negatives_.begin_epoch(epoch);
  }

  void visit(Visitor& visitor) override {
    visitor.child("student", student_);
    visitor.child("teacher", teacher_);
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var v1 = student_.embed(inputs.features.student.pooled, pass);
    const Var v2 = teacher_.embed(inputs.features.teacher.pooled, pass);
    const Var index = negatives_.draw(pass, inputs.indices, inputs.labels);
    const Var l1 = contrast_loss(pass, v1, teacher_.memory, index, student_.partition, spec_);
    const Var l2 = contrast_loss(pass, v2, student_.memory, index, teacher_.partition, spec_);
    if (pass.training) {
      remember(pass.backend(), student_.memory, index, v1, keep_);
      remember(pass.backend(), teacher_.memory, index, v2, keep_);
    }
    return {{"student", weighted(pass, l1, alpha_)}, {"teacher", weighted(pass, l2, alpha_)}};
  }

 private:
  // What belongs to one network: the layer, the memory of its vectors, one for each image, and the Z of its
  // anchors.
  struct Side : Module {
    Side(Device& device, const FeatureShapes& features, int64_t width, int64_t places, DType type)
        : linear(device, features.pooled.last(), width, Linear::fan_in(features.pooled.last()), type),
          memory(device.persistent({places, width}, type)),
          partition(device.persistent({1}, type)) {}

    void visit(Visitor& visitor) override {
      visitor.child("linear", linear);
      visitor.buffer("memory", memory, {Init::uniform, std::sqrt(3.0 / double(memory.tensor.shape[1]))});
      visitor.buffer("partition", partition, Init::zeros());
    }
    Var embed(const Var& pooled, const Pass& pass) { return normalize_rows(pass, linear(pooled, pass)); }

    Linear linear;
    Array memory, partition;
  };

  double alpha_, keep_;
  int64_t width_;
  Negatives negatives_;
  ContrastSpec spec_;
  Side student_, teacher_;
};

}  // namespace

MethodInfo crd_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back(temperature_key("0.07"));
  keys.back().minimum = 0.0115;  // f32 holds no exponential of a likeness of 1 over less
  keys.push_back({"alpha", MethodKey::number, "0.8", "weight of the distillation terms"});
  keys.push_back({"negatives", MethodKey::integer, "16384", "images of other classes per sample", 1});
  keys.push_back({"width", MethodKey::integer, "128", "length of the vectors that are contrasted", 1});
  keys.push_back(share_key("momentum", "0.5", "share of the old in a memory's new vector"));
  return {"crd",
          "Contrastive Representation Distillation",
          "arXiv:1910.10699",
          {.labels = true, .features = true, .indices = true},
          keys,
          construct<Crd>};
}

}  // namespace retort
