// What was computed from checkpoints, kept in a file beside the report. The file is input like any other:
// each entry carries its own XXH3, and whoever takes one checks what is in it. What does not pass is computed
// again, and said.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "distill/report/judgement.h"

namespace retort {

struct ClassAccuracy {
  std::vector<int64_t> images, correct;  // by class

  double percent(size_t label) const { return 100.0 * double(correct[label]) / double(images[label]); }
  double top1() const;  // percent, of all images
};

// A test image with the logits of teacher and student on it.
struct ChosenImage {
  std::string reason;  // why this one
  int64_t index = 0;   // among the test images
  int label = 0;
  std::vector<double> teacher, student;
  std::vector<uint8_t> pixels;  // H,W,3; empty unless pictures were asked for
  int side = 0;
};

class EvaluationCache {
 public:
  // Reads the file, if it is there. What is no cache of this version is as good as none.
  explicit EvaluationCache(std::filesystem::path file);
  ~EvaluationCache();
  EvaluationCache(const EvaluationCache&) = delete;
  EvaluationCache& operator=(const EvaluationCache&) = delete;

  // Each of these: false if there is no such entry, or it is not sound (then a note says so). `classes` is
  // how many classes the images have, 0 where only the entry itself can tell.
  bool find_names(const std::string& key, std::vector<std::string>& names);
  bool find_accuracy(const std::string& key, size_t classes, ClassAccuracy& accuracy);
  bool find_confidence(const std::string& key, size_t classes, std::vector<double>& confidence);
  bool find_numbers(const std::string& key, size_t count, double least, double most,
                    std::vector<double>& numbers);
  bool find_judgement(const std::string& key, size_t classes, Judgement& judgement);
  bool find_chosen(const std::string& key, size_t classes, int64_t images, std::vector<ChosenImage>& chosen);

  void put_names(const std::string& key, const std::vector<std::string>& names);
  void put_accuracy(const std::string& key, const ClassAccuracy& accuracy);
  void put_numbers(const std::string& key, const std::vector<double>& numbers);  // a confidence too
  void put_judgement(const std::string& key, const Judgement& judgement);
  void put_chosen(const std::string& key, const std::vector<ChosenImage>& chosen);

  void write() const;  // if something was put
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct Content;
  template <class Read>
  bool find(const std::string& key, Read&& read);

  std::filesystem::path file_;
  std::unique_ptr<Content> content_;
  std::vector<std::string> notes_;
  bool changed_ = false;
};

}  // namespace retort
