#include "cli/manual.h"

#include "distill/methods/registry.h"
#include "cli/key_sheet.h"
#include "engine/base/text.h"

namespace retort {

OptionSheet sheet_of(const Command& command) {
  OptionSheet sheet;
  const Options::Describing describing(sheet);
  command.run({});
  return sheet;
}

namespace {

// As troff reads it back: no escapes, no requests at a line's beginning, hyphens that can be copied.
std::string escaped(const std::string& text) {
  std::string all;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == 0 && (c == '.' || c == '\'')) all += "\\&";
    if (c == '\\')
      all += "\\e";
    else if (c == '-')
      all += "\\-";
    else
      all += c;
  }
  return all;
}

std::string item(const std::string& term, const std::string& text) {
  return ".TP\n.B " + escaped(term) + "\n" + escaped(text) + "\n";
}

std::string section(const std::string& name) {
  return ".SH " + name + "\n";
}

std::string command_text(const Command& command) {
  const OptionSheet sheet = sheet_of(command);
  std::string all =
      ".SS \"retort " + escaped(sheet.command) + "\"\n" + escaped(sheet.summary) + "\n.PP\n.nf\n";
  for (const std::string& example : sheet.examples) all += escaped(example) + "\n";
  all += ".fi\n";
  if (!sheet.positional.empty()) all += item(sheet.positional, sheet.positional_help);
  for (const OptionSheet::Option& option : sheet.options) {
    const std::string value = option.value.empty() ? "" : " " + option.value;
    all += item(join(option.name_list()) + value, option.help);
  }
  return all;
}

}  // namespace

std::string manual_page() {
  std::string all = ".TH RETORT 1 \"\" \"retort " RETORT_VERSION "\" \"User Commands\"\n";
  all += section("NAME") + "retort \\- knowledge distillation of image classifiers\n";
  all += section("SYNOPSIS") + ".B retort\n.I COMMAND\n[\n.I OPTIONS\n]\n";
  all += section("DESCRIPTION") +
         "Trains image classifiers, lets a large one teach a small one, compares the methods of doing so, "
         "and exports\n"
         "what came out. Results go to standard output, everything else to standard error; most commands "
         "print JSON\n"
         "with \\-\\-json.\n";
  all += section("COMMANDS");
  for (const Command& command : commands()) all += command_text(command);
  all +=
      section("SETTINGS") +
      "Keys of files (\\-\\-config) and of \\-\\-set KEY=VALUE. In brackets, the commands that take them.\n";
  for (const KeySheet& sheet : key_sheets()) {
    std::string text = sheet.help;
    text += "; " + sheet.expected + "; default: " + (sheet.fallback.empty() ? "unset" : sheet.fallback);
    if (!sheet.flag.empty()) text += "; " + sheet.flag;
    if (!sheet.methods.empty()) text += "; of " + join(sheet.methods);
    all += item(sheet.name, text + " [" + join(sheet.commands, " ") + "]");
  }
  all += section("METHODS");
  for (const MethodInfo& method : methods())
    all += item(method.name, method.title + (method.paper.empty() ? "" : ", " + method.paper));
  all += section("FILES");
  all += item("DIR/config.toml", "of a run: its settings, as --config takes them");
  all +=
      item("DIR/summary.json, DIR/env.json, DIR/metrics.csv", "what came out, how it was made, every epoch");
  all += item("DIR/checkpoints/last.safetensors, best.safetensors", "weights, with all that resuming needs");
  all += section("ENVIRONMENT");
  all += item("RETORT_CACHE", "folder of what may be computed again; ~/.cache/retort without it");
  all += item("NO_COLOR", "no colours on a terminal");
  all += section("EXIT STATUS");
  for (const auto& [code, meaning] : std::vector<std::pair<const char*, const char*>>{
           {"0", "all is well"},
           {"1", "an internal error"},
           {"2", "usage or settings; a run's folder that is taken"},
           {"3", "what was named as input is missing, unreadable or corrupt"},
           {"4", "writing failed"},
           {"5", "a training diverged"},
           {"6", "out of memory"},
           {"7", "the device is not available"},
           {"8", "a verification failed"},
           {"9", "another process of the run was lost"},
           {"129, 130, 138, 143", "stopped by a signal, after a last checkpoint"}})
    all += item(code, meaning);
  return all;
}

}  // namespace retort
