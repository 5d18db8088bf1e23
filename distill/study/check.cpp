#include "distill/study/check.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "distill/run/metrics_csv.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/run/run_record.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/recorded_run.h"
#include "distill/study/runs.h"
#include "distill/teacher/logit_store.h"
#include "distill/train/checkpoint.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/cpu/conv_tuning.h"
#include "engine/device.h"
#include "engine/infer/format.h"
#include "engine/infer/retort.h"
#include "layers/formats/pytorch_file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Status = CheckedFile::Status;

bool there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// As a shell takes it for one word.
std::string quoted(const fs::path& path) {
  const std::string plain = path.string();
  const auto harmless = [](unsigned char c) { return std::isalnum(c) || std::strchr("/._-+,:=@%", c); };
  if (!plain.empty() && plain[0] != '-' && std::all_of(plain.begin(), plain.end(), harmless)) return plain;
  std::string all = plain.starts_with('-') ? "./'" : "'";
  for (const char c : plain) all += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return all + "'";
}

// Reads a file that ought to be there; `read` throws what is wrong with it and returns whether it has a hash.
CheckedFile checked(const fs::path& path, const std::string& remedy, const std::function<bool()>& read) {
  if (!there(path)) return {path, Status::missing, "is not there", remedy};
  try {
    if (read()) return {path, Status::ok, "", ""};
    return {path, Status::unbound, "carries no hash: damage would not show", ""};
  } catch (const Error& error) {
    std::string reason = error.what();
    // Messages begin with the file's name, which stands beside them here.
    if (reason.starts_with(path.string() + ": ")) reason.erase(0, path.string().size() + 2);
    return {path, Status::damaged, reason, remedy};
  }
}

// One run

class RunCheck {
 public:
  explicit RunCheck(const fs::path& folder) : folder_(folder) {}

  std::vector<CheckedFile> files() {
    check_config();
    check_summary();
    check_checkpoints();
    check_metrics();
    check_environment();
    const fs::path tuned = folder_ / "convolutions.txt";
    if (there(tuned))
      add(tuned, "rm " + quoted(tuned), [&] {
        ConvTuning().continue_with(read_text_file(tuned), tuned.string());
        return true;
      });
    return std::move(files_);
  }

 private:
  void add(const fs::path& path, const std::string& remedy, const std::function<bool()>& read) {
    files_.push_back(checked(path, remedy, read));
  }

  std::string resume() const {
    return text("retort ", settings_.command.empty() ? "train" : settings_.command, " --resume ",
                quoted(folder_));
  }

  void check_config() {
    add(folder_ / "config.toml", "", [&] {
      bool sealed = false;
      settings_ = read_run_settings(folder_, &sealed);
      return sealed;
    });
  }

  void check_summary() {
    add(folder_ / "summary.json", resume(), [&] {
      summary_ = read_summary(folder_ / "summary.json");
      return summary_->sealed;
    });
  }

  void check_checkpoints();
  void check_metrics();
  void check_environment();

  // A checkpoint's weights; throws what is wrong with it.
  bool check_checkpoint(const fs::path& file, bool is_last);

  const fs::path folder_;
  RunSettings settings_;
  std::optional<Summary> summary_;
  int epochs_ = 0;   // that the last checkpoint has seen whole
  Binding binding_;  // of the last checkpoint
  std::vector<CheckedFile> files_;
};

void RunCheck::check_checkpoints() {
  const bool begun = summary_ && summary_->epochs_done > 0;
  const fs::path last = RunFolder::last_of(folder_), previous = RunFolder::previous_of(folder_),
                 best = RunFolder::best_of(folder_);
  if (there(last) || begun)
    add(last, there(previous) ? resume() : "", [&] { return check_checkpoint(last, true); });
  if (there(previous)) add(previous, resume(), [&] { return check_checkpoint(previous, false); });
  if (there(best) || begun) add(best, "", [&] { return check_checkpoint(best, false); });
}

