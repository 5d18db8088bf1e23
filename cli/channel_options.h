// --mean and --std of a command that reads one network's weights: how it sees images, where its file does not
// say, or says it wrongly.
#pragma once
#include <string>

#include "cli/options.h"
#include "models/channel_numbers.h"

namespace retort {

class ChannelOptions {
 public:
  // Declares the options, which it has to outlive.
  explicit ChannelOptions(Options& options);

  // Puts what was given in place of what the file says, and prints a note where that was something else.
  // Error(Fault::usage) unless both were given, or neither.
  void apply(Weights& weights) const;

  // As they were given; empty if they were not.
  std::string mean, deviation;
};

}  // namespace retort
