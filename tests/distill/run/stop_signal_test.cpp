#include "distill/run/stop_signal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::error_of;

TEST(StopSignal, TheFirstIsNoted) {
  for (int signal : {SIGINT, SIGTERM}) {
    const StopSignal stop;
    EXPECT_EQ(stop.received(), 0);
    ::raise(signal);
    EXPECT_EQ(stop.received(), signal);
    EXPECT_EQ(stop.exit_code(), signal == SIGINT ? 130 : 143);
  }
}

TEST(StopSignal, TheSecondEndsAtOnce) {
  for (int second : {SIGINT, SIGTERM}) {
    const pid_t child = ::fork();
    if (child == 0) {
      const StopSignal stop;
      ::raise(SIGINT);
      ::raise(second);
      ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), second == SIGINT ? 130 : 143);
  }
}

TEST(StopSignal, ATerminalThatClosesIsOneButNotUnderNohup) {
  for (const bool nohup : {false, true}) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGHUP, nohup ? SIG_IGN : SIG_DFL);
      const StopSignal stop;
      ::raise(SIGHUP);
      ::_exit(stop.received() == (nohup ? 0 : SIGHUP) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << nohup;
  }
}

TEST(StopSignal, AReaderOfTheProgressThatLeavesIsNone) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  {
    const StopSignal stop;
    EXPECT_EQ(::write(ends[1], "x", 1), -1);  // without it, the end of this process
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(stop.received(), 0);
  }
  ::close(ends[1]);
}

TEST(StopSignal, WhatWasSetBeforeComesBack) {
  struct sigaction before {
  }, after{};
  ::sigaction(SIGTERM, nullptr, &before);
  {
    const StopSignal stop;
    error_of(Fault::internal, [] { StopSignal second; });
    ::sigaction(SIGTERM, nullptr, &after);
    EXPECT_NE(after.sa_handler, before.sa_handler);
  }
  ::sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
  EXPECT_EQ(StopSignal().received(), 0);
}

}  // namespace
}  // namespace retort
