// What a program adds is there under its name, networks and data sets too; names that are taken, and what
// comes too late, are refused.
#include <cstdio>
#include <string>

#include "cli/program.h"
#include "datasets/open.h"
#include "distill/methods/registry.h"
#include "models/zoo/resnet.h"

using namespace retort;

namespace {

int wrong = 0;

void expect(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "not so: %s\n", what);
  ++wrong;
}

// Whether it throws an Error whose message holds `words`.
template <class Call>
bool refused(Call call, const std::string& words) {
  try {
    call();
  } catch (const Error& error) {
    if (std::string(error.what()).find(words) != std::string::npos) return true;
    std::fprintf(stderr, "%s\n", error.what());
  }
  return false;
}

DataSet grey(const std::string& argument, Parts) {
  DataSet data;
  data.name = "grey";
  data.train.height = data.train.width = 32;
  data.train.classes = 2;
  data.train.labels = {0, 1};
  data.train.class_names = {"a", "b"};
  data.train.images.assign(size_t(2 * 32 * 32 * 3), uint8_t(std::stoi(argument)));
  data.test = data.train;
  return data;
}

}  // namespace

int main(int argc, char** argv) {
  expect(refused(
             [] {
               add_method({"Bad name", "", "", {}, {}, nullptr});
             },
             "lower case"),
         "a bad name is refused");
  expect(refused([] { add_method({"fine", "", "", {}, {}, nullptr}); }, "no make"), "a method needs make");
  expect(
      refused(
          [] {
            const MethodKey key{"x", MethodKey::number, "much", ""};
            add_method({"fine", "", "", {}, {key}, [](const MethodSettings&, Device&, const MethodContext&) {
                          return std::unique_ptr<Distiller>();
                        }});
          },
          "the default of x is 'much', expected a number"),
      "a key takes its own default");
  expect(refused([] { add_model("", {}); }, "needs a name"), "a network needs a name");
  expect(refused(
             [] {
               add_dataset({"a:b", "", grey});
             },
             "without a colon"),
         "a data set's name has no colon");
  add_model("tiny", [](Device& device, const ModelOptions& options) {
    return make_cifar_resnet(device, options, 8, false);
  });
  add_dataset({"grey", "grey:LEVEL", grey});

  // As a user would: a network and images that the program does not know.
  if (argc > 1) return retort::main(argc, argv);

  expect(open_dataset("grey:7").test.images.back() == 7, "the data set is opened with its argument");
  expect(refused([] { open_dataset("gray:7"); }, "grey:LEVEL"), "the data set is listed");
  expect(model_names().back() == "tiny", "the network is listed");
  const auto device = Device::open({.name = "portable", .threads = 1});
  expect(make_model("tiny", *device, {.classes = 2})->name == "tiny", "the network is made");
  expect(find_method("kd") != nullptr, "the methods are there");
  expect(refused([] { add_dataset({"late", "", grey}); }, "too late"), "a late data set is refused");
  expect(refused(
             [] {
               add_model("late",
                         [](Device& d, const ModelOptions& o) { return make_cifar_resnet(d, o, 8, false); });
             },
             "too late"),
         "a late network is refused");
  expect(refused(
             [] {
               add_method({"late", "", "", {}, {}, find_method("kd")->make});
             },
             "too late"),
         "a late method is refused");
  return wrong == 0 ? 0 : 1;
}
