#include "slopewise/data/safetensors.hpp"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "support.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SafetensorsTest : public FileTest {
 protected:
  std::filesystem::path path_ = directory_ / "a.safetensors";
  const std::vector<float> f_ = {1, -0.0f, 0.1f, INFINITY, std::numeric_limits<float>::denorm_min(), NAN};
  const std::vector<double> d_ = {0.1, -1e300};
  const std::vector<std::int64_t> i_ = {std::numeric_limits<std::int64_t>::min(), 7};

  // f (2, 3), d (2), i (1, 2, 1), a scalar and an empty tensor.
  std::vector<SafetensorView> tensors() const {
    return {{"f", {2, 3}, std::span(f_)},
            {"d", {2}, std::span(d_)},
            {"i", {1, 2, 1}, std::span(i_)},
            {"scalar", {}, std::span(f_).first(1)},
            {"empty", {0, 4}, std::span<const float>()}};
  }
  void write() const { save_safetensors(path_, tensors(), {{"step", "12"}, {"größe", "\"2\"\n"}}); }

  // Puts a file of this header, whose length may be claimed otherwise, and these data.
  std::filesystem::path put_header(const std::string& header, const Bytes& data = {},
                                   std::optional<std::uint64_t> length = {}) const {
    const std::uint64_t claimed = length.value_or(header.size());
    Bytes start(8);
    std::memcpy(start.data(), &claimed, 8);
    return put("made.safetensors", joined(joined(start, header), data));
  }
  std::string header_error(const std::string& header, const Bytes& data = {},
                           std::optional<std::uint64_t> length = {}) const {
    const auto path = put_header(header, data, length);
    const std::string error = file_error([&] { SafetensorsFile file(path); });
    if (!error.empty()) {
      EXPECT_THAT(error, AllOf(HasSubstr("made.safetensors: "), testing::Not(HasSubstr("\n"))));
      EXPECT_LT(error.size(), 500u);
    }
    return error;
  }

  // Reads all there is, in the type that takes it.
  static void read_all(const std::filesystem::path& path) {
    const SafetensorsFile file(path);
    for (const std::string& name : file.names()) {
      if (file.type(name) == NumberType::kInt64) {
        file.read<std::int64_t>(name, file.shape(name));
      } else {
        file.read<double>(name, file.shape(name));
      }
    }
  }

  // Runs a script, with the file's path as its argument.
  int python(const std::string& script) const {
    const auto file = put("script.py", Bytes(script.begin(), script.end()));
    return std::system((SLOPEWISE_PYTHON " '" + file.string() + "' '" + path_.string() + "'").c_str());
  }
};

template <class T>
std::vector<std::uint64_t> bits(const std::vector<T>& values) {
  std::vector<std::uint64_t> all;
  for (const T value : values) {
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    all.push_back(word);
  }
  return all;
}

TEST_F(SafetensorsTest, RoundTripsBitForBit) {
  write();
  const SafetensorsFile file(path_);
  EXPECT_THAT(file.names(), ElementsAre("d", "empty", "f", "i", "scalar"));
  EXPECT_THAT(file.metadata(), ElementsAre(testing::Pair("größe", "\"2\"\n"), testing::Pair("step", "12")));
  EXPECT_TRUE(file.contains("f"));
  EXPECT_FALSE(file.contains("g"));
  EXPECT_EQ(file.type("f"), NumberType::kFloat32);
  EXPECT_EQ(file.shape("i"), (Shape{1, 2, 1}));
  EXPECT_EQ(bits(file.read<float>("f", {2, 3})), bits(f_));
  EXPECT_EQ(bits(file.read<double>("d", {2})), bits(d_));
  EXPECT_EQ(file.read<std::int64_t>("i", {1, 2, 1}), i_);
  EXPECT_THAT(file.read<float>("scalar", {}), ElementsAre(1));
  EXPECT_THAT(file.read<float>("empty", {0, 4}), IsEmpty());
}

