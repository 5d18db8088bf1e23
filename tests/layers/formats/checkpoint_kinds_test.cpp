// Checkpoints as people have them: each test is a kind of thing that training programs put into, around or
// beside the weights, written by its parts.
#include <gtest/gtest.h>

#include <functional>

#include "layers/formats/pytorch_file.h"
#include "layers/formats/weights_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"
#include "tests/support/pytorch_writer.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

SafeTensors parse(const std::string& file, const std::string& entry = "") {
  return parse_pytorch(std::as_bytes(std::span(file)), "x.pt", entry);
}

std::string storage_data(int floats) {
  std::string all;
  for (int i = 0; i < floats; ++i) all += little(float(i));
  return all;
}

// A tensor of storage 0, which holds 0, 1, ..., 99.
std::string tensor(const std::vector<int64_t>& shape, int64_t first = 0) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return pickle::tensor(pickle::storage("FloatStorage", "0", pickle::integer(100)), first, shape, strides);
}

// A network with a last layer of 3 classes; the first element of its bias is `first`.
Entries network(const std::string& prefix = "", int64_t first = 0) {
  return {{prefix + "conv1.weight", tensor({2, 3, 1, 1})},
          {prefix + "bn1.running_var", tensor({2})},
          {prefix + "fc.weight", tensor({3, 4})},
          {prefix + "fc.bias", tensor({3}, first)}};
}

