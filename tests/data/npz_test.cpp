#include "slopewise/data/npz.hpp"

#include <gmock/gmock.h>

#include <numeric>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <span>

#include "slopewise/data/npy.hpp"
#include "support.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class NpzTest : public FileTest {
 protected:
  std::filesystem::path path_ = directory_ / "a.npz";

  // Arrays of every type: f (2, 3), d (2), i (), l (1, 2), u (3), empty (0, 4).
  void write_small() const {
    NpzWriter writer(path_);
    writer.add<float>("f", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6.5f});
    writer.add<double>("d", {2}, std::vector<double>{-0.1, 1e300});
    writer.add<std::int32_t>("i", {}, std::vector<std::int32_t>{-7});
    writer.add<std::int64_t>("l", {1, 2}, std::vector<std::int64_t>{1, std::int64_t{1} << 40});
    writer.add<std::uint8_t>("u", {3}, std::vector<std::uint8_t>{0, 128, 255});
    writer.add<float>("empty", {0, 4}, {});
    writer.commit();
  }

  // Reads all there is; returns how many entries that was.
  static std::size_t read_all(const std::filesystem::path& path) {
    const NpzFile file(path);
    std::size_t entries = 0;
    for (const std::string& name : file.names()) entries += file.read<double>(name, file.shape(name)).size();
    return entries;
  }

  // Runs a script, with the archive's path as its argument, in the Python with NumPy that CMake found.
  int python(const std::string& script) const {
    const auto file = put("script.py", Bytes(script.begin(), script.end()));
    return std::system((SLOPEWISE_PYTHON " '" + file.string() + "' '" + path_.string() + "'").c_str());
  }
};

TEST_F(NpzTest, RoundTripsEveryType) {
  write_small();
  const NpzFile file(path_);
  EXPECT_THAT(file.names(), ElementsAre("d", "empty", "f", "i", "l", "u"));
  EXPECT_TRUE(file.contains("f"));
  EXPECT_FALSE(file.contains("f.npy"));
  EXPECT_EQ(file.shape("f"), (Shape{2, 3}));
  EXPECT_EQ(file.shape("i"), Shape());
  EXPECT_THAT(file.read<float>("f", {2, 3}), ElementsAre(1, 2, 3, 4, 5, 6.5f));
  EXPECT_THAT(file.read<double>("d", {2}), ElementsAre(-0.1, 1e300));
  EXPECT_THAT(file.read<std::int32_t>("i", {}), ElementsAre(-7));
  EXPECT_THAT(file.read<std::int64_t>("l", {1, 2}), ElementsAre(1, std::int64_t{1} << 40));
  EXPECT_THAT(file.read<std::int32_t>("u", {3}), ElementsAre(0, 128, 255));
  EXPECT_TRUE(file.read<float>("empty", {0, 4}).empty());
}

TEST_F(NpzTest, ConvertsOnlyWhatFits) {
  write_small();
  const NpzFile file(path_);
  EXPECT_THAT(file.read<float>("d", {2}), ElementsAre(-0.1f, std::numeric_limits<float>::infinity()));
  EXPECT_THAT(file.read<double>("l", {1, 2}), ElementsAre(1, 0x1p40));
  EXPECT_THAT(file_error([&] { file.read<std::int32_t>("l", {1, 2}); }), HasSubstr("entry 1 is 1099511627776"));
  EXPECT_THAT(file_error([&] { file.read<std::int32_t>("f", {2, 3}); }), HasSubstr("entry 5 is 6.5"));
  EXPECT_THAT(file_error([&] { file.read<std::int64_t>("d", {2}); }), HasSubstr("entry 0 is -0.1"));
}

