#include "engine/cpu/conv_tuning.h"

#include <initializer_list>
#include <sstream>

#include "engine/base/cache_folder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

constexpr const char* first_line = "retort convolutions 1";

std::optional<ConvAlgorithm> algorithm_named(const std::string& name) {
  for (const ConvAlgorithm a : {ConvAlgorithm::direct, ConvAlgorithm::winograd, ConvAlgorithm::onednn})
    if (name == name_of(a)) return a;
  return std::nullopt;
}

}  // namespace

const char* name_of(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::winograd:
      return "winograd";
    case ConvAlgorithm::onednn:
      return "onednn";
    case ConvAlgorithm::direct:
      break;
  }
  return "direct";
}

std::string name_of(const ConvProblem& p) {
  const char* pass = p.pass == ConvPass::forward          ? "forward "
                     : p.pass == ConvPass::input_gradient ? "input gradient "
                                                          : "weight gradient ";
  return text(pass, p.images, 'x', p.height, 'x', p.width, 'x', p.channels, " -> ", p.images, 'x',
              p.out_height, 'x', p.out_width, 'x', p.outputs, ", ", p.kernel_height, 'x', p.kernel_width,
              ", stride ", p.stride, ", pad ", p.pad, ", groups ", p.groups, p.bias ? ", bias" : "",
              p.add ? ", add" : "", p.relu ? ", relu" : "", p.accumulate ? ", accumulate" : "");
}

ConvTuning::ConvTuning(std::filesystem::path folder) : folder_(std::move(folder)) {
  if (folder_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) folder_.clear();
}

// The first line, the context, a digest of what follows, and a line "problem: algorithm (remark)" for each.
std::string ConvTuning::content_of(const std::string& context, const Choices& choices) {
  std::string lines;
  for (const auto& [problem, choice] : choices)
    lines += text(problem, ": ", name_of(choice.algorithm), " (", choice.remark, ")\n");
  return text(first_line, '\n', context, '\n', digest_of(lines), '\n', lines);
}

std::optional<ConvTuning::Choices> ConvTuning::choices_in(const std::string& content,
                                                          const std::string* context) {
  std::istringstream in(content);
  std::string line, whose, digest, lines;
  if (!std::getline(in, line) || line != first_line || !std::getline(in, whose) || !std::getline(in, digest))
    return std::nullopt;
  if (context && whose != *context) return std::nullopt;
  Choices choices;
  while (std::getline(in, line)) {
    const size_t colon = line.find(": "), end = line.find(" (", colon);
    if (colon == std::string::npos || end == std::string::npos || line.back() != ')') return std::nullopt;
    const auto algorithm = algorithm_named(line.substr(colon + 2, end - colon - 2));
    if (!algorithm) return std::nullopt;
    choices[line.substr(0, colon)] = {*algorithm, line.substr(end + 2, line.size() - end - 3)};
    lines += line + '\n';
  }
  if (digest != digest_of(lines)) return std::nullopt;
  return choices;
}

std::filesystem::path ConvTuning::file() const {
  return folder_.empty() ? folder_ : folder_ / (digest_of(context_) + ".txt");
}

void ConvTuning::continue_with(const std::string& record, const std::string& name) {
  std::optional<Choices> choices = choices_in(record, nullptr);
  check(choices.has_value(), Fault::input, name,
        ": is damaged; it says by which algorithms the run computed its convolutions. Without the file they "
        "are "
        "measured again, and the run may end at other weights than it would have");
  given_ = std::move(*choices);
  used_ = given_;  // what a run used stays in its record, also where this process does not come to it
}

void ConvTuning::open(const std::string& context) {
  context_ = context;
  if (folder_.empty()) return;
  kept_ = choices_in(read_text_if_readable(file()).value_or(""), &context_).value_or(Choices{});
}

std::optional<ConvAlgorithm> ConvTuning::find(const ConvProblem& problem) {
  const auto found = found_.find(problem);
  if (found != found_.end()) return found->second;
  const std::string name = name_of(problem);
  for (const Choices* choices : {&given_, &kept_}) {
    const auto choice = choices->find(name);
    if (choice == choices->end()) continue;
    note(problem, name, choice->second);
    return choice->second.algorithm;
  }
  return std::nullopt;
}

void ConvTuning::note(const ConvProblem& problem, const std::string& name, const Choice& choice) {
  found_[problem] = choice.algorithm;
  used_[name] = choice;
}

void ConvTuning::add(const ConvProblem& problem, ConvAlgorithm algorithm, const std::string& remark) {
  const std::string name = name_of(problem);
  note(problem, name, {algorithm, remark});
  ++measured_;
  if (folder_.empty()) return;
  // Another process may have measured meanwhile; where both did, the first one's choice stays for later runs.
  open(context_);
  kept_.insert({name, {algorithm, remark}});
  write_cached(file(), content_of(context_, kept_));
}

std::string ConvTuning::record() const {
  return used_.empty() ? std::string() : content_of(context_.empty() ? "not used yet" : context_, used_);
}

}  // namespace retort
