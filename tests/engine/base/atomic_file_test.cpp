#include "engine/base/atomic_file.h"

#include <atomic>
#include <iterator>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::expect_contains;
using testing::TempFolder;

size_t files_in(const fs::path& folder) {
  return size_t(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, CommitMakesTheFile) {
  TempFolder folder;
  {
    AtomicFile file(folder / "a");
    file.write("one ");
    file.write("two");
    EXPECT_FALSE(fs::exists(folder / "a"));
    file.commit();
  }
  EXPECT_EQ(read_text_file(folder / "a"), "one two");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, WithoutCommitTheOldFileStays) {
  TempFolder folder;
  write_file(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
  }
  EXPECT_EQ(read_text_file(folder / "a"), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, KeepsTheOneBefore) {
  TempFolder folder;
  for (const char* content : {"1", "2", "3"}) {
    AtomicFile file(folder / "last", folder / "previous");
    file.write(content);
    file.commit();
  }
  EXPECT_EQ(read_text_file(folder / "last"), "3");
  EXPECT_EQ(read_text_file(folder / "previous"), "2");
  EXPECT_EQ(files_in(folder.path()), 2u);
}

// Killed between its two renames, a writer leaves two names for one file.
TEST(AtomicFile, KeepsTheOneBeforeAfterAKillBetweenTheRenames) {
  TempFolder folder;
  write_file(folder / "last", "1");
  fs::create_hard_link(folder / "last", folder / "previous");
  AtomicFile file(folder / "last", folder / "previous");
  file.write("2");
  file.commit();
  EXPECT_EQ(read_text_file(folder / "last"), "2");
  EXPECT_EQ(read_text_file(folder / "previous"), "1");
  EXPECT_EQ(files_in(folder.path()), 2u);
}

TEST(AtomicFile, KeptFileLiesInTheSameFolder) {
  TempFolder folder;
  error_of(Fault::internal, [&] { AtomicFile file(folder / "last", "/elsewhere/previous"); });
}

// A writer killed at any moment: `last` is always there and whole, and what it leaves can be swept up.
TEST(AtomicFile, SurvivesKill) {
  TempFolder folder;
  const std::string whole(1 << 16, 'x');
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (;;) {
        AtomicFile file(folder / "last", folder / "previous");
        file.write(whole);
        file.commit();
      }
    }
    ::usleep(useconds_t(2000 + 700 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    if (fs::exists(folder / "last")) {
      EXPECT_EQ(read_text_file(folder / "last"), whole);
    }
    if (fs::exists(folder / "previous")) {
      EXPECT_EQ(read_text_file(folder / "previous"), whole);
    }
  }
  write_file(folder / ".retort-1-2.tmp", "left over");
  remove_abandoned_files(folder.path());
  EXPECT_LE(files_in(folder.path()), 2u);
}

TEST(AtomicFile, KeepsPermissionsAndLinks) {
  TempFolder folder;
  write_file(folder / "a", "old");
  ASSERT_EQ(::chmod((folder / "a").c_str(), 0600), 0);
  fs::create_symlink("a", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_text_file(folder / "a"), "new");
  struct stat status {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST(AtomicFile, DevicesAreWrittenToNotReplaced) {
  write_file("/dev/null", "nothing");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  const std::string message = error_of(Fault::write, [] { write_file("/dev/full", "something"); });
  expect_contains(message, "/dev/full");
  expect_contains(message, "No space left on device");
}

TEST(AtomicFile, NamesPathAndReason) {
  TempFolder folder;
  const std::string missing = error_of(Fault::write, [&] { write_file(folder / "no" / "a", "x"); });
  expect_contains(missing, (folder / "no" / "a").string());
  expect_contains(missing, "No such file or directory");
  expect_contains(error_of(Fault::write, [&] { write_file(folder.path(), "x"); }), "Is a directory");
  fs::create_symlink("loop", folder / "loop");
  expect_contains(error_of(Fault::write, [&] { write_file(folder / "loop" / "a", "x"); }), "symbolic links");
}

TEST(AtomicFile, Appending) {
  TempFolder folder;
  append_to_file(folder / "a", "1\n");
  append_to_file(folder / "a", "2\n");
  EXPECT_EQ(read_text_file(folder / "a"), "1\n2\n");
  expect_contains(error_of(Fault::write, [] { append_to_file("/dev/full", "x"); }), "/dev/full: ");
  expect_contains(error_of(Fault::write, [&] { append_to_file(folder / "no" / "a", "x"); }), "No such file");
}

// Runs `call` with files limited to `bytes`: the stand-in for a disk that fills up half way.
template <class Call>
std::string error_with_files_limited_to(rlim_t bytes, Call&& call) {
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{bytes, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of(Fault::write, call);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  return message;
}

TEST(AtomicFile, FullDiskLeavesTheOldFileAndNothingElse) {
  TempFolder folder;
  write_file(folder / "a", "old");
  const std::string message =
      error_with_files_limited_to(1000, [&] { write_file(folder / "a", std::string(5000, 'x')); });
  expect_contains(message, "byte 1000");
  expect_contains(message, "File too large");
  error_with_files_limited_to(1000, [&] { append_to_file(folder / "a", std::string(5000, 'x')); });
  EXPECT_EQ(read_text_file(folder / "a"), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, ReadingNamesPathAndReason) {
  TempFolder folder;
  expect_contains(error_of(Fault::input, [&] { read_file(folder / "no"); }), "No such file or directory");
  expect_contains(error_of(Fault::input, [&] { read_file(folder.path()); }), "is a folder");
  expect_contains(error_of(Fault::input, [&] { read_file("/dev/zero"); }), "neither a file nor a pipe");
  write_file(folder / "a", "12345");
  EXPECT_EQ(read_file(folder / "a", 5).size(), 5u);
  expect_contains(error_of(Fault::input, [&] { read_file(folder / "a", 4); }), "at most 4");
  write_file(folder / "empty", "");
  EXPECT_TRUE(read_file(folder / "empty").empty());
}

TEST(AtomicFile, ReadsPipes) {
  TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const std::string content(200'000, 'p');
  const pid_t child = ::fork();
  if (child == 0) {
    write_file(folder / "pipe", content);
    ::_exit(0);
  }
  const std::vector<std::byte> read = read_file(folder / "pipe", 1 << 20, Pipes::waited_for);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(read.data()), read.size()), content);
  ::waitpid(child, nullptr, 0);
}

// In a folder that came from elsewhere one would be waited for without end.
TEST(AtomicFile, PipesThatNobodyTypedAreRefused) {
  TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  testing::expect_fault(Fault::input, "pipe: is a pipe, expected a file",
                        [&] { read_text_file(folder / "pipe"); });
  testing::expect_fault(Fault::input, "pipe: is a pipe, expected a file",
                        [&] { read_file(folder / "pipe"); });
}

// Nobody ever writes: whoever catches signals tells the wait of them.
TEST(AtomicFile, ASignalEndsTheWaitForAPipe) {
  TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  static std::atomic<int> asked{0};
  tell_waits_of_signals([] { return ++asked > 2 ? 15 : 0; });
  try {
    read_file(folder / "pipe", 1 << 20, Pipes::waited_for);
    FAIL() << "nothing was written";
  } catch (const Stopped& stopped) {
    EXPECT_EQ(stopped.signal(), 15);
  }
  tell_waits_of_signals(nullptr);
}

TEST(AtomicFile, APipeThatDoesNotEndIsRefused) {
  TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    write_file(folder / "pipe", std::string(200'000, 'p'));
    ::_exit(0);
  }
  testing::expect_fault(Fault::input, "expected at most 100000",
                        [&] { read_file(folder / "pipe", 100'000, Pipes::waited_for); });
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace retort
