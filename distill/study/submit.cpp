#include "distill/study/submit.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "distill/study/folder_lock.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/process.h"
#include "engine/base/text.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

// Slurm's MaxArraySize is 1001 unless a site says otherwise: numbers of an array's tasks are below it.
constexpr size_t array_size = 1000;

std::string shell_quoted(const std::string& word) {
  const char* const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=:,%@+-";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string shell_line(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  for (const std::string& word : words) quoted.push_back(shell_quoted(word));
  return join(quoted, " ");
}

// "0-2,5"; numbers ascend.
std::string ranges(const std::vector<size_t>& numbers) {
  std::string all;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    all += text(all.empty() ? "" : ",", numbers[i]);
    if (last > i) all += text(last == i + 1 ? "," : "-", numbers[last]);
    i = last + 1;
  }
  return all;
}

// One array of a study's tasks: `numbers` are theirs, less `offset`.
struct TaskArray {
  std::string name;
  size_t offset = 0;
  std::vector<size_t> numbers = {};
};

// Of the tasks that are missing.
std::vector<TaskArray> arrays_of(const StudyPlan& plan, bool teachers) {
  const std::vector<size_t> order = plan.tasks();
  std::vector<TaskArray> arrays;
  for (size_t task = 0; task < order.size(); ++task) {
    const PlannedRun& run = plan.runs[order[task]];
    if (plan.is_teacher(order[task]) != teachers || !run.chosen || settled_result(run.folder)) continue;
    if (run.teacher != no_run) {
      const auto teacher = settled_result(plan.runs[run.teacher].folder);
      if (teacher && teacher->status != "finished") continue;  // it never will be
    }
    const size_t offset = task / array_size * array_size;
    if (arrays.empty() || arrays.back().offset != offset)
      arrays.push_back({teachers ? "teachers" : "students", offset});
    arrays.back().numbers.push_back(task - offset);
  }
  for (size_t i = 0; arrays.size() > 1 && i < arrays.size(); ++i) arrays[i].name += text("-", i + 1);
  return arrays;
}

std::string in_this_folder() {
  return text("cd ", shell_quoted(fs::current_path().string()), " || exit 3\n");
}

std::string task_script(const SubmitOptions& options) {
  return text(
      "#!/bin/sh\n#SBATCH --job-name=retort-task\n#SBATCH --output=%A_%a.log\n#SBATCH --open-mode=append\n",
      "#SBATCH --requeue\n#SBATCH --signal=USR1@120\n",
      "# One run of a study: its number is SLURM_ARRAY_TASK_ID and the first argument together. Started "
      "again, it\n# goes on from its checkpoint.\n",
      in_this_folder(), "task=$((SLURM_ARRAY_TASK_ID + $1))\nsrun --kill-on-bad-exit=1 ",
      shell_line(options.command), " --task \"$task\"\nstatus=$?\n",
      "# Told to stop, it has saved what it has: back into the queue.\n",
      "if [ $status -eq 138 ] || [ $status -eq 143 ]; then\n",
      "  if [ \"${SLURM_RESTART_COUNT:-0}\" -lt 50 ]; then\n",
      "    scontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"\n  fi\nfi\nexit $status\n");
}

std::string tables_script(const SubmitOptions& options) {
  std::vector<std::string> words = options.command;
  words.insert(words.end(), options.choice.begin(), options.choice.end());
  return text("#!/bin/sh\n#SBATCH --job-name=retort-tables\n#SBATCH --output=tables-%j.log\n",
              "# The tables of what is there.\n", in_this_folder(), "exec ", shell_line(words),
              " --collect\n");
}

}  // namespace

fs::path submit_script(const fs::path& folder) {
  return folder / "queue" / "submit.sh";
}

std::vector<SubmittedJob> write_scripts(const StudyPlan& plan, const fs::path& folder,
                                        const SubmitOptions& options) {
  const std::vector<TaskArray> teachers = arrays_of(plan, true), students = arrays_of(plan, false);
  if (teachers.empty() && students.empty()) return {};
  const fs::path queue = fs::absolute(folder / "queue").lexically_normal();
  std::error_code error;
  fs::create_directories(queue, error);
  check(!error, Fault::write, queue.string(), ": the folder cannot be made: ", error.message());
  const FolderLock lock(folder);  // by which the folder is known as a study's, too
  write_file(queue / "task.sh", task_script(options));
  write_file(queue / "tables.sh", tables_script(options));

  std::vector<SubmittedJob> jobs;
  const std::string arguments = options.sbatch.empty() ? "" : " " + shell_line(options.sbatch);
  std::string script = text(
      "#!/bin/sh\n# Gives what is missing of a study to Slurm, written by: ", shell_line(options.command),
      " --submit slurm\nset -e\ncd ", shell_quoted(queue.string()), "\n");
  const auto add = [&](const std::string& name, const std::string& variable, const std::string& before,
                       size_t tasks, const std::string& how) {
    const std::string wait = before.empty() ? std::string() : text(" \"--dependency=afterany", before, "\"");
    script += text("job=$(sbatch --parsable", arguments, wait, " ", how, ")\n", variable, "=\"$", variable,
                   ":${job%%;*}\"\necho \"", name, " ${job%%;*} ", tasks, "\"\n");
    jobs.push_back({name, int64_t(tasks), ""});
  };
  const auto add_arrays = [&](const std::vector<TaskArray>& arrays, const std::string& variable,
                              const std::string& before) {
    for (const TaskArray& array : arrays)
      add(array.name, variable, before, array.numbers.size(),
          text("--array=", ranges(array.numbers),
               options.at_most > 0 ? text("%", options.at_most) : std::string(), " task.sh ", array.offset));
  };
  script += "teachers= students= tables=\n";
  add_arrays(teachers, "teachers", "");
  add_arrays(students, "students", teachers.empty() ? "" : "$teachers");
  add("tables", "tables", students.empty() ? "$teachers" : "$students", 1, "tables.sh");
  write_file(submit_script(folder), script);
  return jobs;
}

void submit(const fs::path& folder, std::vector<SubmittedJob>& jobs) {
  run_process({"sbatch", "--version"}, /*capture=*/true, "--submit slurm");  // or there is none
  const fs::path script = submit_script(folder);
  const ProcessResult result = run_process({"sh", script.string()}, /*capture=*/true, "--submit slurm");
  std::map<std::string, std::string> numbers;
  std::istringstream lines(result.output);
  for (std::string name, number, tasks; lines >> name >> number >> tasks;) numbers[name] = number;
  check(result.status == 0, Fault::usage, script.string(),
        ": sbatch refused a job, which it says above, after ", numbers.size(), " of ", jobs.size(),
        " were submitted; --sbatch gives it what it lacks, and scancel takes "
        "back what waits");
  for (SubmittedJob& job : jobs) job.job = numbers[job.name];
}

}  // namespace retort
