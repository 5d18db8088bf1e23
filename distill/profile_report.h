// A profile of steps for its reader: a table, and a trace for chrome://tracing or Perfetto.
#pragma once
#include <string>

#include "engine/cpu/peak.h"
#include "engine/profile.h"

namespace retort {

// Per kind of kernel and, for the longest, per shape: calls and milliseconds a step, share of the time,
// rates, and how close the time is to the floor that the peak sets. A peak of 0 leaves the last column out.
std::string profile_text(const Profile& profile, int steps, const Peak& peak);

// Chrome's trace event format, JSON: an event per kernel with its shapes, FLOPs and bytes.
std::string profile_trace(const Profile& profile);

// "FMA peak 210.3 GFLOP/s, memory 41.2 GB/s, 2 threads"
std::string peak_text(const Peak& peak);

}  // namespace retort
