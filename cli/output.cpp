#include "cli/output.h"

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "distill/text/text_format.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/terminal.h"
#include "engine/base/text.h"

namespace retort {

namespace {
constexpr size_t longest_message = 3000;  // longer than any of ours
}

void print(std::string_view text) {
  // Names of files, classes and machines stand in results, and may hold anything.
  const std::string shown = without_controls(text, ' ', "\n\t");
  const bool written =
      std::fwrite(shown.data(), 1, shown.size(), stdout) == shown.size() && std::fflush(stdout) == 0;
  check(written, Fault::write, "the result cannot be written to stdout: ", reason_of(errno));
}

void print_json(const nlohmann::ordered_json& json) {
  if (json.is_object() && !json.contains("schema")) {
    nlohmann::ordered_json numbered = {{"schema", json_schema}};
    numbered.update(json);
    print_json(numbered);
    return;
  }
  print(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void check_not_read(const std::string& option, const std::filesystem::path& written,
                    const std::filesystem::path& read) {
  std::error_code absent;
  check(!std::filesystem::equivalent(written, read, absent), Fault::usage, option, ": ", written.string(),
        " is read here and would be replaced; name another file");
}

void print_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) print_error("note: " + note);
}

void print_error(std::string_view message) {
  // Names and keys from files end up in messages, and may hold anything, of any length.
  const std::string shown = "retort: " + without_the_middle(without_controls(message, ' '), longest_message);
  const std::string line = wrapped(shown, line_columns(fileno(stderr)), 2);
  std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace retort
