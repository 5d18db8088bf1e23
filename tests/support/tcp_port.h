// Ports of this machine, for tests of what listens.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

namespace retort::testing {

// Somebody listens at it while this lives.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    socklen_t bytes = sizeof any;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&any), bytes), 0);
    EXPECT_EQ(::listen(socket_, 1), 0);
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&any), &bytes);
    number_ = ntohs(any.sin_port);
  }
  ~TakenPort() { ::close(socket_); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  int number() const { return number_; }

 private:
  int socket_, number_ = 0;
};

// Nobody listens at it, at this moment.
inline int free_port() {
  return TakenPort().number();
}

// To whoever listens at the port, or will.
class Connection {
 public:
  explicit Connection(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(uint16_t(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int tries = 0; ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && tries < 1000;
         ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  void say(const std::string& text) const {
    EXPECT_EQ(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL), ssize_t(text.size()));
  }

 private:
  int socket_;
};

}  // namespace retort::testing
