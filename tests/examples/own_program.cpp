// A program of one's own: retort with one more method, matching the logits (Ba and Caruana, arXiv:1312.6184).
// It has the whole command line: own_program distill --method match --set method.weight=2 ..., compare,
// report, and the rest.
#include "cli/program.h"
#include "distill/methods/distiller.h"

using namespace retort;

class Match : public Distiller {
 public:
  Match(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), weight_(settings.number("weight")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    const Var squared = square(pass, sub(pass, z.student, z.teacher));
    return {{"match", affine(pass, mean_all(pass, squared), weight_)}};
  }

 private:
  double weight_;
};

int main(int argc, char** argv) {
  std::vector<MethodKey> keys = common_keys("0.1", "0");  // ce_weight and warmup
  keys.push_back({"weight", MethodKey::number, "1", "of the squared difference"});
  add_method({"match", "Logit matching", "arXiv:1312.6184", {}, keys, construct<Match>});
  return retort::main(argc, argv);
}
