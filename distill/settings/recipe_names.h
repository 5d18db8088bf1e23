// The recipes that the program carries, by name: "cifar100/resnet56-resnet20/pcd", a pair of networks and a
// method, and "cifar100/teachers/resnet56", a network alone.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace retort {

// All names, sorted.
std::vector<std::string> recipe_names();

// What read_settings() reads for that name, ".toml" behind it or not. Fault::usage, naming the nearest, if
// there is none.
std::filesystem::path recipe_file(const std::string& name);

// For `--recipe list`: the pairs, the methods that go with them, the networks alone; lines of at most 80
// columns.
std::string describe_recipes();

}  // namespace retort
