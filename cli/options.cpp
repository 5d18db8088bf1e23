#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/output.h"
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

}  // namespace

Options::Options(std::string command, std::string summary, std::vector<std::string> examples)
    : command_(std::move(command)), summary_(std::move(summary)), examples_(std::move(examples)) {}

void Options::value(const std::string& names, const std::string& value, const std::string& help, Take take,
                    const std::string& fallback) {
  options_.push_back({names, value, help + (fallback.empty() ? "" : " (" + fallback + ")"), std::move(take)});
}

void Options::text(const std::string& names, const std::string& name, const std::string& help,
                   std::string& target) {
  value(
      names, name, help, [&target](const std::string& given) { target = given; }, target);
}

void Options::integer(const std::string& names, const std::string& help, int64_t& target, int64_t minimum) {
  value(
      names, "N", help,
      [&target, names, minimum](const std::string& given) { target = integer_of(names, given, minimum); },
      std::to_string(target));
}

void Options::flag(const std::string& names, const std::string& help, bool& target) {
  options_.push_back({names, "", help, [&target](const std::string&) { target = true; }});
}

void Options::elsewhere(const std::string& name, const std::string& advice) {
  elsewhere_[name] = advice;
}

void Options::positional(const std::string& name, const std::string& help, std::vector<std::string>& target) {
  positional_ = name;
  positional_help_ = help;
  positionals_ = &target;
}

bool Options::parse(const std::vector<std::string>& arguments) const {
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
  std::vector<std::string> known = {"--help"};
  for (const Option& option : options_) {
    for (const std::string& name : split_names(option.names)) known.push_back(name);
    if (option.value.empty()) {
      app.add_flag_callback(option.names, [&option] { option.take(""); });
      continue;
    }
    app.add_option_function<std::vector<std::string>>(option.names,
                                                      [&option](const std::vector<std::string>& given) {
                                                        for (const std::string& value : given)
                                                          option.take(value);
                                                      })
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  if (positionals_) app.add_option("positional", *positionals_);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string message = error.what();  // "--epochs: 1 required TEXT missing"
    fail(Fault::usage, command_, ": ", message.substr(0, message.find(':')), " needs a value");
  } catch (const CLI::ParseError& error) {
    fail(Fault::usage, command_, ": ", error.what());
  }
  for (const std::string& extra : app.remaining()) {
    if (extra == "--") continue;
    check(extra.starts_with("-"), Fault::usage, command_, ": '", extra, "' is one argument too many");
    const std::string name = without_value(extra);
    const auto advice = elsewhere_.find(name);
    fail(Fault::usage, command_, ": unknown option '", name, "'; ",
         advice != elsewhere_.end() ? advice->second : "did you mean '" + nearest(name, known) + "'?");
  }
  return true;
}

namespace {

constexpr size_t help_column = 24, screen_width = 80;

// Broken at spaces so that it fits the screen, each further line below the first.
std::string wrapped(const std::string& help) {
  std::string all, rest = help;
  constexpr size_t room = screen_width - help_column;
  while (rest.size() > room) {
    const size_t space = rest.rfind(' ', room);
    if (space == std::string::npos || space == 0) break;
    all += rest.substr(0, space) + "\n" + std::string(help_column, ' ');
    rest = rest.substr(space + 1);
  }
  return all + rest;
}

}  // namespace

std::string Options::help() const {
  std::string all = "retort " + command_ + ": " + summary_ + "\n\n";
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
    all += "  " + padded(line->left, help_column - 3) + " " + wrapped(line->help) + "\n";
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
