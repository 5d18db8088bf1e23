#include "distill/run/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <optional>

#include "distill/text/text_format.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_contains;

// What was written to a pipe or a terminal.
class Screen {
 public:
  // columns 0: a pipe.
  explicit Screen(int columns) {
    if (columns == 0) {
      int ends[2];
      if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
      reader_ = ends[0];
      writer_ = ends[1];
    } else {
      reader_ = ::posix_openpt(O_RDWR | O_NOCTTY);
      if (reader_ < 0 || ::grantpt(reader_) != 0 || ::unlockpt(reader_) != 0)
        throw std::runtime_error("no terminal");
      writer_ = ::open(::ptsname(reader_), O_RDWR | O_NOCTTY);
      termios mode{};
      ::tcgetattr(writer_, &mode);
      mode.c_oflag &= ~tcflag_t(OPOST);
      ::tcsetattr(writer_, TCSANOW, &mode);
      resize(columns);
    }
    ::fcntl(reader_, F_SETFL, O_NONBLOCK);
  }
  ~Screen() {
    ::close(reader_);
    ::close(writer_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  int descriptor() const { return writer_; }
  void resize(int columns) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = 24;
    ::ioctl(writer_, TIOCSWINSZ, &size);
  }
  std::string take() {
    std::string content;
    char buffer[4096];
    for (ssize_t got; (got = ::read(reader_, buffer, sizeof buffer)) > 0;)
      content.append(buffer, size_t(got));
    return content;
  }

 private:
  int reader_ = -1, writer_ = -1;
};

class ProgressTest : public ::testing::Test {
 protected:
  std::function<double()> clock() {
    return [this] { return now_; };
  }
  static BatchProgress at(int epoch, int64_t batch) {
    return {.epoch = epoch,
            .epochs = 4,
            .batch = batch,
            .batches = 100,
            .images = batch * 64,
            .loss = 2.34567,
            .trained = {classification_metrics()[0], 45.25},
            .lr = 0.05};
  }

