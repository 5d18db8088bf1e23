// Pickles of numpy arrays by name, as numpy and Python 3 write them with protocol 2, from their parts.
#pragma once
#include <string>
#include <vector>

#include "tests/support/pytorch_writer.h"

namespace retort::testing::pickle {

// type: "f4"; order: "<" or ">"; fortran: numpy's flag.
inline std::string array(const std::vector<int64_t>& shape, const std::string& bytes,
                         const std::string& type = "f4", const std::string& order = "<",
                         bool fortran = false) {
  std::vector<std::string> extents;
  for (const int64_t extent : shape) extents.push_back(big(extent));
  const std::string dtype =
      call("numpy", "dtype", {str(type), integer(0), integer(1)}) +
      tuple({integer(3), str(order), "N", "N", "N", integer(-1), integer(-1), integer(0)}) + "b";
  return call("numpy.core.multiarray", "_reconstruct",
              {global("numpy", "ndarray"), tuple({integer(0)}), str("b")}) +
         tuple({integer(1), tuple(extents), dtype, fortran ? "\x88" : "\x89",
                "B" + little(uint32_t(bytes.size())) + bytes}) +
         "b";
}

// f32 tensors under their names.
inline std::string arrays_of(const std::vector<HostTensor>& tensors) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const HostTensor& t : tensors)
    entries.push_back(
        {t.name, array(t.shape, {reinterpret_cast<const char*>(t.data.data()), t.data.size()})});
  return dict(entries);
}

}  // namespace retort::testing::pickle
