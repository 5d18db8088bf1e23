// Downloads, against a server on loopback.
#include "datasets/fetch.h"

#include <cstdlib>
#include <iterator>

#include "engine/base/process.h"
#include "engine/random.h"
#include "tests/support/expect_error.h"
#include "tests/support/http_server.h"
#include "tests/support/program.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using testing::expect_fault;
using testing::HttpServer;
using Files = HttpServer::Files;
using testing::TempFolder;

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// An archive of two files; noise, so that it does not shrink.
class Fetch : public ::testing::Test {
 protected:
  Fetch() {
    setenv("no_proxy", "127.0.0.1", 1);
    std::string noise;
    for (uint32_t i = 0; i < 5000; ++i) noise += char(random4(1, Purpose::weights, 0, i, 0).v[0]);
    source.write("pack/a.bin", noise);
    source.write("pack/names.txt", "one\ntwo\n");
    run_process({"tar", "-C", source.path().string(), "-czf", (source / "pack.tar.gz").string(), "pack"},
                false, "test");
    bytes = content(source / "pack.tar.gz");
    md5 = run_process({"md5sum", (source / "pack.tar.gz").string()}, true, "test").output.substr(0, 32);
    part = dir / "pack.tar.gz.part";
  }

  Archive archive(const std::string& url) const {
    return {"pack", url, md5, "", int64_t(bytes.size()), "pack", {"a.bin", "names.txt"}};
  }

  void expect_fetched() const {
    EXPECT_EQ(content(dir / "pack/a.bin"), content(source / "pack/a.bin"));
    EXPECT_EQ(content(dir / "pack/names.txt"), "one\ntwo\n");
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir.path())) names.push_back(entry.path().filename());
    EXPECT_EQ(names, std::vector<std::string>{"pack"}) << "nothing else remains";
  }

  TempFolder source, dir;
  std::string bytes, md5;
  fs::path part;
};

TEST_F(Fetch, DownloadsAndUnpacks) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(fetch(archive(server.url("/f.tar.gz")), dir.path()), dir / "pack");
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("pack: downloading " + server.url("/f.tar.gz")), std::string::npos) << said;
  EXPECT_EQ(said.find('\x1b'), std::string::npos) << said;
  EXPECT_EQ(said.find('\r'), std::string::npos) << said;
  expect_fetched();
  EXPECT_EQ(server.requests(), std::vector<std::string>{"/f.tar.gz"});
}

TEST_F(Fetch, IntoAFolderThatIsNotThereYet) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  fetch(archive(server.url("/f.tar.gz")), dir / "new/deep");
  EXPECT_TRUE(fs::exists(dir / "new/deep/pack/a.bin"));
}

TEST_F(Fetch, AlreadyThere) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  const Archive pack = archive(server.url("/f.tar.gz"));
  fetch(pack, dir.path());
  ::testing::internal::CaptureStderr();
  fetch(pack, dir.path());
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("is there already and unchanged"), std::string::npos) << said;
  EXPECT_EQ(server.requests().size(), 1u);

  dir.write("pack/names.txt", "one\ntwO\n");
  expect_fault(Fault::verification, "pack/names.txt: MD5", [&] { fetch(pack, dir.path()); });
  fs::remove(dir / "pack/names.txt");
  expect_fault(Fault::verification, "pack/names.txt: no such file", [&] { fetch(pack, dir.path()); });
  dir.write("pack/names.txt", "put there by hand\n");
  const std::string sums = testing::content_of(dir / "pack/md5sums.txt"),
                    first = sums.substr(0, sums.find('\n') + 1);
  dir.write("pack/md5sums.txt", first + first);
  expect_fault(Fault::verification, "has no line for", [&] { fetch(pack, dir.path()); });
  dir.write("pack/md5sums.txt", sums + first.substr(0, 34) + "../elsewhere\n");
  expect_fault(Fault::verification, "", [&] { fetch(pack, dir.path()); });
  fs::remove(dir / "pack/md5sums.txt");
  ::testing::internal::CaptureStderr();
  fetch(pack, dir.path());
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("without the md5sums.txt"), std::string::npos);
}

TEST_F(Fetch, ResumesAPartialFile) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  dir.write("pack.tar.gz.part", bytes.substr(0, 2000));
  fetch(archive(server.url("/f.tar.gz")), dir.path());
  expect_fetched();
  EXPECT_EQ(server.requests(), std::vector<std::string>{"/f.tar.gz from 2000"});
}

TEST_F(Fetch, AWholePartIsNotDownloadedAgain) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  dir.write("pack.tar.gz.part", bytes);
  fetch(archive(server.url("/f.tar.gz")), dir.path());
  expect_fetched();
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(Fetch, GoesOnAfterALostConnection) {
  HttpServer server(Files{{"/f.tar.gz", {.content = bytes, .cut_after = 1500, .cuts = 1}}});
  fetch(archive(server.url("/f.tar.gz")), dir.path());
  expect_fetched();
  EXPECT_EQ(server.requests(), (std::vector<std::string>{"/f.tar.gz", "/f.tar.gz from 1500"}));
}

