// A run's teacher: read, tested, and asked live or through stored logits.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/image_set.h"
#include "distill/run/progress.h"
#include "distill/settings/settings.h"
#include "distill/teacher/stored_teacher.h"
#include "models/model.h"
#include "models/weights.h"

namespace retort {

class Teacher {
 public:
  using Tell = std::function<void(const std::string& line)>;

  // Reads settings.teacher. How it sees images is written into the settings. tell: to the user and the log.
  // All must outlive it. Fault::input if it has another number of classes than the data or
  // sees images of another size; Fault::usage if photos can be made of its size. untrained: no file is read;
  // random weights in settings.teacher_model, whose accuracy nobody asks for: a step takes as long.
  Teacher(RunSettings& settings, const DataSet& data, Device& device, Progress& progress, Tell tell,
          bool untrained = false);

  // Its accuracy on data.test, told before hours are spent: one near chance is most likely the wrong file.
  void test();

  // Live or stored, for the samples of data.train that the run trains on; written into the settings. Returns
  // a line for the log alone, or an empty one.
  std::string choose_source(const std::vector<int32_t>& trained);

  Model& model() { return *model_; }
  const Normalize& sees() const { return sees_; }
  const std::string& hash() const { return hash_; }  // of its weights; empty of an untrained one
  // Where its logits come from stored ones; nullptr if it is asked in every step.
  StoredTeacher* stored() { return stored_.get(); }
  // What it needs in every step besides a student's images; nothing if it sees them so, or is not asked.
  std::optional<Normalize> images_besides(const Normalize& student) const;

  // Computes what is stored ahead of the first step, where the settings want it. False if go_on() says so.
  bool fill(const std::vector<int32_t>& samples, const std::function<bool()>& go_on);

 private:
  void make_untrained();
  void check_side() const;
  void test_on_boxes();

  RunSettings& settings_;
  const DataSet& data_;
  Device& device_;
  Progress& progress_;
  const Tell tell_;
  std::unique_ptr<Model> model_;
  Normalize sees_{};
  std::string hash_;
  std::unique_ptr<StoredTeacher> stored_;
};

// How the network of these weights sees the images: by `mean` and `deviation` if they are set, else as its
// file says, else by the set's own numbers. Written into both texts; what was replaced is told.
Normalize settled_numbers(Weights& weights, std::string& mean, std::string& deviation, const ImageSet& images,
                          const Teacher::Tell& tell);

}  // namespace retort
