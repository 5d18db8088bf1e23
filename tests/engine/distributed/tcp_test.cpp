// The transport over TCP: its processes are threads here.
#include "engine/distributed/tcp.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "engine/distributed/communicator.h"
#include "tests/support/expect_error.h"
#include "tests/support/tcp_port.h"
#include "tests/support/thread_transport.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;
using testing::expect_fault;

Launch launch_of_rank(int rank, int size, int port) {
  Launch launch;
  launch.rank = rank, launch.size = size, launch.address = "localhost", launch.port = port;
  return launch;
}

// Runs work(transport) once for each rank, in threads.
void on_ranks(int ranks, const std::function<void(Transport&)>& work) {
  const int port = testing::free_port();
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([=] {
      const std::unique_ptr<Transport> transport = open_tcp(launch_of_rank(rank, ranks, port), 30);
      work(*transport);
    });
}

// More than sockets hold, so that both sides have to read while they write.
TEST(Tcp, MovesLongMessagesBothWaysAtOnce) {
  on_ranks(4, [](Transport& tcp) {
    constexpr size_t count = size_t(3) << 20;
    std::vector<std::vector<int>> out, in;
    for (int r = 0; r < tcp.size(); ++r) {
      out.emplace_back(count, 100 * tcp.rank() + r);
      in.emplace_back(count, -1);
    }
    std::vector<Message> sends, receives;
    for (int r = 0; r < tcp.size(); ++r) {
      if (r == tcp.rank()) continue;
      sends.push_back({r, out[size_t(r)].data(), count * sizeof(int)});
      receives.push_back({r, in[size_t(r)].data(), count * sizeof(int)});
    }
    tcp.exchange(sends, receives);
    for (int r = 0; r < tcp.size(); ++r) {
      const int expected = r == tcp.rank() ? -1 : 100 * r + tcp.rank();
      EXPECT_TRUE(in[size_t(r)] == std::vector<int>(count, expected)) << r;
    }
  });
}

TEST(Tcp, ACommunicatorWorksOverIt) {
  for (const Reduce reduce : {Reduce::ordered, Reduce::fast}) {
    std::vector<float> of_threads(1000), of_tcp(1000);
    const auto sum = [&](std::unique_ptr<Transport> transport, std::vector<float>& result) {
      Communicator world(std::move(transport));
      world.set_reduce(reduce);
      std::vector<float> values;
      for (int i = 0; i < 1000; ++i) values.push_back(std::sin(float(i + 1000 * world.rank())));
      if (&result == &of_threads) world.set_reduce(Reduce::ordered);
      world.sum({values.data(), {1000}, DType::f32}, {true, true, true});
      if (world.rank() == 1) result = values;
      EXPECT_EQ(world.gather(std::string(size_t(world.rank()), 'x')),
                (std::vector<std::string>{"", "x", "xx"}));
    };
    const auto post = std::make_shared<testing::ThreadTransport::Post>(3);
    const int port = testing::free_port();
    {
      std::vector<std::jthread> threads;
      for (int rank = 0; rank < 3; ++rank) {
        threads.emplace_back([&, rank] { sum(open_tcp(launch_of_rank(rank, 3, port), 30), of_tcp); });
        threads.emplace_back(
            [&, rank] { sum(std::make_unique<testing::ThreadTransport>(post, rank), of_threads); });
      }
    }
    EXPECT_EQ(of_tcp, of_threads) << "nobody adds faster than in order over TCP";
  }
}

TEST(Tcp, NamesARankThatIsGone) {
  on_ranks(3, [](Transport& tcp) {
    if (tcp.rank() == 1) return;
    char one = 0;
    const std::string said = error_of(Fault::lost, [&] { tcp.exchange({{1, &one, 1}}, {{1, &one, 1}}); });
    expect_contains(said, "rank 1 of 3, " + this_host());
    expect_contains(said, "lost");
  });
}

TEST(Tcp, NamesARankThatIsSilent) {
  on_ranks(2, [](Transport& tcp) {
    char one = 0;
    if (tcp.rank() == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
      return;
    }
    tcp.set_time_limit(0.2);
    expect_fault(Fault::lost, "has not answered for 0.2 s", [&] { tcp.exchange({}, {{1, &one, 1}}); });
  });
}

TEST(Tcp, FindsMessagesThatDoNotBelongTogether) {
  on_ranks(2, [](Transport& tcp) {
    std::vector<char> bytes(10);
    if (tcp.rank() == 0) return tcp.exchange({{1, bytes.data(), 10}}, {});
    expect_fault(Fault::internal, "sends 10 bytes, expected 8", [&] {
      tcp.exchange({}, {{0, bytes.data(), 8}});
    });
  });
}

TEST(Tcp, NamesWhoHasNotCome) {
  const int port = testing::free_port();
  std::jthread second(
      [port] { expect_fault(Fault::lost, "rank 0 of 4", [&] { open_tcp(launch_of_rank(1, 4, port), 1); }); });
  expect_fault(Fault::lost, "rank 2, 3 of 4 did not come to " + this_host() + " within 0.5 s",
               [&] { open_tcp(launch_of_rank(0, 4, port), 0.5); });
}

TEST(Tcp, RefusesAPortThatIsTakenAndAnUnknownHost) {
  const testing::TakenPort taken;
  expect_fault(Fault::usage, "set MASTER_PORT to one that is free",
               [&] { open_tcp(launch_of_rank(0, 2, taken.number()), 1); });
  Launch launch = launch_of_rank(1, 2, 1234);
  launch.address = "no.such.host.invalid";
  expect_fault(Fault::usage, "no.such.host.invalid (MASTER_ADDR)", [&] { open_tcp(launch, 1); });
}

// Somebody else at the port: who says something else, or nothing, is no process of the run.
TEST(Tcp, LeavesStrangersAlone) {
  const int port = testing::free_port();
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < 2; ++rank)
    threads.emplace_back([=] {
      if (rank == 1) {
        for (const char* said : {"GET / HTTP/1.1\r\n", ""}) {
          const testing::Connection stranger(port);
          stranger.say(std::string(said) + std::string(400, ' '));
        }
      }
      const std::unique_ptr<Transport> tcp = open_tcp(launch_of_rank(rank, 2, port), 30);
      int other = -1, own = rank;
      tcp->exchange({{1 - rank, &own, sizeof own}}, {{1 - rank, &other, sizeof other}});
      EXPECT_EQ(other, 1 - rank);
    });
}

}  // namespace
}  // namespace retort