bool RunCheck::check_checkpoint(const fs::path& file, bool is_last) {
  const Weights weights = open_weights(file);
  const std::string* counters = weights.metadata("counters");
  check(counters != nullptr, Fault::input, file.string(), ": has no counters, so it is no checkpoint");
  const std::unique_ptr<Device> device = Device::open({.name = "portable", .threads = 1});
  const std::unique_ptr<Model> model = load_model(weights, "", *device);
  check(settings_.model.empty() || model->name == settings_.model ||
            model->name.starts_with(settings_.model + "+"),
        Fault::input, file.string(), ": is of ", model->name, ", the run trains ", settings_.model);
  if (!is_last) return weights.file.verified;
  binding_ = read_checkpoint_record(file).binding;
  check(!binding_.sealed || settings_.model.empty() || binding_.settings == settings_hash(settings_),
        Fault::input, file.string(), ": was trained with settings of hash ", binding_.settings,
        ", config.toml has others");
  if (const std::string* epoch = weights.metadata("epoch")) epochs_ = std::atoi(epoch->c_str());
  if (!summary_ || summary_->weights_hash.empty()) return weights.file.verified;
  const std::string hash = weights_hash(state_of(*model, *device));
  check(hash == summary_->weights_hash, Fault::input, file.string(), ": its weights have the hash ", hash,
        ", summary.json says ", summary_->weights_hash);
  check(epochs_ == summary_->epochs_done, Fault::input, file.string(), ": has seen ", epochs_,
        " epochs, summary.json says ", summary_->epochs_done);
  return weights.file.verified;
}

void RunCheck::check_metrics() {
  const fs::path file = folder_ / "metrics.csv";
  if (!there(file) && epochs_ == 0) return;
  add(file, binding_.sealed ? resume() : "", [&] {
    const MetricsTable table = read_metrics(file);
    for (size_t i = 0; i < table.rows.size(); ++i)
      check(table.rows[i].epoch == int(i) + 1, Fault::input, file.string(), ": epoch ", i + 1,
            " is missing before ", table.rows[i].epoch);
    check(int(table.rows.size()) >= epochs_, Fault::input, file.string(), ": has ", table.rows.size(),
          " epochs, the last checkpoint has seen ", epochs_);
    if (summary_ && summary_->last && summary_->last->epoch >= 1 &&
        summary_->last->epoch <= int(table.rows.size())) {
      const EpochMetrics& row = table.rows[size_t(summary_->last->epoch - 1)];
      const std::string& first = summary_->metrics[0].name;
      const double found = value_of(row.tested, first), expected = summary_->last->first();
      check(found == expected, Fault::input, file.string(), ": epoch ", row.epoch, " has ",
            summary_->metrics[0].column, " ", found, ", summary.json says ", expected);
    }
    if (!binding_.sealed) return false;
    const std::vector<int> differ = epochs_that_differ(table, binding_.metrics, epochs_);
    check(differ.empty(), Fault::input, file.string(), ": epoch ", differ.empty() ? 0 : differ[0],
          " is not what the last checkpoint says");
    return true;
  });
}

void RunCheck::check_environment() {
  const fs::path file = folder_ / "env.json";
  add(file, "", [&] {
    const auto json =
        nlohmann::ordered_json::parse(read_text_file(file), nullptr, /*allow_exceptions=*/false);
    return check_seal(json, file);
  });
}

void append(std::vector<CheckedFile>& files, std::vector<CheckedFile> more) {
  std::move(more.begin(), more.end(), std::back_inserter(files));
}

