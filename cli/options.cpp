#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "cli/key_sheet.h"
#include "cli/output.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

namespace retort {

namespace {

constexpr size_t half_width = 40;  // of a screen of 80 columns

std::string padded(std::string text, size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

// The option behind "--epohcs=3".
std::string without_value(const std::string& argument) {
  return argument.substr(0, argument.find('='));
}

std::vector<std::string> split_names(const std::string& names) {
  const size_t comma = names.find(',');
  if (comma == std::string::npos) return {names};
  return {names.substr(0, comma), names.substr(comma + 1)};
}

OptionSheet* wanted_sheet = nullptr;  // see Options::Describing

}  // namespace

std::vector<std::string> OptionSheet::Option::name_list() const {
  return split_names(names);
}

Options::Options(std::string command, std::string summary, std::vector<std::string> examples,
                 std::string program)
    : command_(std::move(command)),
      summary_(std::move(summary)),
      program_(std::move(program)),
      examples_(std::move(examples)) {}

void Options::value(const std::string& names, const std::string& value, const std::string& help, Take take,
                    const std::string& fallback) {
  options_.push_back({names, value, help + (fallback.empty() ? "" : " (" + fallback + ")"), std::move(take), {}});
}

void Options::text(const std::string& names, const std::string& name, const std::string& help,
                   std::string& target) {
  value(
      names, name, help, [&target](const std::string& given) { target = given; }, target);
}

void Options::output(const std::string& names, const std::string& name, const std::string& help,
                     std::string& target) {
  value(
      names, name, help,
      [&target, names](const std::string& given) {
        check(given != "-", Fault::usage, names,
              " is '-', but nothing of this goes to stdout; name a file (./- is one of that name)");
        target = given;
      },
      target);
}

void Options::integer(const std::string& names, const std::string& help, int64_t& target, int64_t minimum) {
  value(
      names, "N", help,
      [&target, names, minimum](const std::string& given) { target = integer_of(names, given, minimum); },
      std::to_string(target));
}

void Options::integer(const std::string& names, const std::string& help, int& target, int minimum) {
  value(
      names, "N", help,
      [&target, names, minimum](const std::string& given) {
        const int64_t number = integer_of(names, given, minimum);
        check(number <= std::numeric_limits<int>::max(), Fault::usage, names, " is '", given,
              "', expected an integer of at most ", std::numeric_limits<int>::max());
        target = int(number);
      },
      std::to_string(target));
}

void Options::number(const std::string& names, const std::string& help, double& target, double minimum) {
  value(
      names, "X", help,
      [&target, names, minimum](const std::string& given) {
        check(retort::parse(given, target) && std::isfinite(target) && target >= minimum, Fault::usage, names,
              " is '", given, "', expected a number of at least ", minimum);
      },
      exact_decimal(target));
}

void Options::flag(const std::string& names, const std::string& help, bool& target) {
  options_.push_back({names, "", help, [&target](const std::string&) { target = true; }, {}});
}

void Options::elsewhere(const std::string& name, const std::string& advice) {
  elsewhere_[name] = advice;
}

void Options::stray(std::function<std::string(const std::string&)> advice) {
  stray_ = std::move(advice);
}

void Options::positional(const std::string& name, const std::string& help, std::vector<std::string>& target) {
  positional_ = name;
  positional_help_ = help;
  positionals_ = &target;
}

void Options::choices(const std::string& name, std::vector<std::string> words) {
  for (Option& option : options_) {
    const std::vector<std::string> names = split_names(option.names);
    if (std::find(names.begin(), names.end(), name) != names.end()) option.choices = std::move(words);
  }
}

Options::Describing::Describing(OptionSheet& sheet) {
  wanted_sheet = &sheet;
}

Options::Describing::~Describing() {
  wanted_sheet = nullptr;
}

OptionSheet Options::sheet() const {
  OptionSheet sheet{command_, summary_, examples_, {}, positional_, positional_help_};
  for (const Option& option : options_)
    sheet.options.push_back({option.names, option.value, option.help, option.choices});
  sheet.options.push_back({"-h,--help", "", "this command's options", {}});
  return sheet;
}

bool Options::parse(const std::vector<std::string>& arguments) {
  if (wanted_sheet) {
    *wanted_sheet = sheet();
    return false;
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "--help" || argument == "-h") {
      print(help());
      return false;
    }
  }
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  const auto note = [this](const Option& option) {
    for (const std::string& name : split_names(option.names)) given_.insert(name);
  };
  std::vector<std::string> known = {"--help"};
  for (const Option& option : options_) {
    for (const std::string& name : split_names(option.names)) known.push_back(name);
    if (option.value.empty()) {
      app.add_flag_callback(option.names, [note, &option] {
        note(option);
        option.take("");
      });
      continue;
    }
    app.add_option_function<std::vector<std::string>>(option.names,
                                                      [note, &option](const std::vector<std::string>& given) {
                                                        note(option);
                                                        for (const std::string& value : given) {
                                                          check(!value.empty(), Fault::usage, option.names,
                                                                " is empty; it needs a value");
                                                          option.take(value);
                                                        }
                                                      })
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  if (positionals_) app.add_option("positional", *positionals_);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string message = error.what();  // "--epochs: 1 required TEXT missing"
    fail(Fault::usage, prefix(), message.substr(0, message.find(':')), " needs a value");
  } catch (const CLI::ParseError& error) {
    fail(Fault::usage, prefix(), error.what());
  }
  for (const std::string& extra : app.remaining()) {
    if (extra == "--") continue;
    if (!extra.starts_with("-")) {
      const std::string advice = stray_ ? stray_(extra) : "";
      fail(Fault::usage, prefix(), "'", extra, "' is one argument too many", advice.empty() ? "" : "; ",
           advice);
    }
    const std::string name = without_value(extra);
    const auto named = elsewhere_.find(name);
    std::string advice = named != elsewhere_.end() ? named->second : key_advice(command_, name);
    if (advice.empty()) advice = suggestion(name, known, "`" + full_name() + " --help` lists all");
    fail(Fault::usage, prefix(), "unknown option '", name, "'; ", advice);
  }
  return true;
}

void Options::refuse(const std::vector<std::string>& names, const std::string& reason) const {
  for (const std::string& name : names) check(!given(name), Fault::usage, prefix(), name, " ", reason);
}

namespace {

constexpr size_t help_column = 24, screen_width = 80;

}  // namespace

std::string Options::help() const {
  std::string all = wrapped(full_name() + ": " + summary_, screen_width, 2) + "\n\n";
  for (const std::string& example : examples_) all += "  " + example + "\n";
  all += "\n";

  struct Line {
    std::string left, help;
  };
  std::vector<Line> lines;
  if (!positional_.empty()) lines.push_back({positional_, positional_help_});
  for (const Option& option : options_)
    lines.push_back({option.names + (option.value.empty() ? "" : " " + option.value), option.help});

  // Long lines first, one option each; then the short ones in two columns.
  const auto half = [](const Line& line) { return "  " + padded(line.left, 11) + "  " + line.help; };
  const auto is_short = [&](const Line& line) { return half(line).size() < half_width; };
  const auto first_short =
      std::stable_partition(lines.begin(), lines.end(), [&](const Line& l) { return !is_short(l); });
  for (auto line = lines.begin(); line != first_short; ++line)
    all += wrapped("  " + padded(line->left, help_column - 3) + " " + line->help, screen_width, help_column) +
           "\n";
  for (auto line = first_short; line != lines.end(); ++line) {
    const std::string left = half(*line);
    all += line + 1 == lines.end() ? left : padded(left, half_width) + half(*++line);
    all += "\n";
  }
  return all;
}

int64_t integer_of(const std::string& option, const std::string& text, int64_t minimum) {
  int64_t number = 0;
  check(parse(text, number) && number >= minimum, Fault::usage, option, " is '", text,
        "', expected an integer of at least ", minimum);
  return number;
}

}  // namespace retort
