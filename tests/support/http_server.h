// A small HTTP server on loopback for tests of downloads.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace retort::testing {

// Serves byte strings by path, one connection at a time.
class HttpServer {
 public:
  struct File {
    std::string content;
    bool ranges = true;  // whether "Range: bytes=N-" is answered
    int cut_after = 0;   // > 0: the connection is lost after so many bytes ...
    int cuts = 0;        // ... for so many requests
  };

  using Files = std::map<std::string, File>;  // by path

  explicit HttpServer(Files files) : files_(std::move(files)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener_ < 0 || bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_, 8) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no server on loopback");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() {
    shutdown(listener_, SHUT_RDWR);  // wakes accept()
    thread_.join();
    close(listener_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }

  // "/path" or "/path from N" of each request so far.
  std::vector<std::string> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (int client; (client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      std::string request;
      char buffer[1024];
      while (request.find("\r\n\r\n") == request.npos) {
        const ssize_t got = recv(client, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        request.append(buffer, size_t(got));
      }
      send_all(client, answer(request));
      shutdown(client, SHUT_WR);
      while (recv(client, buffer, sizeof buffer, 0) > 0) {
      }
      close(client);
    }
  }

  std::string answer(const std::string& request) {
    std::lock_guard lock(mutex_);
    const size_t start = request.find(' ') + 1;
    const std::string path = request.substr(start, request.find(' ', start) - start);
    const size_t range = request.find("Range: bytes=");
    const size_t from = range == request.npos ? 0 : std::stoul(request.substr(range + 13));
    requests_.push_back(range == request.npos ? path : path + " from " + std::to_string(from));
    const auto found = files_.find(path);
    if (found == files_.end()) return head("404 Not Found", 0, "");
    File& file = found->second;
    if (range != request.npos && !file.ranges) return body(file, "200 OK", 0, "");
    if (range != request.npos && from >= file.content.size()) return head("416 Range Not Satisfiable", 0, "");
    if (range == request.npos) return body(file, "200 OK", 0, "");
    return body(file, "206 Partial Content", from,
                "Content-Range: bytes " + std::to_string(from) + "-" +
                    std::to_string(file.content.size() - 1) + "/" + std::to_string(file.content.size()) +
                    "\r\n");
  }

  static std::string head(const std::string& status, size_t length, const std::string& more) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(length) +
           "\r\nConnection: close\r\n" + more + "\r\n";
  }

  static std::string body(File& file, const std::string& status, size_t from, const std::string& more) {
    std::string content = file.content.substr(from);
    const std::string start = head(status, content.size(), more);
    if (file.cuts > 0) {
      --file.cuts;
      content.resize(size_t(file.cut_after));
    }
    return start + content;
  }

  static void send_all(int client, const std::string& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = send(client, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += size_t(n);
    }
  }

  Files files_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace retort::testing
