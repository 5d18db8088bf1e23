// Batches: order, augmentation, splits, resuming, workers.
#include "datasets/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "datasets/augment/strong_view.h"
#include "datasets/readers/synthetic.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_fault;

const ImageSet& images() {
  static const ImageSet set = draw_synthetic({.train = 203, .test = 1}).train;
  return set;
}

struct Copy {
  std::vector<float> pixels;
  std::vector<int32_t> labels, indices;
  bool operator==(const Copy&) const = default;
};

std::vector<Copy> rest_of_epoch(Loader& loader) {
  std::vector<Copy> batches;
  while (const HostBatch* b = loader.next())
    batches.push_back({{b->images, b->images + b->size * images().image_bytes()},
                       {b->labels, b->labels + b->size},
                       {b->indices, b->indices + b->size}});
  return batches;
}

std::vector<int32_t> all_indices(const std::vector<Copy>& batches) {
  std::vector<int32_t> indices;
  for (const Copy& b : batches) indices.insert(indices.end(), b.indices.begin(), b.indices.end());
  return indices;
}

TEST(Loader, EachSampleOnceWithItsLabelAndView) {
  Loader loader(images(), {.batch = 64, .seed = 5});
  EXPECT_EQ(loader.batches(), 4);
  EXPECT_EQ(loader.next(), nullptr) << "before the first epoch";
  loader.begin_epoch(7);
  const auto batches = rest_of_epoch(loader);
  EXPECT_EQ(loader.next(), nullptr);
  ASSERT_EQ(batches.size(), 4u);
  EXPECT_EQ(batches[3].labels.size(), 203u - 3 * 64) << "the last, partial batch is kept";
  auto indices = all_indices(batches);
  EXPECT_EQ(indices, shuffled(203, 5, 7));
  EXPECT_FALSE(std::is_sorted(indices.begin(), indices.end()));
  const Normalize normalize{{images().mean[0], images().mean[1], images().mean[2]},
                            {images().stddev[0], images().stddev[1], images().stddev[2]}};
  std::vector<float> expected(size_t(images().image_bytes()));
  for (const Copy& batch : batches)
    for (size_t i = 0; i < batch.indices.size(); ++i) {
      const int32_t sample = batch.indices[i];
      EXPECT_EQ(batch.labels[i], images().labels[size_t(sample)]);
      augment_image(images().image(sample), 32, 32, 3, view_of(5, 7, uint32_t(sample)), normalize, 0, 1,
                    expected.data());
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), batch.pixels.begin() + int64_t(i) * 3072));
    }
  std::sort(indices.begin(), indices.end());
  for (int i = 0; i < 203; ++i) EXPECT_EQ(indices[size_t(i)], i);
}

TEST(Loader, WorkersDoNotChangeTheResult) {
  std::vector<std::vector<Copy>> results;
  for (int workers : {0, 1, 2, 5}) {
    Loader loader(images(), {.batch = 16, .workers = workers});
    std::vector<Copy> all;
    for (int epoch = 1; epoch <= 3; ++epoch) {
      loader.begin_epoch(epoch);
      for (Copy& batch : rest_of_epoch(loader)) all.push_back(std::move(batch));
    }
    results.push_back(std::move(all));
  }
  for (const auto& result : results) EXPECT_TRUE(result == results[0]);
}

TEST(Loader, ResumesInTheMiddleOfAnEpoch) {
  Loader loader(images(), {.batch = 16});
  loader.begin_epoch(2);
  const auto whole = rest_of_epoch(loader);
  for (int64_t first : {0, 1, 7, 12, 13}) {
    Loader other(images(), {.batch = 16, .workers = 3});
    other.begin_epoch(2, first);
    EXPECT_TRUE(rest_of_epoch(other) == std::vector<Copy>(whole.begin() + first, whole.end())) << first;
  }
  expect_fault(Fault::internal, "first batch 14, expected 0 to 13", [&] { loader.begin_epoch(2, 14); });
}

