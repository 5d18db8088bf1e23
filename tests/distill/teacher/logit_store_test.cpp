// The table of the teacher's logits: what is stored is found, what is damaged is not, and runs end at the
// same weights as with the live teacher.
#include "distill/teacher/logit_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>

#include "datasets/readers/synthetic.h"
#include "distill/run/run_folder.h"
#include "distill/teacher/stored_teacher.h"
#include "engine/kernels/numbers/half.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace testing;

constexpr int64_t classes = 7;
const LogitStore::Shape shape{40, classes, LogitPrecision::f32};

std::vector<float> row_of(int64_t slot) {
  std::vector<float> row;
  for (int64_t c = 0; c < classes; ++c) row.push_back(float(slot) + 0.1f * float(c));
  return row;
}

bool append(LogitStore& table, const std::vector<int64_t>& slots) {
  std::vector<float> rows;
  for (const int64_t slot : slots) {
    const std::vector<float> row = row_of(slot);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return table.append(slots, rows.data());
}

// Found with the right values, or not found; anything else is a failure.
bool holds(const LogitStore& table, int64_t slot) {
  std::vector<float> row(classes);
  if (!table.find(slot / view_count, int(slot % view_count), row.data())) return false;
  EXPECT_EQ(row, row_of(slot));
  return true;
}

void overwrite(const fs::path& file, int64_t at, const std::string& bytes) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(at);
  out << bytes;
}

// Of a writer that was killed; a living one's stays.
TEST(TeacherTable, RemovesWhatKilledWritersLeft) {
  TempFolder work;
  const auto left = work / "logits-a/.retort-1-2.tmp";
  work.write("logits-a/.retort-1-2.tmp", "half");
  const LogitStore table(work / "logits-a", "a", shape);
  EXPECT_FALSE(std::filesystem::exists(left));
  work.write("logits-a/.retort-1-2.tmp", "half");
  const LogitStore beside(work / "logits-a", "a", shape);
  EXPECT_TRUE(std::filesystem::exists(left));
}

TEST(TeacherTable, KeepsWhatIsAppended) {
  TempFolder work;
  {
    LogitStore table(work / "logits-a", "a", shape);
    EXPECT_FALSE(LogitStore::holds_rows(work / "logits-a", "a"));
    EXPECT_TRUE(append(table, {0, 5, shape.slots() - 1}));
    EXPECT_TRUE(holds(table, 5));
    EXPECT_FALSE(holds(table, 6));
  }
  LogitStore table(work / "logits-a", "a", shape);
  for (const int64_t slot : {int64_t{0}, int64_t{5}, shape.slots() - 1}) EXPECT_TRUE(holds(table, slot));
  EXPECT_FALSE(holds(table, 1));
  EXPECT_EQ(table.rows(), 3);
  EXPECT_TRUE(LogitStore::holds_rows(work / "logits-a", "a"));
  EXPECT_FALSE(LogitStore::holds_rows(work / "logits-a", "b"));
  LogitStore other(work / "logits-a", "b", shape);  // a name that two identities share
  EXPECT_FALSE(holds(other, 5));
  expect_fault(Fault::write, "logits-f", [&] { LogitStore(work.write("logits-f", ""), "a", shape); });
}

TEST(TeacherTable, DamagedRowsAreNotFound) {
  TempFolder work;
  const fs::path rows = work / "logits-a" / "rows", index = work / "logits-a" / "index";
  LogitStore table(work / "logits-a", "a", shape);
  ASSERT_TRUE(append(table, {0, 1, 2, 3}));
  for (const int64_t offset : {int64_t{0}, int64_t{9}, int64_t{20}, shape.row_bytes() - 1}) {
    const std::string before = content_of(rows);
    const int64_t at = shape.row_bytes() + offset;
    overwrite(rows, at, std::string(1, char(before[size_t(at)] ^ 16)));
    EXPECT_FALSE(holds(table, 1)) << offset;
    EXPECT_TRUE(holds(table, 0) && holds(table, 2));
    overwrite(rows, at, std::string(1, before[size_t(at)]));
    EXPECT_TRUE(holds(table, 1));
  }
  // An index that points to another slot's row, behind the end, or nowhere.
  const std::string entry = content_of(index).substr(8 * 3, 8);
  for (const char number : {'\1', '\100', '\0'}) {
    overwrite(index, 8 * 3, std::string(1, number) + std::string(3, '\0'));
    EXPECT_FALSE(holds(table, 3));
  }
  // Nor is it believed where it points to the right row and its own hash is wrong.
  for (size_t byte = 4; byte < 8; ++byte) {
    std::string changed = entry;
    changed[byte] = char(changed[byte] ^ 1);
    overwrite(index, 8 * 3, changed);
    EXPECT_FALSE(holds(table, 3));
    std::vector<bool> wanted(size_t(shape.slots()));
    wanted[2] = wanted[3] = wanted[4] = true;
    EXPECT_EQ(table.count(wanted), 1);
  }
  ASSERT_TRUE(append(table, {3}));  // what was lost is stored again
  EXPECT_TRUE(holds(table, 3));
}

