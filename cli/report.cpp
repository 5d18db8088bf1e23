#include "distill/report/report.h"

#include <algorithm>

#include "cli/commands.h"
#include "cli/data_choice.h"
#include "cli/device_choice.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/report/latex.h"
#include "engine/base/check.h"

namespace retort {

int run_report(const Arguments& arguments) {
  Options options("report", "one page about the runs of studies or folders, complete or not",
                  {"retort report runs/quick", "retort report runs/small --out pages/small",
                   "retort report runs --no-eval --to latex > table.tex",
                   "retort report runs/a runs/b --out pages/both"});
  std::vector<std::string> folders;
  std::string out;
  ReportOptions reporting;
  int64_t threads = 0;
  bool no_eval = false, json = false, quiet = false;
  std::string format;
  options.positional("DIR", "studies' folders, folders of runs, or published ones", folders);
  options.output("--out", "DIR", "folder of report.html, .md, .csv, .json, classes.csv (the first DIR)", out);
  options.text("--data", "SPEC", "where the test images lie (as the runs say)", reporting.data);
  const DataChoice photos(options);
  options.flag("--no-eval", "leave out what needs checkpoints: classes, PCD at work", no_eval);
  options.flag("--images", "show test images also of data that is not drawn by the program",
               reporting.pictures);
  options.text("--mean", "\"R G B\"", "normalisation of teachers whose files do not say", reporting.mean);
  options.text("--std", "\"R G B\"", "and whose runs do not", reporting.deviation);
  options.integer("--threads", "CPU threads, 0: all", threads, 0);
  options.text("--to", "FORMAT", "print latex (booktabs), csv, json or markdown (the table)", format);
  options.choices("--to", {"markdown", "latex", "csv", "json"});
  options.flag("--quiet", "no progress", quiet);
  options.flag("--json", "the same as --to json", json);
  if (!options.parse(arguments)) return 0;
  check(!folders.empty(), Fault::usage, "report: no folder is named, expected one DIR or more");
  check(reporting.mean.empty() == reporting.deviation.empty(), Fault::usage,
        "report: --mean and --std go together");
  if (json) format = "json";
  const std::vector<std::string> formats = {"", "markdown", "latex", "csv", "json"};
  check(std::find(formats.begin(), formats.end(), format) != formats.end(), Fault::usage, "--to is '", format,
        "', expected one of markdown, latex, csv, json");
  reporting.out = out;
  reporting.data_keys = photos.given();
  reporting.evaluate = !no_eval;
  check_threads(threads);
  reporting.threads = int(threads);

  Progress progress(2, quiet);
  const WrittenReport written =
      write_report(std::vector<std::filesystem::path>(folders.begin(), folders.end()), reporting, progress);
  progress.clear();
  if (format == "json")
    print(report_json(written.report));
  else if (format == "csv")
    print(report_csv(written.report));
  else if (format == "latex")
    print(report_latex(written.report));
  else
    print(report_markdown(written.report) +
          (format.empty() ? "\npage: " + written.page.string() + "\n" : ""));
  return 0;
}

}  // namespace retort
