// One run in several processes that find each other over TCP, as torchrun starts them. Those of MPI's
// launchers are engine/distributed/mpi_runs.sh's.
#include <gtest/gtest.h>

#include <deque>
#include <fstream>

#include "distill/run/run_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"
#include "tests/support/tcp_port.h"

namespace retort {
namespace {

using testing::content_of;
using testing::expect_contains;
using testing::hash_of;
using testing::operator+;
using testing::Outcome;
using testing::Program;
using testing::run;
using testing::Strings;
using testing::TempFolder;

Strings training(const std::string& out, const std::string& epochs, const Strings& more = {}) {
  const Strings all = {"train",
                       "--model",
                       "resnet8",
                       "--data",
                       "synthetic:train=106,test=408",
                       "--epochs",
                       epochs,
                       "--batch",
                       "16",
                       "--device",
                       "portable",
                       "--out",
                       out,
                       "--json",
                       "--set",
                       "shards=2",
                       "--set",
                       "checkpoint_minutes=0"};
  return all + more;
}

// Two processes of one run.
class Pair {
 public:
  Pair(const std::vector<Strings>& arguments, const TempFolder& work) {
    const std::string port = std::to_string(testing::free_port());
    for (int rank = 0; rank < 2; ++rank)
      programs_.emplace_back(arguments[size_t(rank) % arguments.size()], work.path(),
                             Program::Variables{{"RANK", std::to_string(rank)},
                                                {"WORLD_SIZE", "2"},
                                                {"LOCAL_RANK", std::to_string(rank)},
                                                {"LOCAL_WORLD_SIZE", "2"},
                                                {"MASTER_ADDR", "localhost"},
                                                {"MASTER_PORT", port}});
  }
  Program& operator[](int rank) { return programs_[size_t(rank)]; }

 private:
  std::deque<Program> programs_;
};

TEST(Processes, OverTcpGiveTheBitsOfOne) {
  const TempFolder work;
  const std::string alone = hash_of(run(training("alone", "2"), work));
  for (const char* reduce : {"ordered", "fast"}) {  // nothing is faster than in order over TCP
    Pair two({training(reduce, "2", {"--set", "reduce=" + std::string(reduce)})}, work);
    const Outcome first = two[0].wait(), second = two[1].wait();
    EXPECT_EQ(hash_of(first), alone) << reduce;
    EXPECT_EQ(second.code, 0) << second.err;
    EXPECT_EQ(second.out, "") << "one process speaks";
    expect_contains(content_of(work / reduce / "log.txt"), "2 processes over TCP on ");
    expect_contains(content_of(work / reduce / "env.json"), "\"processes\": \"TCP\"");
  }
  expect_contains(content_of(work / "fast/log.txt"), "sums in the library's order");
}

// Each of a machine keeps its share of decoded photos.
TEST(Processes, ShareTheMachinesMemory) {
  const TempFolder work;
  testing::write_photo_folder(work, 3, 1);
  const auto kept = [](const std::string& err) {
    const std::string words = " GiB of decoded photos";
    const size_t end = err.find(words), begin = err.rfind(' ', end - 1);
    EXPECT_NE(end, std::string::npos) << err;
    return end == std::string::npos ? 0 : std::stod(err.substr(begin));
  };
  const auto trained = [](const std::string& out) {
    return Strings{"train", "--model", "resnet8", "--data",   "folder:.", "--epochs", "1",       "--batch",
                   "8",     "--out",   out,       "--device", "portable", "--set",    "shards=2"};
  };
  const double alone = kept(run(trained("alone"), work).err);
  Pair two({trained("two")}, work);
  EXPECT_NEAR(kept(two[0].wait().err), alone / 2, 0.01 * alone);
  EXPECT_EQ(two[1].wait().code, 0);
}

// Where no launcher kills the survivors.
TEST(Processes, NameTheOneThatIsLostAndTheRunGoesOn) {
  const TempFolder work;
  const std::string whole = hash_of(run(training("whole", "6"), work));
  for (const int victim : {0, 1}) {
    const std::string out = "without-" + std::to_string(victim);
    Pair two({training(out, "6")}, work);
    Program& survivor = two[1 - victim];
    ASSERT_TRUE(survivor.wait_until([&] { return std::filesystem::exists(RunFolder::last_of(work / out)); }))
        << survivor.err_so_far();
    two[victim].signal(SIGKILL);
    const Outcome outcome = survivor.wait();
    EXPECT_EQ(outcome.code, 9) << outcome.err;
    expect_contains(outcome.err, "[rank " + std::to_string(1 - victim) + " of 2, ");
    expect_contains(outcome.err, "rank " + std::to_string(victim) + " of 2, ");
    EXPECT_EQ(hash_of(run({"train", "--resume", out, "--json"}, work)), whole);
  }
}

TEST(Processes, StopTogetherWhereOneIsAskedTo) {
  const TempFolder work;
  const std::string whole = hash_of(run(training("whole", "6"), work));
  Pair two({training("a", "6")}, work);
  ASSERT_TRUE(two[0].wait_until([&] { return std::filesystem::exists(RunFolder::last_of(work / "a")); }))
      << two[0].err_so_far();
  two[1].signal(SIGUSR1);
  EXPECT_EQ(two[0].wait().code, 138);
  EXPECT_EQ(two[1].wait().code, 138);
  EXPECT_EQ(hash_of(run({"train", "--resume", "a", "--json"}, work)), whole);
}

TEST(Processes, WithOtherImagesAreRefused) {
  const TempFolder work;
  Strings other = training("a", "2");
  other[4] = "synthetic:train=107,test=408";
  Pair two({training("a", "2"), other}, work);
  const Outcome first = two[0].wait(), second = two[1].wait();
  EXPECT_EQ(first.code, 3) << first.err;
  EXPECT_EQ(second.code, 3) << second.err;
  expect_contains(second.err, "another hash");
  EXPECT_FALSE(std::filesystem::exists(work / "a"));
}

}  // namespace
}  // namespace retort
