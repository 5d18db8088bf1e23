#include "distill/study/runs.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <functional>
#include <mutex>
#include <sstream>
#include <thread>

#include "datasets/loader.h"
#include "datasets/open.h"
#include "distill/evaluate/seen_by.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/run/sealed.h"
#include "distill/settings/data_options.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/study/resume_point.h"
#include "distill/study/study.h"
#include "distill/study/study_progress.h"
#include "distill/train/processes.h"
#include "distill/train/trainer.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/descriptor.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

// The first line in which two files of settings differ, of each, or empty.
std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  std::istringstream in_a(a), in_b(b);
  std::string line_a, line_b;
  while (true) {
    const bool more_a = bool(std::getline(in_a, line_a)), more_b = bool(std::getline(in_b, line_b));
    if (!more_a && !more_b) return {};
    if (!more_a) line_a.clear();
    if (!more_b) line_b.clear();
    if (line_a != line_b) return {line_a, line_b};
  }
}

// What a run of 0.1.0 did without saying so: it knew no tables at first, and showed all networks the images
// by the data's own numbers.
void complete_old_settings(RunSettings& settings, const DataSet& data, bool began) {
  if (settings.teacher_source == "auto") settings.teacher_source = "live";
  if (!began) return;
  const Normalize numbers = normalize_of(data.train);
  for (std::string* mean : {&settings.data.mean, &settings.teacher_mean})
    if (mean->empty()) *mean = mean_text(numbers);
  for (std::string* deviation : {&settings.data.std, &settings.teacher_std})
    if (deviation->empty()) *deviation = deviation_text(numbers);
}

// Of several processes the first has the folder.
RunFolder::Mode mode_of(const Session& session, RunFolder::Mode mode) {
  return session.world && session.world->rank() > 0 ? RunFolder::Mode::follow : mode;
}

}  // namespace

const DataSet& Session::data(const RunSettings& settings) {
  const std::string& spec = settings.data.spec;
  const DataOptions options = data_options(settings);
  const DataOptions deciding = deciding_options(spec, options);
  if (!data_ || spec_ != spec || !(options_ == deciding)) {
    data_.reset();  // never two in memory
    data_hash_.clear();
    data_ = std::make_shared<const DataSet>(open_dataset(spec, options));
    for (const std::string& note : data_->notes) progress.note("note: " + note);
    spec_ = spec;
    options_ = deciding;
  }
  return *data_;
}

const std::string& Session::data_hash(const RunSettings& settings) {
  const DataSet& now = data(settings);
  if (data_hash_.empty()) data_hash_ = text(std::hex, now.hash());
  return data_hash_;
}

std::vector<std::string> prepare_run(RunSettings& settings, Session& session) {
  std::vector<std::string> notes = resolve(settings);
  const Assembly assembled(settings, session.data(settings), session.progress, {.check_only = true});
  return notes;
}

namespace {

// Of the weights, by which a run knows its teacher.
std::string hash_of_weights(const std::string& spec) {
  return weights_hash(read_weights(spec).file);
}

// Empty where there are none that can be read.
std::string hash_if_sound(const std::string& spec) {
  try {
    return hash_of_weights(spec);
  } catch (const Error&) {
    return "";
  }
}

bool is_same_place(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return a == b || fs::weakly_canonical(a, ignored) == fs::weakly_canonical(b, ignored);
}

// What is spelled otherwise may be the same all the same, and what is spelled alike another. now: as they are
// wanted, for they name the data that the session has.
void check_same_places(const RunSettings& now, const RunSettings& there, const fs::path& folder,
                       Session& session) {
  const auto hold = [&](const char* what, const std::string& old, const std::string& wanted, bool same) {
    check(same, Fault::usage, folder.string(), ": holds a run with ", what, " ", old, ", now it is ",
          old == wanted ? "another one of that name" : wanted,
          "; name another folder, or --force to start anew");
  };
  std::string known_teacher, known_data;
  try {
    const RecordedRun run = read_recorded_run(folder);
    known_teacher = run.teacher_hash;
    known_data = data_hash_of(run, folder);
  } catch (const Error&) {
    return;  // whoever goes on with it says what is damaged, and what helps
  }
  if (now.method.method().reads.teacher) {
    const bool named_so = is_same_place(now.teacher, there.teacher);
    // A study's own teacher may not be there yet, or be damaged and made again before its students' turn.
    const std::string taught_by = known_teacher.empty() ? ""
                                  : named_so            ? hash_if_sound(now.teacher)
                                                        : hash_of_weights(now.teacher);
    hold("teacher", there.teacher, now.teacher, taught_by.empty() ? named_so : known_teacher == taught_by);
  }
  if (!is_same_place(now.init, there.init)) hold("init", there.init, now.init, false);
  hold("data", there.data.spec, now.data.spec, known_data.empty() || known_data == session.data_hash(now));
}

}  // namespace

