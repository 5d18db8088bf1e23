#include "distill/run/profile_report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"

namespace retort {

namespace {

constexpr size_t shapes_shown = 12;

// "conv2d 64x32x32x16 * 16x3x3x16 -> 64x32x32x16"
std::string call_text(const ProfiledCall& call) {
  std::string all = call.op;
  if (call.in.rank() > 0) all += " " + extents(call.in);
  if (call.weight.rank() > 0) all += " * " + extents(call.weight);
  if (call.out.rank() > 0) all += " -> " + extents(call.out);
  return all;
}

struct Sum {
  std::string name;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0, floor = 0;
};

template <class Name>
std::vector<Sum> sums_by(const Profile& profile, const Peak& peak, const Name& name) {
  std::map<std::string, Sum> all;
  for (const ProfiledCall& call : profile.calls()) {
    Sum& sum = all[name(call)];
    ++sum.calls;
    sum.seconds += call.seconds;
    sum.flops += call.flops;
    sum.bytes += call.bytes;
    sum.floor += peak.floor(call.flops, call.bytes);
  }
  std::vector<Sum> sorted;
  for (auto& [key, sum] : all) {
    sum.name = key;
    sorted.push_back(sum);
  }
  std::sort(sorted.begin(), sorted.end(), [](const Sum& a, const Sum& b) { return a.seconds > b.seconds; });
  return sorted;
}

std::string rate(double amount, double seconds) {
  return amount > 0 && seconds > 0 ? fixed(amount / seconds * 1e-9, 1) : "-";
}

void add_row(TextTable& table, const Sum& sum, double total, int steps) {
  table.add_row({sum.name, fixed(double(sum.calls) / steps, 1), fixed(1e3 * sum.seconds / steps, 3),
                 fixed(100 * sum.seconds / total, 1), rate(sum.flops, sum.seconds),
                 rate(sum.bytes, sum.seconds),
                 sum.floor > 0 ? fixed(100 * sum.floor / sum.seconds, 0) : "-"});
}

}  // namespace

std::string peak_text(const Peak& peak) {
  return text("FMA peak ", fixed(peak.flops * 1e-9, 1), " GFLOP/s, memory ", fixed(peak.bytes * 1e-9, 1),
              " GB/s, ", peak.threads, peak.threads == 1 ? " thread" : " threads");
}

PeakShares shares_of(const Profile& profile) {
  PeakShares shares;
  for (const ProfiledCall& call : profile.calls()) {
    if (std::string_view(call.op).starts_with("conv2d")) {
      shares.conv_seconds += call.seconds;
      shares.conv_flops += call.flops;
    } else if (call.bytes > 0) {
      shares.rest_seconds += call.seconds;
      shares.rest_bytes += call.bytes;
    }
  }
  return shares;
}

std::string shares_text(const PeakShares& shares, int steps, const Peak& peak) {
  const auto line = [&](const char* what, double seconds, double amount, const char* unit, double most,
                        const char* of, const char* excess) {
    std::string all = text(what, fixed(1e3 * seconds / steps, 2), " ms a step");
    if (seconds <= 0) return all + "\n";
    all += text(", ", fixed(1e-9 * amount / seconds, 1), unit);
    if (most <= 0) return all + "\n";
    const double share = 100 * amount / seconds / most;
    return text(all, ", ", fixed(share, 0), " % of the measured ", of, share > 100 ? excess : "", "\n");
  };
  return line("convolutions: ", shares.conv_seconds, shares.conv_flops, " GFLOP/s", peak.flops, "FMA peak",
              " (FLOPs are those of direct convolution; Winograd multiplies up to 4 times less)") +
         line("the rest: ", shares.rest_seconds, shares.rest_bytes, " GB/s", peak.bytes, "memory bandwidth",
              " (caches hold a part)");
}

std::string profile_text(const Profile& profile, int steps, const Peak& peak) {
  const double total = profile.seconds();
  const std::vector<std::string> head = {"calls", "ms", "%", "GFLOP/s", "GB/s", "% of floor"};
  const auto with = [&](const char* first) {
    std::vector<std::string> all = {first};
    all.insert(all.end(), head.begin(), head.end());
    return all;
  };
  TextTable kinds(with("kernel")), shapes(with("the longest, by shape"));
  Sum sum, rest;
  for (const Sum& kind :
       sums_by(profile, peak, [](const ProfiledCall& call) { return std::string(call.op); })) {
    add_row(kinds, kind, total, steps);
    sum.calls += kind.calls;
    sum.seconds += kind.seconds;
    sum.flops += kind.flops;
    sum.bytes += kind.bytes;
    sum.floor += kind.floor;
  }
  rest.name = "between kernels";
  rest.seconds = std::max(total - sum.seconds, 0.0);
  add_row(kinds, rest, total, steps);
  sum.name = "step";
  sum.seconds = total;
  add_row(kinds, sum, total, steps);
  std::vector<Sum> by_shape = sums_by(profile, peak, call_text);
  by_shape.resize(std::min(by_shape.size(), shapes_shown));
  for (const Sum& shape : by_shape) add_row(shapes, shape, total, steps);
  return text("profile of ", steps, " steps, per step",
              peak.flops > 0 ? "; floor: " + peak_text(peak) + ", measured now" : "", "\n", kinds.plain(),
              "\n", shapes.plain(), "\n", shares_text(shares_of(profile), steps, peak));
}

std::string profile_trace(const Profile& profile) {
  using Json = nlohmann::ordered_json;
  Json events = Json::array();
  for (const ProfiledCall& call : profile.calls()) {
    events.push_back({{"name", call.op},
                      {"ph", "X"},
                      {"ts", 1e6 * call.start},
                      {"dur", 1e6 * call.seconds},
                      {"pid", 1},
                      {"tid", 1},
                      {"args", {{"shapes", call_text(call)}, {"flops", call.flops}, {"bytes", call.bytes}}}});
  }
  return Json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump() + "\n";
}

}  // namespace retort
