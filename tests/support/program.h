// Runs the program and keeps what it writes.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}

struct Outcome {
  int code = 0;  // exit code; 128 + number if a signal ended it
  std::string out, err;
  int64_t peak_bytes = 0;  // of its memory
};

// One run of the program, started by the constructor, in the folder `work`.
class Program {
 public:
  using Variables = std::vector<std::pair<std::string, std::string>>;
  // more: of its environment, beside ours.
  Program(const std::vector<std::string>& arguments, const std::filesystem::path& work,
          const Variables& more = {}) {
    std::vector<std::string> words = {program_file()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string out = (output_ / "out").string(), err = (output_ / "err").string();
    pid_ = ::fork();
    if (pid_ == 0) {
      const auto redirect = [](int descriptor, const char* file, int flags) {
        if (::dup2(::open(file, flags, 0600), descriptor) < 0) ::_exit(127);
      };
      redirect(0, "/dev/null", O_RDONLY);
      redirect(1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC);
      redirect(2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC);
      ::setenv("RETORT_CACHE", (output_ / "cache").c_str(), 0);  // nothing in the user's
      for (const auto& [name, value] : more) ::setenv(name.c_str(), value.c_str(), 1);
      if (::chdir(work.c_str()) != 0) ::_exit(127);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
  }
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) const { ::kill(pid_, number); }
  std::string err_so_far() const { return content_of(output_ / "err"); }

  // Waits until `ready` holds, or the program ends: false.
  bool wait_until(const std::function<bool()>& ready) const {
    while (!ready()) {
      siginfo_t state{};
      if (::waitid(P_PID, id_t(pid_), &state, WEXITED | WNOHANG | WNOWAIT) != 0 || state.si_pid != 0)
        return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  Outcome wait() {
    int status = 0;
    rusage used{};
    ::wait4(pid_, &status, 0, &used);
    pid_ = -1;
    const Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                          content_of(output_ / "out"), content_of(output_ / "err"),
                          int64_t(used.ru_maxrss) * 1024};
    // Neither stream is a terminal here.
    EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
    EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
    return outcome;
  }

 private:
  TempFolder output_;
  pid_t pid_ = -1;
};

inline Outcome run(const std::vector<std::string>& arguments, const TempFolder& work) {
  return Program(arguments, work.path()).wait();
}

// Expects a failure: this exit code, nothing on stdout, and one line on stderr, which is returned.
inline std::string failure(int code, const std::vector<std::string>& arguments, const TempFolder& work) {
  const Outcome outcome = run(arguments, work);
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(outcome.err.starts_with("retort: ")) << outcome.err;
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << "expected one line:\n" << outcome.err;
  return outcome.err;
}

}  // namespace retort::testing
