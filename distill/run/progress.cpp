#include "distill/run/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/terminal.h"

namespace retort {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double redraw_interval = 0.1;
constexpr size_t continuation_indent = 2;  // of a message's second line and those behind it

// Of the redrawn line; where a test draws on no terminal, 80.
size_t width_of(int descriptor) {
  return ::isatty(descriptor) ? line_columns(descriptor) : 80;
}

struct Part {
  int rank;  // parts of the highest rank give way first
  std::string text;
};

// The parts that fit, in their order, two spaces apart.
std::string fitted(std::vector<Part> parts, size_t width) {
  std::erase_if(parts, [](const Part& part) { return part.text.empty(); });
  for (;;) {
    std::string line;
    for (const Part& part : parts) line += (line.empty() ? "" : "  ") + part.text;
    if (parts.size() <= 1 || display_width(line) <= width) return cut_to_width(line, width);
    parts.erase(std::max_element(parts.begin(), parts.end(),
                                 [](const Part& a, const Part& b) { return a.rank < b.rank; }));
  }
}

// "" for NaN, which drops the part. label ends with a space, unless it is empty.
std::string labelled(std::string_view label, double value, std::string number, std::string_view unit = "") {
  return std::isnan(value) ? "" : std::string(label) + std::move(number) + std::string(unit);
}

// "top-1 45.25 %"; percent: their decimals.
std::string labelled(const std::string& word, const MetricValue& one, int percent = 2) {
  return std::isnan(one.value) ? "" : word + " " + one.metric.shown(one.value, percent);
}

// An epoch's line on a terminal: "  3/10  loss 2.76  train 11.9  test 11.9  4.6 s".
std::string short_line(const EpochMetrics& result, int epochs, size_t columns) {
  const std::string total = std::to_string(epochs);
  std::string number = std::to_string(result.epoch);
  number.insert(0, total.size() > number.size() ? total.size() - number.size() : 0, ' ');
  const MetricValue first = result.first();
  const bool both = !first.metric.training.empty();  // measured on both, it needs no name
  return fitted({{0, " " + number + "/" + total},
                 {2, labelled("loss ", result.train_loss, fixed(result.train_loss, 2))},
                 {1, labelled("train ", result.trained, first.metric.number(result.trained, 1))},
                 {0, labelled(both ? "test " : first.metric.word + " ", first.value,
                              first.metric.number(first.value, 1))},
                 {3, labelled("", result.seconds, fixed(result.seconds, 1), " s")}},
                columns);
}

std::string count_of(int64_t done, int64_t total) {
  return std::to_string(done) + '/' + std::to_string(total);
}

}  // namespace