// An older program's index has no hashes: rows vouch for themselves, and it stays what it is.
TEST(TeacherTable, AnOlderIndexIsReadAndWritten) {
  TempFolder work;
  const fs::path index = work / "logits-a" / "index";
  { ASSERT_TRUE(append(*std::make_unique<LogitStore>(work / "logits-a", "a", shape), {0, 5})); }
  std::string old;
  const std::string hashed = content_of(index);
  ASSERT_EQ(hashed.size(), size_t(shape.index_bytes()));
  for (size_t at = 0; at < hashed.size(); at += 8) old += hashed.substr(at, 4);
  std::ofstream(index, std::ios::binary) << old;
  {
    LogitStore table(work / "logits-a", "a", shape);
    EXPECT_TRUE(holds(table, 0) && holds(table, 5));
    EXPECT_FALSE(holds(table, 1));
    ASSERT_TRUE(append(table, {1}));
    EXPECT_TRUE(holds(table, 1));
    EXPECT_EQ(table.count(std::vector<bool>(size_t(shape.slots()), true)), 3);
  }
  EXPECT_EQ(fs::file_size(index), old.size());
  overwrite(index, 0, "\2");
  EXPECT_FALSE(holds(LogitStore(work / "logits-a", "a", shape), 0));
}

TEST(TeacherTable, ARowThatWasCutOffIsPassedOver) {
  TempFolder work;
  const fs::path rows = work / "logits-a" / "rows";
  LogitStore table(work / "logits-a", "a", shape);
  // The last 4 bytes are zeros: without them a row is as good as whole.
  for (int64_t cut = 6; cut < shape.row_bytes(); cut += 5) {
    ASSERT_TRUE(append(table, {cut, 100 + cut}));
    fs::resize_file(rows, fs::file_size(rows) - uint64_t(cut));
    EXPECT_TRUE(holds(table, cut));
    EXPECT_FALSE(holds(table, 100 + cut));
    ASSERT_TRUE(append(table, {200 + cut}));
    EXPECT_TRUE(holds(table, 200 + cut));
    EXPECT_FALSE(holds(table, 100 + cut));
  }
}

