// A run of a study that is worked off: its place in the plan, and what came of it.
#pragma once
#include <string>
#include <vector>

#include "distill/study/plan.h"
#include "distill/study/results.h"
#include "distill/study/runs.h"
#include "engine/base/check.h"

namespace retort {

struct Job : PlannedRun {
  size_t place = 0;  // among those that are chosen
  bool started = false, done = false;
  ResultRun run;
  int fault = 0;
  std::string data_hash = {}, teacher_hash = {};  // of a run that was there, as it says
};

// A run's result is what its summary says; or that there is none, and why.
void take_result(Job& job, const Summary& summary);
void take_problem(Job& job, const char* status, Fault fault, const std::string& problem);

// How a run that is there shows that it is of this study: by the images and teachers that lie here, or, where tables are
// made of runs from elsewhere, by those of the other runs.
enum class Held { to_what_is_here, together };

// The result of the run in the job's folder. One of other settings is refused, and held to what is here one of other
// images or another teacher.
void take_what_is_there(Job& job, Held held, Session& session);

// Refuses what cannot stand in one table with those before it: those of a table have one data set, and one teacher at
// each place.
void hold_together(std::vector<Job>& jobs);

}  // namespace retort
