#include "distill/report/report.h"

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/base/check.h"

namespace retort {

int run_report(const Arguments& arguments) {
  Options options("report", "one page about the runs of a study or a folder of runs, complete or not",
                  {"retort report runs/quick", "retort report runs/small --out pages/small",
                   "retort report runs --no-eval --json"});
  std::vector<std::string> folders;
  std::string out;
  ReportOptions reporting;
  int64_t threads = 0;
  bool no_eval = false, json = false;
  options.positional("DIR", "a study's folder (retort compare), or one with runs in it", folders);
  options.text("--out", "DIR", "folder of report.html, .md, .csv, .json (DIR itself)", out);
  options.text("--data", "SPEC", "where the test images lie (as the runs say)", reporting.data);
  options.flag("--no-eval", "leave out what needs checkpoints: classes, PCD at work", no_eval);
  options.flag("--images", "show test images also of data that is not drawn by the program",
               reporting.pictures);
  options.text("--mean", "\"R G B\"", "normalisation of teachers whose files do not say", reporting.mean);
  options.text("--std", "\"R G B\"", "and whose runs do not", reporting.deviation);
  options.integer("--threads", "CPU threads, 0: all", threads, 0);
  options.flag("--json", "print report.json instead of the table", json);
  if (!options.parse(arguments)) return 0;
  check(folders.size() == 1, Fault::usage, "report: ", folders.size(),
        " folders are named, expected one DIR");
  reporting.out = out;
  reporting.evaluate = !no_eval;
  reporting.threads = int(threads);

  Progress progress;
  const Report report = write_report(folders[0], reporting, progress);
  progress.clear();
  const std::filesystem::path place = out.empty() ? folders[0] : out;
  print(json ? report_json(report)
             : report_markdown(report) + "\npage: " + (place / "report.html").string() + "\n");
  return 0;
}

}  // namespace retort
