// A study on a cluster: scripts with which Slurm runs what is missing of it, a job a run. Scheduling, retries
// of machines and fair shares are Slurm's; ours is what a task is, and which waits for which.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "distill/study/plan.h"

namespace retort {

struct SubmitOptions {
  std::vector<std::string> command;  // of the study, "/usr/bin/retort compare ... --out DIR", without --task
  std::vector<std::string> choice;   // --only and --methods, of the tables
  std::vector<std::string> sbatch;   // arguments of sbatch, as partition and time
  int64_t at_most = 0;               // tasks of an array at once; 0: as many as there is room for
};

struct SubmittedJob {
  std::string name;  // teachers, students, tables; numbered where an array would be too long
  int64_t tasks = 0;
  std::string job;  // its number; empty where nothing was submitted
};

// Writes folder/queue/: task.sh, one run, which goes on from its checkpoint whenever it is started again;
// tables.sh; and submit.sh, which gives them to sbatch: arrays of the teachers that are missing, then, behind
// them, of the students, then the tables. What is finished is left out, and so are students of a teacher that
// diverged. Returns the jobs; none where nothing is missing, and then nothing is written.
//
// A task that Slurm tells to stop, 2 minutes before its time is up (SIGUSR1), saves and is put into the queue
// again, at most 50 times. Where sbatch's arguments ask for several tasks (-n 8), a run is one of so many
// processes. Faults are those of the folder's lock and of writing.
std::vector<SubmittedJob> write_scripts(const StudyPlan& plan, const std::filesystem::path& folder,
                                        const SubmitOptions& options);

// Runs submit.sh and fills in the jobs' numbers. Fault::input where there is no sbatch, Fault::usage where it
// refuses.
void submit(const std::filesystem::path& folder, std::vector<SubmittedJob>& jobs);

// The file in which a user finds how all of it is submitted.
std::filesystem::path submit_script(const std::filesystem::path& folder);

}  // namespace retort
