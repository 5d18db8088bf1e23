#include "distill/study/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/recorded_run.h"
#include "distill/study/resume_point.h"
#include "engine/base/check.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

bool reads_teacher(const RunSettings& settings) {
  return settings.method.method().reads.teacher;
}

class Planner {
 public:
  Planner(const Study& study, const fs::path& folder) : study_(study), folder_(folder) {}

  StudyPlan plan();

 private:
  size_t add(const fs::path& folder, const RunSettings& settings, const std::string& name);
  size_t add_teacher(const StudyPair& pair);
  fs::path folder_of(const StudyPair& pair, const StudyMethod& method, const RunSettings& settings) const;

  const Study& study_;
  const fs::path& folder_;
  StudyPlan plan_;
  std::map<fs::path, size_t> by_folder_;
};

size_t Planner::add(const fs::path& folder, const RunSettings& settings, const std::string& name) {
  const auto [at, is_new] = by_folder_.try_emplace(folder, plan_.runs.size());
  if (is_new)
    plan_.runs.push_back({.name = name,
                          .kind = settings.model + ", " + settings.method.method().name,
                          .settings = settings,
                          .folder = folder});
  return at->second;
}

size_t Planner::add_teacher(const StudyPair& pair) {
  const fs::path place = study_.nested ? folder_ / "teachers" / pair.teacher.model : folder_ / "teacher";
  check(!pair.teacher.model.empty(), Fault::usage, study_.title,
        ": a method needs a teacher; expected [teacher] with model = \"NAME\" or weights = \"RUN or FILE\"");
  const size_t run = add(place, pair.teacher, "teacher " + pair.teacher.model);
  check(settings_toml(plan_.runs[run].settings) == settings_toml(pair.teacher), Fault::usage, study_.title,
        ": the teacher ", pair.teacher.model,
        " would be trained in two ways; a study has one of each network");
  return run;
}

// A student that reads no teacher is the same for all its teachers, and trained once.
fs::path Planner::folder_of(const StudyPair& pair, const StudyMethod& method,
                            const RunSettings& settings) const {
  const fs::path own = fs::path(method.label) / text("seed-", settings.seed);
  if (!study_.nested || reads_teacher(settings)) return folder_ / pair.place / own;
  const fs::path variant = fs::path(pair.place).lexically_relative(*pair.place.begin());
  const fs::path shared =
      (folder_ / "students" / settings.model / (variant == "." ? fs::path() : variant) / own)
          .lexically_normal();
  const auto known = by_folder_.find(shared);
  const bool fits = known == by_folder_.end() ||
                    settings_toml(plan_.runs[known->second].settings) == settings_toml(settings);
  return fits ? shared : folder_ / pair.place / own;
}

StudyPlan Planner::plan() {
  for (const StudyPair& pair : study_.pairs) {
    plan_.pairs.push_back({});
    plan_.pairs.back().rows.resize(pair.methods.size());
  }
  for (int seed = 0; seed < study_.seeds; ++seed) {
    for (size_t p = 0; p < study_.pairs.size(); ++p) {
      const StudyPair& pair = study_.pairs[p];
      PlannedPair& planned = plan_.pairs[p];
      for (size_t m = 0; m < pair.methods.size(); ++m) {
        const StudyMethod& method = pair.methods[m];
        RunSettings settings = method.settings;
        settings.seed += uint64_t(seed);
        const bool reads = reads_teacher(settings);
        if (reads && pair.teacher_weights.empty()) {
          planned.teacher = add_teacher(pair);
          settings.teacher = plan_.runs[planned.teacher].folder.string();
        } else if (reads) {
          settings.teacher = pair.teacher_weights;
          settings.teacher_model = pair.teacher.model;
        }
        // Photos' logits are not shared, and whether a folder's or an array's images are some is not known
        // yet.
        const std::string kind = kind_of_data(settings.data.spec);
        if (kind != "folder" && kind != "npy") share_logits(settings);
        const std::string name =
            text(study_.nested ? pair.name : settings.model, ", ", method.label, ", seed ", settings.seed);
        const size_t run = add(folder_of(pair, method, settings), settings, name);
        if (reads) plan_.runs[run].teacher = planned.teacher;
        if (pair.chosen && method.chosen) {
          plan_.runs[run].chosen = true;
          if (reads && planned.teacher != no_run) plan_.runs[planned.teacher].chosen = true;
        }
        planned.rows[m].push_back(run);
      }
    }
  }
  return std::move(plan_);
}

}  // namespace

void share_logits(RunSettings& settings) {
  if (settings.teacher_source == "auto" && reads_teacher(settings) && table_refusal(settings).empty())
    settings.teacher_source = "table";
}

bool StudyPlan::is_teacher(size_t run) const {
  return std::any_of(pairs.begin(), pairs.end(),
                     [&](const PlannedPair& pair) { return pair.teacher == run; });
}

std::vector<size_t> StudyPlan::tasks() const {
  std::vector<size_t> order(runs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_partition(order.begin(), order.end(), [&](size_t run) { return is_teacher(run); });
  return order;
}

StudyPlan plan_of(const Study& study, const fs::path& folder) {
  return Planner(study, folder).plan();
}

std::optional<Summary> settled_result(const fs::path& folder) {
  if (!RunFolder::is_run(folder) || !fs::exists(folder / "summary.json")) return std::nullopt;
  try {
    const Summary summary = read_recorded_run(folder).summary.value();
    if (summary.status == "diverged" || (summary.status == "finished" && has_sound_last(folder)))
      return summary;
  } catch (const Error&) {
    // The attempt says what is wrong.
  }
  return std::nullopt;
}

}  // namespace retort
