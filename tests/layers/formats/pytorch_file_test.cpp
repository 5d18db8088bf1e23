// Reading PyTorch's files: what is in them arrives, and nothing else happens, whatever is in them.
#include "layers/formats/pytorch_file.h"

#include <sys/resource.h>

#include <cmath>
#include <functional>
#include <iterator>
#include <tuple>

#include "engine/kernels/numbers/half.h"
#include "engine/random.h"
#include "layers/formats/weights_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/pytorch_writer.h"

namespace retort::testing {
namespace {

std::string fixture(const std::string& name) {
  const std::string content = content_of(std::filesystem::path(testing::data_folder()) / "pytorch" / name);
  EXPECT_FALSE(content.empty()) << name;
  return content;
}

SafeTensors parse(const std::string& file, const std::string& entry = "") {
  return parse_pytorch(std::as_bytes(std::span(file)), "x.pt", entry);
}

std::string refusal(const std::string& file) {
  return error_of(Fault::input, [&] { parse(file); });
}

// One f32 storage of 0, 1, ..., n-1 under key 0.
std::string floats(int n) {
  std::string all;
  for (int i = 0; i < n; ++i) all += little(float(i));
  return all;
}
std::string model_of(const std::string& tensor) {
  return pickle::dict({{"w", tensor}});
}
std::string zip_with(const std::string& object, int elements = 4) {
  return checkpoint_zip(object, {{"0", floats(elements)}});
}
std::string zip_with_tensor(int64_t offset, const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides) {
  return zip_with(model_of(
      pickle::tensor(pickle::storage("FloatStorage", "0", pickle::integer(4)), offset, shape, strides)));
}

std::vector<double> values_of(const HostTensor& t) {
  std::vector<double> all;
  const auto add = [&]<class T>(double (*widen)(T)) {
    const T* values = reinterpret_cast<const T*>(t.data.data());
    for (size_t i = 0; i < t.data.size() / sizeof(T); ++i) all.push_back(widen(values[i]));
  };
  if (t.type == DType::f32) add.operator()<float>([](float v) { return double(v); });
  if (t.type == DType::f64) add.operator()<double>([](double v) { return v; });
  if (t.type == DType::f16) add.operator()<uint16_t>([](uint16_t v) { return double(float_of(v)); });
  if (t.type == DType::bf16) add.operator()<uint16_t>([](uint16_t v) { return double(float_of_bfloat(v)); });
  if (t.type == DType::i64) add.operator()<int64_t>([](int64_t v) { return double(v); });
  if (t.type == DType::u8) add.operator()<uint8_t>([](uint8_t v) { return double(v); });
  return all;
}

class Odd : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, Odd, ::testing::Values("zip", "stream"), [](const auto& i) { return i.param; });

// tests/data/pytorch_files.py says what is in it. Side entries (numpy, Namespace, sets) are passed over.
TEST_P(Odd, EveryKindOfTensorArrives) {
  SafeTensors read = parse(fixture(text("odd_", GetParam(), ".pt")));
  strip_prefixes(read, "x.pt");
  ASSERT_FALSE(read.notes.empty());
  EXPECT_EQ(read.notes.back(), "took 'module.' off all names");
  struct Expected {
    const char* name;
    DType type;
    std::vector<int64_t> shape;
    double first = 0, step = 1;
  };
  const Expected all[] = {
      {"f32", DType::f32, {2, 3}},
      {"f64", DType::f64, {2, 3}},
      {"f16", DType::f16, {2, 3}},
      {"bf16", DType::bf16, {2, 3}},
      {"u8", DType::u8, {5}},
      {"bn.num_batches_tracked", DType::i64, {}, 7},
      {"scalar", DType::f32, {}},
      {"empty", DType::f32, {0, 3}},
      {"parameter", DType::f32, {4}},
      {"transposed", DType::f32, {4, 3}},
      {"channels_last", DType::f32, {2, 3, 4, 5}},
      {"twelve_and_up", DType::f32, {12}, 12},
      {"every_second", DType::f32, {12}, 0, 2},
      {"expanded_zeros", DType::f32, {3, 4}, 0, 0},
      {"whole", DType::f32, {2, 3, 4}},
  };
  EXPECT_EQ(read.tensors.size(), std::size(all));
  for (const Expected& expected : all) {
    const HostTensor* t = read.find(expected.name);
    ASSERT_TRUE(t) << expected.name;
    EXPECT_EQ(t->type, expected.type) << expected.name;
    EXPECT_EQ(t->shape, expected.shape) << expected.name;
    const std::vector<double> values = values_of(*t);
    size_t count = 1;
    for (int64_t extent : expected.shape) count *= size_t(extent);
    ASSERT_EQ(values.size(), count) << expected.name;
    for (size_t i = 0; i < count; ++i)
      EXPECT_EQ(values[i], expected.first + double(i) * expected.step) << expected.name << " " << i;
  }
}

TEST_P(Odd, AnEntryCanBeNamed) {
  const std::string file = fixture(text("odd_", GetParam(), ".pt"));
  EXPECT_EQ(parse(file, "model").tensors.size(), 15u);
  expect_fault(Fault::input, "'model'", [&] { parse(file, "ema"); });
}

// Nothing is run: what a command would give is kept unread, and named.
TEST_P(Odd, CommandsAreLeftUnreadByName) {
  const SafeTensors read = parse(fixture(text("command_", GetParam(), ".pt")));
  EXPECT_EQ(read.tensors.size(), 1u);
  ASSERT_FALSE(read.notes.empty());
  expect_contains(read.notes.back(), "posix.system");
}

// A mutated file is refused, or what it holds is sound; where everything is under a checksum (zip), it is
// unchanged.
void expect_sound_or_refused(const std::string& original,
                             const std::function<SafeTensors(std::span<const std::byte>)>& read,
                             bool checksums) {
  const SafeTensors expected = read(std::as_bytes(std::span(original)));
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  int read_well = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    uint32_t draws = 0;
    const auto draw = [&](uint64_t below) {
      return random4(77, Purpose::weights, 0, uint32_t(i), draws++).v[0] % below;
    };
    std::string file = original;
    for (uint64_t n = draw(3); n-- + 1 > 0;) {
      const uint64_t at = draw(file.size());
      switch (draw(5)) {
        case 0:
          file.resize(at + 1);
          break;
        case 1:
          file[at] = char(draw(256));
          break;
        case 2:
          file.insert(at, 1 + draw(8), char(draw(256)));
          break;
        case 3:
          file.erase(at, 1 + draw(8));
          break;
        default:  // a number of 4 bytes becomes an extreme one
          for (uint64_t k = at; k < std::min<uint64_t>(at + 4, file.size()); ++k)
            file[k] = char(draw(2) ? 0xff : 0x7f);
      }
    }
    try {
      const SafeTensors result = read(std::as_bytes(std::span(file)));
      ++read_well;
      for (const HostTensor& t : result.tensors) {
        uint64_t bytes = size_of(t.type);
        for (int64_t extent : t.shape) bytes *= uint64_t(extent);
        ASSERT_EQ(t.data.size(), bytes) << "mutation " << i;
        const HostTensor* same = expected.find(t.name);
        ASSERT_TRUE(!checksums || (same && same->data == t.data && same->shape == t.shape))
            << "mutation " << i;
      }
    } catch (const Error& error) {
      ASSERT_EQ(error.fault(), Fault::input) << "mutation " << i << ": " << error.what();
      ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "mutation " << i;
    }
  }
  EXPECT_LT(read_well, 1500) << "the mutations hardly ever hit";
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 1'000'000) << "KB";
}