TEST_F(Fetch, StartsOverWhereAServerSendsNoRanges) {
  HttpServer server(Files{{"/f.tar.gz", {.content = bytes, .ranges = false}}});
  dir.write("pack.tar.gz.part", bytes.substr(0, 2000));
  fetch(archive(server.url("/f.tar.gz")), dir.path());
  expect_fetched();
}

TEST_F(Fetch, StartsOverAfterAPartOfSomethingElse) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  for (size_t length : {size_t(2000), bytes.size(), bytes.size() + 100}) {
    dir.write("pack.tar.gz.part", std::string(length, 'x'));
    fetch(archive(server.url("/f.tar.gz")), dir.path());
    expect_fetched();
    fs::remove_all(dir / "pack");
  }
}

TEST_F(Fetch, WrongContent) {
  std::string wrong = bytes;
  wrong[100] = char(wrong[100] ^ 1);
  HttpServer server(Files{{"/f.tar.gz", {wrong}}, {"/good.tar.gz", {bytes}}});
  expect_fault(Fault::verification, "expected " + md5,
               [&] { fetch(archive(server.url("/f.tar.gz")), dir.path()); });
  EXPECT_FALSE(fs::exists(dir / "pack"));
  EXPECT_EQ(content(dir / "pack.tar.gz.wrong"), wrong);
  fetch(archive(server.url("/good.tar.gz")), dir.path());  // and is no obstacle
  EXPECT_TRUE(fs::exists(dir / "pack/a.bin"));
}

TEST_F(Fetch, AnArchiveWithoutTheFiles) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  Archive other = archive(server.url("/f.tar.gz"));
  other.files.push_back("b.bin");
  expect_fault(Fault::verification, "no pack/b.bin in the archive", [&] { fetch(other, dir.path()); });
  EXPECT_FALSE(fs::exists(dir / "pack"));
}

TEST_F(Fetch, ServersThatDoNotAnswer) {
  {
    HttpServer server(Files{{"/other", {""}}});
    expect_fault(Fault::input, "the server answered 404",
                 [&] { fetch(archive(server.url("/f.tar.gz")), dir.path()); });
    EXPECT_EQ(server.requests().size(), 1u) << "not tried again";
  }
  expect_fault(Fault::input, "is no https address",
               [&] { fetch(archive("nosuchprotocol://127.0.0.1/f"), dir.path()); });
}

TEST_F(Fetch, WriteFailures) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  const Archive pack = archive(server.url("/f.tar.gz"));
  dir.write("file", "");
  expect_fault(Fault::write, "the folder cannot be made", [&] { fetch(pack, dir / "file/data"); });
  expect_fault(Fault::write, "the folder cannot be made", [&] { fetch(pack, dir / "file"); });
  if (fs::exists("/dev/full")) {
    fs::create_symlink("/dev/full", part);
    expect_fault(Fault::write, "is a link, which is not written through", [&] { fetch(pack, dir.path()); });
    EXPECT_TRUE(fs::is_character_file("/dev/full"));
    fs::remove(part);
  }
  // The archive's MD5 is right, but it cannot be unpacked.
  Archive garbage = pack;
  garbage.md5 = "d41d8cd98f00b204e9800998ecf8427e";  // of nothing
  HttpServer empty(Files{{"/f.tar.gz", {""}}});
  garbage.url = empty.url("/f.tar.gz");
  expect_fault(Fault::input, "the archive is damaged", [&] { fetch(garbage, dir.path()); });
  EXPECT_FALSE(fs::exists(dir / "pack"));
}

// A name that nobody knows stays unknown: said at once, with what to do.
TEST_F(Fetch, NoConnection) {
  ::testing::internal::CaptureStderr();
  const std::string message = testing::error_of(
      Fault::input, [&] { fetch(archive("https://no-such-host.invalid/f.tar.gz"), dir.path()); });
  EXPECT_EQ(::testing::internal::GetCapturedStderr().find("trying again"), std::string::npos);
  testing::expect_contains(message, "cannot be resolved");
  testing::expect_contains(message, "put pack.tar.gz (0 MB, md5 " + md5 + ") in " + dir.path().string());
  testing::expect_contains(message, "--url");
  EXPECT_FALSE(fs::exists(part)) << "nothing stays behind";
}

TEST_F(Fetch, AnArchivePutThereByHand) {
  dir.write("pack.tar.gz", bytes);
  fetch(archive("https://no-such-host.invalid/f.tar.gz"), dir.path());
  EXPECT_EQ(content(dir / "pack/names.txt"), "one\ntwo\n");
  EXPECT_EQ(content(dir / "pack.tar.gz"), bytes) << "it stays";
  fs::remove_all(dir / "pack");
  dir.write("pack.tar.gz", bytes.substr(0, 100));
  expect_fault(Fault::verification, "is not the archive of pack",
               [&] { fetch(archive("https://no-such-host.invalid/f.tar.gz"), dir.path()); });
}

