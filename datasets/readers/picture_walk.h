// Looking through folders for pictures.
#pragma once
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace retort {

// When a folder or a file of labels was last changed; its path is absolute, or below the walk's root.
struct FolderStamp {
  std::string path;
  int64_t time = 0;
};

// A picture by its name: folder below the root, file, size.
struct FoundPicture {
  std::string folder, file;
  int64_t bytes = 0;

  std::string path() const { return folder.empty() ? file : folder + "/" + file; }
};

// The last part of a path.
inline std::string file_of(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0
}

// All paths are below `root`; "" is itself. Every folder that is looked into is stamped.
class PictureWalk {
 public:
  explicit PictureWalk(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  // "ROOT/path", for messages.
  std::string shown(const std::string& path) const { return (path.empty() ? root_ : root_ / path).string(); }
  bool is_folder(const std::string& path) const;
  bool is_file(const std::string& path) const;

  // The folders in one, by name, in byte order.
  std::vector<std::string> folders_in(const std::string& path);
  // The pictures (.jpg, .jpeg, .png in any case) in a folder and, unless it alone is meant, in those below
  // it; by folder, then by name, in byte order. Links are followed; Fault::input for one that leads in a
  // circle or nowhere.
  std::vector<FoundPicture> pictures_in(const std::string& path);
  // Whether there are some in a folder, those below it left aside.
  bool has_pictures(const std::string& path);
  // The text of a file of labels, which is stamped.
  std::string text_of(const std::string& path);

  // Fault::input if pictures_in() met some that are not read (.bmp and others), with their number and the
  // first.
  void check_kinds() const;
  std::vector<FolderStamp> take_stamps() { return std::move(stamps_); }

 private:
  struct Entry {
    std::string name;
    bool folder;
    int64_t bytes;
  };
  // Folders, and files that are pictures by their names; unread: of kinds that are not read, by name too.
  std::vector<Entry> entries_of(const std::string& path, std::vector<std::string>& unread);
  // above: the folders that it lies in, as the system numbers them.
  using FolderId = std::pair<uint64_t, uint64_t>;
  void collect(const std::string& path, std::vector<FolderId>& above, std::vector<FoundPicture>& found);
  void stamp(const std::string& path);

  std::filesystem::path root_;
  std::vector<FolderStamp> stamps_;
  std::set<std::string> stamped_;
  std::set<std::string> unread_;  // their paths
};

// When a file or folder was changed, as stamps say it; 0 if it is not there.
int64_t stamp_of(const std::filesystem::path& path);

}  // namespace retort
