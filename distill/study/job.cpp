#include "distill/study/job.h"

#include <map>

#include "distill/study/recorded_run.h"
#include "engine/base/check.h"

namespace retort {

void take_result(Job& job, const Summary& summary) {
  job.run.summary = summary;
  job.run.status = summary.status;
  if (summary.status != "diverged") return;
  job.run.problem = "the loss was not finite, see log.txt";
  job.fault = int(Fault::diverged);
}

void take_problem(Job& job, const char* status, Fault fault, const std::string& problem) {
  job.run.status = status;
  job.run.problem = problem;
  job.fault = int(fault);
}

void take_what_is_there(Job& job, Held held, Session& session) {
  try {
    held == Held::to_what_is_here ? check_same_run(job.settings, job.folder, session)
                                  : check_same_settings(job.settings, job.folder);
    const RecordedRun run = read_recorded_run(job.folder);
    job.run.status = "running";
    if (run.summary) take_result(job, *run.summary);
    job.data_hash = data_hash_of(run, job.folder);
    job.teacher_hash = run.teacher_hash;
  } catch (const Error& error) {
    take_problem(job, "failed", error.fault(), error.what());
  }
}

void hold_together(std::vector<Job>& jobs) {
  std::string data;
  std::map<std::string, std::string> teachers;  // by place
  const auto hold = [](Job& job, const char* what, std::string& known, const std::string& own) {
    if (known.empty()) known = own;
    if (own.empty() || own == known) return;
    take_problem(job, "failed", Fault::usage,
                 text(job.folder.string(), ": has ", what, " of hash ", own, ", other runs of the study ",
                      known, "; the results cannot stand in one table"));
  };
  for (Job& job : jobs) {
    if (!job.run.summary.last || job.run.status == "failed") continue;
    hold(job, "images", data, job.data_hash);
    if (!job.teacher_hash.empty()) hold(job, "a teacher", teachers[job.settings.teacher], job.teacher_hash);
  }
}

}  // namespace retort
