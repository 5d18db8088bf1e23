// A profile of steps for its reader: a table, and a trace for chrome://tracing or Perfetto.
#pragma once
#include <string>

#include "engine/cpu/peak.h"
#include "engine/profile/profile.h"

namespace retort {

// What the cores and the memory were used for: convolutions are held against the FMA peak, the other kernels
// whose bytes are known (all but a method's rows) against the memory bandwidth. Seconds, FLOPs and bytes of
// all recorded steps.
struct PeakShares {
  double conv_seconds = 0, conv_flops = 0;
  double rest_seconds = 0, rest_bytes = 0;
};
PeakShares shares_of(const Profile& profile);

// Two lines: milliseconds, rate and share of the peak. FLOPs are those of direct convolution, so Winograd can
// exceed 100 %, and so can bytes that a cache holds; a line of which that is true says so. A peak of 0 leaves
// the shares out.
std::string shares_text(const PeakShares& shares, int steps, const Peak& peak);

// Per kind of kernel and, for the longest, per shape: calls and milliseconds a step, share of the time,
// rates, and how close the time is to the floor that the peak sets; then shares_text(). A peak of 0 leaves
// the last column out.
std::string profile_text(const Profile& profile, int steps, const Peak& peak);

// Chrome's trace event format, JSON: an event per kernel with its shapes, FLOPs and bytes.
std::string profile_trace(const Profile& profile);

// "FMA peak 210.3 GFLOP/s, memory 41.2 GB/s, 2 threads"
std::string peak_text(const Peak& peak);

}  // namespace retort
