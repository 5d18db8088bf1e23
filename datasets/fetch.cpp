#include "datasets/fetch.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
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

std::string md5_of(const Archive& archive, const fs::path& file) {
  // "--": the path may begin with a dash. A backslash before the sum marks an escaped file name.
  const ProcessResult result = run_process({"md5sum", "--", file.string()}, true, "checking " + archive.name);
  const size_t start = result.output.starts_with('\\') ? 1 : 0;
  check(result.status == 0 && result.output.size() >= start + 32, Fault::input, file.string(),
        ": md5sum failed with status ", result.status);
  return result.output.substr(start, 32);
}

void make_folder(const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  check(!error && fs::is_directory(dir), Fault::write, dir.string(),
        ": the folder cannot be made: ", error ? error.message() : "a file of this name is in the way");
  check(access(dir.c_str(), W_OK) == 0, Fault::write, dir.string(),
        ": cannot be written: ", std::strerror(errno));
}

// What curl's exit statuses mean (man curl, EXIT CODES).
bool may_pass(int status) {
  // Host or connection lost, partial file, timeout, TLS or protocol hiccups.
  for (int transient : {5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92})
    if (status == transient) return true;
  return false;
}

enum class Download { done, cannot_resume };

Download run_curl(const Archive& archive, const fs::path& part) {
  std::vector<std::string> argv{"curl",      "--fail",      "--location",   "--continue-at",
                                "-",         "--output",    part.string(),  "--url",
                                archive.url, "--write-out", "%{http_code}", "--connect-timeout",
                                "30"};
  // A connection that has died without a word ends, and is tried again.
  for (const char* option : {"--speed-limit", "100", "--speed-time", "60"}) argv.push_back(option);
  if (isatty(STDERR_FILENO)) {
    argv.push_back("--progress-bar");
  } else {
    argv.insert(argv.end(), {"--silent", "--show-error"});
  }
  for (int attempt = 1;; ++attempt) {
    const ProcessResult result = run_process(argv, true, "downloading " + archive.name);
    const int status = result.status;
    if (status == 0) return Download::done;
    // 33: the server sends no ranges; 416: it has nothing after what we have.
    if (status == 33 || (status == 22 && result.output == "416")) return Download::cannot_resume;
    check(status != 23, Fault::write, part.string(), ": writing failed (disk full?)");
    check(status <= 128, Fault::input, archive.url, ": curl was stopped by signal ", status - 128,
          "; the same command goes on from here");
    check(status != 22, Fault::input, archive.url, ": the server answered ", result.output);
    const bool again = may_pass(status) && attempt < attempts;
    check(again, Fault::input, archive.url, ": curl failed with status ", status, " after ", attempt,
          attempt == 1 ? " attempt" : " attempts", "; the same command goes on from here");
    say(archive, "attempt ", attempt, " of ", attempts, " failed, trying again");
    std::this_thread::sleep_for(std::chrono::seconds(attempt));
  }
}

// The archive, whole and verified.
void download(const Archive& archive, const fs::path& part) {
  std::error_code error;
  const bool resumed = fs::is_regular_file(part, error) && fs::file_size(part, error) > 0;
  if (resumed) {
    if (md5_of(archive, part) == archive.md5) return;
    say(archive, "going on after ", with_commas(int64_t(fs::file_size(part, error))), " bytes of ",
        archive.url);
  } else {
    say(archive, "downloading ", archive.url);
  }
  std::string found;
  if (run_curl(archive, part) == Download::done) {
    found = md5_of(archive, part);
    if (found == archive.md5) return;
  }
  if (resumed) {
    // What lay there was not the beginning of this archive, or the server cannot go on: once more from the
    // start.
    say(archive, "the partial download cannot be completed, starting over");
    fs::remove(part, error);
    check(run_curl(archive, part) == Download::done, Fault::input, archive.url, ": the server sends no data");
    found = md5_of(archive, part);
    if (found == archive.md5) return;
  }
  const fs::path aside = part.parent_path() / (part.stem().string() + ".wrong");
  fs::rename(part, aside, error);
  fail(Fault::verification, archive.url, ": MD5 ", found, ", expected ", archive.md5,
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

void unpack(const Archive& archive, const fs::path& part, const fs::path& target) {
  say(archive, "MD5 is right, unpacking");
  const UnpackFolder folder(target.parent_path());
  const ProcessResult tar = run_process(
      {"tar", "--extract", "--gzip", "--no-same-owner", "--file", part.string(), "--directory", folder.path},
      false, "unpacking " + archive.name);
  check(tar.status == 0, Fault::write, folder.path, ": tar failed with status ", tar.status,
        " (disk full?); the archive stays as ", part.string());
  const fs::path unpacked = fs::path(folder.path) / archive.folder;
  std::string sums;
  for (const std::string& name : archive.files) {
    check(fs::is_regular_file(unpacked / name), Fault::verification, archive.url, ": no ", archive.folder,
          "/", name, " in the archive");
    sums += md5_of(archive, unpacked / name) + "  " + name + "\n";
  }
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
  size_t compared = 0;
  std::istringstream list(*sums);
  for (std::string sum, name; list >> sum >> name; ++compared) {
    const std::string found = md5_of(archive, target / name);
    check(found == sum, Fault::verification, (target / name).string(), ": MD5 ", found, ", expected ", sum,
          advice);
  }
  check(compared == archive.files.size(), Fault::verification, (target / sums_file).string(), ": ", compared,
        " files, expected ", archive.files.size(), advice);
  say(archive, target.string(), " is there already and unchanged");
}

}  // namespace

Archive cifar100_archive() {
  return {"cifar100",
          "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
          "03b5dce01913d631647c71ecec9e9cb8",
          "cifar-100-binary",
          {"train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"}};
}

Archive cifar10_archive() {
  return {"cifar10",
          "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
          "c32a1d4ab5d03f1284b67883e8d87530",
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
  const fs::path part = dir / (archive.folder + ".tar.gz.part");
  download(archive, part);
  unpack(archive, part, target);
  fs::remove(part, error);
  say(archive, "ready in ", target.string());
  return target;
}

}  // namespace retort
