// NCCL itself, with one rank: all that one GPU allows. Sums of several are
// tests/cuda_emulation/nccl_test.cpp's.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/cuda/cuda.h"
#include "engine/device.h"
#include "engine/distributed/communicator.h"
#include "engine/distributed/device_sum.h"
#include "layers/module.h"
#include "tests/support/thread_transport.h"

namespace retort {
namespace {

TEST(NcclItself, OfOneRankLeavesNumbersAsTheyAre) {
  if (const std::string missing = cuda_missing(); !missing.empty())
    GTEST_SKIP() << "no GPU for NCCL: " << missing;
  for (const Reduce reduce : {Reduce::ordered, Reduce::fast}) {
    Communicator world(
        std::make_unique<testing::ThreadTransport>(std::make_shared<testing::ThreadTransport::Post>(1), 0));
    const auto device = Device::open({.name = "cuda"});
    world.set_reduce(reduce);
    world.set_bucket_bytes(1000);
    const std::shared_ptr<DeviceSum> sum = sum_over_gpus(device->backend(), world);
    ASSERT_TRUE(sum);
    EXPECT_EQ(sum, sum_over_gpus(device->backend(), world)) << "one for a device";
    EXPECT_EQ(sum->description().substr(0, 6), "NCCL 2");
    std::vector<double> numbers;
    for (int i = 0; i < 3001; ++i) numbers.push_back(float(std::sin(0.1 * i)));
    const Array values = device->persistent({3001}, DType::f32);
    write_values(*device, values, numbers);
    sum->begin(values, {true});
    sum->join();
    EXPECT_EQ(read_values(*device, values), numbers);
  }
}

}  // namespace
}  // namespace retort
