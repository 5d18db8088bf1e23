#include "distill/text/palette.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace retort {

std::vector<int> method_colours(const std::vector<std::string>& methods) {
  static const char* const own[] = {"ce",       "kd",   "pcd", "dkd",  "pcd-released",
                                    "reviewkd", "mlkd", "nkd", "dist", "rld"};
  std::vector<int> colours(methods.size(), -1);
  std::set<int> taken;
  for (size_t i = 0; i < methods.size(); ++i) {
    const int colour = int(std::find(std::begin(own), std::end(own), methods[i]) - std::begin(own));
    if (colour < int(std::size(own)) && taken.insert(colour).second) colours[i] = colour;
  }
  for (int& colour : colours) {
    // Grey, blue and orange say student alone, KD and PCD; others take them only when all else is gone.
    for (int free = 3; colour < 0; ++free) {
      const int candidate = free < palette_size       ? free
                            : free < palette_size + 3 ? free - palette_size
                                                      : free - 3;
      if (taken.insert(candidate).second) colour = candidate;
    }
  }
  return colours;
}

std::string colour_class(int colour) {
  return "c" + std::to_string(colour % palette_size);
}

bool is_dashed(int colour) {
  return colour >= palette_size / 2;
}

}  // namespace retort
