// Which algorithm computes a convolution fastest on this machine, as measured, and the files that remember
// it: another algorithm gives other bits, so a run keeps the choices it began with.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "engine/cpu/conv/conv_problem.h"

namespace retort {

const char* name_of(ConvAlgorithm algorithm);
// "forward 64x32x32x16 -> 64x32x32x16, 3x3, stride 1, pad 1, groups 1, bias, relu"
std::string name_of(const ConvProblem& problem);

// For one backend at a time.
class ConvTuning {
 public:
  // folder: where choices are kept for later runs, a file for each machine, library and number of threads;
  // made if absent. Empty: nowhere. What cannot be read there is measured again, what cannot be written is
  // left out.
  explicit ConvTuning(std::filesystem::path folder = {});

  // The record() of a run that goes on: its choices come before all others. name: of its file, for
  // Fault::input where it is damaged.
  void continue_with(const std::string& record, const std::string& name);

  // context: all that a choice depends on besides the problem. Reads what the folder has for it.
  void open(const std::string& context);
  bool opened() const { return !context_.empty(); }

  std::optional<ConvAlgorithm> find(const ConvProblem& problem);
  // remark: what was measured, for the reader of the file; one line.
  void add(const ConvProblem& problem, ConvAlgorithm algorithm, const std::string& remark);

  // The choices that were found or added, as the content of a file; empty if there are none.
  std::string record() const;
  // How many were added here: measured, not found.
  int64_t measured() const { return measured_; }

 private:
  struct Choice {
    ConvAlgorithm algorithm;
    std::string remark;
  };
  using Choices = std::map<std::string, Choice>;  // by the name of the problem

  static std::string content_of(const std::string& context, const Choices& choices);
  // Nothing if the content is damaged or of another form; context: or of another one, unless null.
  static std::optional<Choices> choices_in(const std::string& content, const std::string* context);
  std::filesystem::path file() const;
  void note(const ConvProblem& problem, const std::string& name, const Choice& choice);

  std::filesystem::path folder_;
  std::string context_;
  Choices given_, kept_, used_;
  std::map<ConvProblem, ConvAlgorithm> found_;  // the same as used_, found without making a name
  int64_t measured_ = 0;
};

}  // namespace retort