Summary start_run(RunSettings settings, const fs::path& path, bool force, Session& session) {
  const std::vector<std::string> notes = resolve(settings);
  const RunFolder::Mode mode = mode_of(session, force ? RunFolder::Mode::force : RunFolder::Mode::create);
  settings.typed_in = folder_from(path);
  const std::unique_ptr<Assembly> run = on_all(session.world, [&] {
    if (mode != RunFolder::Mode::follow) RunFolder::check_free(path, mode);  // the assembling takes a while
    return std::make_unique<Assembly>(
        settings, session.data(settings), session.progress,
        AssemblyOptions{.world = session.world, .profile = session.profile, .notes = notes});
  });
  const std::unique_ptr<RunFolder> made =
      on_all(session.world, [&] { return std::make_unique<RunFolder>(path, mode); });
  const RunFolder& folder = *made;
  try {
    return train(*run, folder, false, session.progress, session.stop, session.arguments);
  } catch (...) {
    if (mode != RunFolder::Mode::follow && !fs::exists(folder.summary()))
      folder.discard();  // it did not begin
    throw;
  }
}

namespace {

// "t" or "t, nor at a/t".
std::string all_of(const std::vector<std::string>& places) {
  std::string all = places.back();
  for (size_t i = 0; i + 1 < places.size(); ++i) all += ", nor at " + places[i];
  return all;
}

// The command that takes the run's options: `train` knows no --teacher.
std::string resuming(const RunSettings& settings, const fs::path& path) {
  return text("retort ", settings.command, " --resume ", path.string());
}

// The run's images, at the first place where they are those it was trained on.
const DataSet& data_of_run(RunSettings& settings, const std::string& recorded,
                           const std::vector<std::string>& places, const fs::path& path, Session& session) {
  check(std::any_of(places.begin(), places.end(), is_there), Fault::input, path.string(),
        ": the images it is trained on are not at ", all_of(places),
        "; say where they lie: ", resuming(settings, path), " --data SPEC");
  std::string now;
  for (const std::string& place : places) {
    if (!is_there(place)) continue;
    settings.data.spec = place;
    const DataSet& data = session.data(settings);
    now = session.data_hash(settings);
    if (recorded.empty() || recorded == now) return data;
  }
  fail(Fault::input, settings.data.spec, ": is not the data that ", path.string(),
       " was trained on (its hash was ", recorded, ", now it is ", now,
       "); the run cannot go on with other images");
}

std::string teacher_of_run(const RunSettings& settings, const std::string& known, const fs::path& path) {
  const std::vector<std::string> places = places_of_weights(settings.teacher, settings, path);
  check(settings.teacher.empty() || std::any_of(places.begin(), places.end(), is_there), Fault::input,
        path.string(), ": its teacher is not at ", all_of(places),
        "; say where it lies: ", resuming(settings, path), " --teacher RUN");
  if (places.size() > 1 && !known.empty()) {  // both may be there
    for (const std::string& place : places) {
      try {
        if (hash_of_weights(place) == known) return place;
      } catch (const Error&) {
      }
    }
  }
  return first_there(places);
}

}  // namespace