// The folders below `folder` that are runs, in order.
std::vector<fs::path> runs_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error), end;
       !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at.depth() > 6) at.disable_recursion_pending();
    if (at->is_directory(ignored) && RunFolder::is_run(at->path())) {
      found.push_back(at->path());
      at.disable_recursion_pending();
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// What a report keeps of checkpoints: each entry carries its own hash.
bool check_kept(const fs::path& file) {
  using Json = nlohmann::json;
  const Json json = Json::parse(read_text_file(file), nullptr, /*allow_exceptions=*/false);
  check(json.is_object() && json.contains("entries") && json.at("entries").is_object(), Fault::input,
        file.string(), ": is no report's cache");
  for (const auto& [key, entry] : json.at("entries").items()) {
    const bool whole =
        entry.is_object() && entry.contains("value") && entry.contains("hash") &&
        entry.at("hash") ==
            hash_of_entry(key, entry.at("value").dump(-1, ' ', false, Json::error_handler_t::replace));
    check(whole, Fault::input, file.string(), ": the entry of ", key, " has another hash");
  }
  return true;
}

CheckResult check_folder(const fs::path& folder) {
  if (RunFolder::is_run(folder)) return {"run", RunCheck(folder).files()};
  const bool seeds = holds_seeds(folder), study = there(folder / "results.json");
  const std::vector<fs::path> runs = runs_in(folder);
  check(seeds || study || !runs.empty(), Fault::input, folder.string(),
        ": holds neither a run nor a study; for the cache folder give --cache");
  CheckResult result{seeds ? "seeds" : study ? "study" : "runs", {}};
  for (const fs::path& run : runs) append(result.files, RunCheck(run).files());
  if (seeds)
    result.files.push_back(
        checked(seeds_file(folder), "", [&] { return read_recorded_seeds(folder).bound; }));
  const fs::path results = folder / "results.json", kept = folder / "report-cache.json";
  if (study)
    result.files.push_back(checked(results, "rm " + quoted(results), [&] {
      return check_seal(
          nlohmann::ordered_json::parse(read_text_file(results), nullptr, /*allow_exceptions=*/false),
          results);
    }));
  if (there(kept))
    result.files.push_back(checked(kept, "rm " + quoted(kept), [&] { return check_kept(kept); }));
  return result;
}

// One file

CheckResult check_file(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  if (bytes.size() >= sizeof infer::magic &&
      std::memcmp(bytes.data(), infer::magic, sizeof infer::magic) == 0) {
    return {"network", {checked(path, "", [&] {
              retort_info info{};
              const retort_status status = retort_inspect(bytes.data(), bytes.size(), &info);
              check(status == RETORT_OK, Fault::input, path.string(), ": ", retort_status_text(status));
              return true;
            })}};
  }
  const bool ours = path.extension() == ".safetensors";
  check(ours || looks_like_pytorch(bytes), Fault::input, path.string(),
        ": is neither weights (.safetensors, .pth) nor a network of the C library (.retort)");
  return {"weights", {checked(path, "", [&] { return open_weights(path).file.verified; })}};
}

}  // namespace

const char* name_of(Status status) {
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

CheckResult check_path(const fs::path& path) {
  std::error_code ignored;
  check(fs::exists(path, ignored), Fault::input, path.string(), ": no such file or folder");
  return fs::is_directory(path, ignored) ? check_folder(path) : check_file(path);
}

CheckResult check_cache(const fs::path& cache) {
  CheckResult result{"cache", {}};
  std::error_code error;
  check(fs::is_directory(cache, error), Fault::input, cache.string(), ": there is no cache folder");
  std::vector<fs::path> entries;
  for (fs::directory_iterator at(cache, error), end; !error && at != end; at.increment(error))
    entries.push_back(at->path());
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    if (!entry.filename().string().starts_with("logits-")) continue;
    result.files.push_back(checked(entry / "rows", "rm -r " + quoted(entry), [&] {
      const LogitStore::Soundness found = LogitStore::inspect(entry);
      check(found.sound == found.rows, Fault::input, (entry / "rows").string(), ": ",
            found.rows - found.sound, " of ", found.rows,
            " rows are not sound; they are computed again when they are asked for");
      return true;
    }));
  }
  for (fs::directory_iterator at(cache / "convolutions", error), end; !error && at != end;
       at.increment(error)) {
    const fs::path file = at->path();
    if (file.extension() != ".txt") continue;
    result.files.push_back(checked(file, "rm " + quoted(file), [&] {
      ConvTuning().continue_with(read_text_file(file), file.string());
      return true;
    }));
  }
  return result;
}

}  // namespace retort
