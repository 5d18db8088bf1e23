// A network that ends in another's classifier, as SimKD deploys it: Chen, Mei, Zhang, Wang, Feng, Chen,
// "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022, arXiv:2203.14001.
#pragma once
#include <memory>
#include <string>

#include "models/model.h"

namespace retort {

// Brings a map to another's width: 1x1 to half of it, 3x3, 1x1 to all of it, each with batch norm and ReLU.
class Projector : public Module {
 public:
  Projector(Device& device, int64_t in, int64_t out, DType type);
  void visit(Visitor& visitor) override;
  Var operator()(const Var& map, const Pass& pass);

 private:
  ConvBn first_, second_, third_;
};

// Of "BODY+DONOR", as resnet8x4+resnet32x4: the body's last map, pooled to the donor's side where it is
// larger, projected to its width, averaged, and classified by what was borrowed. The body keeps a classifier
// of its own, and what stands before it, that nothing reads. Outputs::map is the projected map.
class BorrowedClassifier : public Model {
 public:
  // donor: only its shapes are looked at. Fault::usage if what its classifier reads is not the mean of its
  // last stage.
  BorrowedClassifier(Device& device, std::unique_ptr<Model> body, Model& donor, DType type);

  void visit(Visitor& visitor) override;
  Outputs forward(const Var& images, const Pass& pass, bool features) override;

  // Copies the donor's classifier, which stays as it is.
  void borrow(Model& donor, Device& device);

 private:
  std::unique_ptr<Model> body_;
  int64_t height_ = 0, width_ = 0;  // of the projected map
  std::unique_ptr<Projector> projector_;
  Array weight_, bias_;
};

}  // namespace retort