void apply(const ResumeOptions& options, RunSettings& settings) {
  settings.threads = options.threads.value_or(settings.threads);
  settings.data.workers = options.workers.value_or(settings.data.workers);
}

int epochs_of(const ResumeOptions& options, const RunSettings& settings, const fs::path& path) {
  const std::string otherwise = ". Another run can start from its weights: --init " + path.string();
  check(!options.epochs || settings.schedule.steps == 0, Fault::usage, path.string(), ": counts steps, ",
        settings.schedule.steps, "; --epochs cannot make it longer", otherwise);
  const int epochs = options.epochs.value_or(settings.epochs);
  check(epochs >= settings.epochs, Fault::usage, path.string(), ": has ", settings.epochs, " epochs, ",
        epochs, " would be fewer", otherwise);
  if (epochs == settings.epochs) return epochs;
  check(settings.schedule.kind != "cosine", Fault::usage, path.string(),
        ": its learning rate falls as a cosine over ", settings.epochs, " epochs (schedule.kind); of ",
        epochs, " it would have had another from the first on", otherwise);
  const MethodInfo& method = settings.method.method();
  check(!method.reads.length, Fault::usage, path.string(), ": ", method.name, " changes its terms over ",
        settings.epochs, " epochs; of ", epochs, " it would have had others", otherwise);
  return epochs;
}

Summary resume_run(const fs::path& path, const ResumeOptions& options, Session& session) {
  const RunFolder::Mode mode = mode_of(session, RunFolder::Mode::resume);
  const std::unique_ptr<RunFolder> opened =
      on_all(session.world, [&] { return std::make_unique<RunFolder>(path, mode); });
  const RunFolder& folder = *opened;
  const std::optional<fs::path> point = resume_point(path);
  RecordedRun run = read_recorded_run(path);
  const Tell tell = [&](const std::string& line) { session.progress.note(line); };
  for (const std::string& note : run.notes) tell(note);
  if (!run.bound) session.progress.note(unbound_note(path));
  RunSettings& settings = run.settings;
  const int epochs = epochs_of(options, settings, path);
  const bool longer = epochs > settings.epochs, elsewhere = options.data || options.teacher;
  const bool writes = mode != RunFolder::Mode::follow;
  if (point && writes) restore_checkpoints(path, *point, tell);
  if (run.summary && run.summary->status == "finished" && !longer && point == folder.last()) {
    session.progress.note(text(path.string(), ": the run is finished"));
    if (!writes) return *run.summary;
    if (run.summary_made) write_summary(folder.summary(), *run.summary);
    if (run.metrics_made) write_file(folder.metrics(), metrics_text(run.metrics));
    return *run.summary;
  }
  // Where everything lies as it did, the file keeps its places as they were typed.
  RunSettings kept = settings;
  kept.epochs = epochs;
  apply(options, settings);
  std::vector<std::string> places = places_of_data(settings, path);
  if (options.data) places = {data_elsewhere(*options.data, settings.data.spec)};
  const std::string teacher =
      options.teacher ? *options.teacher : teacher_of_run(settings, run.teacher_hash, path);
  settings.init = first_there(places_of_weights(settings.init, settings, path));
  const std::string labels =
      options.data ? labels_elsewhere(*options.data, placed(settings, path).data) : std::string();
  settings.data.val_labels = labels.empty() ? place_of_labels(settings, path) : labels;
  const std::string recorded = data_hash_of(run, path);
  const DataSet& data = data_of_run(settings, recorded, places, path, session);
  settings.teacher = teacher;
  settings.typed_in = folder_from(path);
  if (!run.bound) complete_old_settings(settings, data, run.began);
  const int before = settings.epochs;
  settings.epochs = epochs;
  AssemblyOptions assembling{.world = session.world,
                             .profile = session.profile,
                             .goes_on = run.began,
                             .record_name = folder.convolutions().string(),
                             .plans = folder.plans().string()};
  if (run.began && run.bound && (longer || elsewhere))
    assembling.config = settings_toml(elsewhere ? settings : kept);
  assembling.convolutions = convolutions_of(run, folder.convolutions(), tell);
  const std::unique_ptr<Assembly> assembled = on_all(session.world, [&] {
    return std::make_unique<Assembly>(settings, data, session.progress, assembling);
  });
  const std::vector<int> milestones = settings.schedule.milestones.value_or(std::vector<int>{});
  if (longer)
    session.progress.note(text("the run goes on to ", epochs, " epochs instead of ", before,
                               "; milestones stay: ", milestones.empty() ? "none" : join(milestones)));
  return train(*assembled, folder, true, session.progress, session.stop, session.arguments);
}