TEST(Mutated, ZipFiles) {
  expect_sound_or_refused(
      fixture("odd_zip.pt"), [](auto bytes) { return parse_pytorch(bytes, "x"); }, true);
}

TEST(Mutated, Streams) {
  expect_sound_or_refused(
      fixture("odd_stream.pt"), [](auto bytes) { return parse_pytorch(bytes, "x"); }, false);
}

TEST(Mutated, SafetensorsFiles) {
  const TempFolder folder;
  const std::vector<float> values(30, 0.5f);
  write_safetensors(folder / "w", {{"architecture", "x"}},
                    {view_of<float>("a", {5, 6}, values), view_of<float>("b", {30}, values)});
  expect_sound_or_refused(
      content_of(folder / "w"), [](auto bytes) { return parse_safetensors(bytes, "x"); }, true);
}

TEST(PytorchZip, Zip64Directory) {
  const std::string tensor =
      pickle::tensor(pickle::storage("FloatStorage", "0", pickle::integer(4)), 0, {4}, {1});
  const SafeTensors read = parse(checkpoint_zip(model_of(tensor), {{"0", floats(4)}}, "little", true));
  ASSERT_EQ(read.tensors.size(), 1u);
  EXPECT_EQ(values_of(read.tensors[0]), (std::vector<double>{0, 1, 2, 3}));
}

