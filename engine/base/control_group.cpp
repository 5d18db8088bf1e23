#include "engine/base/control_group.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

// The group's path in the hierarchy of a controller of v1, or in that of v2, which names none.
std::string group_of(const fs::path& root, const std::string& controller) {
  std::istringstream lines(read_text_if_readable(root / "proc/self/cgroup").value_or(""));
  std::string id, controllers, path;  // ID:NAME,NAME:PATH
  while (std::getline(lines, id, ':') && std::getline(lines, controllers, ':') && std::getline(lines, path)) {
    const bool listed = ("," + controllers + ",").find("," + controller + ",") != std::string::npos;
    if (listed) return path;
  }
  return "";
}

// The folders of the process's groups, of v2 and of v1's `controller`, from the roots on. A container may see
// its own group as the root: then there is nothing at the path that the host knows it by.
std::vector<fs::path> groups(const fs::path& root, const std::string& controller) {
  std::vector<fs::path> all;
  for (const std::string& hierarchy : {std::string(), controller}) {
    fs::path folder = root / "sys/fs/cgroup" / hierarchy;
    all.push_back(folder);
    for (const fs::path& name : fs::path(group_of(root, hierarchy)).relative_path())
      all.push_back(folder /= name);
  }
  return all;
}

template <class T>
void lower(std::optional<T>& limit, T other) {
  limit = std::min(limit.value_or(other), other);
}

}  // namespace

std::optional<int64_t> group_memory(const fs::path& root) {
  std::optional<int64_t> least;
  for (const fs::path& group : groups(root, "memory")) {
    // v2: "max" or a number; v1: a number, a huge one for none.
    for (const char* file : {"memory.max", "memory.limit_in_bytes"}) {
      int64_t limit = 0;
      const std::string content = read_text_if_readable(group / file).value_or("");
      if (parse(trimmed(content, "\n"), limit) && limit > 0) lower(least, limit);
    }
  }
  return least;
}

std::optional<double> group_cpus(const fs::path& root) {
  std::optional<double> least;
  for (const fs::path& group : groups(root, "cpu")) {
    const auto numbers = [&](const char* file) {
      return std::istringstream(read_text_if_readable(group / file).value_or(""));
    };
    double quota = 0, period = 0;
    // v2: "max 100000" or "200000 100000"; v1: two files, and -1 for none.
    if (auto both = numbers("cpu.max"); both >> quota >> period && quota > 0 && period > 0)
      lower(least, quota / period);
    auto of_v1 = numbers("cpu.cfs_quota_us"), period_of_v1 = numbers("cpu.cfs_period_us");
    if (of_v1 >> quota && period_of_v1 >> period && quota > 0 && period > 0) lower(least, quota / period);
  }
  return least;
}

}  // namespace retort