bool Progress::can_redraw(int descriptor) {
  const char* terminal = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  return ::isatty(descriptor) && terminal && *terminal && std::string_view(terminal) != "dumb" &&
         !(no_color && *no_color);
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(int descriptor, bool quiet)
    : Progress(descriptor, can_redraw(descriptor), steady_seconds, quiet) {}

Progress::Progress(int descriptor, bool redraws, std::function<double()> clock, bool quiet)
    : descriptor_(descriptor),
      redraws_(redraws && !quiet),
      quiet_(quiet),
      clock_(std::move(clock)),
      last_draw_(-std::numeric_limits<double>::infinity()),
      run_began_at_(nan),
      images_per_second_(nan) {}

Progress::~Progress() {
  clear_line();
}

// From the pace since this process began, tests between epochs included.
double Progress::seconds_left(double done, double now) const {
  const double gained = done - run_began_done_;
  return gained > 0 ? (now - run_began_at_) * (1 - done) / gained : nan;
}

void Progress::begin_run(const std::vector<std::string>& header) {
  if (!quiet_)
    for (const std::string& line : header) note(line);
  const std::lock_guard lock(mutex_);
  run_began_at_ = images_per_second_ = nan;
  tested_ = {};
  epoch_ = 0;
}

void Progress::batch(const BatchProgress& at) {
  const std::lock_guard lock(mutex_);
  const double now = clock_();
  const double share = double(at.batch) / double(std::max<int64_t>(1, at.batches));
  const double done = (at.epoch - 1 + share) / std::max(1, at.epochs);
  if (std::isnan(run_began_at_)) {
    run_began_at_ = now;
    run_began_done_ = done;
  }
  if (at.epoch != epoch_) {
    epoch_ = at.epoch;
    epoch_began_at_ = now;
    epoch_began_images_ = at.images;
  }
  if (now > epoch_began_at_ && at.images > epoch_began_images_)
    images_per_second_ = double(at.images - epoch_began_images_) / (now - epoch_began_at_);
  if (!redraws_ || now - last_draw_ < redraw_interval) return;
  last_draw_ = now;
  const double left = seconds_left(done, now);
  draw(fitted({{0, "epoch " + count_of(at.epoch, at.epochs)},
               {4, "batch " + count_of(at.batch, at.batches)},
               {5, labelled("", images_per_second_, fixed(images_per_second_, 0), " images/s")},
               {1, labelled("loss ", at.loss, significant(at.loss, 4))},
               {3, labelled(at.trained.metric.word, at.trained, 1)},
               {6, labelled("test", tested_, 2)},
               {7, labelled("lr ", at.lr, significant(at.lr, 3))},
               {2, labelled("left ", left, duration(left))}},
              width_of(descriptor_) - 1));
}

void Progress::epoch(const EpochMetrics& result, int epochs) {
  const std::lock_guard lock(mutex_);
  tested_ = result.first();
  if (quiet_) return;
  if (redraws_) return stay(short_line(result, epochs, width_of(descriptor_) - 1));
  const double left = seconds_left(double(result.epoch) / std::max(1, epochs), clock_());
  std::vector<Part> parts = {{0, "epoch " + count_of(result.epoch, epochs)},
                             {0, labelled("lr ", result.lr, significant(result.lr, 3))},
                             {0, labelled("train loss ", result.train_loss, fixed(result.train_loss, 4))},
                             {0, labelled(tested_.metric.word, {tested_.metric, result.trained})}};
  for (const MetricValue& one : in_columns(result.tested))
    parts.push_back({0, labelled(one.metric.word, one)});
  parts.push_back({0, labelled("", images_per_second_, fixed(images_per_second_, 0), " images/s")});
  parts.push_back({0, labelled("", result.seconds, fixed(result.seconds, 1), " s")});
  parts.push_back({0, result.epoch < epochs ? labelled("left ", left, duration(left)) : ""});
  write(fitted(std::move(parts), std::string::npos) + '\n');
}

void Progress::activity(std::string_view name, int64_t done, int64_t total) {
  const std::lock_guard lock(mutex_);
  const double now = clock_();
  if (!redraws_ || now - last_draw_ < redraw_interval) return;
  last_draw_ = now;
  draw(fitted({{0, epoch_ ? "epoch " + std::to_string(epoch_) : ""},
               {0, std::string(name)},
               {1, count_of(done, total)}},
              width_of(descriptor_) - 1));
}

void Progress::line(const std::vector<std::string>& parts) {
  const std::lock_guard lock(mutex_);
  const double now = clock_();
  if (!redraws_ || now - last_draw_ < redraw_interval) return;
  last_draw_ = now;
  std::vector<Part> ranked;
  for (const std::string& part : parts) ranked.push_back({int(ranked.size()), part});
  draw(fitted(std::move(ranked), width_of(descriptor_) - 1));
}

void Progress::note(std::string_view message) {
  const std::lock_guard lock(mutex_);
  clear_line();
  // A terminal alone would break the line within a word.
  const size_t columns = line_columns(descriptor_);
  while (true) {
    const size_t end = std::min(message.find('\n'), message.size());
    write(wrapped(message.substr(0, end), columns, continuation_indent) + '\n');
    if (end == message.size()) break;
    message.remove_prefix(end + 1);
  }
}

void Progress::clear() {
  const std::lock_guard lock(mutex_);
  clear_line();
}

// Where the terminal has become narrower, the line now takes several rows, which all go.
std::string Progress::erasure() const {
  const size_t columns = width_of(descriptor_);
  if (line_shown_ <= columns) return "";
  return text("\x1b[", (line_shown_ - 1) / columns, "A\r\x1b[J");
}

void Progress::draw(const std::string& line) {
  write(erasure() + '\r' + line + "\x1b[K");
  line_shown_ = std::max<size_t>(1, display_width(line));
}

void Progress::stay(const std::string& line) {
  write(line_shown_ ? erasure() + '\r' + line + "\x1b[K\n" : line + '\n');
  line_shown_ = 0;
}

void Progress::clear_line() {
  if (line_shown_) write(erasure() + "\r\x1b[K");
  line_shown_ = 0;
}

void Progress::write(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t done = ::write(descriptor_, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;
    text.remove_prefix(size_t(done));
  }
}

}  // namespace retort
