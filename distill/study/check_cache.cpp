#include "distill/study/check_cache.h"

#include <algorithm>
#include <sstream>

#include "datasets/readers/folder.h"
#include "datasets/readers/listing_cache.h"
#include "distill/study/remedies.h"
#include "distill/teacher/logit_store.h"
#include "engine/base/cache_folder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/cpu/conv_tuning.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Status = CheckedFile::Status;

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    entries.push_back(at->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// A table of a teacher's logits: rows, and the index that says where they are.
void check_table(const fs::path& folder, std::vector<CheckedFile>& files) {
  const std::string remedy = remove_command(folder);
  LogitStore::Soundness found;
  files.push_back(checked(folder / "rows", remedy, [&] {
    found = LogitStore::inspect(folder);
    check(found.sound == found.rows, Fault::input, (folder / "rows").string(), ": ", found.rows - found.sound,
          " of ", found.rows, " rows are not sound; they are computed again when they are asked for");
    return true;
  }));
  files.push_back(checked(folder / "index", remedy, [&] {
    check(found.index.empty(), Fault::input, (folder / "index").string(), ": ",
          reason_in(found.index, folder / "index"));
    return found.hashed;
  }));
}

// As it was measured on this machine: the name is the digest of the second line, all that the choices hang
// on.
bool check_convolutions(const fs::path& file) {
  const std::string content = read_text_file(file);
  ConvTuning().continue_with(content, file.string());
  std::istringstream in(content);
  std::string kind, context;
  std::getline(in, kind);
  std::getline(in, context);
  check(digest_of(context) == file.stem().string(), Fault::input, file.string(),
        ": is not of the machine and library that it is named after");
  return true;
}

bool check_numbers(const fs::path& file) {
  read_channel_numbers(read_text_file(file, 1 << 16), file.string());
  return true;
}

bool check_listing(const fs::path& file) {
  read_listing(read_text_file(file), file.string());
  return true;
}

}  // namespace

void check_plan(const fs::path& file) {
  const std::string content = read_text_file(file);
  constexpr size_t digits = 16;
  size_t end = 0;
  for (int line = 0; line < 3 && end != content.npos; ++line) end = content.find('\n', end + (line > 0));
  const size_t rest = end == content.npos ? content.npos : end + 1 + digits;
  check(rest != content.npos && rest < content.size() && content[rest] == '\n' &&
            digest_of(content.substr(0, end + 1)) == file.stem().string(),
        Fault::input, file.string(), ": is no plan, or its beginning is damaged");
  const std::string found = digest_of(content.substr(rest + 1)), wanted = content.substr(end + 1, digits);
  check(found == wanted, Fault::input, file.string(), ": its plan has the hash ", found, ", expected ",
        wanted);
}

CheckResult check_cache(const fs::path& cache) {
  CheckResult result{"cache", {}};
  std::error_code error;
  check(fs::is_directory(cache, error), Fault::input, cache.string(), ": there is no cache folder");
  for (const fs::path& entry : entries_of(cache))
    if (entry.filename().string().starts_with("logits-")) check_table(entry, result.files);
  const auto look = [&](const fs::path& file, bool (*read)(const fs::path&)) {
    result.files.push_back(checked(file, remove_command(file), [&] { return read(file); }));
  };
  for (const fs::path& file : entries_of(cache / "convolutions"))
    if (file.extension() == ".txt") look(file, check_convolutions);
  for (const fs::path& file : entries_of(cache / "folders"))
    look(file, file.filename().string().ends_with("-numbers") ? check_numbers : check_listing);
  for (const fs::path& file : entries_of(cache / "cudnn-plans"))
    if (file.extension() == ".plan") look(file, [](const fs::path& plan) { return check_plan(plan), true; });
  return result;
}

}  // namespace retort
