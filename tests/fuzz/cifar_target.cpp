// The binary layout of CIFAR-100: the first rows of the test images, behind them the names of the classes.
#include <fcntl.h>
#include <unistd.h>

#include "datasets/readers/cifar.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_cifar(Bytes bytes) {
  constexpr uintmax_t row = 3074;
  static ScratchFolder folder;
  const size_t images = take<uint16_t>(bytes);
  const Bytes rows = bytes.first(bytes.size() < images ? bytes.size() : images);
  folder.write("fine_label_names.txt", bytes.subspan(rows.size()));
  folder.write("train.bin", {});
  folder.write("test.bin", rows);
  std::filesystem::resize_file(folder.path() / "test.bin", (rows.size() + row - 1) / row * row);
  read_cifar100(folder.path(), Parts::test);
}

}  // namespace retort::fuzz
