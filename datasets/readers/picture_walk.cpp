#include "datasets/readers/picture_walk.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

constexpr size_t deepest = 200;  // folders inside each other

enum class Kind { read, unread, other };

Kind kind_of(std::string_view name) {
  const size_t dot = name.find_last_of('.');
  if (dot == name.npos) return Kind::other;
  std::string extension(name.substr(dot));
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  constexpr std::array read = {".jpg", ".jpeg", ".png"};
  constexpr std::array unread = {".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"};
  if (std::find(read.begin(), read.end(), extension) != read.end()) return Kind::read;
  return std::find(unread.begin(), unread.end(), extension) != unread.end() ? Kind::unread : Kind::other;
}

std::string below(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

}  // namespace

int64_t stamp_of(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  return error ? 0 : int64_t(time.time_since_epoch().count());
}

void PictureWalk::stamp(const std::string& path) {
  if (stamped_.insert(path).second) stamps_.push_back({path, stamp_of(root_ / path)});
}

bool PictureWalk::is_folder(const std::string& path) const {
  std::error_code error;
  return fs::is_directory(root_ / path, error);
}

bool PictureWalk::is_file(const std::string& path) const {
  std::error_code error;
  return fs::is_regular_file(root_ / path, error);
}

// In byte order.
std::vector<PictureWalk::Entry> PictureWalk::entries_of(const std::string& path,
                                                        std::vector<std::string>& unread) {
  stamp(path);
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator at(root_ / path, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    std::error_code failed;
    if (at->is_symlink(failed)) {
      // Were it a class's folder, all classes behind it would have other numbers.
      const fs::file_status target = fs::status(at->path(), failed);
      check(target.type() != fs::file_type::not_found, Fault::input, shown(below(path, name)),
            ": is a link that leads nowhere; mend it, or take it away");
      check(!failed, Fault::input, shown(below(path, name)), ": ", failed.message());
    }
    if (at->is_directory(failed)) {
      entries.push_back({name, true, 0});
      continue;
    }
    const Kind kind = kind_of(name);
    if (kind == Kind::other) continue;
    if (kind == Kind::unread) {
      unread.push_back(below(path, name));
      continue;
    }
    check(at->is_regular_file(failed), Fault::input, shown(below(path, name)), ": is no regular file");
    const auto bytes = at->file_size(failed);  // of what a link leads to
    check(!failed, Fault::input, shown(below(path, name)), ": ", failed.message());
    entries.push_back({name, false, int64_t(bytes)});
  }
  check(!error, Fault::input, shown(path), ": the folder cannot be read: ", error.message());
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

std::vector<std::string> PictureWalk::folders_in(const std::string& path) {
  std::vector<std::string> names, unread;
  for (Entry& entry : entries_of(path, unread))
    if (entry.folder) names.push_back(std::move(entry.name));
  return names;
}

void PictureWalk::collect(const std::string& path, std::vector<FolderId>& above,
                          std::vector<FoundPicture>& found) {
  struct stat about {};
  check(::stat((root_ / path).c_str(), &about) == 0, Fault::input, shown(path), ": ", std::strerror(errno));
  const FolderId own{about.st_dev, about.st_ino};
  check(std::find(above.begin(), above.end(), own) == above.end(), Fault::input, shown(path),
        ": is a folder that it lies in itself: a link leads in a circle; take it away");
  check(above.size() < deepest, Fault::input, shown(path), ": more than ", deepest,
        " folders inside each other");
  above.push_back(own);
  std::vector<std::string> unread;
  const std::vector<Entry> entries = entries_of(path, unread);
  unread_.insert(unread.begin(), unread.end());
  for (const Entry& entry : entries)
    if (!entry.folder) found.push_back({path, entry.name, entry.bytes});
  for (const Entry& entry : entries)
    if (entry.folder) collect(below(path, entry.name), above, found);
  above.pop_back();
}

std::vector<FoundPicture> PictureWalk::pictures_in(const std::string& path) {
  std::vector<FoundPicture> found;
  std::vector<FolderId> above;
  collect(path, above, found);
  // "a-b" comes before "a/b", though it was met after it.
  std::stable_sort(found.begin(), found.end(),
                   [](const FoundPicture& a, const FoundPicture& b) { return a.folder < b.folder; });
  return found;
}

bool PictureWalk::has_pictures(const std::string& path) {
  std::vector<std::string> unread;
  const std::vector<Entry> entries = entries_of(path, unread);
  return std::any_of(entries.begin(), entries.end(), [](const Entry& entry) { return !entry.folder; });
}

std::string PictureWalk::text_of(const std::string& path) {
  stamp(path);
  return read_text_file(root_ / path);
}

void PictureWalk::check_kinds() const {
  check(unread_.empty(), Fault::input, unread_.size(), unread_.size() == 1 ? " picture is" : " pictures are",
        " of a kind that is not read (.bmp .ppm .pgm .tif .tiff .webp), the first: ",
        unread_.empty() ? "" : shown(*unread_.begin()), "; turn them into JPEG or PNG, or take them away");
}

}  // namespace retort
