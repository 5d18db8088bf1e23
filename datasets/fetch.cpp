#include "datasets/fetch.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/process.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

constexpr int attempts = 5;
constexpr char sums_file[] = "md5sums.txt";

template <class... Parts>
void say(const Archive& archive, const Parts&... parts) {
  std::cerr << text(archive.name, ": ", parts..., "\n");
}

// The file's sum by that program of coreutils: 32 digits for md5sum, 64 for sha256sum.
std::string sum_of(const Archive& archive, const fs::path& file, const std::string& program = "md5sum") {
  const size_t digits = program == "md5sum" ? 32 : 64;
  // "--": the path may begin with a dash. A backslash before the sum marks an escaped file name.
  const ProcessResult result = run_process({program, "--", file.string()}, true, "checking " + archive.name);
  const size_t start = result.output.starts_with('\\') ? 1 : 0;
  check(result.status == 0 && result.output.size() >= start + digits, Fault::input, file.string(), ": ",
        program, " failed with status ", result.status);
  return result.output.substr(start, digits);
}

// Not where a link leads: an archive may hold links to anywhere.
bool is_own_file(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
}
bool is_own_folder(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

void make_folder(const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  const bool is_folder = !error && fs::is_directory(dir);
  check(is_folder, Fault::write, dir.string(),
        ": the folder cannot be made: ", error ? error.message() : "a file of this name is in the way");
  if (access(dir.c_str(), W_OK) != 0)
    fail(Fault::write, dir.string(), ": cannot be written: ", std::strerror(errno));
}

std::string file_name(const Archive& archive) {
  return archive.folder + ".tar.gz";
}

// What a user without a connection does.
std::string by_hand(const Archive& archive, const fs::path& dir) {
  return text("; or put ", file_name(archive), " (", (archive.bytes + 500'000) / 1'000'000, " MB, md5 ",
              archive.md5, ") in ", dir.string(), " by other means, and run the same command");
}

// For as long as it lives no file that this process or a child of it writes grows beyond so many bytes:
// curl's own limit asks what the server says.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(int64_t bytes) {
    if (getrlimit(RLIMIT_FSIZE, &before_) != 0) return;
    rlimit now = before_;
    now.rlim_cur = std::min<rlim_t>(before_.rlim_max, rlim_t(bytes));
    set_ = setrlimit(RLIMIT_FSIZE, &now) == 0;
  }
  ~FileSizeLimit() {
    if (set_) setrlimit(RLIMIT_FSIZE, &before_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  bool set_ = false;
};

// Room for an archive that was packed anew, not for a server that sends without end.
int64_t size_limit(const Archive& archive) {
  return archive.bytes + archive.bytes / 8 + (int64_t(1) << 20);
}

// Encrypted, but to this machine itself.
std::string allowed_protocols(const std::string& url) {
  for (const char* loopback : {"http://127.0.0.1", "http://localhost", "http://[::1]"}) {
    const std::string host = loopback;
    if (url.starts_with(host) &&
        (url.size() == host.size() || url[host.size()] == ':' || url[host.size()] == '/'))
      return "=https,http";
  }
  return "=https";
}

// What curl's exit statuses mean (man curl, EXIT CODES).
bool may_pass(int status) {
  // Connection lost, partial file, timeout, TLS or protocol hiccups; not a name that nobody knows (5, 6).
  for (int transient : {7, 16, 18, 28, 35, 52, 55, 56, 92})
    if (status == transient) return true;
  return false;
}

enum class Download { done, cannot_resume };

Download run_curl(const Archive& archive, const fs::path& part) {
  const std::string protocols = allowed_protocols(archive.url);
  std::vector<std::string> argv{"curl",
                                "--fail",
                                "--location",
                                "--output",
                                part.string(),
                                "--continue-at",
                                "-",
                                "--write-out",
                                "%{http_code}",
                                "--proto",
                                protocols,
                                "--proto-redir",
                                protocols,
                                "--max-redirs",
                                "5",
                                "--max-filesize",
                                std::to_string(size_limit(archive)),
                                "--connect-timeout",
                                "30",
                                "--url",
                                archive.url};
  // A connection that has died without a word ends, and is tried again.
  for (const char* option : {"--speed-limit", "100", "--speed-time", "60"}) argv.push_back(option);
  if (isatty(STDERR_FILENO)) {
    argv.push_back("--progress-bar");
  } else {
    argv.insert(argv.end(), {"--silent", "--show-error"});
  }
  for (int attempt = 1;; ++attempt) {
    const ProcessResult result = [&] {
      const FileSizeLimit limit(size_limit(archive));
      return run_process(argv, true, "downloading " + archive.name);
    }();
    const int status = result.status;
    if (status == 0) return Download::done;
    // 33: the server sends no ranges; 416: it has nothing after what we have.
    if (status == 33 || (status == 22 && result.output == "416")) return Download::cannot_resume;
    std::error_code error;
    const bool too_large = status == 63 || (fs::is_regular_file(part, error) &&
                                            int64_t(fs::file_size(part, error)) >= size_limit(archive));
    check(!too_large, Fault::input, archive.url, ": is larger than ", with_commas(size_limit(archive)),
          " bytes, which the archive is not; remove ", part.string(), " or name another place with --url");
    check(status != 23, Fault::write, part.string(), ": writing failed (disk full?)");
    const std::string advice = by_hand(archive, part.parent_path());
    check(status != 1, Fault::input, archive.url,
          ": is no https address (http is for this machine alone); name one with --url", advice);
    check(status != 5 && status != 6, Fault::input, archive.url,
          ": the server's name cannot be resolved; is there a connection? --url names another place", advice);
    check(status <= 128, Fault::input, archive.url, ": curl was stopped by signal ", status - 128,
          "; the same command goes on from here");
    check(status != 22, Fault::input, archive.url, ": the server answered ", result.output,
          "; --url names another place", advice);
    const bool again = may_pass(status) && attempt < attempts;
    check(again, Fault::input, archive.url, ": curl failed with status ", status, " after ", attempt,
          attempt == 1 ? " attempt" : " attempts", "; the same command goes on from here", advice);
    say(archive, "attempt ", attempt, " of ", attempts, " failed, trying again");
    std::this_thread::sleep_for(std::chrono::seconds(attempt));
  }
}

// Whether the file is the archive: by its SHA-256 where that is known.
bool is_the_archive(const Archive& archive, const fs::path& file) {
  return archive.sha256.empty() ? sum_of(archive, file) == archive.md5
                                : sum_of(archive, file, "sha256sum") == archive.sha256;
}

// The archive, whole and verified.
void download(const Archive& archive, const fs::path& part) {
  std::error_code error;
  check(fs::symlink_status(part, error).type() != fs::file_type::symlink, Fault::write, part.string(),
        ": is a link, which is not written through; remove it");
  const bool resumed = fs::is_regular_file(part, error) && fs::file_size(part, error) > 0;
  if (resumed) {
    if (is_the_archive(archive, part)) return;
    say(archive, "going on after ", with_commas(int64_t(fs::file_size(part, error))), " bytes of ",
        archive.url);
  } else {
    say(archive, "downloading ", archive.url);
  }
  if (run_curl(archive, part) == Download::done && is_the_archive(archive, part)) return;
  if (resumed) {
    // What lay there was not the beginning of this archive, or the server cannot go on: once more from the
    // start.
    say(archive, "the partial download cannot be completed, starting over");
    fs::remove(part, error);
    check(run_curl(archive, part) == Download::done, Fault::input, archive.url, ": the server sends no data");
    if (is_the_archive(archive, part)) return;
  }
  check(fs::is_regular_file(part, error), Fault::input, archive.url, ": the server sends no data");
  const fs::path aside = part.parent_path() / (part.stem().string() + ".wrong");
  fs::rename(part, aside, error);
  const std::string found = sum_of(archive, aside);
  // Only the SHA-256 tells two files of one MD5 apart.
  fail(Fault::verification, archive.url, ": ",
       found != archive.md5
           ? "MD5 " + found + ", expected " + archive.md5
           : "SHA-256 " + sum_of(archive, aside, "sha256sum") + ", expected " + archive.sha256,
       "; the file is kept as ", aside.string());
}

// Removed with what is in it unless it was renamed.
struct UnpackFolder {
  std::string path;
  explicit UnpackFolder(const fs::path& dir) : path((dir / ".unpack-XXXXXX").string()) {
    check(mkdtemp(path.data()) != nullptr, Fault::write, dir.string(),
          ": no folder can be made in it: ", std::strerror(errno));
  }
  ~UnpackFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  UnpackFolder(const UnpackFolder&) = delete;
  UnpackFolder& operator=(const UnpackFolder&) = delete;
};

// Why tar failed: the archive, or the disk.
[[noreturn]] void fail_unpacking(const Archive& archive, const fs::path& file, const fs::path& folder,
                                 int status) {
  for (const std::vector<std::string>& test :
       {std::vector<std::string>{"gzip", "--test", "--", file.string()},
        std::vector<std::string>{"tar", "--list", "--gzip", "--file", file.string()}}) {
    check(run_process(test, true, "checking " + archive.name).status == 0, Fault::input, file.string(),
          ": the archive is damaged (", test[0], " cannot read it to its end); remove it and fetch it again");
  }
  fail(Fault::write, folder.string(), ": tar failed with status ", status,
       " (disk full?); the archive stays as ", file.string());
}

void unpack(const Archive& archive, const fs::path& file, const fs::path& target) {
  say(archive, archive.sha256.empty() ? "MD5" : "SHA-256", " is right, unpacking");
  const UnpackFolder folder(target.parent_path());
  const ProcessResult tar =
      run_process({"tar", "--extract", "--gzip", "--no-same-owner", "--no-same-permissions", "--file",
                   file.string(), "--directory", folder.path},
                  false, "unpacking " + archive.name);
  if (tar.status != 0) fail_unpacking(archive, file, folder.path, tar.status);
  const fs::path unpacked = fs::path(folder.path) / archive.folder;
  check(is_own_folder(unpacked), Fault::verification, archive.url, ": no folder ", archive.folder,
        " in the archive");
  std::string sums;
  for (const std::string& name : archive.files) {
    check(is_own_file(unpacked / name), Fault::verification, archive.url, ": no ", archive.folder, "/", name,
          " in the archive, or a link in its place");
    sums += sum_of(archive, unpacked / name) + "  " + name + "\n";
  }
  std::error_code ignored;
  fs::remove(unpacked / sums_file, ignored);  // what the archive has of that name may be a link to elsewhere
  write_file(unpacked / sums_file, sums);
  std::error_code error;
  fs::rename(unpacked, target, error);
  check(!error, Fault::write, target.string(),
        ": the unpacked folder cannot be moved there: ", error.message());
}

// The files of a folder that was there before.
void verify(const Archive& archive, const fs::path& target) {
  const std::string advice = "; remove the folder and fetch it again";
  for (const std::string& name : archive.files)
    check(fs::is_regular_file(target / name), Fault::verification, (target / name).string(), ": no such file",
          advice);
  const std::optional<std::string> sums = read_text_if_readable(target / sums_file);
  if (!sums) {
    say(archive, target.string(), " is there already, without the ", sums_file,
        " of a download to compare it with");
    return;
  }
  std::map<std::string, std::string> listed;
  std::istringstream list(*sums);
  for (std::string sum, name; list >> sum >> name;) listed.emplace(name, sum);
  for (const std::string& name : archive.files) {
    const auto sum = listed.find(name);
    check(sum != listed.end(), Fault::verification, (target / sums_file).string(), ": has no line for ", name,
          advice);
    const std::string found = sum_of(archive, target / name);
    check(found == sum->second, Fault::verification, (target / name).string(), ": MD5 ", found, ", expected ",
          sum->second, advice);
  }
  check(listed.size() == archive.files.size(), Fault::verification, (target / sums_file).string(), ": ",
        listed.size(), " files, expected ", archive.files.size(), advice);
  say(archive, target.string(), " is there already and unchanged");
}

}  // namespace

Archive cifar100_archive() {
  return {"cifar100",
          "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
          "03b5dce01913d631647c71ecec9e9cb8",
          "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
          168'513'733,
          "cifar-100-binary",
          {"train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"}};
}

Archive cifar10_archive() {
  return {"cifar10",
          "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
          "c32a1d4ab5d03f1284b67883e8d87530",
          "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
          170'052'171,
          "cifar-10-batches-bin",
          {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
           "test_batch.bin", "batches.meta.txt"}};
}

fs::path fetch(const Archive& archive, const fs::path& dir) {
  make_folder(dir);
  const fs::path target = dir / archive.folder;
  std::error_code error;
  if (fs::exists(target, error)) {
    verify(archive, target);
    return target;
  }
  // Put there by hand: it stays.
  const fs::path whole = dir / file_name(archive);
  if (fs::exists(whole, error)) {
    check(fs::is_regular_file(whole, error) && is_the_archive(archive, whole), Fault::verification,
          whole.string(), ": is not the archive of ", archive.name, " (md5 ", archive.md5,
          "); remove it to download the right one");
    unpack(archive, whole, target);
    say(archive, "ready in ", target.string());
    return target;
  }
  const fs::path part = dir / (file_name(archive) + ".part");
  const bool made = !fs::exists(part, error);
  try {
    download(archive, part);
  } catch (const Error&) {
    // Nothing came: nothing stays behind.
    if (made && fs::is_regular_file(part, error) && fs::file_size(part, error) == 0) fs::remove(part, error);
    throw;
  }
  unpack(archive, part, target);
  fs::remove(part, error);
  say(archive, "ready in ", target.string());
  return target;
}

}  // namespace retort
