#include "engine/base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <limits>

namespace retort {

size_t line_columns(int descriptor) {
  if (!::isatty(descriptor)) return std::numeric_limits<size_t>::max();
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace retort