TEST(PytorchZip, RefusesWhatIsNotOurs) {
  const std::string tensor =
      pickle::tensor(pickle::storage("FloatStorage", "0", pickle::integer(4)), 0, {4}, {1});
  const std::string object = model_of(tensor), data = floats(4);
  expect_contains(refusal(checkpoint_zip(object, {{"0", data}}, "big")), "byte order is 'big'");
  expect_contains(refusal(checkpoint_zip(object, {{"0", data, 8}})), "compressed (method 8)");
  expect_contains(refusal(checkpoint_zip(object, {{"0", data, 0, 1}})), "encrypted");
  expect_contains(refusal(checkpoint_zip(object, {{"1", data}})), "no entry 'archive/data/0'");
  expect_contains(refusal(checkpoint_zip(object, {{"0", data}, {"0", data}})), "occurs twice");
  expect_contains(refusal(checkpoint_zip(object, {{"0", data + "1234"}})), "20 bytes, expected 4 times 4");
  expect_contains(refusal(zip_of({{"archive/other", "x"}})), "without data.pkl");
  expect_contains(refusal(zip_of({{"a/data.pkl", "x"}, {"b/data.pkl", "x"}})), "several data.pkl");
  expect_contains(refusal(zip_of({{"a/data.pkl", "x"}, {"a/constants.pkl", "x"}})), "TorchScript");
  std::string flipped = checkpoint_zip(object, {{"0", data}});
  flipped[flipped.find(data) + 5] ^= 1;
  expect_contains(refusal(flipped), "CRC-32");
}

TEST(PytorchStream, RefusesWhatIsNotOurs) {
  const std::string storage = pickle::storage("FloatStorage", "0", pickle::integer(4), true);
  const std::string object = model_of(pickle::tensor(storage, 0, {4}, {1}));
  EXPECT_EQ(parse(checkpoint_stream(object, {{"0", floats(4)}}, {4})).tensors.size(), 1u);
  expect_contains(refusal(checkpoint_stream(object, {{"0", floats(4)}}, {4}, false)), "big-endian");
  expect_contains(refusal(checkpoint_stream(object, {{"0", floats(4)}}, {3})), "has 3 elements, expected 4");
  expect_contains(refusal(checkpoint_stream(object, {{"0", floats(3)}}, {4})), "does not fit");
  expect_contains(refusal(checkpoint_stream(object, {{"0", floats(5)}}, {4})), "4 bytes follow");
  expect_contains(refusal(checkpoint_stream(object, {{"1", floats(4)}}, {4})), "never used");
  expect_contains(refusal(checkpoint_stream(object, {}, {})), "is missing");
  expect_contains(refusal(pickle::whole(object)), "not one of torch.save");
}

