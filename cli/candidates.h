// What the Tab key offers: see `retort completion`.
#pragma once
#include <string>
#include <vector>

namespace retort {

// What may stand at the last of the words, which is being typed; before it those that stand there already,
// without the program's name.
struct Candidates {
  struct Word {
    std::string word, help;
  };
  std::vector<Word> words;  // that begin as what is typed
  enum class Files { none, any, folders } files = Files::none;
};
Candidates candidates(const std::vector<std::string>& words);

}  // namespace retort
