#include "distill/study/choice.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

namespace retort {

namespace {

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "a, b,c" with a label "a, b" is that and "c": the longest label that begins at a comma is meant.
std::vector<std::string> split_labels(std::string_view list, const std::vector<std::string>& labels) {
  std::vector<std::string> found;
  for (size_t at = 0; at <= list.size();) {
    size_t end = std::min(list.find(',', at), list.size());
    for (size_t far = end;; far = std::min(list.find(',', far + 1), list.size())) {
      if (contains(labels, trimmed(list.substr(at, far - at)))) end = far;
      if (far == list.size()) break;
    }
    found.emplace_back(trimmed(list.substr(at, end - at)));
    at = end + 1;
  }
  return found;
}

}  // namespace

void choose(Study& study, const std::vector<std::string>& only, const std::vector<std::string>& methods) {
  std::vector<std::string> labels, names;
  for (const StudyMethod& method : study.pairs.front().methods) labels.push_back(method.label);
  for (const StudyPair& pair : study.pairs) {
    if (!contains(names, pair.without_variant())) names.push_back(pair.without_variant());
    if (!contains(names, pair.name)) names.push_back(pair.name);
  }
  const auto check_known = [&](const char* option, const char* what, const std::string& name,
                               const std::vector<std::string>& known) {
    check(contains(known, name), Fault::usage, "compare: ", option, " ", name, ": the study has no such ",
          what, "; ", suggestion(name, known));
  };
  for (const std::string& name : only) check_known("--only", "pair", name, names);
  std::vector<std::string> meant;
  for (const std::string& list : methods)
    for (const std::string& label : split_labels(list, labels)) {
      check_known("--methods", "method", label, labels);
      meant.push_back(label);
    }
  for (StudyPair& pair : study.pairs) {
    pair.chosen = only.empty() || contains(only, pair.name) || contains(only, pair.without_variant());
    for (StudyMethod& method : pair.methods) method.chosen = meant.empty() || contains(meant, method.label);
  }
}

std::vector<std::string> not_chosen(const Study& study) {
  std::vector<std::string> names;
  for (const StudyPair& pair : study.pairs)
    if (!pair.chosen) names.push_back("pair " + pair.name);
  for (const StudyMethod& method : study.pairs.front().methods)
    if (!method.chosen) names.push_back("method " + method.label);
  return names;
}

}  // namespace retort