TEST(Loader, EpochsDifferAndSeedsDiffer) {
  Loader loader(images(), {.batch = 203}), other(images(), {.batch = 203, .seed = 2});
  loader.begin_epoch(1);
  const auto first = rest_of_epoch(loader);
  loader.begin_epoch(2);
  const auto second = rest_of_epoch(loader);
  other.begin_epoch(1);
  const auto seeded = rest_of_epoch(other);
  EXPECT_NE(first[0].indices, second[0].indices);
  EXPECT_NE(first[0].indices, seeded[0].indices);
  loader.begin_epoch(1);
  EXPECT_TRUE(rest_of_epoch(loader) == first);
}

TEST(Loader, EvaluationIsInOrderAndUnchanged) {
  Loader loader(images(), LoaderOptions::evaluation(50));
  for (int epoch : {0, 4}) {
    loader.begin_epoch(epoch);
    const auto batches = rest_of_epoch(loader);
    const auto indices = all_indices(batches);
    for (int i = 0; i < 203; ++i) ASSERT_EQ(indices[size_t(i)], i);
    const float expected = (float(images().image(51)[7]) / 255.0f - images().mean[1]) / images().stddev[1];
    EXPECT_EQ(batches[1].pixels[3072 + 7], expected);
  }
}

TEST(Loader, ABatchStaysUntilTheNextCall) {
  Loader loader(images(), {.batch = 8, .workers = 3});
  loader.begin_epoch(1);
  const HostBatch* batch = loader.next();
  const std::vector<float> before(batch->images, batch->images + batch->size * 3072);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time for the workers to run into it
  EXPECT_TRUE(std::equal(before.begin(), before.end(), batch->images));
}

TEST(Loader, StopsInTheMiddleOfAnEpoch) {
  for (int workers : {0, 1, 4})
    for (int taken : {0, 1, 5}) {
      Loader loader(images(), {.batch = 4, .workers = workers});
      loader.begin_epoch(1);
      for (int i = 0; i < taken; ++i) ASSERT_NE(loader.next(), nullptr);
      loader.begin_epoch(2);
      EXPECT_EQ(all_indices(rest_of_epoch(loader)), shuffled(203, 1, 2));
      loader.begin_epoch(3);
      loader.next();
    }
}

TEST(Loader, SubsetsKeepTheImagesOwnNumbers) {
  const Split split = split_samples(images().size(), 0, 3, 1);
  Loader part(images(), split.train, {.batch = 64});
  EXPECT_EQ(part.samples(), 200);
  part.begin_epoch(1);
  const auto batches = rest_of_epoch(part);
  auto indices = all_indices(batches);
  std::sort(indices.begin(), indices.end());
  EXPECT_EQ(indices, split.train);
  for (const Copy& batch : batches)
    for (size_t i = 0; i < batch.indices.size(); ++i)
      EXPECT_EQ(batch.labels[i], images().labels[size_t(batch.indices[i])]);
}

TEST(Loader, BadOptions) {
  expect_fault(Fault::usage, "batch size 0: expected at least 1", [] { Loader(images(), {.batch = 0}); });
  expect_fault(Fault::usage, "loader workers -1: expected 0 to 1024",
               [] { Loader(images(), {.workers = -1}); });
  expect_fault(Fault::internal, "sample 203 of a set of 203", [] {
    Loader(images(), std::vector<int32_t>{0, 203}, LoaderOptions{});
  });
  EXPECT_EQ(augment_named("none"), Augment::none);
  EXPECT_EQ(augment_named("crop-flip"), Augment::crop_flip);
  EXPECT_EQ(augment_named("auto"), Augment::crop_flip);
  expect_fault(Fault::usage, "'flip': expected none, crop-flip or resized-crop",
               [] { augment_named("flip"); });
}

TEST(Split, LimitAndValidation) {
  const Split all = split_samples(100, 0, 0, 1);
  EXPECT_EQ(all.train.size(), 100u);
  EXPECT_TRUE(all.validation.empty());
  const Split split = split_samples(100, 60, 20, 1);
  EXPECT_EQ(split.train.size(), 40u);
  EXPECT_EQ(split.validation.size(), 20u);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end()));
  std::set<int32_t> together(split.train.begin(), split.train.end());
  together.insert(split.validation.begin(), split.validation.end());
  EXPECT_EQ(together.size(), 60u) << "disjoint";
  EXPECT_EQ(*together.rbegin(), 59);
  EXPECT_EQ(split_samples(100, 60, 20, 1).validation, split.validation);
  EXPECT_NE(split_samples(100, 60, 20, 2).validation, split.validation);
  std::vector<int32_t> last(20);
  std::iota(last.begin(), last.end(), 40);
  EXPECT_NE(split.validation, last) << "drawn, not the last ones";

  expect_fault(Fault::usage, "limit 101: expected 1 to 100", [] { split_samples(100, 101, 0, 1); });
  expect_fault(Fault::usage, "limit -1", [] { split_samples(100, -1, 0, 1); });
  expect_fault(Fault::usage, "validation split of 60 images out of 60: expected 0 to 59",
               [] { split_samples(100, 60, 60, 1); });
}

