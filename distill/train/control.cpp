#include "distill/train/control.h"

#include <algorithm>
#include <sstream>

#include "engine/base/text.h"

namespace retort {

Control::Words Control::after_step(bool wants_save) {
  if (world_ && ++step_ < next_) return {};
  return ask(wants_save);
}

Control::Words Control::ask(bool wants_save, bool stops) {
  if (!world_) return {true, stop_.received() != 0 || stops, wants_save};
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - asked_).count();
  int64_t every = every_;
  if (seconds < 0.3) every = std::min<int64_t>(2 * every_, int64_t{1} << 20);
  if (seconds > 0.6) every = std::max<int64_t>(every_ / 2, 1);
  const std::vector<std::string> all =
      world_->gather(text(stop_.received(), " ", int(wants_save), " ", int(stops), " ", every));
  Words words{.asked = true};
  for (size_t rank = 0; rank < all.size(); ++rank) {
    std::istringstream said(all[rank]);
    int signal = 0, save = 0, stop = 0;
    int64_t next = 1;
    said >> signal >> save >> stop >> next;
    if (signal != 0) stop_.receive(signal);  // of whoever got it
    words.stops = words.stops || signal != 0 || stop != 0;
    if (rank > 0) continue;
    words.saves = save != 0;
    every_ = next;
  }
  next_ = step_ + every_;
  asked_ = now;
  return words;
}

}  // namespace retort