TEST_F(Fetch, Sha256DecidesWhereItIsKnown) {
  HttpServer server(Files{{"/f.tar.gz", {bytes}}});
  Archive pack = archive(server.url("/f.tar.gz"));
  pack.sha256 = std::string(64, '0');
  expect_fault(Fault::verification, "SHA-256", [&] { fetch(pack, dir.path()); });
  EXPECT_FALSE(fs::exists(dir / "pack"));
  fs::remove(dir / "pack.tar.gz.wrong");
  pack.sha256 =
      run_process({"sha256sum", (source / "pack.tar.gz").string()}, true, "test").output.substr(0, 64);
  fetch(pack, dir.path());
  expect_fetched();
}

TEST_F(Fetch, HttpIsForThisMachineAlone) {
  for (const char* url : {"http://example.invalid/f", "http://127.0.0.1.example.invalid/f",
                          "http://localhost.example.invalid/f", "file:///etc/passwd", "ftp://127.0.0.1/f"})
    expect_fault(Fault::input, "is no https address", [&] { fetch(archive(url), dir.path()); });
}

TEST_F(Fetch, AServerThatSendsTooMuch) {
  HttpServer server(Files{{"/f.tar.gz", {std::string(size_t(3) << 20, 'x')}}});
  expect_fault(Fault::input, "is larger than", [&] { fetch(archive(server.url("/f.tar.gz")), dir.path()); });
  EXPECT_FALSE(fs::exists(part) && fs::file_size(part) > bytes.size() + bytes.size() / 8 + (1u << 20));
}

// Right sums, and links where files should be.
TEST_F(Fetch, LinksInAnArchive) {
  const fs::path outside = source.write("outside", "precious");
  const auto packed = [&](const std::string& name, bool hard) {
    TempFolder made;
    made.write("pack/a.bin", "a");
    made.write("pack/names.txt", "n");
    made.write("pack/other", "o");
    fs::remove(made / "pack" / name);
    if (hard)
      fs::create_hard_link(made / "pack/other", made / "pack" / name);
    else
      fs::create_symlink(outside, made / "pack" / name);
    run_process({"tar", "-C", made.path().string(), "-czf", (source / "bad.tar.gz").string(), "pack"}, false,
                "test");
    dir.write("pack.tar.gz", content(source / "bad.tar.gz"));
    Archive archive_ = archive("https://no-such-host.invalid/");
    archive_.md5 = run_process({"md5sum", (dir / "pack.tar.gz").string()}, true, "test").output.substr(0, 32);
    return archive_;
  };
  for (const bool hard : {false, true})
    expect_fault(Fault::verification, "a link in its place",
                 [&] { fetch(packed("a.bin", hard), dir.path()); });
  fetch(packed("md5sums.txt", false), dir.path());
  EXPECT_EQ(content(outside), "precious");
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(dir / "pack/md5sums.txt")));
}

TEST_F(Fetch, MissingProgramsAreNamed) {
  const std::string path = std::getenv("PATH") ? std::getenv("PATH") : "";
  setenv("PATH", dir.path().c_str(), 1);
  expect_fault(Fault::input, "downloading pack needs the program curl, which is not installed",
               [&] { fetch(archive("http://127.0.0.1:9/f"), dir.path()); });
  setenv("PATH", path.c_str(), 1);
}

TEST(FetchArchives, AreTheOfficialOnes) {
  EXPECT_EQ(cifar100_archive().url, "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz");
  EXPECT_EQ(cifar100_archive().md5, "03b5dce01913d631647c71ecec9e9cb8");
  EXPECT_EQ(cifar100_archive().folder, "cifar-100-binary");
  EXPECT_EQ(cifar10_archive().md5, "c32a1d4ab5d03f1284b67883e8d87530");
  EXPECT_EQ(cifar10_archive().folder, "cifar-10-batches-bin");
}

TEST(Process, StatusAndOutput) {
  EXPECT_EQ(run_process({"printf", "%s", "a b $HOME *"}, true, "test").output, "a b $HOME *") << "no shell";
  EXPECT_EQ(run_process({"sh", "-c", "exit 7"}, false, "test").status, 7);
  EXPECT_EQ(run_process({"sh", "-c", "kill -9 $$"}, false, "test").status, 128 + 9);
  EXPECT_EQ(run_process({"cat"}, true, "test").output, "") << "stdin is empty";
  expect_fault(Fault::input, "testing needs the program no-such-program-here",
               [] { run_process({"no-such-program-here"}, false, "testing"); });
}

}  // namespace
}  // namespace retort
