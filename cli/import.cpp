#include <nlohmann/json.hpp>

#include "cli/channel_options.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/setting_options.h"
#include "distill/run/named_weights.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "models/export/import_weights.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

// Which names fitted, one line each kind, on stderr: the result is elsewhere.
void print_list(const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  std::string line = text("note: ", names.size(), " ", title, ":");
  for (const std::string& name : names) line += " " + name + ",";
  line.pop_back();
  print_error(line);
}

}  // namespace

int run_import(const Arguments& arguments) {
  Options options("import", "weights of PyTorch, detectron2 or safetensors as a file of ours",
                  {"retort import resnet56.pth --model resnet56 --out resnet56.safetensors",
                   "retort import c.th --model resnet20a --rename fc=linear --out w.safetensors"});
  std::vector<std::string> files;
  std::string out, strict = "yes";
  ImportOptions importing;
  bool json = false;
  options.positional("FILE", "told apart by content; nothing in it is executed", files);
  options.text("--model", "NAME", "the network it holds (see `retort info`)", importing.model);
  options.output("-o,--out", "FILE", "the .safetensors to write", out);
  options.value("--rename", "OLD=NEW", "rename a tensor, or all under OLD. ; may be repeated",
                [&](const std::string& given) {
                  const size_t equals = given.find('=');
                  check(equals != std::string::npos && equals > 0 && equals + 1 < given.size(), Fault::usage,
                        "--rename is '", given, "', expected OLD=NEW");
                  importing.read.renames.push_back({given.substr(0, equals), given.substr(equals + 1)});
                });
  options.value(
      "--strict", "yes|no", "no: take what fits, list the rest, which starts as in training",
      [&](const std::string& given) {
        check(given == "yes" || given == "no", Fault::usage, "--strict is '", given, "', expected yes or no");
        importing.strict = given == "yes";
      },
      strict);
  options.text("--entry", "PATH", "which state dict of several: a/b is entry b of a", importing.read.entry);
  options.value("--channels", "rgb|bgr", "of a detector's training images, where the names mislead",
                [&](const std::string& given) {
                  check(given == "rgb" || given == "bgr", Fault::usage, "--channels is '", given,
                        "', expected rgb or bgr");
                  importing.read.channels = given == "rgb" ? Channels::rgb : Channels::bgr;
                });
  const ChannelOptions channels(options);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(files.size() == 1, Fault::usage, "import: ", files.size(), " files are named, expected one FILE");
  check(!out.empty(), Fault::usage, "import: no file to write is named; give it with --out");
  importing.mean = channels.mean;
  importing.deviation = channels.deviation;
  const std::filesystem::path file = weights_path(files[0]);
  check_not_read("--out", out, file);

  const Imported result = import_weights(file.string(), out, importing);
  print_notes(result.notes);
  print_list("names that the file lacks, set as at the start of training", result.fit.missing);
  print_list("names of the file that the network lacks, left out", result.fit.unexpected);
  print_list("single numbers that no layer has, left out", result.fit.counters);
  print_list("of another shape, set as at the start of training", result.fit.misshaped);
  if (json) {
    print_json({{"model", result.model},
                {"classes", result.classes},
                {"parameters", result.parameters},
                {"out", out},
                {"notes", result.notes},
                {"missing", result.fit.missing},
                {"unexpected", result.fit.unexpected},
                {"misshaped", result.fit.misshaped}});
  } else {
    print(text(result.model, ", ", result.classes, " classes, ", with_commas(result.parameters),
               " parameters: ", out, "\n"));
  }
  return 0;
}

}  // namespace retort
