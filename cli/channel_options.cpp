#include "cli/channel_options.h"

#include "cli/output.h"

namespace retort {

ChannelOptions::ChannelOptions(Options& options) {
  options.text("--mean", "\"R G B\"", "images' normalisation, if the file does not say", mean);
  options.text("--std", "\"R G B\"", "1 is white, as \"0.5071 0.4867 0.4408\"", deviation);
}

void ChannelOptions::apply(Weights& weights) const {
  check(mean.empty() == deviation.empty(), Fault::usage, "--mean and --std go together");
  set_channel_numbers(weights, mean, deviation);
}

}  // namespace retort
