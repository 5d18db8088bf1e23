// retort COMMAND: finds the command, and turns failures into one line on stderr and an exit code.
#include <csignal>
#include <exception>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/program.h"
#include "distill/run/commit.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/nearest.h"
#include "engine/device.h"
#include "engine/infer/format.h"
#include "engine/isa.h"

namespace retort {

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
      {"train", "a network, by labels alone", run_train},
      {"distill", "a student, with a teacher", run_distill},
      {"compare", "the methods of a study", run_compare},
      {"report", "one page about runs", run_report},
      {"eval", "accuracy on test images", run_eval},
      {"predict", "likeliest classes of images", run_predict},
      {"explain", "PCD at work on one image", run_explain},
      {"lesson", "a playground for a browser", run_lesson},
      {"loss", "a method on given logits", run_loss},
      {"info", "networks, layers, MACs", run_info},
      {"settings", "keys, ranges, defaults", run_settings},
      {"published", "what papers report", run_published},
      {"ls", "the runs in a folder", run_ls},
      {"diff", "how two runs differ", run_diff},
      {"check", "hashes, what is missing", run_check},
      {"import", "weights of PyTorch and such", run_import},
      {"export", "networks for other programs", run_export},
      {"bench", "how fast an export answers", run_bench},
      {"data", "download, read configs", run_data},
      {"coco-eval", "average precision of boxes", run_coco_eval},
      {"completion", "for bash, zsh and fish", run_completion},
      {"man", "all of this, as a manual", run_man},
  };
  return all;
}

namespace {

std::string help() {
  std::string all =
      "retort: knowledge distillation of image classifiers\n\n"
      "  retort train --model resnet20 --epochs 10 --out runs/teacher\n"
      "  retort distill --teacher runs/teacher --student resnet8 --epochs 10\n"
      "  retort compare quick --out runs/quick\n\n"
      "Commands (each has --help):\n";
  constexpr size_t second_column = 42;
  const size_t half = (commands().size() + 1) / 2;
  for (size_t row = 0; row < half; ++row) {
    std::string line;
    for (size_t i = row; i < commands().size(); i += half) {
      line.resize(i == row ? 0 : second_column, ' ');
      std::string name = commands()[i].name;
      name.resize(11, ' ');
      line += (i == row ? "  " : "") + name + commands()[i].summary;
    }
    all += line + "\n";
  }
  return all +
         "\nResults go to stdout, everything else to stderr. Exit codes: 0 ok, 2 usage or\n"
         "settings, 3 input missing or corrupt, 4 writing failed, 5 diverged, 6 out of\n"
         "memory, 7 device not available, 8 verification failed, 9 a process of the run\n"
         "was lost, 129/130/138/143 stopped.\n";
}

int dispatch(const std::vector<std::string>& arguments) {
  check(!arguments.empty(), Fault::usage, "no command is given; `retort --help` lists them");
  const std::string& first = arguments[0];
  if (first == "help" && arguments.size() > 1) return dispatch({arguments[1], "--help"});
  if (first == "--help" || first == "-h" || first == "help") {
    print(help());
    return 0;
  }
  if (first == "--version" || first == "-V") {
    const bool json = arguments.size() > 1 && arguments[1] == "--json";
    if (json)
      print_json({{"version", RETORT_VERSION},
                  {"commit", built_commit().hash},
                  {"changed", built_commit().changed},
                  {"compiler", RETORT_COMPILER},
                  {"devices", available_devices()},
                  {"instruction_set", name_of(best_isa())},
                  {"network_format", infer::format_version}});
    else
      print("retort " RETORT_VERSION " (" + in_words(built_commit()) + ")\n");
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (first == command.name) return command.run({arguments.begin() + 1, arguments.end()});
    names.push_back(command.name);
  }
  if (first.starts_with("-"))
    fail(Fault::usage, "unknown option '", first, "'; ",
         suggestion(first, {"--help", "--version"},
                    "options of a command follow it, as in `retort train --help`"));
  if (first == "version") fail(Fault::usage, "unknown command 'version'; did you mean '--version'?");
  fail(Fault::usage, "unknown command '", first, "'; ", suggestion(first, names));
}

// What was being made, moved or removed could not be written; all else was looked at.
Fault fault_of(const std::filesystem::filesystem_error& error) {
  for (const std::errc full : {std::errc::no_space_on_device, std::errc::read_only_file_system,
                               std::errc::file_too_large, std::errc::too_many_links})
    if (error.code() == full) return Fault::write;
  const std::string what = error.what();
  for (const char* writing : {"cannot create", "cannot rename", "cannot remove", "cannot copy", "cannot resize",
                              "cannot set"})
    if (what.find(writing) != what.npos) return Fault::write;
  const bool used_up = error.code() == std::errc::too_many_files_open ||
                       error.code() == std::errc::too_many_files_open_in_system ||
                       error.code() == std::errc::not_enough_memory;
  return used_up ? Fault::memory : Fault::input;
}

}  // namespace
}  // namespace retort

int retort::main(int count, char** arguments) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is a failed write, not the end
  try {
    return retort::dispatch({arguments + (count > 0 ? 1 : 0), arguments + count});
  } catch (const retort::Error& error) {
    retort::print_error(error.what());
    return int(error.fault());
  } catch (const retort::Stopped& stopped) {
    return 128 + stopped.signal();
  } catch (const std::filesystem::filesystem_error& error) {  // a name too long, a circle of links
    retort::print_error(retort::text(error.path1().string(), ": ", error.code().message()));
    return int(retort::fault_of(error));
  } catch (const std::system_error& error) {
    // What a thread that cannot start throws: the system's memory or its limit of threads is used up.
    const bool resources = error.code() == std::errc::resource_unavailable_try_again ||
                           error.code() == std::errc::not_enough_memory;
    retort::print_error(retort::text(resources ? "out of memory or threads: " : "internal error: ", error.what()));
    return int(resources ? retort::Fault::memory : retort::Fault::internal);
  } catch (const std::bad_alloc&) {
    retort::print_error("out of memory");
    return int(retort::Fault::memory);
  } catch (const std::exception& error) {
    retort::print_error(retort::text("internal error: ", error.what()));
    return int(retort::Fault::internal);
  }
}