TEST(PytorchTensor, StaysInItsStorage) {
  EXPECT_EQ(values_of(parse(zip_with_tensor(1, {2}, {2})).tensors[0]), (std::vector<double>{1, 3}));
  for (const auto& [offset, extent, stride] : {std::tuple<int64_t, int64_t, int64_t>{0, 5, 1},
                                               {1, 4, 1},
                                               {4, 1, 1},
                                               {0, 2, 4},
                                               {INT64_MAX, 2, INT64_MAX},
                                               {0, INT64_MAX, INT64_MAX}}) {
    expect_contains(refusal(zip_with_tensor(offset, {extent}, {stride})), "reaches out of its storage");
  }
  expect_contains(refusal(zip_with_tensor(-1, {1}, {1})), "no size");
  expect_contains(refusal(zip_with_tensor(0, {-1}, {1})), "no size");
  expect_contains(refusal(zip_with_tensor(0, {1}, {-1})), "no size");
  expect_contains(refusal(zip_with_tensor(0, {2, 2}, {1})), "2 extents but 1 strides");
  expect_contains(refusal(zip_with_tensor(0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1})),
                  "at most 8");
}

// Strides of zero cost nothing in the file.
TEST(PytorchTensor, IsNotMuchLargerThanItsFile) {
  expect_contains(refusal(zip_with_tensor(0, {int64_t{1} << 40}, {0})), "much larger than the file");
  expect_contains(refusal(zip_with_tensor(0, {int64_t{1} << 31, int64_t{1} << 31}, {0, 0})), "much larger");
  std::string entries;
  const std::string tensor =
      pickle::tensor(pickle::storage("FloatStorage", "0", pickle::integer(4)), 0, {1 << 18}, {0});
  for (int i = 0; i < 100; ++i) entries += pickle::str(text("w", i)) + tensor;
  expect_contains(refusal(zip_with("}(" + entries + "u")), "much larger than the file");
}

TEST(PytorchTensor, RefusesOtherTypes) {
  const auto file = [](const std::string& type) {
    return zip_with(model_of(pickle::tensor(pickle::storage(type, "0", pickle::integer(4)), 0, {1}, {1})));
  };
  expect_contains(refusal(file("ComplexFloatStorage")), "ComplexFloatStorage");
  expect_contains(refusal(file("NewStorage")), "torch.NewStorage");
}

// Objects are named, and never made.
TEST(Pickle, RefusesWhatHoldsNoWeights) {
  const auto said = [](const std::string& object) { return refusal(zip_with(object)); };
  expect_contains(said(pickle::call("os", "system", {pickle::str("touch executed")})), "'os.system'");
  expect_contains(said(pickle::call("builtins", "eval", {pickle::str("1")})), "'builtins.eval'");
  expect_contains(said(pickle::global("models.resnet", "ResNet") + ")\x81}b"), "'models.resnet.ResNet'");
  expect_contains(
      said(pickle::str("os") + pickle::str("system") + "\x93" + pickle::tuple({pickle::str("x")}) + "R"),
      "'os.system'");
  // The call of a result of a call.
  expect_contains(said(pickle::call("torch._utils", "_rebuild_parameter", {"N"}) + ")R"),
                  "no weights");
  expect_contains(said("(ios\nsystem\n"), "'os.system'");
  expect_contains(said(pickle::str("x") + pickle::dict({}) + "b"), "sets attributes");
  expect_contains(said(pickle::global(std::string(2000, 'a'), "x") + ")R"), "2001 characters");
}

TEST(Pickle, RefusesWhatIsDamaged) {
  const auto said = [](const std::string& object) { return refusal(zip_with(object)); };
  expect_contains(said("0"), "from a stack of 0");
  expect_contains(said("N("), "more or less than one value");
  expect_contains(said("t"), "a mark that is not there");
  expect_contains(said("N(\x85"), "takes 1 values from a stack of 0");
  expect_contains(said("h\x05"), "memo entry 5");
  expect_contains(said("}(Nu"), "no value");
  expect_contains(said("Na"), "from a stack of 0");
  expect_contains(said("NNa"), "no list");
  expect_contains(said("NN"), "more or less than one value");
  expect_contains(said("X\xff\xff\xff\xff"), "truncated");
  expect_contains(said("\x8d" + little(UINT64_MAX)), "truncated");
  expect_contains(said("\x8b" + little(int32_t{-1})), "-1 bytes");
  expect_contains(said("cos"), "has no end");
  expect_contains(said("\x80\x06"), "protocol 6");
  expect_contains(said("N"), "holds no dict");
  expect_contains(said("}"), "no weights are found");
}

