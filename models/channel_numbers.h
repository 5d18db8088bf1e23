// What pixels are normalised with, (byte / 255 - mean) / deviation per channel, as texts and files have it.
// It belongs to the weights: every image is normalised as those were that the network was trained with.
#pragma once
#include <array>
#include <optional>
#include <string>

#include "engine/base/check.h"
#include "models/weights.h"

namespace retort {

using ChannelNumbers = std::array<float, 3>;

// "R G B" in units of 1 = white, also with commas or in brackets. name: of the option or entry, for messages;
// deviation: more than 0. Error(fault) for anything else, numbers of 0 to 255 among them.
ChannelNumbers channels_from(const std::string& name, const std::string& given, bool deviation, Fault fault);

// The shortest text that channels_from() reads as the same numbers.
std::string text_of(const ChannelNumbers& numbers);

// "mean" or "std" as the file's metadata has them; nothing if they do not say. Fault::input if it is
// something else, or the other one alone is there.
std::optional<ChannelNumbers> channel_numbers(const Weights& weights, const char* key);

// What the user says of the weights takes the place of what the file says; a note where that was something
// else. Fault::usage if only one of the two is given, or no numbers. Nothing happens if both are empty.
void set_channel_numbers(Weights& weights, const std::string& mean, const std::string& deviation);

}  // namespace retort