TEST(Shuffle, IsAUniformPermutation) {
  EXPECT_TRUE(shuffled(0, 1, 1).empty());
  EXPECT_EQ(shuffled(1, 1, 1), std::vector<int32_t>{0});
  // Where each of 10 numbers lands over 2000 epochs: 100 cells of 200.
  std::vector<int> counts(100, 0);
  for (uint32_t epoch = 0; epoch < 2000; ++epoch) {
    const auto order = shuffled(10, 9, epoch);
    ASSERT_EQ(std::set<int32_t>(order.begin(), order.end()).size(), 10u);
    for (int place = 0; place < 10; ++place) ++counts[size_t(place * 10 + order[size_t(place)])];
  }
  double chi = 0;  // 81 degrees of freedom: mean 81, deviation 13
  for (int count : counts) chi += (count - 200.0) * (count - 200.0) / 200.0;
  EXPECT_LT(chi, 81 + 5 * 13);
}

TEST(Prefetch, ExceptionsReachTheCaller) {
  for (int workers : {0, 1, 3}) {
    std::vector<int64_t> slots(size_t(Prefetch::slots(workers)));
    Prefetch prefetch(workers, [&](int64_t ticket, int slot) {
      if (ticket == 5) throw std::runtime_error("ticket five");
      slots[size_t(slot)] = ticket;
    });
    prefetch.start(0, 10);
    for (int64_t ticket = 0; ticket < 5; ++ticket) EXPECT_EQ(slots[size_t(prefetch.next())], ticket);
    for (int again = 0; again < 2; ++again) EXPECT_THROW(prefetch.next(), std::runtime_error);
    prefetch.start(6, 8);  // and it goes on from there
    EXPECT_EQ(slots[size_t(prefetch.next())], 6);
    EXPECT_EQ(slots[size_t(prefetch.next())], 7);
    EXPECT_EQ(prefetch.next(), -1);
    EXPECT_EQ(prefetch.next(), -1);
  }
}

TEST(Prefetch, StopsWhileWorkersWork) {
  std::atomic<int> running{0};
  {
    Prefetch prefetch(3, [&](int64_t, int) {
      ++running;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      --running;
    });
    prefetch.start(0, 1000);
    prefetch.next();
    prefetch.start(0, 0);
    EXPECT_EQ(running, 0) << "start() waits for the fills under way";
    EXPECT_EQ(prefetch.next(), -1);
    prefetch.start(0, 1000);
  }
  EXPECT_EQ(running, 0);
}

TEST(Loader, SecondViewsAreThoseOfTheirSamples) {
  const NormalizeTable normalize(normalize_of(images()));
  std::vector<float> expected(size_t(images().image_bytes()));
  for (const int workers : {0, 3}) {
    Loader loader(images(), {.batch = 32, .seed = 5, .workers = workers, .strong = true});
    loader.begin_epoch(2, 3);
    int batches = 0;
    while (const HostBatch* b = loader.next()) {
      ++batches;
      for (int64_t i = 0; i < b->size; ++i) {
        const StrongView view = strong_view_of(5, 2, uint32_t(b->indices[i]), 32, 32);
        normalize_picture(strong_picture(images().image(b->indices[i]), 32, 32, view), normalize,
                          expected.data());
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(), b->strong + i * images().image_bytes()));
      }
    }
    EXPECT_EQ(batches, 4);
  }
  Loader plain(images(), {.batch = 32});
  plain.begin_epoch(1);
  EXPECT_EQ(plain.next()->strong, nullptr);
}

}  // namespace
}  // namespace retort