TEST(TeacherTable, KilledWritersLeaveASoundTable) {
  TempFolder work;
  const int64_t slots = shape.slots();
  for (int round = 0; round < 5; ++round) {
    pid_t writers[3];
    for (int w = 0; w < 3; ++w) {
      writers[w] = ::fork();
      if (writers[w] == 0) {
        LogitStore table(work / "logits-a", "a", shape);
        std::mt19937 random(unsigned(10 * round + w));
        for (;;) {
          std::vector<int64_t> some;
          for (int i = 0; i < 9; ++i) some.push_back(int64_t(random() % uint64_t(slots)));
          append(table, some);
        }
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(25 + 10 * round));
    for (const pid_t writer : writers) {
      ::kill(writer, SIGKILL);
      ::waitpid(writer, nullptr, 0);
    }
    const LogitStore table(work / "logits-a", "a", shape);
    int64_t found = 0;
    for (int64_t slot = 0; slot < slots; ++slot) found += holds(table, slot);
    EXPECT_GT(found, 0);
  }
}

TEST(TeacherTable, ProcessesSeeEachOthersRows) {
  TempFolder work;
  LogitStore mine(work / "logits-a", "a", shape);
  const pid_t other = ::fork();
  if (other == 0) {
    LogitStore table(work / "logits-a", "a", shape);
    for (int64_t slot = 0; slot < 1000; slot += 2) append(table, {slot});
    ::_exit(table.error().empty() ? 0 : 1);
  }
  for (int64_t slot = 1; slot < 1000; slot += 2) EXPECT_TRUE(append(mine, {slot}));
  int status = -1;
  ::waitpid(other, &status, 0);
  EXPECT_EQ(status, 0);
  for (int64_t slot = 0; slot < 1000; ++slot) EXPECT_TRUE(holds(mine, slot)) << slot;
  EXPECT_EQ(mine.rows(), 1000);
}

TEST(TeacherTable, AFullDiskEndsStoringAndNothingElse) {
  TempFolder work;
  LogitStore table(work / "logits-a", "a", shape);
  ASSERT_TRUE(append(table, {1}));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_IGN);
  // Rows as many as fit into half an index.
  const rlimit small{rlim_t(4 * shape.slots()), before.rlim_max};
  std::vector<int64_t> many;
  for (int64_t slot = 2; slot < 2 + 2 * int64_t(small.rlim_cur) / shape.row_bytes(); ++slot)
    many.push_back(slot);
  ::setrlimit(RLIMIT_FSIZE, &small);
  const bool stored = append(table, many);
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(stored);
  expect_contains(table.error(), "writing rows: File too large");
  EXPECT_TRUE(holds(table, 1));
  EXPECT_FALSE(holds(table, 2));
  EXPECT_EQ(fs::file_size(work / "logits-a" / "rows"), uint64_t(shape.row_bytes()))
      << "nothing half written stays";
  EXPECT_FALSE(append(table, {3})) << "it does not try again at every batch";
}

TEST(TeacherTable, TheLimitIsKept) {
  TempFolder work;
  LogitStore table(work / "logits-a", "a", shape);
  table.set_limit(uint64_t(2 * shape.row_bytes() + 5));
  EXPECT_TRUE(append(table, {1, 2}));
  EXPECT_FALSE(append(table, {3}));
  expect_contains(table.error(), "teacher_table.limit_gib");
  EXPECT_TRUE(holds(table, 2));
}