TEST_F(SafetensorsTest, ReadsTensorsOfManyPieces) {
  std::vector<float> values(200'001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  save_safetensors(path_, std::vector<SafetensorView>{{"a", {200'001}, std::span<const float>(values)}});
  EXPECT_EQ(SafetensorsFile(path_).read<float>("a", {200'001}), values);
  EXPECT_EQ(SafetensorsFile(path_).read<double>("a", {200'001}), std::vector<double>(values.begin(), values.end()));
}

TEST_F(SafetensorsTest, EqualContentMakesEqualFilesWithAlignedEntries) {
  write();
  const Bytes first = file_bytes(path_);
  auto reversed = tensors();
  std::ranges::reverse(reversed);
  save_safetensors(path_, reversed, {{"größe", "\"2\"\n"}, {"step", "12"}});
  EXPECT_EQ(file_bytes(path_), first);

  std::uint64_t length = 0;
  std::memcpy(&length, first.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  const auto header = nlohmann::json::parse(first.begin() + 8, first.begin() + 8 + static_cast<std::ptrdiff_t>(length));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    EXPECT_EQ(entry["data_offsets"][0].get<int>() % (entry["dtype"] == "F32" ? 4 : 8), 0) << name;
  }
}

TEST_F(SafetensorsTest, RefusesToWriteWhatCannotBeRead) {
  const auto save = [&](const SafetensorView& tensor) {
    save_safetensors(path_, std::vector<SafetensorView>{{"f", {2, 3}, std::span(f_)}, tensor});
  };
  EXPECT_THROW(save({"f", {2}, std::span(d_)}), ArgumentError);
  EXPECT_THROW(save({"__metadata__", {2}, std::span(d_)}), ArgumentError);
  EXPECT_THROW(save({"\xff", {2}, std::span(d_)}), ArgumentError);
  EXPECT_THROW(save({"d", {3}, std::span(d_)}), ShapeError);
  EXPECT_THROW(save({"d", Shape(std::vector<Index>(33, 1)), std::span(d_).first(1)}), ShapeError);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_THROW(save_safetensors(directory_ / "nowhere" / "a", tensors()), FileError);
}

TEST_F(SafetensorsTest, ReadsOtherTypesExactly) {
  const auto one = [&]<class T>(T, const std::string& type, const Bytes& data, std::size_t item) {
    const std::size_t count = data.size() / item;
    const auto path = put_header(
        nlohmann::json{{"x", {{"dtype", type}, {"shape", {count}}, {"data_offsets", {0, data.size()}}}}}.dump(), data);
    return SafetensorsFile(path).read<T>("x", {static_cast<Index>(count)});
  };
  // 1, -2, 65504, the least normal, the least subnormal, -0, inf
  const Bytes halves = {0x00, 0x3C, 0x00, 0xC0, 0xFF, 0x7B, 0x00, 0x04, 0x01, 0x00, 0x00, 0x80, 0x00, 0x7C};
  const std::vector<float> expected = {1, -2, 65504, 0x1p-14f, 0x1p-24f, -0.0f, INFINITY};
  EXPECT_EQ(bits(one(float{}, "F16", halves, 2)), bits(expected));
  EXPECT_TRUE(std::isnan(one(double{}, "F16", {0x01, 0x7C}, 2)[0]));
  EXPECT_THAT(one(float{}, "BF16", {0x80, 0x3F, 0x49, 0xC0}, 2), ElementsAre(1, -3.140625f));
  EXPECT_THAT(one(float{}, "U8", {0, 255}, 1), ElementsAre(0, 255));
  EXPECT_THAT(one(float{}, "I8", {0x80, 127}, 1), ElementsAre(-128, 127));
  EXPECT_THAT(one(std::int64_t{}, "BOOL", {0, 1}, 1), ElementsAre(0, 1));
  EXPECT_THAT(one(std::int64_t{}, "I16", {0xFE, 0xFF}, 2), ElementsAre(-2));
  EXPECT_THAT(one(float{}, "U16", {0xFE, 0xFF}, 2), ElementsAre(65534));
  EXPECT_THAT(one(double{}, "I32", {0xFF, 0xFF, 0xFF, 0x7F}, 4), ElementsAre(2147483647));
  EXPECT_THAT(one(std::int64_t{}, "U32", {0xFF, 0xFF, 0xFF, 0xFF}, 4), ElementsAre(4294967295));
  EXPECT_THAT(file_error([&] { one(float{}, "I32", {1, 0, 0, 0}, 4); }), HasSubstr("\"x\" is of I32, expected a type"));
}

TEST_F(SafetensorsTest, NeverRounds) {
  write();
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.read<double>("f", {2, 3})[2], static_cast<double>(0.1f));
  EXPECT_THAT(file_error([&] { file.read<float>("d", {2}); }), HasSubstr("\"d\" is of F64, expected a type"));
  EXPECT_THAT(file_error([&] { file.read<double>("i", {1, 2, 1}); }), HasSubstr("\"i\" is of I64"));
  EXPECT_THAT(file_error([&] { file.read<std::int64_t>("f", {2, 3}); }), HasSubstr("\"f\" is of F32"));
}

TEST_F(SafetensorsTest, NamesWhatWasAskedForWrongly) {
  write();
  const SafetensorsFile file(path_);
  EXPECT_THAT(file_error([&] { file.read<float>("g", {}); }), HasSubstr("found no tensor \"g\" among its 5"));
  EXPECT_THAT(file_error([&] {
                file.read<float>("f", {3, 2});
              }),
              HasSubstr("tensor \"f\" has shape (2, 3), expected (3, 2)"));
  EXPECT_THAT(file_error([&] { SafetensorsFile(directory_ / "none"); }), HasSubstr("expected a file"));
}

TEST_F(SafetensorsTest, BelievesNoHeaderLength) {
  EXPECT_THAT(file_error([&] { SafetensorsFile(put("empty", {})); }), HasSubstr("0 bytes, expected at least 8"));
  for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    EXPECT_THAT(header_error("{}", {}, length), HasSubstr(std::to_string(length) + " bytes is claimed"));
  }
  EXPECT_THAT(header_error("{}", {}, 1), HasSubstr("not JSON"));
  EXPECT_THAT(header_error("{}", {}, 0), HasSubstr("does not start with {"));
  EXPECT_EQ(header_error("{}"), "");
  EXPECT_EQ(header_error("{}   "), "");
}

TEST_F(SafetensorsTest, BelievesNoHeader) {
  const auto entry = [](const std::string& type, const std::string& shape, const std::string& offsets) {
    return R"("dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets;
  };
  const auto error = [&](const std::string& fields) { return header_error(R"({"a":{)" + fields + "}}", Bytes(16)); };
  EXPECT_EQ(error(entry("F32", "[2,2]", "[0,16]")), "");

  const std::string overflow = "[4294967296,4294967296,4294967296]";
  const std::string huge(200'000, '9');
  const std::vector<std::pair<std::string, std::string>> fields = {
      {entry("F32", "[2,3]", "[0,16]"), "\"a\" has 16 bytes, expected 6 × 4 for F32 of shape (2, 3)"},
      {entry("F64", "[2,2]", "[0,16]"), "has 16 bytes, expected 4 × 8"},
      {entry("F64", "[1]", "[0,15]"), "has 15 bytes"},
      {entry("F32", "[4611686018427387904]", "[0,16]"), "expected 4611686018427387904 × 4"},
      {entry("F32", overflow, "[0,16]"), "more than 9223372036854775807 entries"},
      {entry("F32", "[-2,-2]", "[0,16]"), "\"a\" \"shape\" is -2, expected a whole number"},
      {entry("F32", "[2.0,2]", "[0,16]"), "is 2.0, expected a whole number"},
      {entry("F32", "[18446744073709551615]", "[0,16]"), "is 18446744073709551615, expected a whole number"},
      {entry("F32", "[" + huge + "]", "[0,16]"), "not JSON at byte"},
      {entry("F32", "[[2],2]", "[0,16]"), "is an array, expected a whole number"},
      {entry("F32", "[2,2,1" + std::string(62, ' ') + ",1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
             "[0,16]"),
       "more than 32 numbers"},
      {entry("F32", "\"2\"", "[0,16]"), "expected a dtype or an array"},
      {entry("F32", "4", "[0,16]"), "expected a dtype or an array"},
      {entry("F32", "null", "[0,16]"), "expected a dtype or an array"},
      {entry("F32", "[2,2]", "[0]"), "data_offsets are [0], expected two within the 16 bytes"},
      {entry("F32", "[2,2]", "[0,16,16]"), "expected two"},
      {entry("F32", "[2,2]", "[16,0]"), "data_offsets are [16, 0]"},
      {entry("F32", "[2,2]", "[4,20]"), "data_offsets are [4, 20]"},
      {entry("F32", "[2,2]", "[9223372036854775792,9223372036854775807]"), "expected two within the 16 bytes"},
      {entry("F32", "[3]", "[4,16]"), "\"a\" starts at 4, expected 0"},
      {entry("F32", "[3]", "[0,12]"), "16 bytes of entries, expected 12"},
      {entry("F8_E4M3", "[16]", "[0,16]"), "\"a\" \"dtype\" is \"F8_E4M3\", expected one of F64, F32"},
      {entry("F32", "[2,2]", "[0,16]") + R"(,"dtype":"F32")", "\"a\" \"dtype\" comes twice"},
      {entry("F32", "[2,2]", "[0,16]") + R"(,"shape":[2,2])", "\"a\" \"shape\" comes twice"},
      {entry("F32", "[2,2]", "[0,16]") + R"(,"more":1)", "\"a\" \"more\" is 1"},
      {entry("F32", "[2,2]", "[0,16]") + R"(,"more":[])", "\"a\" \"more\" is an array"},
      {R"("dtype":"F32","shape":[2,2])", "\"a\" lacks one of dtype, shape and data_offsets"},
      {"", "lacks one of"},
  };
  for (const auto& [text, expected] : fields) EXPECT_THAT(error(text), HasSubstr(expected)) << text.substr(0, 200);

  const std::string four = R"({"dtype":"U8","shape":[4],"data_offsets":)";
  const std::string deep(3'000'000, '[');
  const std::vector<std::pair<std::string, std::string>> headers = {
      {R"({"a":)" + four + R"([0,4]},"b":)" + four + R"([2,6]},"c":)" + four + "[4,8]}}", "starts at 2, expected 4"},
      {R"({"a":)" + four + R"([0,4]},"b":)" + four + "[6,10]}}", "\"b\" starts at 6, expected 4"},
      {R"({"a":)" + four + R"([0,4]},"b":)" + four + "[0,4]}}", "starts at 0, expected 4"},
      {R"({"a":)" + four + R"([0,4]},"a":)" + four + "[4,8]}}", "\"a\" comes twice"},
      {R"({"a":)" + deep, "\"a\" is an array"},
      {R"({"a":{"shape":)" + deep, "\"a\" \"shape\" is an array"},
      {R"({"a":{"b":{"c":)", "\"a\" \"b\" is an object"},
      {R"({"a":4})", "\"a\" is 4, expected an object with dtype"},
      {R"({"__metadata__":{"a":4}})", "\"__metadata__\" \"a\" is 4, expected a string"},
      {R"({"__metadata__":"a"})", "expected an object of strings"},
      {R"({"__metadata__":{"a":["b"]}})", "is an array, expected a string"},
      {R"({"__metadata__":{"a":"b","a":"b"}})", "\"__metadata__\" \"a\" comes twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "\"__metadata__\" comes twice"},
      // Where RapidJSON would read beyond its table of powers of ten; and characters that are none.
      {R"({"a":0.0000000000e-2147483639})", "\"a\" is 0.0000000000e-2147483639, expected"},
      {R"({"a":)" + four + R"([0,1e1]}})", "is 1e1, expected a whole number"},
      {R"({"a":)" + four + R"([0,-4]}})", "is -4, expected a whole number"},
      {R"({"a":)" + four + R"([0,9223372036854775808]}})", "is 9223372036854775808, expected a whole number"},
      {R"({"__metadata__":{"\udc00":"x"}})", "a surrogate that is no character"},
      {R"({"__metadata__":{"x":"\udc00"}})", "a surrogate that is no character"},
      {"{\"__metadata__\":{\"a\":\"\xff\"}}", "not JSON"},
      {"{\"a\n", "not JSON"},
      {"{} {}", "not JSON"},
      {"{}\xC3", "not JSON"},
      {"\xEF\xBB\xBF{}", "does not start with {"},
      {"[]", "does not start with {"},
      {std::string("{}\0", 3), "contains a NUL"},
      {"{}", "16 bytes of entries, expected 0"},
  };
  for (const auto& [text, expected] : headers) {
    EXPECT_THAT(header_error(text, Bytes(16)), HasSubstr(expected)) << text.substr(0, 200);
  }
}

TEST_F(SafetensorsTest, EveryTruncationIsAnError) {
  write();
  const Bytes whole = file_bytes(path_);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto path = put("cut.safetensors", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    EXPECT_THAT(file_error([&] { read_all(path); }), HasSubstr("cut.safetensors")) << length;
  }
  EXPECT_THAT(file_error([&] { read_all(put("long.safetensors", joined(whole, Bytes(1)))); }),
              HasSubstr("bytes of entries, expected"));
}

TEST_F(SafetensorsTest, AFileThatShrinksMeanwhileIsAnError) {
  write();
  const SafetensorsFile file(path_);
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  EXPECT_THAT(file_error([&] { file.read<float>("scalar", {}); }), HasSubstr("cannot read"));
}

// Nothing but FileError leaves, and about half of the flips hit the header, where few go unnoticed.
TEST_F(SafetensorsTest, FlippedBitsGiveErrorsOrOtherValues) {
  write();
  const Bytes whole = file_bytes(path_);
  RandomStream random(3);
  int errors = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto path = put("flipped.safetensors", damaged(whole, random));
    errors += !file_error([&] { read_all(path); }).empty();
  }
  EXPECT_GT(errors, 1200);
}

TEST_F(SafetensorsTest, AnotherReaderAgrees) {
  write();
  EXPECT_EQ(python(R"(
import json, struct, sys
data = open(sys.argv[1], 'rb').read()
length, = struct.unpack_from('<Q', data)
header = json.loads(data[8:8 + length])
assert header.pop('__metadata__') == {'step': '12', 'größe': '"2"\n'}
assert list(header) == ['d', 'i', 'empty', 'f', 'scalar'], list(header)
assert header['f']['dtype'] == 'F32' and header['f']['shape'] == [2, 3], header
assert header['scalar']['shape'] == [] and header['empty']['shape'] == [0, 4], header
def entries(name, code):
    first, last = header[name]['data_offsets']
    return struct.unpack('<' + code, data[8 + length + first:8 + length + last])
assert entries('d', '2d') == (0.1, -1e300)
assert entries('i', '2q') == (-2**63, 7)
assert entries('f', '6f')[:2] == (1, 0) and entries('scalar', 'f') == (1,) and entries('empty', '') == ()
assert max(entry['data_offsets'][1] for entry in header.values()) == len(data) - 8 - length
)"),
            0);
}

TEST_F(SafetensorsTest, ReadsWhatAnotherWriterMakes) {
  EXPECT_EQ(python(R"(
import json, struct, sys
header = json.dumps({'b': {'data_offsets': [6, 14], 'shape': [2], 'dtype': 'F32'},
                     'a': {'dtype': 'F16', 'shape': [3, 1], 'data_offsets': [0, 6]}}, indent=1).encode()
open(sys.argv[1], 'wb').write(struct.pack('<Q', len(header)) + header + struct.pack('<3e2f', 1, 2.5, -3, 4, 5))
)"),
            0);
  const SafetensorsFile file(path_);
  EXPECT_THAT(file.read<float>("a", {3, 1}), ElementsAre(1, 2.5f, -3));
  EXPECT_THAT(file.read<float>("b", {2}), ElementsAre(4, 5));
  EXPECT_THAT(file.metadata(), IsEmpty());
}

}  // namespace
}  // namespace slopewise
