// Trains a small perceptron on the images that retort draws itself, with nothing but the library.
#include <cstdio>

#include "datasets/device_batch.h"
#include "datasets/open.h"
#include "layers/layers.h"

using namespace retort;

struct Mlp : Module {
  Mlp(Device& device, int64_t in, int64_t out)
      : first(device, in, 64, Linear::fan_in(in)), second(device, 64, out, Linear::fan_in(64)) {}
  void visit(Visitor& visitor) override {
    visitor.child("first", first);
    visitor.child("second", second);
  }
  Var operator()(const Var& x, const Pass& pass) { return second(relu(pass, first(x, pass)), pass); }
  Linear first, second;
};

int main() {
  const auto device = Device::open({.threads = 1});
  const DataSet data = open_dataset("synthetic:train=1000,test=10");
  Mlp mlp(*device, data.train.image_bytes(), data.train.classes);
  initialize(mlp, *device, 1);
  Sgd sgd(*device, parameters_of(mlp), {.learning_rate = 0.02});
  Loader loader(data.train, {.batch = 50, .augment = Augment::none, .workers = 0});
  DeviceBatch memory(*device, data.train, 50);
  double mean[2] = {};  // loss of the first and the last epoch
  for (int epoch = 1; epoch <= 6; ++epoch) {
    loader.begin_epoch(epoch);
    while (const HostBatch* host = loader.next()) {
      device->step_arena().rewind();
      const Batch batch = memory.upload(*host);
      Tape tape(*device);
      const Pass pass{*device, &tape, true};
      const Var images = reshape(pass, Var(batch.images), {batch.size(), data.train.image_bytes()});
      const Var loss = cross_entropy(pass, mlp(images, pass), batch.labels);
      tape.backward(loss);
      sgd.step();
      if (epoch == 1 || epoch == 6)
        mean[epoch / 6] += read_values(*device, loss)[0] / double(loader.batches());
    }
  }
  std::printf("loss %.4f, then %.4f\n", mean[0], mean[1]);
  return mean[1] < 0.8 * mean[0] ? 0 : 1;
}