Entries operator+(Entries a, const Entries& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string zip(const std::string& object) {
  return checkpoint_zip(object, {{"0", storage_data(100)}});
}

// The network as the program sees it.
SafeTensors taken(const std::string& object, const std::string& entry = "") {
  SafeTensors read = parse(zip(object), entry);
  strip_prefixes(read, "x.pt");
  return read;
}

// Which of the networks in the file was taken, by what its bias begins with; -1 if none.
double first_of_bias(const SafeTensors& read) {
  const HostTensor* bias = read.find("fc.bias");
  return bias && read.find("conv1.weight") ? double(bias->values<float>()[0]) : -1;
}

std::string notes_of(const SafeTensors& read) {
  std::string all;
  for (const std::string& note : read.notes) all += note + "\n";
  return all;
}

TEST(CheckpointKinds, ParametersAndSubclassesAreTheirTensors) {
  const std::string plain = tensor({3});
  const std::string ordered = pickle::call("collections", "OrderedDict", {});
  const std::string version2 = pickle::global("torch._utils", "_rebuild_tensor_v2");
  // (storage, offset, shape, strides, requires_grad, hooks), as a subclass keeps them.
  const std::string arguments = pickle::tuple({pickle::storage("FloatStorage", "0", pickle::integer(100)),
                                               pickle::integer(0), pickle::tuple({pickle::integer(3)}),
                                               pickle::tuple({pickle::integer(1)}), "\x89", ordered});
  const std::string marked = pickle::global("__main__", "Marked");
  for (const std::string& made :
       {pickle::call("torch._utils", "_rebuild_parameter", {plain, "\x88", ordered}),
        pickle::call("torch._utils", "_rebuild_parameter_with_state",
                     {plain, "\x88", ordered, pickle::dict({{"tag", pickle::str("head")}})}),
        pickle::call("torch._tensor", "_rebuild_from_type_v2", {version2, marked, arguments, "N"}),
        pickle::call(
            "torch._utils", "_rebuild_parameter",
            {pickle::call("torch._tensor", "_rebuild_from_type_v2", {version2, marked, arguments, "N"}),
             "\x88", ordered})}) {
    const SafeTensors read = parse(zip(pickle::dict({{"w.weight", made}})));
    ASSERT_EQ(read.tensors.size(), 1u);
    EXPECT_EQ(read.tensors[0].shape, std::vector<int64_t>{3});
  }
}

// Whatever class an object has, it is kept and named; only a tensor that is asked for may not be one.
TEST(CheckpointKinds, UnknownObjectsAreLeftUnreadAndNamed) {
  const std::string config =
      pickle::global("omegaconf.dictconfig", "DictConfig") + ")\x81" + pickle::dict({{"lr", "N"}}) + "b";
  const std::string version = pickle::call("torch.torch_version", "TorchVersion", {pickle::str("2.1.0")});
  const std::string scheduler =
      pickle::call("copyreg", "_reconstructor", {pickle::global("my.lib", "Scheduler")});
  const SafeTensors read = taken(pickle::dict({{"config", config},
                                               {"version", version},
                                               {"scheduler", scheduler},
                                               {"state_dict", pickle::dict(network())}}));
  EXPECT_EQ(first_of_bias(read), 0);
  expect_contains(notes_of(read), "omegaconf.dictconfig.DictConfig");
  const SafeTensors beside = taken(pickle::dict(network() + Entries{{"extra", config}}));
  ASSERT_EQ(beside.left_out.size(), 1u);
  EXPECT_EQ(beside.left_out[0].name, "extra");
  expect_contains(beside.left_out[0].why, "omegaconf.dictconfig.DictConfig");
}

// Of an OrderedDict's subclass, a defaultdict, an attribute dict.
TEST(CheckpointKinds, SubclassesOfDictAreDicts) {
  std::string items = "(";
  for (const auto& [name, value] : network()) items += pickle::str(name) + value;
  const std::string subclass = pickle::global("addict", "Dict") + ")\x81" + items + "u";
  EXPECT_EQ(first_of_bias(taken(pickle::dict({{"model", subclass}}))), 0);
  EXPECT_EQ(
      first_of_bias(taken(pickle::call("collections", "defaultdict", {pickle::global("builtins", "list")}) +
                          items + "u")),
      0);
}

// torch.save(model): the parameters and buffers of its modules, as state_dict() would name them.
TEST(CheckpointKinds, WholeModulesAreTheirTensors) {
  const auto module = [](const Entries& parameters, const Entries& buffers, const Entries& modules) {
    return pickle::global("my.models", "Net") + ")\x81" +
           pickle::dict({{"training", "\x88"},
                         {"_parameters", pickle::dict(parameters)},
                         {"_buffers", pickle::dict(buffers)},
                         {"_modules", pickle::dict(modules)}}) +
           "b";
  };
  const std::string net =
      module({}, {},
             {{"conv1", module({{"weight", tensor({2, 3, 1, 1})}, {"bias", "N"}}, {}, {})},
              {"bn1", module({}, {{"running_var", tensor({2})}}, {})},
              {"fc", module({{"weight", tensor({3, 4})}, {"bias", tensor({3}, 7)}}, {}, {})}});
  EXPECT_EQ(first_of_bias(taken(net)), 7);
  EXPECT_EQ(first_of_bias(taken(pickle::dict({{"epoch", "N"}, {"model", net}}))), 7);
  EXPECT_EQ(first_of_bias(taken(module({}, {}, {{"module", net}}))), 7) << "DataParallel";
  EXPECT_TRUE(taken(net).find("bn1.running_var"));
}

// Hostile: one state of 200,000 entries that 100,000 objects share, looked through once. And one key of 100
// kB that as many entries have: no name.
TEST(CheckpointKinds, WhatIsSharedIsReadOnce) {
  constexpr int objects = 100'000;
  std::string state = "}q\x01(" + pickle::str("_parameters") + "}" + pickle::str("_modules") + "}";
  for (int i = 0; i < objects; ++i) state += "NN";
  std::string all = state + "u0" + pickle::global("my.models", "Net") + "q\x02" + "0}(";
  for (int i = 0; i < objects; ++i) all += pickle::str(text(i)) + "h\x02)Rh\x01" + "b";
  expect_contains(error_of(Fault::input, [&] { taken(all + "u"); }), "weights are found under");
}

TEST(CheckpointKinds, KeysThatAreTooLongAreNoNames) {
  std::string all = pickle::str(std::string(100'000, 'k')) + "q\x01" + "0}(";
  for (int i = 0; i < 100'000; ++i) all += "h\x01N";
  expect_contains(error_of(Fault::input, [&] { taken(all + "u"); }), "no weights are found");
}

// 400 kB asked for a gigabyte: modules under 200 names that share one module of 200 names. And names that
// grow with each module in a module; and dicts in dicts that share one long key.
TEST(CheckpointKinds, NamesAreNotMuchLargerThanTheirFile) {
  const auto module = [](const std::string& parameters, const std::string& modules) {
    return pickle::global("my.models", "Net") + ")\x81}(" + pickle::str("_parameters") + "}(" + parameters +
           "u" + pickle::str("_modules") + "}(" + modules + "uub";
  };
  const auto names = [](int count, size_t size, const std::string& value) {
    std::string all;
    for (int i = 0; i < count; ++i) all += pickle::str(text(1000 + i) + std::string(size - 4, 'n')) + value;
    return all;
  };
  const std::string one = module(names(200, 490, "K\x01"), "") + "q\x05" + "0";
  expect_contains(error_of(Fault::input, [&] { taken(one + module("", names(200, 490, "h\x05"))); }),
                  "its names and paths have");
  std::string inner = module(names(1, 400, tensor({2})), "");
  for (int i = 0; i < 3; ++i) inner = module("", pickle::str(std::string(400, 'm')) + inner);
  expect_contains(error_of(Fault::input, [&] { taken(inner); }), "hold a name of 1202 bytes");
  std::string dicts = pickle::str(std::string(900, 'k')) + "q\x01" + "0}(";
  for (int i = 0; i < 30'000; ++i) dicts += pickle::str(text(i)) + "}h\x01Ns";
  expect_contains(error_of(Fault::input, [&] { taken(dicts + "u"); }), "its names and paths have");
}

TEST(CheckpointKinds, WrappersComeOffWhereverTheyStand) {
  const auto dict = [](const Entries& e) { return pickle::dict({{"state_dict", pickle::dict(e)}}); };
  const Entries counter = {{"n_averaged", tensor({})}};
  for (const std::string prefix :
       {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.", "backbone.",
        "model.module.", "student.", "my_own_name.", "a.b."}) {
    EXPECT_EQ(first_of_bias(taken(dict(network(prefix)))), 0) << prefix;
    EXPECT_EQ(first_of_bias(taken(dict(network(prefix) + counter))), 0) << prefix << " beside a counter";
  }
  // A part was compiled, another one trained in parallel.
  Entries parts = network();
  parts[0].first = "_orig_mod.conv1.weight";
  parts[1].first = "bn1._orig_mod.running_var";
  parts[2].first = "fc.module.weight";
  EXPECT_EQ(first_of_bias(taken(dict(parts))), 0);
  const SafeTensors read = taken(dict(network("module.") + counter));
  expect_contains(notes_of(read), "'module.' off 4 names; the others: n_averaged");
}

TEST(CheckpointKinds, AStudentGoesBeforeItsTeacher) {
  const auto both = [](const std::string& outer, const std::string& student, const std::string& teacher) {
    return taken(pickle::dict(network(outer + teacher, 5) + network(outer + student, 9)));
  };
  for (const std::string outer : {"", "module.", "model."}) {
    EXPECT_EQ(first_of_bias(both(outer, "student.", "teacher.")), 9) << outer;
    EXPECT_EQ(first_of_bias(both(outer, "net.", "teacher_net.")), 9) << outer;
  }
  EXPECT_EQ(first_of_bias(taken(pickle::dict(
                {{"teacher", pickle::dict(network("", 5))}, {"student", pickle::dict(network("", 9))}}))),
            9);
}

TEST(CheckpointKinds, AveragedWeightsGoBeforeRawOnesWithANote) {
  for (const std::string name : {"state_dict_ema", "ema_state_dict", "model_ema", "ema", "EMA", "swa_model",
                                 "averaged", "averaged_model", "swa_state_dict", "model-avg"}) {
    const std::string object = pickle::dict(
        {{"state_dict", pickle::dict(network("module."))}, {name, pickle::dict(network("module.", 8))}});
    const SafeTensors read = taken(object);
    EXPECT_EQ(first_of_bias(read), 8) << name;
    expect_contains(notes_of(read),
                    "averaged weights under '" + name + "'; there are others under 'state_dict'");
    EXPECT_EQ(first_of_bias(taken(object, "state_dict")), 0) << name;
  }
  // Known by its counter.
  const SafeTensors counted = taken(
      pickle::dict({{"model", pickle::dict(network())},
                    {"second", pickle::dict(network("module.", 8) + Entries{{"n_averaged", tensor({})}})}}));
  EXPECT_EQ(first_of_bias(counted), 8);
  // In names, in any container.
  SafeTensors names = taken(pickle::dict(network("model.") + network("model_ema.module.", 8)));
  EXPECT_EQ(first_of_bias(names), 8);
  expect_contains(notes_of(names), "--entry model`");
  EXPECT_EQ(first_of_bias(taken(pickle::dict(network("model.") + network("model_ema.", 8)), "model")), 0);
}

// An average of the parameters alone lacks what batch norms need.
TEST(CheckpointKinds, AnIncompleteAverageIsLeftWithANote) {
  Entries parameters = network("", 8);
  parameters.erase(parameters.begin() + 1);
  const SafeTensors read =
      taken(pickle::dict({{"model", pickle::dict(network())}, {"ema", pickle::dict(parameters)}}));
  EXPECT_EQ(first_of_bias(read), 0);
  expect_contains(notes_of(read), "under 'ema' have no statistics for 1 of 1 batch norms");
}

TEST(CheckpointKinds, OptimizersAreNoNetworks) {
  const SafeTensors read = taken(pickle::dict({{"optimizer", pickle::dict(network("", 8))},
                                               {"exp_avg", pickle::dict(network("", 8))},
                                               {"weights_of_mine", pickle::dict(network())}}));
  EXPECT_EQ(first_of_bias(read), 0);
}

TEST(CheckpointKinds, EquallyLikelyNetworksAreNamed) {
  const std::string entries = error_of(Fault::input, [] {
    taken(pickle::dict({{"first", pickle::dict(network())}, {"second", pickle::dict(network())}}));
  });
  expect_contains(entries, "'first' and 'second'");
  const std::string names =
      error_of(Fault::input, [] { taken(pickle::dict(network("first.") + network("second."))); });
  expect_contains(names, "'first.' and 'second.'");
}

TEST(CheckpointKinds, TensorsOfOtherTypesAreLeftOut) {
  const auto of_type = [](const std::string& module, const std::string& type) {
    const std::string id = pickle::tuple({pickle::str("storage"), pickle::global(module, type),
                                          pickle::str("1"), pickle::str("cpu"), pickle::integer(4)}) +
                           "Q";
    return pickle::tensor(id, 0, {2}, {1});
  };
  const std::string untyped = pickle::call(
      "torch._utils", "_rebuild_tensor_v3",
      {pickle::tuple({pickle::str("storage"), pickle::global("torch.storage", "UntypedStorage"),
                      pickle::str("1"), pickle::str("cpu"), pickle::integer(4)}) +
           "Q",
       pickle::integer(0), pickle::tuple({pickle::integer(2)}), pickle::tuple({pickle::integer(1)}), "\x89",
       pickle::call("collections", "OrderedDict", {}), pickle::global("torch", "uint16")});
  const std::string sparse = pickle::call("torch._utils", "_rebuild_sparse_tensor", {"N", pickle::tuple({})});
  const std::string array =
      pickle::call("numpy._core.multiarray", "_reconstruct", {pickle::global("numpy", "ndarray")});
  const struct {
    std::string value, word;
  } kinds[] = {{of_type("torch", "ShortStorage"), "torch.ShortStorage"},
               {of_type("torch", "ComplexFloatStorage"), "torch.ComplexFloatStorage"},
               {of_type("torch", "QInt8Storage"), "torch.QInt8Storage"},
               {of_type("torch", "FutureStorage"), "torch.FutureStorage"},
               {untyped, "torch.uint16"},
               {sparse, "to_dense()"},
               {array, "torch.from_numpy"}};
  for (const auto& [value, word] : kinds) {
    const SafeTensors read = taken(pickle::dict(network("module.") + Entries{{"module.table", value}}));
    EXPECT_EQ(first_of_bias(read), 0) << word;
    ASSERT_EQ(read.left_out.size(), 1u) << word;
    EXPECT_EQ(read.left_out[0].name, "table");
    expect_contains(read.left_out[0].why, word);
    const auto alone = [&, &tensor = value] { taken(pickle::dict({{"w.weight", tensor}})); };
    expect_contains(error_of(Fault::input, alone), word);
  }
}

TEST(CheckpointKinds, SafetensorsOfOtherTypesAreLeftOut) {
  const std::string header = R"({"a":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                             R"("c":{"dtype":"BOOL","shape":[4],"data_offsets":[8,12]}})";
  const std::string file = little(uint64_t(header.size())) + header + std::string(12, '\1');
  const SafeTensors read = parse_safetensors(std::as_bytes(std::span(file)), "x");
  EXPECT_EQ(read.tensors.size(), 2u);
  ASSERT_EQ(read.left_out.size(), 1u);
  expect_contains(read.left_out[0].why, "I16");
}

// Protocol 1 has no number in front, and decimal lines where later ones have bytes.
TEST(CheckpointKinds, TheStreamIsKnownInAnyProtocol) {
  const std::string key = pickle::str("0"), one = "K\1";
  const std::string id =
      "(" + pickle::str("storage") + "ctorch\nFloatStorage\n" + key + pickle::str("cpu") + "K\4NtQ";
  const std::string object = "}" + pickle::str("w.weight") + "ctorch._utils\n_rebuild_tensor_v2\n(" + id +
                             "I0\n(K\4t(K\1tI00\nccollections\nOrderedDict\n)RtRs";
  const std::string system = "}" + pickle::str("little_endian") + "I01\ns";
  const std::string keys = "](" + key + "e";
  std::string data = little(int64_t{4});
  for (int i = 0; i < 4; ++i) data += little(float(i));
  const std::string number_of_bytes("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);
  const auto stream = [&](const std::string& first, const std::string& before) {
    return first + before + "M\xe9\x03." + before + system + "." + before + object + "." + before + keys +
           "." + data;
  };
  const std::string frame = "\x95" + little(uint64_t{13});
  for (const std::string& file :
       {stream("L119547037146038801333356L\n.", ""), stream("\x80\x02" + number_of_bytes, "\x80\x02"),
        stream("\x80\x03" + number_of_bytes, "\x80\x03"),
        stream("\x80\x04" + frame + number_of_bytes, "\x80\x04"),
        stream("\x80\x05" + frame + number_of_bytes, "\x80\x05")}) {
    ASSERT_TRUE(looks_like_pytorch(std::as_bytes(std::span(file))));
    const SafeTensors read = parse(file);
    ASSERT_EQ(read.tensors.size(), 1u);
    EXPECT_EQ(read.tensors[0].values<float>()[3], 3);
  }
}

// What was named by mistake is called by its name, with the next step.
TEST(CheckpointKinds, OtherFilesAreCalledByTheirName) {
  const TempFolder work;
  const struct {
    const char* name;
    std::string content, word;
  } files[] = {
      {"pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:5a\nsize 1\n", "git lfs pull"},
      {"page", "\n <!DOCTYPE HTML><html></html>", "web page"},
      {"page2", "<html><body>404</body></html>", "web page"},
      {"xml", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML"},
      {"json", "{\"error\": \"not found\"}", "JSON"},
      {"text", "Not Found\n", "is a text"},
      {"empty", "", "empty file"},
      {"zeros", std::string(4096, '\0'), "file of zeros"},
      {"gzip", "\x1f\x8b\x08" + std::string(40, 'x'), "packed by gzip"},
      {"tar", std::string(257, 'a') + "ustar" + std::string(300, '\0'), "tar archive"},
      {"hdf5", "\x89HDF\r\n\x1a\n" + std::string(40, 'x'), "HDF5"},
      {"onnx",
       std::string("\x08\x08\x12\x06retort\x1a\x05"
                   "0.1.0"),
       "ONNX"},
      {"npy", "\x93NUMPY\x01" + std::string(1, '\0'), "NumPy"},
      {"png", "\x89PNG\r\n\x1a\n" + std::string(40, 'x'), "picture (PNG)"},
      {"jpeg", "\xff\xd8\xff\xe0" + std::string(40, 'x'), "picture (JPEG)"},
      {"retort", "RETORT\x1a\n" + std::string(40, '\1'), "retort export --to infer"},
      {"pickle", "\x80\x04}.", "not one of torch.save"},
      {"npz", zip_of({{"conv1.weight.npy", "x"}}), "npz"},
      {"zipped", zip_of({{"best.pth", "x"}}), "unzip it first"},
  };
  for (const auto& [name, content, word] : files) {
    work.write(name, content);
    expect_contains(error_of(Fault::input, [&, &file = name] { read_weights_file(work / file); }), word);
  }
}

// "a/b" was refused with a remark that was false, and a tensor's own name took everything away.
TEST(CheckpointKinds, AnEntryOfSafetensorsIsWhatNamesBeginWith) {
  const TempFolder work;
  std::string header = R"({"a.b.fc.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                       R"("c.bias":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  const auto path = work.write("x.safetensors", little(uint64_t(header.size())) + header + storage_data(2));
  for (const char* entry : {"a/b", "a.b"}) {
    const SafeTensors read = read_weights_file(path, entry);
    ASSERT_EQ(read.tensors.size(), 1u) << entry;
    EXPECT_EQ(read.tensors[0].name, "fc.weight");
  }
  EXPECT_TRUE(read_weights_file(path, "c").find("bias"));
  for (const char* entry : {"c.bias", "a.b.fc.weight", "a/c"})
    expect_contains(error_of(Fault::input, [&] { read_weights_file(path, entry); }), "no names begin with");
}

}  // namespace
}  // namespace retort::testing
