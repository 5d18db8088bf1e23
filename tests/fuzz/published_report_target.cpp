// report.json of a study that was published, its hash made right: read, put into pairs and written again.
#include <stdexcept>

#include "distill/report/latex.h"
#include "distill/report/report.h"
#include "distill/study/collect.h"
#include "engine/base/check.h"
#include "tests/fuzz/repair.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_published_report(Bytes bytes) {
  static const ScratchFolder folder;
  folder.write("report.json", bytes_of(resealed_json(text_of(bytes))));
  const Report report{.data = collect_results({folder.path()}), .evaluations = {}};
  for (const auto write : {report_html, report_markdown, report_csv, report_latex}) write(report);
  // What is taken is written so that it is taken again.
  folder.write("report.json", bytes_of(report_json(report)));
  try {
    collect_results({folder.path()});
  } catch (const Error& error) {
    throw std::logic_error(std::string("what was written is not taken: ") + error.what());
  }
}

}  // namespace retort::fuzz
