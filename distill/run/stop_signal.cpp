#include "distill/run/stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
namespace {

std::atomic<int> first_signal{0};
std::atomic<bool> in_use{false};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only use lock-free atomics");

struct sigaction before_interrupt, before_terminate, before_user, before_hangup, before_pipe;

void handle(int signal) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, signal)) ::_exit(128 + signal);
}

}  // namespace

StopSignal::StopSignal() {
  check(!in_use.exchange(true), "StopSignal: there is one already");
  first_signal = 0;
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;  // reads and writes of the step in progress go on
  ::sigemptyset(&action.sa_mask);
  // Also where the signal was ignored before, as in a script's background job: who sends it wants it.
  ::sigaction(SIGINT, &action, &before_interrupt);
  ::sigaction(SIGTERM, &action, &before_terminate);
  ::sigaction(SIGUSR1, &action, &before_user);
  ::sigaction(SIGHUP, nullptr, &before_hangup);
  if (before_hangup.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);  // nohup's wish
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigemptyset(&ignore.sa_mask);
  ::sigaction(SIGPIPE, &ignore, &before_pipe);
  tell_waits_of_signals([] { return first_signal.load(); });
}

StopSignal::~StopSignal() {
  tell_waits_of_signals(nullptr);
  ::sigaction(SIGINT, &before_interrupt, nullptr);
  ::sigaction(SIGTERM, &before_terminate, nullptr);
  ::sigaction(SIGUSR1, &before_user, nullptr);
  ::sigaction(SIGHUP, &before_hangup, nullptr);
  ::sigaction(SIGPIPE, &before_pipe, nullptr);
  in_use = false;
}

int StopSignal::received() const {
  return first_signal.load(std::memory_order_relaxed);
}

void StopSignal::receive(int signal) const {
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
}

}  // namespace retort