  double now_ = 1000;
};

const EpochMetrics epoch_1{1,     0.05, 3.25, 20.5, valued(classification_metrics(), {19.75, 45, 3.5}),
                           12.34, {}};

// These draw on a pseudo-terminal, which is not everywhere: containers often lack /dev/pts.
class ProgressOnATerminal : public ProgressTest {
 protected:
  void SetUp() override {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    const bool works = master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0 && ::ptsname(master);
    if (master >= 0) ::close(master);
    if (!works) GTEST_SKIP() << "there are no pseudo-terminals here (/dev/pts)";
  }
};

TEST_F(ProgressTest, OneLinePerEpochWithoutATerminal) {
  Screen screen(0);
  {
    Progress progress(screen.descriptor(), false, clock());
    for (int64_t batch = 0; batch <= 100; ++batch, now_ += 0.1) progress.batch(at(1, batch));
    progress.activity("testing", 1, 2);
    EXPECT_EQ(screen.take(), "");
    now_ = 1012;
    progress.epoch(epoch_1, 4);
    progress.note("saved");
    progress.clear();
  }
  EXPECT_EQ(screen.take(),
            "epoch 1/4  lr 0.05  train loss 3.2500  top-1 20.50 %  test loss 3.5000  top-1 19.75 %  "
            "top-5 45.00 %  640 images/s  12.3 s  left 0:36\nsaved\n");
}

TEST_F(ProgressTest, TimeLeftOfASecondRunDoesNotCountTheFirst) {
  Screen screen(0);
  Progress progress(screen.descriptor(), false, clock());
  for (int run = 0; run < 2; ++run, now_ += 10000) {
    progress.begin_run();
    progress.batch(at(1, 0));
    now_ += 12;
    progress.batch(at(1, 100));
    progress.epoch(epoch_1, 4);
    expect_contains(screen.take(), "left 0:36");
  }
}

TEST_F(ProgressTest, UnknownNumbersAreLeftOut) {
  Screen screen(0);
  Progress progress(screen.descriptor(), false, clock());
  EpochMetrics only_trained = epoch_1;
  for (MetricValue& one : only_trained.tested) one.value = std::nan("");
  progress.epoch(only_trained, 1);
  EXPECT_EQ(screen.take(), "epoch 1/1  lr 0.05  train loss 3.2500  top-1 20.50 %  12.3 s\n");
}

TEST_F(ProgressTest, WordsAreTheMetrics) {
  Screen screen(0);
  Progress progress(screen.descriptor(), false, clock());
  EpochMetrics boxes{
      .epoch = 1, .train_loss = 2, .tested = valued(detection_metrics(), {20, 45.5, 7}), .terms = {}};
  progress.epoch(boxes, 1);
  EXPECT_EQ(screen.take(),
            "epoch 1/1  lr 0  train loss 2.0000  AP 20.00 %  AP50 45.50 %  AP75 7.00 %  0.0 s\n");
  boxes.tested = valued(detection_metrics(), {-1, -1, -1});  // not measured
  progress.epoch(boxes, 1);
  EXPECT_EQ(screen.take(), "epoch 1/1  lr 0  train loss 2.0000  AP -  AP50 -  AP75 -  0.0 s\n");
  boxes.tested = {{metric_named("perplexity"), 12.25}};
  progress.epoch(boxes, 1);
  EXPECT_EQ(screen.take(), "epoch 1/1  lr 0  train loss 2.0000  perplexity 12.2500  0.0 s\n");
}

TEST_F(ProgressOnATerminal, RedrawnAtMostTenTimesASecond) {
  Screen screen(200);
  Progress progress(screen.descriptor(), true, clock());
  size_t draws = 0;
  for (int i = 0; i < 100; ++i, now_ += 0.01) {
    progress.batch(at(1, i));
    draws += !screen.take().empty();
  }
  EXPECT_GE(draws, 9u);
  EXPECT_LE(draws, 11u);
}

TEST_F(ProgressOnATerminal, TheLine) {
  Screen screen(200);
  std::optional<Progress> progress(std::in_place, screen.descriptor(), true, clock());
  progress->batch(at(1, 50));
  EXPECT_EQ(screen.take(), "\repoch 1/4  batch 50/100  loss 2.346  top-1 45.2 %  lr 0.05\x1b[K");
  now_ += 10;
  progress->batch(at(1, 75));  // 25 batches in 10 s, 325 left
  EXPECT_EQ(screen.take(),
            "\repoch 1/4  batch 75/100  160 images/s  loss 2.346  top-1 45.2 %  lr 0.05  left 2:10\x1b[K");
  progress->epoch(epoch_1, 4);
  EXPECT_EQ(screen.take(), "\r 1/4  loss 3.25  train 20.5  test 19.8  12.3 s\x1b[K\n");
  now_ += 10;
  progress->activity("testing", 3, 10);
  EXPECT_EQ(screen.take(), "\repoch 1  testing  3/10\x1b[K");
  now_ += 10;
  progress->batch(at(2, 0));
  expect_contains(screen.take(), "top-1 45.2 %  test 19.75 %  lr 0.05");
  progress->note("a note");
  EXPECT_EQ(screen.take(), "\r\x1b[Ka note\n");
  progress->note("another");
  EXPECT_EQ(screen.take(), "another\n");
  now_ += 1;
  progress->batch(at(2, 1));
  screen.take();
  progress.reset();
  EXPECT_EQ(screen.take(), "\r\x1b[K");
}

TEST_F(ProgressOnATerminal, EpochLinesStayAboveTheRedrawnOne) {
  Screen screen(80);
  Progress progress(screen.descriptor(), true, clock());
  EpochMetrics result{3, 0.05, 2.761, 11.94, valued(classification_metrics(), {11.91, 45, 3.5}), 4.61, {}};
  progress.epoch(result, 10);
  EXPECT_EQ(screen.take(), "  3/10  loss 2.76  train 11.9  test 11.9  4.6 s\n");
  progress.batch(at(4, 1));
  screen.take();
  result.epoch = 10;
  progress.epoch(result, 10);
  EXPECT_EQ(screen.take(), "\r 10/10  loss 2.76  train 11.9  test 11.9  4.6 s\x1b[K\n");
  result.tested[0].value = std::nan("");
  progress.epoch(result, 10);
  EXPECT_EQ(screen.take(), " 10/10  loss 2.76  train 11.9  4.6 s\n");

  Screen narrow(30);
  Progress small(narrow.descriptor(), true, clock());
  result.tested[0].value = 11.91;
  small.epoch(result, 10);
  EXPECT_EQ(narrow.take(), " 10/10  train 11.9  test 11.9\n");
}

TEST_F(ProgressOnATerminal, NotesAreBrokenBetweenWords) {
  Screen screen(20);
  Progress progress(screen.descriptor(), true, clock());
  progress.note("a note of several words, and_one_longer_than_the_line\nanother");
  EXPECT_EQ(screen.take(), "a note of several\n  words,\n  and_one_longer_than_the_line\nanother\n");
}

// The line of 79 columns takes two rows of 40: both go.
TEST_F(ProgressOnATerminal, NothingStaysWhereTheTerminalBecomesNarrower) {
  Screen screen(80);
  Progress progress(screen.descriptor(), true, clock());
  progress.line({std::string(79, 'x')});
  screen.take();
  screen.resize(40);
  now_ += 1;
  progress.line({"short"});
  EXPECT_EQ(screen.take(), "\x1b[1A\r\x1b[J\rshort\x1b[K");
}

TEST_F(ProgressOnATerminal, QuietLeavesNotes) {
  Screen screen(80);
  Progress progress(screen.descriptor(), true, clock(), true);
  progress.begin_run({"a header"});
  progress.batch(at(1, 1));
  progress.activity("testing", 1, 2);
  progress.line({"a line"});
  progress.epoch(epoch_1, 4);
  EXPECT_EQ(screen.take(), "");
  progress.note("a note");
  EXPECT_EQ(screen.take(), "a note\n");
}

TEST_F(ProgressTest, QuietWithoutATerminal) {
  Screen screen(0);
  Progress progress(screen.descriptor(), false, clock(), true);
  progress.begin_run({"a header"});
  progress.epoch(epoch_1, 4);
  EXPECT_EQ(screen.take(), "");
}

TEST_F(ProgressTest, ARunBeginsWithItsHeader) {
  Screen screen(0);
  Progress progress(screen.descriptor(), false, clock());
  progress.begin_run({"network  resnet8", "data     synthetic"});
  EXPECT_EQ(screen.take(), "network  resnet8\ndata     synthetic\n");
}

TEST_F(ProgressOnATerminal, FitsTheTerminal) {
  for (int columns = 1; columns <= 120; ++columns) {
    Screen screen(columns);
    Progress progress(screen.descriptor(), true, clock());
    progress.batch(at(1, 10));
    now_ += 1;
    screen.take();
    progress.batch(at(1, 20));
    std::string line = screen.take();
    ASSERT_TRUE(line.starts_with("\r") && line.ends_with("\x1b[K"));
    line = line.substr(1, line.size() - 4);
    EXPECT_LT(display_width(line), size_t(columns));
    if (columns == 40) {
      EXPECT_EQ(line, "epoch 1/4  loss 2.346  left 0:38");
    }
  }
}

TEST_F(ProgressOnATerminal, WhereItMayRedraw) {
  const auto with = [](const char* terminal, const char* no_color, int descriptor) {
    terminal ? ::setenv("TERM", terminal, 1) : ::unsetenv("TERM");
    no_color ? ::setenv("NO_COLOR", no_color, 1) : ::unsetenv("NO_COLOR");
    return Progress::can_redraw(descriptor);
  };
  const char* term = std::getenv("TERM");
  const std::string before = term ? term : "";
  const Screen terminal(80), pipe(0);
  EXPECT_TRUE(with("xterm", nullptr, terminal.descriptor()));
  EXPECT_TRUE(with("xterm", "", terminal.descriptor()));
  EXPECT_FALSE(with("xterm", "1", terminal.descriptor()));
  EXPECT_FALSE(with("dumb", nullptr, terminal.descriptor()));
  EXPECT_FALSE(with(nullptr, nullptr, terminal.descriptor()));
  EXPECT_FALSE(with("xterm", nullptr, pipe.descriptor()));
  with(before.empty() ? nullptr : before.c_str(), nullptr, 2);
}

TEST_F(ProgressTest, AClosedTerminalIsNoError) {
  Progress progress(-1, true, clock());
  progress.batch(at(1, 1));
  progress.note("nobody reads this");
}

}  // namespace
}  // namespace retort
