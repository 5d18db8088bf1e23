#include "datasets/open.h"

#include "datasets/readers/cifar.h"
#include "datasets/readers/synthetic.h"
#include "engine/base/check.h"

namespace retort {
namespace {

struct Entry {
  const char* name;
  const char* usage;
  DataSet (*open)(const std::string& argument, Parts parts);
};

// A new data set is one row here and one reader.
constexpr Entry entries[] = {
    {"synthetic", "synthetic[:train=N,test=N,seed=N]",
     [](const std::string& argument, Parts parts) {
       return draw_synthetic(SyntheticOptions::parse(argument), parts);
     }},
    {"cifar100", "cifar100:DIR",
     [](const std::string& argument, Parts parts) { return read_cifar100(argument, parts); }},
    {"cifar10", "cifar10:DIR",
     [](const std::string& argument, Parts parts) { return read_cifar10(argument, parts); }},
};

}  // namespace

DataSet open_dataset(const std::string& spec, Parts parts) {
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : spec.substr(colon + 1);
  std::string known;
  for (const Entry& entry : entries) {
    if (name == entry.name) {
      const bool wants_folder = std::string(entry.usage).ends_with(":DIR");
      check(!wants_folder || !argument.empty(), Fault::usage, "data set '", spec, "': expected ",
            entry.usage);
      return entry.open(argument, parts);
    }
    known += text(known.empty() ? "" : ", ", entry.usage);
  }
  fail(Fault::usage, "data set '", spec, "' is not known; expected ", known);
}

}  // namespace retort