TEST(TeacherTable, RoomIsMadeOfTheLongestUnusedTables) {
  TempFolder work;
  std::vector<int64_t> all(size_t(shape.slots()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
  for (const char* name : {"logits-old", "logits-open", "logits-new"}) {
    LogitStore table(work / name, name, shape);
    ASSERT_TRUE(append(table, all));
  }
  work.write("other/rows", "of somebody else");
  const auto day = std::chrono::hours(24);
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(work / "logits-old" / "lock", now - 3 * day);
  const LogitStore open(work / "logits-open", "logits-open", shape);
  fs::last_write_time(work / "logits-open" / "lock", now - 5 * day);

  const uint64_t one = shape.bytes(shape.slots());
  EXPECT_GT(make_room(work.path(), work / "logits-mine", one, 100 * one), 90 * one);
  EXPECT_TRUE(fs::exists(work / "logits-old")) << "there was room enough";
  // Room for three, of which one is to come: the old one goes, the one in use stays though it is older.
  const uint64_t room = make_room(work.path(), work / "logits-mine", one, 3 * one + one / 2);
  EXPECT_FALSE(fs::exists(work / "logits-old"));
  EXPECT_TRUE(fs::exists(work / "logits-open") && fs::exists(work / "logits-new"));
  EXPECT_GT(room, one);
  EXPECT_LT(room, 2 * one);
  make_room(work.path(), work / "logits-new", one, 0);
  EXPECT_TRUE(fs::exists(work / "logits-new")) << "the one to keep";
  make_room(work.path(), work / "logits-mine", one, 0);
  EXPECT_FALSE(fs::exists(work / "logits-new"));
  EXPECT_TRUE(holds(open, 3));
  EXPECT_TRUE(fs::exists(work / "other"));
  EXPECT_EQ(make_room(work / "none", work / "none/logits-a", one, 5), 5u);
}

TEST(Half, RoundsToNearestEven) {
  // Every half is itself; between two neighbours the nearer one, or the even one.
  for (uint32_t h = 0; h < 0x7c00; ++h) {
    const float x = float_of(uint16_t(h)), next = float_of(uint16_t(h + 1));
    ASSERT_EQ(half_of(x), h);
    ASSERT_EQ(half_of(-x), h | 0x8000);
    if (h == 0x7bff) break;
    const float middle = 0.5f * (x + next);
    ASSERT_EQ(half_of(middle), h + (h & 1));
    ASSERT_EQ(half_of(std::nextafter(middle, 0.0f)), h);
    ASSERT_EQ(half_of(std::nextafter(middle, next)), h + 1);
  }
  EXPECT_EQ(float_of(half_of(65519.0f)), 65504.0f);
  EXPECT_TRUE(std::isinf(float_of(half_of(65520.0f))));
  EXPECT_TRUE(std::isnan(float_of(half_of(NAN))));
  EXPECT_EQ(float_of(0x3c00), 1.0f);
  EXPECT_EQ(float_of(0x0001), 0x1p-24f);
}

TEST(TeacherTable, HalfPrecisionIsWithinHalfAUnit) {
  TempFolder work;
  LogitStore table(work / "logits-a", "a", {40, classes, LogitPrecision::f16});
  const std::vector<float> row = {0.1f, -17.3f, 3e-6f, 0, 1e-9f, 123.456f, -1};
  const std::vector<int64_t> slots = {33};
  ASSERT_TRUE(table.append(slots, row.data()));
  std::vector<float> found(classes);
  ASSERT_TRUE(table.find(0, 33, found.data()));
  for (size_t c = 0; c < row.size(); ++c) {
    EXPECT_EQ(found[c], stored_value(row[c], LogitPrecision::f16));
    EXPECT_LE(std::abs(found[c] - row[c]), std::abs(row[c]) * 0x1p-11f + 0x1p-25f);
  }
}

// --- the teacher through the table ------------------------------------------------------------------------

struct Scene {
  TempFolder work;
  ImageSet images = draw_synthetic({.train = 72, .test = 1}).train;
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> teacher;
  RunSettings settings;
  std::vector<std::string> notes;

  explicit Scene(const std::string& name, const std::string& model = "resnet8", int64_t batch = 32)
      : device(Device::open({.name = name, .threads = 2})),
        teacher(make_model(model, *device, {.classes = images.classes})) {
    initialize(*teacher, *device, 3);
    freeze(*teacher);
    fold_batch_norms(*teacher, *device);
    settings = default_settings("distill");
    settings.batch = batch;
    settings.teacher_table.folder = work.path().string();
  }
  StoredTeacher table() {
    return StoredTeacher(*teacher, *device, images, normalize_of(images), images.size(), settings,
                        [this](const std::string& note) { notes.push_back(note); });
  }
  std::vector<int32_t> samples() const {
    std::vector<int32_t> all;
    for (int32_t i = 0; i < images.size(); ++i) all.push_back(i);
    return all;
  }
  // The live teacher's logits.
  std::vector<float> live(const HostBatch& host, DeviceBatch& batches) {
    const Batch batch = batches.upload(host);
    device->step_arena().rewind();
    const Var logits = (*teacher)(Var(batch.images), Pass{*device});
    std::vector<float> values(size_t(host.size * teacher->classes));
    device->backend().download(values.data(), logits);
    return values;
  }
};

class TableTeacherOn : public ::testing::TestWithParam<std::string> {};

// Epochs of two seeds, so that batches are found whole, in part and not at all.
void expect_live_bits(Scene& s) {
  StoredTeacher table = s.table();
  expect_contains(table.open(s.samples()), s.work.path().string());
  DeviceBatch batches(*s.device, s.images, s.settings.batch);
  for (const uint64_t seed : {1, 2}) {
    Loader loader(s.images,
                  {.batch = s.settings.batch, .seed = seed, .views = s.settings.data.views, .workers = 1});
    for (const int epoch : {1, 2, 1}) {
      loader.begin_epoch(epoch);
      while (const HostBatch* host = loader.next()) {
        const Tensor logits = table.logits(*host);
        std::vector<float> values(size_t(logits.size()));
        s.device->backend().download(values.data(), logits);
        ASSERT_EQ(values, s.live(*host, batches)) << "batch of " << host->size;
      }
    }
  }
  EXPECT_EQ(table.asked(), 6 * 72);
  EXPECT_GE(table.found(), 2 * 64);
  EXPECT_TRUE(s.notes.empty());
}

TEST_P(TableTeacherOn, SameBitsAsTheLiveTeacher) {
  // Batches of 32, 32, 8: the last one's bits differ from the others' where Winograd needs more images.
  for (const char* model : {"resnet8", "vgg8", "wrn_16_1"}) {
    Scene s(GetParam(), model);
    s.settings.data.views = 3;
    expect_live_bits(s);
  }
}

TEST_P(TableTeacherOn, FilledAheadNothingIsMissing) {
  Scene s(GetParam());
  s.settings.data.views = 3;
  s.settings.batch = 24;
  {
    StoredTeacher table = s.table();
    EXPECT_FALSE(table.exists());
    table.open(s.samples());
    std::vector<int32_t> all;
    for (int32_t i = 0; i < 72; ++i) all.push_back(i);
    int64_t batches = 0;
    EXPECT_FALSE(table.fill(all, [&](int64_t, int64_t total) {
      EXPECT_EQ(total, 9);
      return ++batches < 5;
    }));
    EXPECT_TRUE(table.fill(all, [](int64_t, int64_t) { return true; }));
  }
  StoredTeacher table = s.table();
  EXPECT_TRUE(table.exists());
  expect_contains(table.open(s.samples()), "all 216 logits that this run needs are there");
  Loader loader(s.images, {.batch = 24, .seed = 8, .views = 3});
  for (int epoch = 1; epoch < 5; ++epoch) {
    loader.begin_epoch(epoch);
    while (const HostBatch* host = loader.next()) table.logits(*host);
  }
  EXPECT_EQ(table.found(), table.asked());
}

INSTANTIATE_TEST_SUITE_P(Devices, TableTeacherOn, ::testing::ValuesIn(available_devices()),
                         [](const auto& given) { return given.param; });

TEST(StoredTeacher, OtherTeachersImagesAndPrecisionsHaveOtherTables) {
  Scene s("portable");
  s.settings.batch = 16;
  {
    StoredTeacher table = s.table();
    table.open(s.samples());
    Loader loader(s.images, {.batch = 16});
    loader.begin_epoch(1);
    table.logits(*loader.next());
  }
  EXPECT_TRUE(s.table().exists());
  s.settings.teacher_table.precision = "f16";
  EXPECT_FALSE(s.table().exists());
  s.settings.teacher_table.precision = "f32";
  s.images.mean[1] += 0.01f;
  EXPECT_FALSE(s.table().exists());
  s.images.mean[1] -= 0.01f;
  s.images.images[5] ^= 1;
  EXPECT_FALSE(s.table().exists());
  s.images.images[5] ^= 1;
  EXPECT_TRUE(s.table().exists());
  initialize(*s.teacher, *s.device, 4);
  fold_batch_norms(*s.teacher, *s.device);
  EXPECT_FALSE(s.table().exists());
}

TEST(StoredTeacher, WithoutAFolderTheTeacherIsAsked) {
  Scene s("portable");
  s.settings.teacher_table.folder = (s.work.write("file", "") / "in").string();
  StoredTeacher table = s.table();
  expect_contains(table.open(s.samples()), "the teacher is asked instead");
  DeviceBatch batches(*s.device, s.images, s.settings.batch);
  Loader loader(s.images, {.batch = 32});
  loader.begin_epoch(1);
  const HostBatch* host = loader.next();
  std::vector<float> values(size_t(32 * s.teacher->classes));
  s.device->backend().download(values.data(), table.logits(*host));
  EXPECT_EQ(values, s.live(*host, batches));
}

TEST(StoredTeacher, AFullTableIsToldOnceAndTheRunGoesOn) {
  Scene s("portable");
  s.settings.teacher_table.limit_gib = 100e3 / double(1 << 30);  // the index and a few rows
  StoredTeacher table = s.table();
  table.open(s.samples());
  DeviceBatch batches(*s.device, s.images, s.settings.batch);
  Loader loader(s.images, {.batch = 32});
  for (const int epoch : {1, 2, 1}) {
    loader.begin_epoch(epoch);
    while (const HostBatch* host = loader.next()) {
      const Tensor logits = table.logits(*host);
      std::vector<float> values(size_t(logits.size()));
      s.device->backend().download(values.data(), logits);
      ASSERT_EQ(values, s.live(*host, batches));
    }
  }
  ASSERT_EQ(s.notes.size(), 1u);
  expect_contains(s.notes[0], "computed and not stored");
}

// The second of two equal runs asks the teacher nothing, and says so.
TEST(StoredTeacher, SaysWhatOfTheRunsOwnLogitsIsThere) {
  Scene s("portable");
  s.settings.epochs = 2;
  const auto train = [&](uint64_t seed) {
    s.settings.seed = seed;
    StoredTeacher table = s.table();
    const std::string line = table.open(s.samples());
    Loader loader(s.images, {.batch = 32, .seed = seed});
    for (int epoch = 1; epoch <= 2; ++epoch) {
      loader.begin_epoch(epoch);
      while (const HostBatch* host = loader.next()) table.logits(*host);
    }
    return std::pair(line, table.asked() - table.found());
  };
  const auto [first, asked] = train(1);
  expect_contains(first, "0 of the ");
  EXPECT_GT(asked, 0);
  const auto [again, asked_again] = train(1);
  const bool repeats = asked_again == 0;  // where a small last batch has other bits, it is asked again
  if (repeats) expect_contains(again, "all ");
  const auto [other, asked_other] = train(2);
  EXPECT_EQ(other.find("all "), other.npos);
  EXPECT_GT(asked_other, 0);
}

TEST(StoredTeacher, HowMuchARunFinds) {
  EXPECT_NEAR(expected_reuse(1, view_count), 0, 1e-12);
  EXPECT_FALSE(std::signbit(expected_reuse(1, view_count)));  // printed as -0 %
  EXPECT_NEAR(expected_reuse(240, view_count), 0.478, 1e-3);
  EXPECT_NEAR(expected_reuse(10, 1), 0.9, 1e-12);
}

// --- runs -------------------------------------------------------------------------------------------------

const std::string data = "synthetic:train=40,test=8";

struct Runs {
  TempFolder work;
  Runs() {
    EXPECT_EQ(
        run({"train", "--model", "resnet8", "--data", data, "--epochs", "1", "--batch", "16", "--out", "t"},
            work)
            .code,
        0);
  }
  std::vector<std::string> distill(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {
        "distill", "--teacher", "t",  "--student", "resnet8", "--method",
        "kd",      "--data",    data, "--epochs",  "2",       "--batch",
        "16",      "--out",     out,  "--json",    "--set",   "teacher_table.folder=cache"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string hash(const Outcome& outcome) const {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.code == 0 ? json::parse(outcome.out)["weights_hash"].get<std::string>() : "";
  }
  std::string hash_of(const std::string& out, std::vector<std::string> more = {}) const {
    return hash(run(distill(out, std::move(more)), work));
  }
};

TEST(TeacherSource, LiveAndTableEndAtTheSameWeights) {
  const Runs r;
  for (const std::string& device : available_devices()) {
    const auto out = [&](const char* name) { return name + device; };
    const std::string live = r.hash_of(out("live"), {"--device", device});
    expect_contains(content_of(r.work / (out("live") + "/config.toml")), "teacher_source = \"live\"");
    const std::string filling = r.hash_of(out("filling"), {"--device", device, "--teacher-source", "table"});
    EXPECT_EQ(filling, live);
    EXPECT_EQ(r.hash_of(out("full"), {"--device", device, "--teacher-source", "table"}), live);
    expect_contains(content_of(r.work / (out("full") + "/log.txt")), "teacher table: had 64 of 80 logits");
    // Now there is a table, auto takes it, for another method too.
    const std::string dkd = r.hash_of(out("dkd"), {"--device", device, "--set", "method.name=dkd"});
    expect_contains(content_of(r.work / (out("dkd") + "/config.toml")), "teacher_source = \"table\"");
    EXPECT_EQ(dkd, r.hash_of(out("dkd-live"),
                             {"--device", device, "--set", "method.name=dkd", "--teacher-source", "live"}));
    EXPECT_EQ(
        r.hash_of(out("ahead"), {"--device", device, "--teacher-source", "table", "--set",
                                 "teacher_table.fill=ahead", "--set", "data.views=2"}),
        r.hash_of(out("two"), {"--device", device, "--teacher-source", "live", "--set", "data.views=2"}));
  }
}

TEST(TeacherSource, KilledInsideAnEpochItResumesToTheSameWeights) {
  const Runs r;
  const std::string live = r.hash_of("live", {"--teacher-source", "live"});
  std::vector<std::string> next =
      r.distill("a", {"--teacher-source", "table", "--set", "checkpoint_minutes=0"});
  const fs::path last = RunFolder::last_of(r.work / "a");
  const auto inside = [&] {
    return fs::exists(last) && json::parse(read_safetensors(last).metadata.at("counters"))["batch"] > 1;
  };
  do {
    Program program(next, r.work.path());
    ASSERT_TRUE(program.wait_until(inside)) << program.err_so_far();
    program.signal(SIGKILL);
    program.wait();
    next = {"distill", "--resume", "a", "--json"};
  } while (!inside());
  EXPECT_EQ(r.hash(run(next, r.work)), live);
  expect_contains(content_of(r.work / "a/config.toml"), "teacher_source = \"table\"");
  // Two at a time, one of them over what the killed one left.
  Program one(r.distill("one", {"--teacher-source", "table", "--seed", "9"}), r.work.path());
  Program two(r.distill("two", {"--teacher-source", "table", "--seed", "9"}), r.work.path());
  EXPECT_EQ(r.hash(one.wait()), r.hash(two.wait()));
}

TEST(TeacherSource, FewerViewsAreSaidBesideEveryResult) {
  TempFolder work;
  const std::vector<std::string> few = {"train",        "--model", "resnet8", "--data", data,
                                        "--epochs",     "1",       "--batch", "16",     "--set",
                                        "data.views=4", "--out",   "a"};
  const Outcome outcome = run(few, work);
  expect_contains(outcome.out, "views 4 of 162");
  expect_contains(outcome.err, "limited to 4 of 162 views");
  EXPECT_EQ(json::parse(content_of(work / "a/summary.json"))["views"], 4);
  work.write("s.toml", "[settings]\nepochs = 1\nbatch = 16\ndata.views = 4\ndata.spec = \"" + data +
                           "\"\n[student]\nmodel = \"resnet8\"\n[[methods]]\nname = \"ce\"\n");
  const Outcome study = run({"compare", "s.toml", "--out", "s"}, work);
  expect_contains(study.out, "4 of 162 views");
  expect_contains(content_of(work / "s/results.md"), "4 of 162 views");
}

TEST(TeacherSource, ResumedRunsKeepTheirSource) {
  const Runs r;
  r.hash_of("live", {});
  r.hash_of("filling", {"--teacher-source", "table"});
  EXPECT_EQ(run({"distill", "--resume", "live", "--epochs", "3"}, r.work).code, 0);
  EXPECT_EQ(content_of(r.work / "live/log.txt").find("teacher table"), std::string::npos);
}

TEST(TeacherSource, HalfPrecisionIsNearAndRepeats) {
  const Runs r;
  const std::vector<std::string> half = {"--teacher-source", "table", "--set", "teacher_table.precision=f16"};
  const Outcome first = run(r.distill("a", half), r.work);
  EXPECT_EQ(r.hash(first), r.hash_of("b", half)) << "computed or found, the values are the same";
  const json live = json::parse(run(r.distill("live", {"--teacher-source", "live"}), r.work).out);
  EXPECT_NE(json::parse(first.out)["weights_hash"], live["weights_hash"]);
  EXPECT_NEAR(json::parse(first.out)["last_loss"].get<double>(), live["last_loss"].get<double>(), 0.05);
}

TEST(TeacherSource, WhatCannotUseATableIsRefused) {
  const Runs r;
  expect_contains(failure(2,
                          r.distill("a", {"--teacher-source", "table", "--set", "method.name=mlkd", "--set",
                                          "method.views=2"}),
                          r.work),
                  "reads two views");
  expect_contains(failure(2, r.distill("a", {"--teacher-source", "disk"}), r.work), "auto, live, table");
  expect_contains(failure(2, r.distill("a", {"--set", "data.views=163"}), r.work), "data.views");
  r.hash_of("mlkd", {"--set", "method.name=mlkd", "--set", "method.views=2"});
  expect_contains(content_of(r.work / "mlkd/config.toml"), "teacher_source = \"live\"");
}

}  // namespace
}  // namespace retort
