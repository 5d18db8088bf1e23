#include "datasets/bad_pictures.h"

#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

std::string BadPictures::note(int64_t all) const {
  return text(count, " of ", with_commas(all),
              " training images could not be read, the next ones took their place; the first: ", first);
}

void BadPictures::check_few(int64_t all) const {
  constexpr double most = 0.001;
  check(double(count) <= most * double(all), Fault::input, count, " of ", with_commas(all),
        " training images are bad, more than the 0.1 % that data.bad = skip passes over; the first: ", first);
}

}  // namespace retort
