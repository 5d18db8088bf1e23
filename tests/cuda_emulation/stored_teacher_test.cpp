// The table of a teacher's logits on a device that draws the images: what it holds are the bits of the live teacher, and
// it is filled without pixels from the host.
#include "distill/teacher/stored_teacher.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "datasets/open.h"
#include "layers/module.h"
#include "tests/cuda_emulation/stream.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

struct Scene {
  testing::TempFolder work;
  DataSet data = open_dataset("synthetic:train=40,test=24");
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> teacher;
  RunSettings settings = default_settings("distill");

  explicit Scene(Precision precision)
      : device(Device::open({.name = "cuda", .precision = precision})),
        teacher(make_model("resnet8", *device, {.classes = data.train.classes})) {
    initialize(*teacher, *device, 3);
    freeze(*teacher);
    fold_batch_norms(*teacher, *device);
    settings.batch = 8;
    settings.data.views = 2;
    settings.precision = name_of(precision);
    settings.teacher_table.folder = work.path().string();
  }
  std::vector<int32_t> samples() const {
    std::vector<int32_t> all;
    for (int32_t i = 0; i < int32_t(data.train.size()); ++i) all.push_back(i);
    return all;
  }
  StoredTeacher table() {
    return StoredTeacher(*teacher, *device, data.train, normalize_of(data.train), data.train.size(), settings,
                         [](const std::string&) {});
  }
};

class StoredTeacherOnCuda : public ::testing::Test {
 protected:
  void SetUp() override { setenv("RETORT_EMULATED_CUDNN", "h100", 1); }
  void TearDown() override { unsetenv("RETORT_EMULATED_CUDNN"); }
};

TEST_F(StoredTeacherOnCuda, IsFilledInLargeBatchesWithoutPixels) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    SCOPED_TRACE(name_of(precision));
    Scene s(precision);
    StoredTeacher table = s.table();
    table.open(s.samples());
    int64_t batches = 0, of_all = 0;
    const size_t before = emulation::uploaded_bytes();
    ASSERT_TRUE(table.fill(s.samples(), [&](int64_t, int64_t total) {
      of_all = total;
      // The host has the next batch's numbers while the device is at this one's pictures.
      const char* streams = std::getenv("RETORT_EMULATED_STREAM");
      if (streams && std::string(streams) == "lazy") {
        EXPECT_EQ(emulation::waiting_work() > 0, batches > 0) << "before batch " << batches;
      }
      return ++batches > 0;
    }));
    EXPECT_EQ(batches, 2) << "two views of 40 images, of which each fits a batch";
    EXPECT_EQ(of_all, 2);
    // The set's bytes once, then numbers only: labels, indices and views of some batches of 40.
    const size_t set = s.data.train.images.size();
    EXPECT_LT(emulation::uploaded_bytes() - before, set + 20 * 3 * 40 * sizeof(int32_t));

    // What a run is given are the live teacher's bits, and nothing is asked any more.
    DeviceBatchOptions drawing{};
    if (trains_in_16_bits(s.settings)) drawing.draw_for(precision);
    DeviceBatch live(*s.device, s.data.train, 8, drawing);
    Loader loader(s.data.train, {.batch = 8, .seed = 5, .views = 2, .workers = 0, .pixels = false});
    loader.begin_epoch(3);
    while (const HostBatch* host = loader.next()) {
      const std::vector<double> stored = read_values(*s.device, table.logits(*host));
      s.device->begin_step();
      const Batch batch = live.upload(*host);
      live.render(batch);
      const Var logits = (*s.teacher)(Var(batch.images), Pass{*s.device});
      ASSERT_EQ(stored, read_values(*s.device, logits));
    }
    EXPECT_EQ(table.found(), table.asked());
  }
}

}  // namespace
}  // namespace retort
