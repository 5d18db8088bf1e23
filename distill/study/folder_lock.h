// The lock of a study's folder.
#pragma once
#include <cerrno>
#include <filesystem>

#include "engine/base/check.h"
#include "engine/base/descriptor.h"

namespace retort {

// One process per study. Runs have locks of their own; this one keeps two queues from taking turns.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder) {
    const std::filesystem::path name = folder / "study.lock";
    file_ = Descriptor(name, O_RDWR | O_CREAT);
    check(file_.is_open(), Fault::write, name.string(), ": cannot be written: ", reason_of(errno));
    const int error = file_.try_lock(Descriptor::Lock::exclusive);
    check(error != EWOULDBLOCK, Fault::usage, folder.string(),
          ": another retort compare works in this folder");
    check(error == 0, Fault::write, folder.string(), ": cannot be locked: ", reason_of(error));
  }

 private:
  Descriptor file_;
};

}  // namespace retort
