// What a run tells its method.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "datasets/image_set.h"
#include "distill/methods/method_context.h"
#include "distill/settings/settings.h"

namespace retort {

// The network that is trained on images like these, not initialised yet: settings.model, or one that ends in
// the teacher's classifier.
std::unique_ptr<Model> make_student(const RunSettings& settings, const Model* teacher, const ImageSet& images,
                                    Device& device);

// Gives a network that ends in the teacher's classifier its numbers; any other stays as it is. teacher may be
// null.
void borrow_classifier(Model& student, Model* teacher, Device& device);

// How alike the teacher sees the classes is left 0, where a method reads it: see class_similarity().
// Of a run on the given images of a set; teacher may be null for a method that reads none.
MethodContext method_context(const RunSettings& settings, Model& student, Model* teacher, Device& device,
                             const ImageSet& images, const std::vector<int32_t>& samples);

}  // namespace retort
