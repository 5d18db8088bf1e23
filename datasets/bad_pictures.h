// Photos that cannot be read, where they are passed over.
#pragma once
#include <cstdint>
#include <string>

namespace retort {

// Photos that could not be read, and were replaced by the next good ones.
struct BadPictures {
  int64_t count = 0;  // different ones
  std::string first;  // what was wrong with one of them, with its name

  // A line for the user of a run with `all` training images.
  std::string note(int64_t all) const;
  // Fault::input where they are more than 0.1 % of `all` training images: that is no accident.
  void check_few(int64_t all) const;
};

}  // namespace retort
