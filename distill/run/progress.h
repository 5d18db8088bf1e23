// What the user sees while a run works: a line per epoch, and on a terminal below them one that is redrawn.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "distill/run/metrics_csv.h"

namespace retort {

// Of a clock that never goes back.
double steady_seconds();

// Where training stands. Numbers that are not known (yet) are NaN and left out.
struct BatchProgress {
  int epoch = 1, epochs = 1;       // the epoch in progress, from 1
  int64_t batch = 0, batches = 1;  // done in this epoch
  int64_t images = 0;              // trained on in this epoch
  double loss = 0;                 // mean over the epoch so far
  MetricValue trained = {};        // the first metric, over the epoch so far
  double lr = 0;
};

// May be used by several threads. Failing to write is not an error: a run does not end because its terminal
// closed.
class Progress {
 public:
  // Writes to `descriptor`; redraws if that is a terminal which may be sent escape sequences. quiet: notes
  // only.
  explicit Progress(int descriptor = 2, bool quiet = false);
  // For tests: the choice and the clock (in seconds) are given.
  Progress(int descriptor, bool redraws, std::function<double()> clock, bool quiet = false);
  virtual ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Another run begins: its first batch() starts the clocks of images/s and time left. `header` says which.
  virtual void begin_run(const std::vector<std::string>& header = {});

  // Redraws the line, at most 10 times a second.
  virtual void batch(const BatchProgress& now);

  // An epoch's results, on a line that stays: on a terminal a short one above the redrawn line.
  virtual void epoch(const EpochMetrics& result, int epochs);

  // Other work ("testing"): done of total batches, on a terminal only.
  virtual void activity(std::string_view name, int64_t done, int64_t total);

  // Any other redrawn line, on a terminal only; of parts that do not fit the last give way.
  void line(const std::vector<std::string>& parts);

  // A message on lines of its own, broken between words on a terminal; the redrawn line makes room for it.
  virtual void note(std::string_view message);

  // Clears the redrawn line, before results are printed.
  void clear();

  bool redraws() const { return redraws_; }

  // A terminal that may be sent escape sequences: not TERM=dumb, and NO_COLOR is not set.
  static bool can_redraw(int descriptor);

 private:
  void draw(const std::string& line);
  void stay(const std::string& line);
  void clear_line();
  std::string erasure() const;
  void write(std::string_view text) const;
  double seconds_left(double done, double now) const;

  int descriptor_;
  bool redraws_, quiet_;
  std::function<double()> clock_;
  std::mutex mutex_;
  size_t line_shown_ = 0;  // columns of the redrawn line, 0: none
  double last_draw_;
  // Where this process began: the run (as a share of all its epochs), and the epoch in progress.
  double run_began_at_, run_began_done_ = 0;
  int epoch_ = 0;
  double epoch_began_at_ = 0;
  int64_t epoch_began_images_ = 0;
  double images_per_second_;
  MetricValue tested_;  // the first metric of the epoch before
};

}  // namespace retort
