// How long a study takes and what it leaves on the disk, before it begins: a few steps of each kind of run
// are made here, with random teachers where theirs are not trained yet, and the rest is counting.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "distill/study/plan.h"
#include "distill/study/runs.h"

namespace retort {

// Runs that take equally long: they differ in the seed, epochs, rates, or the teacher's weights alone.
struct KindOfRun {
  std::string name;                 // of its first run: "resnet8, kd"
  int64_t runs = 0, epochs = 0;     // that are left to do
  int64_t batches = 0;              // steps of an epoch
  bool measured = false;            // what follows is known
  double step = 0;                  // seconds of a step that asks the teacher, where the run has one
  double stored_step = 0;           // of one that finds all its logits stored; else as step
  double test = 0;                  // of the test behind an epoch
  int64_t classes = 0, images = 0;  // of the teacher's logits, where they are stored
  uint64_t checkpoint_bytes = 0;    // of one file; a run keeps three
  double seconds = 0;               // of all its runs
};

struct ExpectedTime {
  std::vector<KindOfRun> kinds;
  int64_t runs = 0, epochs = 0;                    // left to do, in all
  double seconds = 0;                              // one run after the other, on this machine
  uint64_t checkpoint_bytes = 0, logit_bytes = 0;  // of what is left to do, on the disk when all is done

  int64_t unmeasured() const;  // runs for whose kind there was no time
  // Seconds on so many machines like this one, a run each at a time, taken as Slurm takes tasks.
  double on(int64_t workers) const;

  struct Task {
    double seconds = 0;
    size_t teacher = no_run;  // its place among the tasks
  };
  std::vector<Task> tasks;  // StudyPlan::tasks(), done ones too
};

struct MeasureOptions {
  int64_t steps = 20;  // of each kind, at most
  // For a line before the study: a hundredth of the steps a kind has, a second for each, and two minutes in
  // all. What cannot be assembled is left out.
  bool brief = false;
  bool anew = false;  // what is finished is made again (--force)
};

// Faults are those of the runs' assembling. Stopped if a signal came. Uses a folder for temporary files,
// which is removed again.
ExpectedTime expected_time(const StudyPlan& plan, Session& session, const MeasureOptions& options = {});

// "112 runs, 2688 epochs: about 5.3 hours here, one run after the other".
std::string expected_line(const ExpectedTime& expected);

// A table of the kinds, hours here and on so many workers, and the disk.
std::string expected_text(const ExpectedTime& expected, int64_t workers);
// The same as JSON, see cli/json.md.
std::string expected_json(const ExpectedTime& expected, int64_t workers);

}  // namespace retort
