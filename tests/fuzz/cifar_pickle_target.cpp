// CIFAR-100 as Python's archive has it: the test images, and behind them the names of the classes.
#include "datasets/readers/cifar.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_cifar_pickle(Bytes bytes) {
  static ScratchFolder folder;
  const size_t images = take<uint16_t>(bytes);
  const Bytes rows = bytes.first(bytes.size() < images ? bytes.size() : images);
  folder.write("test", rows);
  folder.write("meta", bytes.subspan(rows.size()));
  read_cifar100(folder.path(), Parts::test);
}

}  // namespace retort::fuzz
