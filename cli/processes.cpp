#include "cli/processes.h"

#include <new>

#include "cli/output.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {

int on_processes(Communicator* world, const std::function<int()>& command) {
  if (!world) return command();
  const std::string who = "[" + place_of(world->rank(), world->size(), this_host()) + "] ";
  const auto end_all = [&](int code, const std::string& why) {
    if (!why.empty()) print_error(who + why);
    world->transport().abort(code);
    return code;
  };
  try {
    return command();
  } catch (const Agreed& error) {
    if (error.own()) print_error(speaks(world) ? error.what() : who + error.what());
    world->gather("");  // said before the launcher sees the first one end
    return int(error.fault());
  } catch (const Error& error) {
    return end_all(int(error.fault()), error.what());
  } catch (const Stopped& stopped) {
    return end_all(128 + stopped.signal(), "");
  } catch (const std::bad_alloc&) {
    return end_all(int(Fault::memory), "out of memory");
  } catch (const std::exception& error) {
    return end_all(int(Fault::internal), text("internal error: ", error.what()));
  }
}

bool speaks(const Communicator* world) {
  return !world || world->rank() == 0;
}

}  // namespace retort
