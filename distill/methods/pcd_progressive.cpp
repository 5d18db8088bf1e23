#include "distill/methods/pcd_progressive.h"

#include <algorithm>

#include "distill/methods/distiller.h"
#include "distill/methods/pcd.h"

namespace retort {

int progressive_groups(int epoch, int epochs, int stages) {
  if (epochs <= 0) return stages;
  const int64_t place = std::min<int64_t>(int64_t(epoch - 1) * 2 * stages / epochs, 2 * stages - 1);
  return int(place < stages ? stages - place : place - stages + 1);
}

namespace {

// 2 S alpha times pcd_loss of the epoch's partition alone: over a training each partition counts as much as
// in pcd, which takes all S of them twice in each step.
class PcdProgressive : public Distiller {
 public:
  PcdProgressive(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device),
        spec_{.temperature = settings.number("temperature"),
              .ranked = settings.choice("ranking") == "difference",
              .directions = 1,
              .cosine = settings.choice("weight") == "cosine"},
        stages_(settings.integer("stages")),
        epochs_(context.epochs),
        alpha_(settings.number("alpha")) {
    for (int k = 1; k <= stages_; ++k) shares_.push_back(device.scalar(0));
    set_shares(1);
  }

  void begin_epoch(int epoch) override {
    Distiller::begin_epoch(epoch);
    set_shares(epoch);
  }

 protected:
  // A step that was captured is replayed in later epochs, so it holds every partition, all but one times 0.
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    Var sum;
    for (int k = stages_; k >= 1; --k) {
      PcdSpec spec = spec_;
      spec.first_stage = spec.stages = k;
      const Var loss =
          scale_by(pass, pcd_loss(pass, z.student, z.teacher, spec, alpha_), shares_[size_t(k - 1)]);
      sum = sum ? add(pass, sum, loss) : loss;
    }
    return {{"pcd", sum}};
  }

 private:
  void set_shares(int epoch) {
    const int groups = progressive_groups(epoch, epochs_, stages_);
    for (int k = 1; k <= stages_; ++k)
      device().set(shares_[size_t(k - 1)], k == groups ? 2.0 * stages_ : 0.0);
  }

  PcdSpec spec_;
  int stages_, epochs_;
  double alpha_;
  std::vector<Scalar> shares_;  // of the partition into 1, 2, .. groups
};

}  // namespace

MethodInfo pcd_progressive_method() {
  MethodInfo info = pcd_method();
  info.name = "pcd-progressive";
  info.title = "PCD whose stages advance over the epochs (ours)";
  info.paper = "";
  info.reads.length = true;
  std::erase_if(info.keys, [](const MethodKey& key) { return key.name == "direction"; });
  info.make = construct<PcdProgressive>;
  return info;
}

}  // namespace retort
