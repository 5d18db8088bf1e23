#include "distill/study/study_progress.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "distill/text/statistics.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::string shown(const std::optional<EpochResult>& result, bool unit) {
  if (!result) return "-";
  const Metric& metric = result->values[0].metric;
  return unit ? metric.shown(result->first()) : metric.number(result->first());
}

}  // namespace

// A run's own progress, which tells the study.
class StudyProgress::View : public Progress {
 public:
  View(StudyProgress& study, size_t run)
      : Progress(-1, false, [] { return 0.0; }), study_(study), run_(run) {}

  void begin_run(const std::vector<std::string>&) override { Progress::begin_run(); }
  void batch(const BatchProgress& now) override { study_.batch(run_, now); }
  void epoch(const EpochMetrics& result, int epochs) override { study_.epoch(run_, result, epochs); }
  void activity(std::string_view name, int64_t, int64_t) override { study_.activity(run_, name); }
  void note(std::string_view message) override { study_.note(std::string(message)); }

 private:
  StudyProgress& study_;
  const size_t run_;
};

StudyProgress::StudyProgress(Progress& shown, std::vector<std::string> kinds, int parallel,
                             std::function<double()> clock)
    : shown_(shown),
      kinds_(std::move(kinds)),
      parallel_(parallel),
      clock_(std::move(clock)),
      done_(kinds_.size()) {}

std::unique_ptr<Progress> StudyProgress::begin(size_t run, const std::string& name) {
  const std::lock_guard lock(mutex_);
  active_[run] = {.name = name, .began_at = clock_(), .at = {}, .doing = {}};
  return std::make_unique<View>(*this, run);
}

void StudyProgress::end(size_t run, const Summary& summary, const std::string& problem, bool was_there) {
  const std::lock_guard lock(mutex_);
  const std::string name = active_[run].name;
  active_.erase(run);
  if (summary.status == "stopped") return;
  done_[run] = true;
  ++count_done_;
  if (summary.status == "finished") seconds_[kinds_[run]].push_back(summary.seconds);
  if (was_there) return;
  std::string line = text(count_done_, " of ", kinds_.size(), ": ", name, ": ");
  if (!problem.empty())
    line += summary.status + ": " + problem;
  else
    line += text("best ", shown(summary.best, false), ", last ", shown(summary.last, true), ", ",
                 duration(summary.seconds));
  const double rest = left();
  if (count_done_ < kinds_.size() && !std::isnan(rest)) line += "; left about " + rough_duration(rest);
  shown_.note(line);
}

double StudyProgress::seconds_left() const {
  const std::lock_guard lock(mutex_);
  return left();
}

// Of a run of this kind: as those of its kind that finished, else as all that finished, else as what is at
// work now seems to take.
double StudyProgress::cost_of(size_t run) const {
  const auto own = seconds_.find(kinds_[run]);
  if (own != seconds_.end()) return mean_of(own->second);
  std::vector<double> all;
  for (const auto& [kind, seconds] : seconds_) all.insert(all.end(), seconds.begin(), seconds.end());
  if (!all.empty()) return mean_of(all);
  for (const auto& [index, active] : active_) {
    const double gained = active.share - active.began_share;
    if (active.began_share >= 0 && gained > 0) all.push_back((clock_() - active.began_at) / gained);
  }
  return mean_of(all);
}

double StudyProgress::left() const {
  double sum = 0, longest = 0;
  for (size_t run = 0; run < kinds_.size(); ++run) {
    if (done_[run]) continue;
    const auto active = active_.find(run);
    const double rest = cost_of(run) * (active == active_.end() ? 1 : 1 - active->second.share);
    sum += rest;
    longest = std::max(longest, rest);
  }
  return std::max(sum / std::max(1, parallel_), longest);
}

void StudyProgress::batch(size_t run, const BatchProgress& now) {
  const std::lock_guard lock(mutex_);
  Active& active = active_[run];
  active.at = now;
  active.doing.clear();
  const double in_epoch = double(now.batch) / double(std::max<int64_t>(1, now.batches));
  active.share = (now.epoch - 1 + in_epoch) / std::max(1, now.epochs);
  if (active.began_share < 0) {
    active.began_share = active.share;
    active.began_at = clock_();
  }
  draw();
}

void StudyProgress::epoch(size_t run, const EpochMetrics& result, int epochs) {
  const std::lock_guard lock(mutex_);
  Active& active = active_[run];
  active.share = double(result.epoch) / std::max(1, epochs);
  if (shown_.redraws()) return;
  const double rest = left();
  const MetricValue first = result.first();
  shown_.note(text(active.name, ": epoch ", result.epoch, "/", epochs, "  train loss ",
                   fixed(result.train_loss, 4), first.metric.training.empty() ? "  " : "  test ",
                   first.metric.word, " ", first.metric.shown(first.value), "  ", fixed(result.seconds, 1),
                   " s", std::isnan(rest) ? "" : "  study left about " + rough_duration(rest)));
}

void StudyProgress::activity(size_t run, std::string_view name) {
  const std::lock_guard lock(mutex_);
  active_[run].doing = name;
  draw();
}

// Many runs say the same: once is enough.
void StudyProgress::note(const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (noted_.insert(message).second) shown_.note(message);
}

void StudyProgress::draw() {
  if (!shown_.redraws()) return;
  std::vector<std::string> parts = {
      text("run ", std::min(count_done_ + 1, kinds_.size()), "/", kinds_.size())};
  const double rest = left();
  if (!std::isnan(rest)) parts.push_back("left " + rough_duration(rest));
  for (const auto& [run, active] : active_) {
    parts.push_back(text(active.name, " ", active.at.epoch, "/", active.at.epochs));
    if (active_.size() > 1) continue;
    if (!active.doing.empty()) {
      parts.push_back(active.doing);
      continue;
    }
    parts.push_back("loss " + significant(active.at.loss, 4));
    const MetricValue& trained = active.at.trained;
    if (!std::isnan(trained.value))
      parts.push_back(trained.metric.word + " " + trained.metric.shown(trained.value, 1));
    parts.push_back(text("batch ", active.at.batch, "/", active.at.batches));
  }
  shown_.line(parts);
}

}  // namespace retort
