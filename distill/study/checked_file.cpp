#include "distill/study/checked_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "distill/run/json_bounds.h"
#include "distill/study/places.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

using Status = CheckedFile::Status;

const char* name_of(CheckedFile::Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::unbound:
      return "unbound";
    case Status::damaged:
      return "damaged";
    case Status::missing:
      break;
  }
  return "missing";
}

bool CheckResult::ok() const {
  return std::none_of(files.begin(), files.end(), [](const CheckedFile& file) {
    return file.status == Status::damaged || file.status == Status::missing;
  });
}

nlohmann::ordered_json read_json(const std::filesystem::path& file) {
  return parse_json<nlohmann::ordered_json>(read_text_file(file, 1 << 28), file.string());
}

std::string reason_in(const std::string& message, const std::filesystem::path& file) {
  const std::string begin = file.string() + ": ";
  return message.starts_with(begin) ? message.substr(begin.size()) : message;
}

CheckedFile checked(const std::filesystem::path& path, const std::string& remedy,
                    const std::function<bool()>& read) {
  if (!is_present(path)) return {path, Status::missing, "is not there", remedy};
  try {
    if (read()) return {path, Status::ok, "", ""};
    return {path, Status::unbound, "carries no hash: damage would not show", ""};
  } catch (const Error& error) {
    return {path, Status::damaged, reason_in(error.what(), path), remedy};
  }
}

}  // namespace retort
