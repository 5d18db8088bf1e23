// What the program asks of a plugin before it believes it; the plugin's own source over a double of MPI.
#include "engine/distributed/mpi/mpi.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/expect_error.h"
#include "tests/support/plugin_paths.h"

namespace retort {
namespace {

class MpiPlugin : public ::testing::Test {
 protected:
  // MPI says: gives threads of this level, rank 1 of 2.
  void use(const std::string& plugin, const std::string& says = "2 1 2") {
    ::setenv("RETORT_MPI_PLUGIN", (testing::plugins_folder() + "/lib" + plugin + ".so").c_str(), 1);
    ::setenv("RETORT_MPI_DOUBLE", says.c_str(), 1);
  }
  ~MpiPlugin() override {
    ::unsetenv("RETORT_MPI_PLUGIN");
    ::unsetenv("RETORT_MPI_DOUBLE");
  }
  const Launch launch_{.by = Launch::By::open_mpi, .rank = 1, .size = 2};

  std::string refusal(Fault fault) {
    try {
      open_mpi(launch_);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), fault) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return "";
  }
};

TEST_F(MpiPlugin, IsOpened) {
  for (const char* says : {"2 1 2", "3 1 2"}) {
    use("retort_mpi_double", says);
    const std::unique_ptr<Transport> transport = open_mpi(launch_);
    EXPECT_EQ(transport->rank(), 1);
    EXPECT_EQ(transport->size(), 2);
    EXPECT_EQ(transport->description(), "a double of MPI");
  }
}

TEST_F(MpiPlugin, OfTooFewThreadsIsRefused) {
  use("retort_mpi_double", "0 1 2");
  testing::expect_contains(refusal(Fault::device),
                           "a double of MPI gives thread level MPI_THREAD_SINGLE, expected "
                           "MPI_THREAD_SERIALIZED or more");
  use("retort_mpi_double", "1 1 2");
  testing::expect_contains(refusal(Fault::device), "MPI_THREAD_FUNNELED");
  use("retort_mpi_double", "-1 1 2");
  testing::expect_contains(refusal(Fault::device), "MPI_Init_thread failed");
}

// They abort where anything but the number is asked.
TEST_F(MpiPlugin, OfAnotherVersionIsRefusedBeforeItIsOpened) {
  use("retort_mpi_first");
  testing::expect_contains(refusal(Fault::device), "is a plugin of another version, 1 instead of ");
  use("retort_mpi_later");
  testing::expect_contains(refusal(Fault::device), "is a plugin of another version, 99 instead of ");
}

TEST_F(MpiPlugin, MustAgreeWithTheLauncher) {
  use("retort_mpi_double", "2 0 1");
  testing::expect_contains(refusal(Fault::usage), "the launcher is of another MPI");
  use("retort_mpi_double", "2 0 2");
  testing::expect_contains(refusal(Fault::usage), "rank 1 of 2, a double of MPI says rank 0 of 2");
}

}  // namespace
}  // namespace retort
