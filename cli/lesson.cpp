#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/lesson/playground.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

namespace retort {

int run_lesson(const Arguments& arguments) {
  Options options("lesson", "the lesson's playground, a page for a browser: logits to drag",
                  {"retort lesson --out playground.html"});
  std::string out;
  options.output("--out", "FILE", "write the page", out);
  if (!options.parse(arguments)) return 0;
  check(!out.empty(), Fault::usage,
        "lesson: no file is named; give it with --out, as in --out playground.html");
  write_file(out, playground_page());
  print_error("wrote " + out + "; open it in a browser. The lesson itself: distill/lesson/README.md");
  return 0;
}

}  // namespace retort