namespace {

// Those of the run there, if those that decide are the wanted ones.
RunSettings settings_held(const RunSettings& wanted, const fs::path& folder) {
  RunSettings there = placed(read_run_settings(folder), folder), now = wanted;
  // What nobody gave was settled when the run was assembled: the device, numbers of data and weights.
  const auto settled = [](std::string& mine, const std::string& found) {
    if (mine.empty() || mine == "auto") mine = found;
  };
  settled(now.device, there.device);
  settled(now.precision, there.precision);
  settled(now.teacher_source, there.teacher_source);
  settled(now.data.augment, there.data.augment);
  settled(now.data.decoder, there.data.decoder);
  if (now.shards == 0) now.shards = there.shards;  // as many as there were processes
  if (now.data.size == 0) now.data.size = there.data.size;
  if (now.data.test_resize == 0) now.data.test_resize = there.data.test_resize;
  settled(now.data.mean, there.data.mean);
  settled(now.data.std, there.data.std);
  settled(now.teacher_mean, there.teacher_mean);
  settled(now.teacher_std, there.teacher_std);
  // Of few classes there are fewer stages than the default.
  MethodSettings& method = now.method;
  if (method.has("stages") && !method.is_set("stages") && there.method.has("stages"))
    method.settle("stages", std::to_string(there.method.integer("stages")));
  resolve(now);
  const auto [old_line, new_line] = first_difference(deciding(there), deciding(now));
  check(old_line == new_line, Fault::usage, folder.string(),
        ": holds a run with other settings (there: ", old_line.empty() ? "nothing" : old_line,
        "; now: ", new_line.empty() ? "nothing" : new_line,
        "); name another folder, or --force to start anew");
  return there;
}

}  // namespace

void check_same_settings(const RunSettings& wanted, const fs::path& folder) {
  if (RunFolder::is_run(folder)) settings_held(wanted, folder);
}

void check_same_run(const RunSettings& wanted, const fs::path& folder, Session& session) {
  if (!RunFolder::is_run(folder)) return;
  check_same_places(wanted, settings_held(wanted, folder), folder, session);
}

Summary complete_run(const RunSettings& settings, const fs::path& path, Session& session) {
  // A kill in the first moment leaves a folder without a run: force makes it one.
  if (!RunFolder::is_run(path)) return start_run(settings, path, fs::exists(path), session);
  check_same_run(settings, path, session);
  resume_point(path);  // if there is none it says what can be done
  const RecordedRun run = read_recorded_run(path);
  if (run.summary && run.summary->status == "diverged") return *run.summary;
  ResumeOptions options{.threads = settings.threads, .workers = settings.data.workers};
  const RunSettings there = placed(run.settings, path);
  if (there.data.spec != settings.data.spec) options.data = settings.data.spec;
  if (!is_same_place(there.teacher, settings.teacher)) options.teacher = settings.teacher;
  return resume_run(path, options, session);
}

}  // namespace retort