TEST_F(NpzTest, HoldsBoundsOfIntegersInFloatingPoint) {
  NpzWriter writer(path_);
  writer.add<double>("low", {1}, std::vector<double>{-0x1p63});
  writer.add<double>("high", {1}, std::vector<double>{0x1p63});
  writer.add<double>("nan", {1}, std::vector<double>{NAN});
  writer.commit();
  const NpzFile file(path_);
  EXPECT_THAT(file.read<std::int64_t>("low", {1}), ElementsAre(std::numeric_limits<std::int64_t>::min()));
  EXPECT_THROW(file.read<std::int64_t>("high", {1}), FileError);
  EXPECT_THROW(file.read<std::int64_t>("nan", {1}), FileError);
}

TEST_F(NpzTest, EqualArraysMakeEqualFilesAndNothingIsThereBeforeCommit) {
  write_small();
  const Bytes first = file_bytes(path_);
  write_small();
  EXPECT_EQ(file_bytes(path_), first);
  std::filesystem::remove(path_);
  NpzWriter(path_).add<float>("f", {1}, std::vector<float>{1});
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(NpzTest, WriterRejectsBadArguments) {
  NpzWriter writer(path_);
  const std::vector<float> one = {1};
  EXPECT_THROW(writer.add<float>("a", {2}, one), ShapeError);
  EXPECT_THROW(writer.add<float>("a", Shape(std::vector<std::int64_t>(33, 1)), one), ShapeError);
  EXPECT_THROW(writer.add<float>("", {1}, one), ArgumentError);
  EXPECT_THROW(writer.add<float>(std::string(70'000, 'a'), {1}, one), ArgumentError);
  writer.add<float>("a", {1}, one);
  EXPECT_THROW(writer.add<float>("a", {1}, one), ArgumentError);
}

TEST_F(NpzTest, NamesArrayFoundAndExpected) {
  write_small();
  const NpzFile file(path_);
  EXPECT_THAT(file_error([&] { file.read<float>("g", {1}); }),
              HasSubstr("found no array g; it holds d, empty, f, i, l, u"));
  EXPECT_THAT(file_error([&] {
                file.read<float>("f", {3, 2});
              }),
              HasSubstr("array f: found shape (2, 3), expected (3, 2)"));
}

// More members than the plain end record counts.
TEST_F(NpzTest, RoundTripsZip64Directory) {
  constexpr int kCount = 66'000;
  NpzWriter writer(path_);
  for (int i = 0; i < kCount; ++i) writer.add<std::int32_t>(std::to_string(i), {1}, std::vector<std::int32_t>{i});
  writer.commit();
  const NpzFile file(path_);
  EXPECT_EQ(file.names().size(), kCount);
  EXPECT_THAT(file.read<std::int32_t>("65999", {1}), ElementsAre(65'999));
}

TEST_F(NpzTest, EveryTruncationIsAnError) {
  write_small();
  const Bytes whole = file_bytes(path_);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto path = put("cut.npz", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    EXPECT_THAT(file_error([&] { read_all(path); }), HasSubstr(path.string())) << length << " of " << whole.size();
  }
}

// A small archive of deflated members as numpy.savez_compressed lays it out, made here from a stored one.
Bytes deflated_archive(const Bytes& array) {
  const auto number = [](Bytes& out, std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  const Bytes wrapped = gzip(array);  // ten bytes of header, eight of trailer around the deflated data
  const Bytes packed(wrapped.begin() + 10, wrapped.end() - 8);
  const std::uint64_t crc = crc32_z(0, array.data(), array.size());
  const auto fields = [&](Bytes& out) {
    number(out, 20, 2);  // version
    number(out, 0, 2);   // flags
    number(out, 8, 2);   // deflated
    number(out, 0, 4);   // time, date
    number(out, crc, 4);
    number(out, packed.size(), 4);
    number(out, array.size(), 4);
    number(out, 5, 2);  // length of the name
    number(out, 0, 2);  // of the extra fields
  };
  const std::string name = "a.npy";
  Bytes out;
  number(out, 0x04034B50, 4);
  fields(out);
  out.insert(out.end(), name.begin(), name.end());
  out.insert(out.end(), packed.begin(), packed.end());
  const std::size_t start = out.size();
  number(out, 0x02014B50, 4);
  number(out, 20, 2);
  fields(out);
  out.resize(out.size() + 14);  // comment, disk, attributes; offset 0
  out.insert(out.end(), name.begin(), name.end());
  const std::size_t size = out.size() - start;
  number(out, 0x06054B50, 4);
  number(out, 0, 4);
  number(out, 1, 2);
  number(out, 1, 2);
  number(out, size, 4);
  number(out, start, 4);
  number(out, 0, 2);
  return out;
}

Bytes npy_floats(const Shape& shape, const std::vector<float>& values) {
  const auto* raw = reinterpret_cast<const std::uint8_t*>(values.data());
  return joined(format_npy_header(NumberType::kFloat32, shape), std::span(raw, values.size() * sizeof(float)));
}

TEST_F(NpzTest, ReadsDeflatedMembers) {
  std::vector<float> values(200'000);
  RandomStream random(3);
  for (float& value : values) value = static_cast<float>(random.uniform());
  const NpzFile file(put("deflated.npz", deflated_archive(npy_floats({200, 1000}, values))));
  EXPECT_EQ(file.read<float>("a", {200, 1000}), values);
}

TEST_F(NpzTest, FlippedBitsAreAnErrorOrData) {
  write_small();
  RandomStream random(4);
  int errors = 0;
  for (const Bytes& whole : {file_bytes(path_), deflated_archive(npy_floats({2, 2}, {1, 2, 3, 4}))}) {
    for (int i = 0; i < 2000; ++i) {
      const auto path = put("flipped.npz", damaged(whole, random));
      errors += !file_error([&] { read_all(path); }).empty();
    }
  }
  EXPECT_GT(errors, 2000);
}

TEST_F(NpzTest, EveryFlippedDataBitFailsTheChecksum) {
  write_small();
  Bytes bytes = file_bytes(path_);
  // The first array's header is 128 bytes after a local header of 30 and a name of 5; its data are 24 bytes.
  for (std::size_t bit = 0; bit < 24 * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[30 + 5 + 128 + bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    const auto path = put("flipped.npz", flipped);
    EXPECT_THAT(file_error([&] { NpzFile(path).read<float>("f", {2, 3}); }), HasSubstr("checksum")) << bit;
  }
}

// A header may claim any shape, but the member's size and deflate's best ratio bound what can be there.
TEST_F(NpzTest, BelievesNoClaimedSize) {
  for (const Shape& shape : {Shape{1 << 30}, Shape{std::int64_t{1} << 60}, Shape{std::int64_t{1} << 62}}) {
    const auto path = put("claim.npz", deflated_archive(npy_floats(shape, {1, 2, 3, 4})));
    EXPECT_THAT(file_error([&] { read_all(path); }), HasSubstr("array a")) << shape.to_string();
  }
  Bytes archive = deflated_archive(npy_floats({1 << 28}, {1, 2}));
  // The central directory's unpacked size, made to agree with the claim of 2^30 bytes behind a header of 128.
  const std::size_t central = archive.size() - 22 - 46 - 5;
  archive[central + 24] = 128, archive[central + 25] = 0, archive[central + 26] = 0, archive[central + 27] = 0x40;
  const auto path = put("claim.npz", archive);
  EXPECT_THAT(file_error([&] { NpzFile(path).read<float>("a", {1 << 28}); }), HasSubstr("claims to unpack"));
}

TEST_F(NpzTest, RejectsHeadersItDoesNotUnderstand) {
  const auto error = [&](const std::string& dict) {
    const Bytes start = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<std::uint8_t>(dict.size()), 0};
    Bytes bytes = joined(start, dict);
    bytes.resize(bytes.size() + 16);
    const auto path = put("h.npz", deflated_archive(bytes));
    return file_error([&] { NpzFile(path).read<float>("a", {2, 2}); });
  };
  EXPECT_EQ(error("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}"), "");
  EXPECT_EQ(error("{\"shape\":(2,2,),\"descr\":\"<f4\",\"fortran_order\":False,}  \n"), "");
  EXPECT_EQ(error("{'descr': '>f4', 'fortran_order': True, 'shape': (2, 2)}"), "");
  EXPECT_THAT(error("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2)}"), HasSubstr("type <c8"));
  for (const char* dict : {"", "{", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -2)}",
                           "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 2)}",
                           "{'descr': '<f4, 'fortran_order': False, 'shape': (2, 2)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}",
                           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} x"}) {
    EXPECT_THAT(error(dict), HasSubstr("expected an npy header")) << dict;
  }
  EXPECT_THAT(error("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
              HasSubstr("array a: the npy header claims"));
}

TEST_F(NpzTest, NumPyReadsWhatIsWritten) {
  write_small();
  EXPECT_EQ(python(R"(
import sys, numpy as np
a = np.load(sys.argv[1])
assert sorted(a) == ['d', 'empty', 'f', 'i', 'l', 'u']
for name, expected in dict(f=np.array([[1, 2, 3], [4, 5, 6.5]], 'f4'), d=np.array([-0.1, 1e300]), i=np.array(-7, 'i4'),
                           l=np.array([[1, 1 << 40]]), u=np.array([0, 128, 255], 'u1'),
                           empty=np.zeros((0, 4), 'f4')).items():
    assert a[name].dtype == expected.dtype and a[name].shape == expected.shape and (a[name] == expected).all(), name
)"),
            0);
}

TEST_F(NpzTest, ReadsWhatNumPyWrites) {
  for (const char* save : {"savez", "savez_compressed"}) {
    ASSERT_EQ(python(std::string("import sys, numpy as np\nnp.") + save +
                     R"((sys.argv[1], f=np.arange(100000.).reshape(100, 1000),
    s=np.float32(2.5), i=np.asfortranarray(np.arange(5, dtype='i4')), u=np.arange(4, dtype='u1').reshape(2, 2),
    columns=np.asfortranarray(np.arange(24.).reshape(2, 3, 4)), big=np.array([1.5, -2], '>f8'),
    half=np.array([1.5, 65504], 'f2'), b=np.array([True, False]), text=np.array(['é', 'dog', 'é']),
    bytes=np.array([b'ox', b'dog']), turned=np.array([['a'], ['b']], '>U7')))"),
              0);
    const NpzFile file(path_);
    EXPECT_THAT(file.names(),
                ElementsAre("b", "big", "bytes", "columns", "f", "half", "i", "s", "text", "turned", "u"));
    const auto values = file.read<float>("f", {100, 1000});
    for (int i = 0; i < 100'000; ++i) ASSERT_EQ(values[i], static_cast<float>(i));
    EXPECT_THAT(file.read<float>("s", {}), ElementsAre(2.5f));
    EXPECT_THAT(file.read<std::int64_t>("i", {5}), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(file.read<double>("u", {2, 2}), ElementsAre(0, 1, 2, 3));
    std::vector<double> counting(24);
    std::iota(counting.begin(), counting.end(), 0);
    EXPECT_EQ(file.read<double>("columns", {2, 3, 4}), counting);
    EXPECT_EQ(entries(file.open("columns").array()), counting);
    EXPECT_THAT(file.read<float>("big", {2}), ElementsAre(1.5f, -2.0f));
    EXPECT_THAT(file.read<float>("half", {2}), ElementsAre(1.5f, 65504.0f));
    EXPECT_THAT(entries(file.open("b").array()), ElementsAre(1, 0));
    EXPECT_THAT(file.open("text").words(2).names, ElementsAre("é", "dog"));
    EXPECT_THAT(file.open("text").words(2).places, ElementsAre(0, 1, 0));
    EXPECT_THAT(file.open("bytes").words(2).names, ElementsAre("ox", "dog"));
    EXPECT_THAT(file.open("turned").words(2).names, ElementsAre("a", "b"));
    EXPECT_THAT(file_error([&] { file.read<double>("text", {3}); }), HasSubstr("array text: entries are text"));
  }
}

}  // namespace
}  // namespace slopewise