// Small files that would need much memory, time or stack elsewhere.
TEST(Pickle, BoundsHostileFiles) {
  // Lists of lists of ..., each twice in the next: 2^100 values if they were copied.
  std::string doubling = "]";
  for (int i = 0; i < 100; ++i)
    doubling +=
        "q\x01"
        "0](h\x01"
        "h\x01"
        "e";
  expect_contains(refusal(zip_with(doubling)), "holds no dict");
  // A dict in itself, under names that are searched.
  expect_contains(
      refusal(zip_with("}q\x01(" + pickle::str("model") + "h\x01" + pickle::str("net") + "h\x01u")),
      "no weights are found");
  // Deep nesting: a reader that recursed would overflow its stack.
  const std::string deep = std::string(400'000, ']') + std::string(399'999, 'a');
  expect_contains(refusal(zip_with(deep)), "holds no dict");
  std::string dicts;
  for (int i = 0; i < 100'000; ++i) dicts += "}" + pickle::str("model");
  expect_contains(refusal(zip_with(dicts + "N" + std::string(100'000, 's'))), "no weights are found");
  expect_contains(refusal(zip_with(std::string(1'100'000, 'N'))), "more than 1000000 values");
  std::string many = "N";
  for (int i = 0; i < 9'000'000; ++i) many += i % 2 ? '0' : '2';
  expect_contains(refusal(zip_with(many)), "operations");
  std::string pairs = "](";
  for (int i = 0; i < 2000; ++i) pairs += "(NNt";
  pairs +=
      "eq\x01"
      "0";
  for (int i = 0; i < 2000; ++i) pairs += pickle::global("collections", "OrderedDict") + "h\x01\x85R0";
  expect_contains(refusal(zip_with(pairs)), "OrderedDicts");
}

TEST(StateDict, IsFoundWhereProgramsPutIt) {
  const std::string tensor =
      pickle::tensor(pickle::storage("FloatStorage", "0", pickle::integer(4)), 0, {4}, {1});
  const std::string weights = pickle::dict({{"w", tensor}}), other = pickle::dict({{"v", tensor}});
  const auto found = [](const std::string& object) { return parse(zip_with(object)).tensors.at(0).name; };
  EXPECT_EQ(found(weights), "w");
  EXPECT_EQ(found(pickle::dict({{"anything", weights}, {"epoch", "N"}})), "w");
  EXPECT_EQ(found(pickle::dict({{"model", pickle::dict({{"state_dict", weights}})}})), "w");
  // Beside a tensor that is no weight, and an optimizer.
  EXPECT_EQ(found(pickle::dict({{"best_acc", tensor}, {"optimizer", other}, {"state_dict", weights}})), "w");
  const std::string message = refusal(zip_with(pickle::dict({{"a", weights}, {"b", other}})));
  expect_contains(message, "'a' and 'b'");
  EXPECT_EQ(parse(zip_with(pickle::dict({{"a", weights}, {"b", other}})), "b").tensors.at(0).name, "v");
}

TEST(Half, WidensExactly) {
  EXPECT_EQ(float_of(0x3c00), 1);
  EXPECT_EQ(float_of(0xc500), -5);
  EXPECT_EQ(float_of(0x7bff), 65504);
  EXPECT_EQ(float_of(0x0001), std::ldexp(1, -24));
  EXPECT_EQ(float_of(0x83ff), -std::ldexp(1023, -24));
  EXPECT_TRUE(std::signbit(float_of(0x8000)));
  EXPECT_TRUE(std::isinf(float_of(0x7c00)) && std::isnan(float_of(0x7e00)));
  EXPECT_EQ(float_of_bfloat(0xc0a0), -5);
}

TEST(Crc32, OfTheStandardsExample) {
  const std::string digits = "123456789";
  EXPECT_EQ(crc32(std::as_bytes(std::span(digits))), 0xcbf43926u);
}

}  // namespace
}  // namespace retort::testing
