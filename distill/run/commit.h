// The state of the sources that the program was built from.
#pragma once
#include <string>

namespace retort {

struct Commit {
  std::string hash;      // 40 hex digits, or "unknown": built without git, or from an archive
  bool changed = false;  // the files differed from that commit
};

const Commit& built_commit();

// "HASH", "HASH, changed" or "unknown".
inline std::string in_words(const Commit& commit) {
  return commit.hash + (commit.changed ? ", changed" : "");
}

}  // namespace retort
