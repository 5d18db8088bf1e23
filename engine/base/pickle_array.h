// numpy arrays in pickles, rebuilt from what numpy's own functions would be called with.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/pickle.h"

namespace retort {

struct PickleArray {
  char kind = 0;  // u, i or f, as in numpy's dtypes
  int bytes = 0;  // of an element: 1, 2, 4 or 8
  std::vector<int64_t> shape;
  std::vector<std::byte> data;  // little-endian, C order
};

// The array: a call of numpy.core.multiarray._reconstruct with its state, or of
// numpy.core.numeric._frombuffer; newer numpy says numpy._core. Fault::input, naming the file and what it is,
// for arrays of objects, text, complex or big-endian numbers, in Fortran's order, or whose data is not as
// long as its shape says.
PickleArray array_of(const Pickle& pickle, const PickleValue& value, const std::string& file,
                     const std::string& what);

}  // namespace retort
