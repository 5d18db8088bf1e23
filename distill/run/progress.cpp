#include "distill/run/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "distill/text/text_format.h"

namespace retort {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double redraw_interval = 0.1;
constexpr std::string_view erase_line = "\r\x1b[K";

size_t width_of(int terminal) {
  winsize size{};
  if (::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
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

// "" for NaN, which drops the part.
std::string labelled(std::string_view label, double value, std::string number, std::string_view unit = "") {
  return std::isnan(value) ? "" : std::string(label) + std::move(number) + std::string(unit);
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

Progress::Progress(int descriptor) : Progress(descriptor, can_redraw(descriptor), steady_seconds) {}

Progress::Progress(int descriptor, bool redraws, std::function<double()> clock)
    : descriptor_(descriptor),
      redraws_(redraws),
      clock_(std::move(clock)),
      last_draw_(-std::numeric_limits<double>::infinity()),
      run_began_at_(nan),
      images_per_second_(nan),
      test_top1_(nan) {}

Progress::~Progress() {
  clear_line();
}

// From the pace since this process began, tests between epochs included.
double Progress::seconds_left(double done, double now) const {
  const double gained = done - run_began_done_;
  return gained > 0 ? (now - run_began_at_) * (1 - done) / gained : nan;
}

void Progress::begin_run() {
  const std::lock_guard lock(mutex_);
  run_began_at_ = images_per_second_ = test_top1_ = nan;
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
               {3, labelled("top-1 ", at.top1, fixed(at.top1, 1), " %")},
               {6, labelled("test ", test_top1_, fixed(test_top1_, 2), " %")},
               {7, labelled("lr ", at.lr, significant(at.lr, 3))},
               {2, labelled("left ", left, duration(left))}},
              width_of(descriptor_) - 1));
}

void Progress::epoch(const EpochMetrics& result, int epochs) {
  const std::lock_guard lock(mutex_);
  test_top1_ = result.test_acc;
  if (redraws_) return;
  const double left = seconds_left(double(result.epoch) / std::max(1, epochs), clock_());
  write(fitted({{0, "epoch " + count_of(result.epoch, epochs)},
                {0, labelled("lr ", result.lr, significant(result.lr, 3))},
                {0, labelled("train loss ", result.train_loss, fixed(result.train_loss, 4))},
                {0, labelled("top-1 ", result.train_acc, fixed(result.train_acc, 2), " %")},
                {0, labelled("test loss ", result.test_loss, fixed(result.test_loss, 4))},
                {0, labelled("top-1 ", result.test_acc, fixed(result.test_acc, 2), " %")},
                {0, labelled("top-5 ", result.test_acc_top5, fixed(result.test_acc_top5, 2), " %")},
                {0, labelled("", images_per_second_, fixed(images_per_second_, 0), " images/s")},
                {0, labelled("", result.seconds, fixed(result.seconds, 1), " s")},
                {0, result.epoch < epochs ? labelled("left ", left, duration(left)) : ""}},
               std::string::npos) +
        '\n');
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

void Progress::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  const double now = clock_();
  if (!redraws_ || now - last_draw_ < redraw_interval) return;
  last_draw_ = now;
  draw(cut_to_width(text, width_of(descriptor_) - 1));
}

void Progress::note(std::string_view message) {
  const std::lock_guard lock(mutex_);
  clear_line();
  write(std::string(message) + '\n');
}

void Progress::clear() {
  const std::lock_guard lock(mutex_);
  clear_line();
}

void Progress::draw(const std::string& line) {
  write('\r' + line + "\x1b[K");
  line_shown_ = true;
}

void Progress::clear_line() {
  if (line_shown_) write(erase_line);
  line_shown_ = false;
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
