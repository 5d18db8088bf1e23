#include "engine/base/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/check.h"

extern char** environ;

namespace retort {
namespace {

struct FileActions {
  posix_spawn_file_actions_t value;
  FileActions() { posix_spawn_file_actions_init(&value); }
  ~FileActions() { posix_spawn_file_actions_destroy(&value); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    // Not in one call: which argument is evaluated first is open, and errno belongs behind the call.
    if (pipe2(ends, O_CLOEXEC) != 0) fail(Fault::internal, "no pipe: ", std::strerror(errno));
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int i) {
    if (ends[i] >= 0) close(ends[i]);
    ends[i] = -1;
  }
};

}  // namespace

ProcessResult run_process(const std::vector<std::string>& argv, bool capture, const std::string& needed_for) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  Pipe pipe;
  FileActions actions;
  posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions.value, capture ? pipe.ends[1] : STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], &actions.value, nullptr, arguments.data(), environ);
  check(error != ENOENT, Fault::input, needed_for, " needs the program ", argv[0],
        ", which is not installed or not in PATH");
  check(error == 0, Fault::internal, needed_for, ": ", argv[0], " cannot be started: ", std::strerror(error));

  ProcessResult result;
  pipe.close_end(1);
  char buffer[4096];
  for (ssize_t got; (got = read(pipe.ends[0], buffer, sizeof buffer)) != 0;) {
    if (got > 0) result.output.append(buffer, size_t(got));
    if (got < 0 && errno != EINTR) break;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

}  // namespace retort
