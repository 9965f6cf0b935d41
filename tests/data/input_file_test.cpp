// Files are opened once: what a reader has begun with it reads to the end, whatever is put in its place.
#include "slopewise/base/input_file.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "slopewise/data/byte_reader.hpp"
#include "slopewise/data/npz.hpp"
#include "slopewise/data/safetensors.hpp"
#include "support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;

class InputFileTest : public FileTest {
 protected:
  // Another file takes the place of `path`, as a finished write of AtomicFile does.
  void replace(const std::filesystem::path& path) const {
    std::filesystem::rename(put("other", Bytes(std::filesystem::file_size(path), 0xA5)), path);
  }
  const std::vector<float> values_ = random_values();

 private:
  // More than any reader takes at once.
  static std::vector<float> random_values() {
    std::vector<float> values(300'000);
    RandomStream random(5);
    for (float& value : values) value = static_cast<float>(random.uniform(-1, 1));
    return values;
  }
};

TEST_F(InputFileTest, SafetensorsAreReadFromTheFileWhoseHeaderWasChecked) {
  const auto path = directory_ / "a.safetensors";
  const Shape shape{static_cast<Index>(values_.size())};
  save_safetensors(
      path, std::vector<SafetensorView>{{"a", shape, std::span(values_)}, {"b", {1}, std::span(values_).first(1)}});
  const SafetensorsFile file(path);
  replace(path);
  EXPECT_EQ(file.read<float>("a", shape), values_);
  std::filesystem::remove(path);
  EXPECT_EQ(file.read<float>("b", {1})[0], values_[0]);
}

TEST_F(InputFileTest, ArchivesAreReadFromTheFileWhoseDirectoryWasRead) {
  const auto path = directory_ / "a.npz";
  const Shape shape{static_cast<Index>(values_.size())};
  NpzWriter writer(path);
  writer.add<float>("a", shape, values_);
  writer.commit();
  const NpzFile file(path);
  replace(path);
  EXPECT_EQ(file.read<float>("a", shape), values_);
}

TEST_F(InputFileTest, ArraysAreReadFromTheFileWhoseHeaderWasRead) {
  const std::string header = format_npy_header(NumberType::kFloat32, {static_cast<Index>(values_.size())});
  const auto entries = std::as_bytes(std::span(values_));
  const auto* first = reinterpret_cast<const std::uint8_t*>(entries.data());
  const auto path = put("a.npy", joined(header, Bytes(first, first + entries.size())));
  NpyReader array = NpyReader::open(path);
  replace(path);
  EXPECT_EQ(array.read<float>(), values_);
}

TEST_F(InputFileTest, CompressedFilesAreReadFromTheFileWhoseFirstBytesWereSeen) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(values_.data());
  const Bytes plain(first, first + values_.size() * sizeof(float));
  const auto path = put("a.gz", gzip(plain));
  ByteReader reader = ByteReader::open(path);
  replace(path);
  EXPECT_EQ(reader.read_up_to(plain.size()), plain);
  EXPECT_TRUE(reader.at_end());
}

TEST_F(InputFileTest, RefusesWhatIsNoFileWithoutWaitingForIt) {
  const auto pipe = directory_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(file_error([&] { InputFile{pipe}; }), HasSubstr("pipe: expected a file, found a pipe"));
  EXPECT_THAT(file_error([&] { InputFile{directory_}; }), HasSubstr("found a directory"));
  EXPECT_THAT(file_error([&] { InputFile{"/dev/zero"}; }), HasSubstr("/dev/zero: expected a file, found a device"));
  EXPECT_THAT(file_error([&] { InputFile{directory_ / "none"}; }),
              HasSubstr("none: expected a file, found nothing there"));
}

TEST_F(InputFileTest, SaysWhereAFileThatShrankEnds) {
  const auto path = put("a", Bytes(100, 1));
  const InputFile file(path);
  std::filesystem::resize_file(path, 60);
  Bytes bytes(50);
  file.read(10, bytes);
  EXPECT_EQ(bytes, Bytes(50, 1));
  EXPECT_THAT(file_error([&] { file.read(20, bytes); }), HasSubstr("a: cannot read: 40 of 50 bytes came"));
}

}  // namespace
}  // namespace slopewise
