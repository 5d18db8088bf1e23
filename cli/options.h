// The options of one command: declared once, then parsed, and shown by --help.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace retort {

// What a command takes, for what describes commands instead of running them: completion, the manual.
struct OptionSheet {
  struct Option {
    std::string names, value, help;  // "-o,--out", "FILE"; a flag has no value
    std::vector<std::string> choices;

    std::vector<std::string> name_list() const;
  };
  std::string command, summary;
  std::vector<std::string> examples;
  std::vector<Option> options;  // --help included
  std::string positional, positional_help;
};

class Options {
 public:
  // examples: command lines, shown first. program: where it is no command of `retort` but a program of its
  // own, its name.
  Options(std::string command, std::string summary, std::vector<std::string> examples,
          std::string program = "");

  // names: "--epochs", or "-h,--help". value: what stands for it in the help, "N". A default that is not
  // empty is shown. `take` is called with each value given.
  using Take = std::function<void(const std::string& value)>;
  void value(const std::string& names, const std::string& value, const std::string& help, Take take,
             const std::string& fallback = "");
  void text(const std::string& names, const std::string& value, const std::string& help, std::string& target);
  // The same for what is written: "-" is refused, it would be a file of that name.
  void output(const std::string& names, const std::string& value, const std::string& help,
              std::string& target);
  // The target's present value is the default.
  void integer(const std::string& names, const std::string& help, int64_t& target, int64_t minimum);
  void integer(const std::string& names, const std::string& help, int& target, int minimum);
  void number(const std::string& names, const std::string& help, double& target, double minimum);
  void flag(const std::string& names, const std::string& help, bool& target);
  // What to say of an option of another command, instead of the nearest one of this.
  void elsewhere(const std::string& name, const std::string& advice);
  // What to say, behind "is one argument too many", of one where none is expected; "": nothing.
  void stray(std::function<std::string(const std::string& argument)> advice);
  void positional(const std::string& value, const std::string& help, std::vector<std::string>& target);
  // The values of an option that is declared already, for completion; parsing does not look at them.
  void choices(const std::string& name, std::vector<std::string> words);

  // False if --help was asked for and printed. Error(Fault::usage), naming the nearest option, for what is
  // not allowed.
  bool parse(const std::vector<std::string>& arguments);

  // Whether parse() met the option.
  bool given(const std::string& name) const { return given_.contains(name); }
  // Error(Fault::usage), "COMMAND: NAME REASON", where one of these was given.
  void refuse(const std::vector<std::string>& names, const std::string& reason) const;

  // Until it is destroyed, parse() fills the sheet and returns false: a command that is called does nothing
  // but say what it takes.
  class Describing {
   public:
    explicit Describing(OptionSheet& sheet);
    ~Describing();
    Describing(const Describing&) = delete;
    Describing& operator=(const Describing&) = delete;
  };

  std::string help() const;
  const std::string& command() const { return command_; }

 private:
  struct Option {
    std::string names, value, help;
    Take take;
    std::vector<std::string> choices = {};
  };

  OptionSheet sheet() const;

  std::string full_name() const { return program_.empty() ? "retort " + command_ : program_; }
  // What errors begin with; a program says its name itself.
  std::string prefix() const { return program_.empty() ? command_ + ": " : ""; }

  std::string command_, summary_, program_;
  std::vector<std::string> examples_;
  std::vector<Option> options_;
  std::set<std::string> given_;  // by all of their names
  std::map<std::string, std::string> elsewhere_;
  std::function<std::string(const std::string&)> stray_;
  std::string positional_, positional_help_;
  std::vector<std::string>* positionals_ = nullptr;
};

// The whole text as an integer of at least minimum; Error(Fault::usage), naming the option, otherwise.
int64_t integer_of(const std::string& option, const std::string& text, int64_t minimum);

}  // namespace retort
