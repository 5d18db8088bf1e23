#include "engine/distributed/tcp.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "engine/base/descriptor.h"
#include "engine/base/text.h"
#include "engine/distributed/communicator.h"

namespace retort {

namespace {

using Clock = std::chrono::steady_clock;

class Socket {
 public:
  explicit Socket(int number = -1) : number_(number) {}
  Socket(Socket&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Socket() {
    if (number_ >= 0) ::close(number_);
  }
  explicit operator bool() const { return number_ >= 0; }
  int number() const { return number_; }

 private:
  int number_;
};

// What a process says when it comes, and where it is found.
struct Place {
  char greeting[8] = {'r', 'e', 't', 'o', 'r', 't', ' ', '1'};
  int32_t rank = 0, size = 0, port = 0;
  char host[84] = {};     // its name
  char address[80] = {};  // empty: that of the first process
};

void put(char* to, size_t size, const std::string& text) {
  std::strncpy(to, text.c_str(), size - 1);
}

class Tcp final : public Transport {
 public:
  Tcp(const Launch& launch, double seconds)
      : launch_(launch),
        end_(Clock::now() +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))),
        waited_(seconds),
        places_(size_t(launch.size)),
        peers_(size_t(launch.size)) {
    const Socket listener = listen(rank() == 0 ? launch.port : 0);
    Place& own = places_[size_t(rank())];
    own.rank = rank(), own.size = size(), own.port = port_of(listener);
    put(own.host, sizeof own.host, this_host());
    if (rank() == 0) {
      take(listener, 1);
      for (int r = 1; r < size(); ++r) send_all(r, places_.data(), places_.size() * sizeof(Place));
    } else {
      put(places_[0].host, sizeof own.host, launch.address);
      places_[0].port = launch.port;
      reach(0);
      if (!receive_all(peers_[0], places_.data(), places_.size() * sizeof(Place)))
        fail_lost(0, "does not say where the others are");
      check(is_of_run(places_[0], 0), Fault::usage, "at ", launch.address, ", port ", launch.port,
            " answers somebody who is not the first process of this run; set another MASTER_PORT");
      for (int r = 1; r < rank(); ++r) reach(r);
      take(listener, rank() + 1);
    }
    for (const Socket& peer : peers_) {
      if (!peer) continue;
      const int yes = 1;
      ::setsockopt(peer.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
  }

  int rank() const override { return launch_.rank; }
  int size() const override { return launch_.size; }
  std::string description() const override { return "TCP"; }
  bool all_sum(const Tensor&) override { return false; }
  // The others see that its connections are closed.
  void abort(int code) noexcept override { ::_exit(code); }

  // Before each message its size: what does not belong together is found, not added.
  void exchange(const std::vector<Message>& sends, const std::vector<Message>& receives) override {
    std::vector<uint64_t> sizes, theirs(receives.size());
    for (const Message& m : sends) sizes.push_back(m.bytes);
    const auto ranks = size_t(size());
    std::vector<std::deque<Piece>> out(ranks), in(ranks);
    for (size_t i = 0; i < sends.size(); ++i) {
      out[size_t(sends[i].rank)].push_back({&sizes[i], sizeof sizes[i]});
      out[size_t(sends[i].rank)].push_back({sends[i].data, sends[i].bytes});
    }
    for (size_t i = 0; i < receives.size(); ++i) {
      in[size_t(receives[i].rank)].push_back({&theirs[i], sizeof theirs[i], &receives[i].bytes});
      in[size_t(receives[i].rank)].push_back({receives[i].data, receives[i].bytes});
    }
    Clock::time_point moved = Clock::now();
    for (;;) {
      std::vector<pollfd> asked;
      std::vector<int> whom;
      for (int r = 0; r < size(); ++r) {
        const int events = (in[size_t(r)].empty() ? 0 : POLLIN) | (out[size_t(r)].empty() ? 0 : POLLOUT);
        if (events == 0) continue;
        asked.push_back({peers_[size_t(r)].number(), short(events), 0});
        whom.push_back(r);
      }
      if (asked.empty()) return;
      const double left = time_limit() - std::chrono::duration<double>(Clock::now() - moved).count();
      if (left <= 0) fail_lost(whom[0], text("has not answered for ", time_limit(), " s"));
      const int ready = ::poll(asked.data(), asked.size(), int(std::min(left * 1000 + 1, 1000.0)));
      if (ready > 0) moved = Clock::now();
      for (size_t i = 0; i < asked.size() && ready > 0; ++i) {
        if (asked[i].revents & ~POLLOUT) move(whom[i], in[size_t(whom[i])], false);
        if (asked[i].revents & ~POLLIN) move(whom[i], out[size_t(whom[i])], true);
      }
    }
  }

 private:
  struct Piece {
    void* data;
    size_t left;
    const size_t* expected = nullptr;  // of a size, what it has to be
  };

  // As much as goes without waiting.
  void move(int rank, std::deque<Piece>& pieces, bool sends) {
    const int socket = peers_[size_t(rank)].number();
    while (!pieces.empty()) {
      Piece& piece = pieces.front();
      while (piece.left > 0) {
        const ssize_t moved = sends ? ::send(socket, piece.data, piece.left, MSG_NOSIGNAL | MSG_DONTWAIT)
                                    : ::recv(socket, piece.data, piece.left, MSG_DONTWAIT);
        if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
        if (moved < 0) fail_lost(rank, "was lost: " + reason_of(errno));
        if (moved == 0) fail_lost(rank, "was lost: it has closed its connection");
        piece.data = static_cast<char*>(piece.data) + moved;
        piece.left -= size_t(moved);
      }
      if (piece.expected) {
        uint64_t said = 0;
        std::memcpy(&said, static_cast<char*>(piece.data) - sizeof said, sizeof said);
        check(said == *piece.expected, "TCP: rank ", rank, " sends ", said, " bytes, expected ",
              *piece.expected);
      }
      pieces.pop_front();
    }
  }

  [[noreturn]] void fail_lost(int rank, const std::string& what) const {
    fail(Fault::lost, place_of(rank, size(), places_[size_t(rank)].host), ", ", what);
  }

  Socket listen(int port) const {
    const std::string service = std::to_string(port);
    int why = 0;
    for (const int family : {AF_INET6, AF_INET}) {  // a socket of the first takes those of both
      addrinfo hints{}, *any = nullptr;
      hints.ai_flags = AI_PASSIVE;
      hints.ai_family = family;
      hints.ai_socktype = SOCK_STREAM;
      if (::getaddrinfo(nullptr, service.c_str(), &hints, &any) != 0) continue;
      Socket listener(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int yes = 1, no = 0;
      ::setsockopt(listener.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
      ::setsockopt(listener.number(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
      const bool listens = ::bind(listener.number(), any->ai_addr, any->ai_addrlen) == 0 &&
                           ::listen(listener.number(), size()) == 0;
      why = errno;
      ::freeaddrinfo(any);
      if (listens) return listener;
    }
    fail(Fault::usage, "the first process cannot wait for the others at port ", port, ": ", reason_of(why),
         "; set MASTER_PORT to one that is free");
  }

  static int port_of(const Socket& listener) {
    sockaddr_storage own{};
    socklen_t bytes = sizeof own;
    ::getsockname(listener.number(), reinterpret_cast<sockaddr*>(&own), &bytes);
    // Both kinds have it at the same place.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&own)->sin_port);
  }

  int milliseconds_left() const {
    const double left = std::chrono::duration<double, std::milli>(end_ - Clock::now()).count();
    return int(std::clamp(left, 0.0, 1e6));
  }

  bool is_of_run(const Place& place, int first) const {
    return std::memcmp(place.greeting, Place().greeting, sizeof place.greeting) == 0 &&
           place.size == size() && place.rank >= first && place.rank < size();
  }

  // All processes from the first of these ranks on come by themselves. Who is none of them is left alone.
  void take(const Socket& listener, int first) {
    for (int missing = size() - first; missing > 0;) {
      pollfd asked{listener.number(), POLLIN, 0};
      if (::poll(&asked, 1, milliseconds_left()) <= 0) {
        if (milliseconds_left() > 0) continue;
        std::vector<std::string> absent;
        for (int r = first; r < size(); ++r)
          if (!peers_[size_t(r)]) absent.push_back(std::to_string(r));
        fail(Fault::lost, "rank ", join(absent), " of ", size(), " did not come to ",
             places_[size_t(rank())].host, " within ", waited_, " s");
      }
      sockaddr_storage from{};
      socklen_t bytes = sizeof from;
      Socket peer(::accept4(listener.number(), reinterpret_cast<sockaddr*>(&from), &bytes, SOCK_CLOEXEC));
      Place place;
      if (!peer || !receive_all(peer, &place, sizeof place, 5000)) continue;
      if (!is_of_run(place, first) || peers_[size_t(place.rank)]) continue;
      place.host[sizeof place.host - 1] = 0;
      char address[NI_MAXHOST] = {};
      ::getnameinfo(reinterpret_cast<sockaddr*>(&from), bytes, address, sizeof address, nullptr, 0,
                    NI_NUMERICHOST);
      // Who comes from this machine itself is found where this process is.
      const std::string seen = address;
      const bool here = seen == "::1" || seen.starts_with("127.") || seen.starts_with("::ffff:127.");
      std::memset(place.address, 0, sizeof place.address);
      if (!here) put(place.address, sizeof place.address, seen);
      places_[size_t(place.rank)] = place;
      peers_[size_t(place.rank)] = std::move(peer);
      --missing;
    }
  }

  // Where nobody listens yet, a socket can reach itself.
  static bool is_its_own(const Socket& socket) {
    sockaddr_storage own{}, other{};
    socklen_t bytes = sizeof own, of_other = sizeof other;
    ::getsockname(socket.number(), reinterpret_cast<sockaddr*>(&own), &bytes);
    ::getpeername(socket.number(), reinterpret_cast<sockaddr*>(&other), &of_other);
    return std::memcmp(&own, &other, sizeof own) == 0;
  }

  // Connects to a process that listens, or will.
  void reach(int rank) {
    const Place& to = places_[size_t(rank)];
    const std::string address = *to.address ? to.address : launch_.address, port = std::to_string(to.port);
    std::string why;
    int status = 0;
    do {
      addrinfo hints{}, *found = nullptr;
      hints.ai_socktype = SOCK_STREAM;
      status = ::getaddrinfo(address.c_str(), port.c_str(), &hints, &found);
      if (status != 0 && status != EAI_AGAIN) break;
      for (const addrinfo* one = found; one && !peers_[size_t(rank)]; one = one->ai_next) {
        Socket socket(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (socket && ::connect(socket.number(), one->ai_addr, one->ai_addrlen) == 0 && !is_its_own(socket))
          peers_[size_t(rank)] = std::move(socket);
        else
          why = reason_of(errno);
      }
      if (found) ::freeaddrinfo(found);
      if (peers_[size_t(rank)]) return send_all(rank, &places_[size_t(launch_.rank)], sizeof(Place));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } while (milliseconds_left() > 0);
    // A name server that cannot be reached for all that time answers EAI_AGAIN.
    check(status == 0, Fault::usage, "the first process is at ", address, " (MASTER_ADDR), which is not known here: ",
          ::gai_strerror(status));
    fail_lost(rank, text("was not found at ", address, ", port ", port, " within ", waited_, " s: ", why));
  }

  void send_all(int rank, const void* data, size_t bytes) {
    std::deque<Piece> pieces(1, Piece{const_cast<void*>(data), bytes});
    while (!pieces.empty()) {
      pollfd asked{peers_[size_t(rank)].number(), POLLOUT, 0};
      if (::poll(&asked, 1, milliseconds_left()) <= 0 && milliseconds_left() == 0)
        fail_lost(rank, "does not listen");
      move(rank, pieces, true);
    }
  }

  // False if they do not come.
  bool receive_all(const Socket& from, void* data, size_t bytes, int most_milliseconds = 1 << 30) const {
    char* to = static_cast<char*>(data);
    const Clock::time_point until = Clock::now() + std::chrono::milliseconds(most_milliseconds);
    while (bytes > 0) {
      pollfd asked{from.number(), POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      const int ready = ::poll(&asked, 1, int(std::clamp<int64_t>(left, 0, milliseconds_left())));
      if (ready == 0) return false;
      if (ready < 0) continue;  // a signal
      const ssize_t read = ::recv(from.number(), to, bytes, 0);
      if (read <= 0) return false;
      to += read;
      bytes -= size_t(read);
    }
    return true;
  }

  const Launch launch_;
  const Clock::time_point end_;  // of the time to meet
  const double waited_;
  std::vector<Place> places_;
  std::vector<Socket> peers_;
};

}  // namespace

std::unique_ptr<Transport> open_tcp(const Launch& launch, double seconds) {
  return std::make_unique<Tcp>(launch, seconds);
}

}  // namespace retort
