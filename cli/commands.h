// The commands of the program, one file each. Each gets its arguments without its name, prints its result to
// stdout, and returns the exit code; failures are thrown.
#pragma once
#include <string>
#include <vector>

namespace retort {

using Arguments = std::vector<std::string>;

int run_train(const Arguments& arguments);
int run_distill(const Arguments& arguments);
int run_eval(const Arguments& arguments);
int run_predict(const Arguments& arguments);
int run_explain(const Arguments& arguments);
int run_lesson(const Arguments& arguments);
int run_loss(const Arguments& arguments);
int run_info(const Arguments& arguments);
int run_compare(const Arguments& arguments);
int run_report(const Arguments& arguments);
int run_check(const Arguments& arguments);
int run_data(const Arguments& arguments);
int run_import(const Arguments& arguments);
int run_export(const Arguments& arguments);
int run_bench(const Arguments& arguments);
int run_coco_eval(const Arguments& arguments);
int run_settings(const Arguments& arguments);
int run_published(const Arguments& arguments);
int run_ls(const Arguments& arguments);
int run_diff(const Arguments& arguments);
int run_completion(const Arguments& arguments);
int run_man(const Arguments& arguments);

// What may follow `data`: "fetch", "list", ...
const std::vector<std::string>& data_actions();

struct Command {
  const char* name;
  const char* summary;  // of at most 27 letters: two commands stand on a line of the help
  int (*run)(const Arguments& arguments);
};

const std::vector<Command>& commands();

}  // namespace retort
