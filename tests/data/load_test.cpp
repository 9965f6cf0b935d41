// What load_dataset recognises, and CIFAR-10.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <vector>

#include "load_support.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t kRecord = 3073;

// --- which format it is

TEST_F(LoadTest, SaysWhatItLookedForAndFound) {
  EXPECT_THAT(load_error(directory_ / "none"), HasSubstr("found No such file or directory"));
  EXPECT_THAT(load_error(directory_ / std::string(300, 'a')), HasSubstr("too long"));
  EXPECT_THAT(load_error("/dev/zero"), HasSubstr("found a device"));
  EXPECT_THAT(load_error(put_text("file", "1")), HasSubstr("0 columns beside the label"));
  EXPECT_THAT(load_error(put_text("cat.PNG", "1")), HasSubstr("found a picture; pictures lie in a folder"));
  std::filesystem::create_directory(set_);
  EXPECT_THAT(load_error(set_), AllOf(HasSubstr(set_.string()), HasSubstr("IDX (train-images-idx3-ubyte"),
                                      HasSubstr("CIFAR-10 (data_batch_1.bin"), HasSubstr("NumPy (x_train.npy"),
                                      HasSubstr("CSV (train.csv"), HasSubstr("found nothing")));
  for (int i = 0; i < 10; ++i) put_text("set/" + std::to_string(i) + "\x1b", "");
  EXPECT_THAT(load_error(set_), HasSubstr(R"(found "0\x1b", "1\x1b", )"));
  EXPECT_THAT(load_error(set_), HasSubstr(R"("7\x1b" and 2 more)"));
}

TEST_F(LoadTest, RefusesTwoFormatsInOneDirectory) {
  put_text("set/train.csv", "1,2\n");
  put_text("set/test_batch.bin", "");
  EXPECT_THAT(load_error(set_), AllOf(HasSubstr("CIFAR-10 ("), HasSubstr("and CSV (")));
}

TEST_F(LoadTest, DirectoriesPipesAndDevicesAreAnError) {
  for (const char* file : {"train-images-idx3-ubyte", "data_batch_1.bin", "x_train.npy", "train.csv"}) {
    const auto directory = directory_ / ("with_" + std::string(file));
    std::filesystem::create_directories(directory / file);
    EXPECT_THAT(load_error(directory), HasSubstr(directory.string())) << file;
  }
  // A pipe that nobody writes to must not be waited for, nor a device read to its end.
  std::filesystem::create_directory(set_);
  ASSERT_EQ(::mkfifo((set_ / "train.csv").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", set_ / "test.csv");
  EXPECT_THAT(load_error(set_), HasSubstr("train.csv: expected a file, found a pipe"));
  std::filesystem::remove(set_ / "train.csv");
  put_text("set/train.csv", "label,a\n1,2\n");
  EXPECT_THAT(load_error(set_), HasSubstr("test.csv: expected a file, found a device"));
}

// --- CIFAR-10

class Cifar10Test : public LoadTest {
 protected:
  // Record i of all has label i mod 9 and pixel bytes that tell record, channel and place apart.
  static std::uint8_t pixel(int record, int channel, int place) {
    return static_cast<std::uint8_t>(31 * record + 85 * channel + place);
  }
  Cifar10Test() {
    int record = 0;
    for (const char* batch :
         {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}) {
      Bytes bytes;
      for (int i = 0; i < 2; ++i, ++record) {
        bytes.push_back(static_cast<std::uint8_t>(record % 9));
        for (int channel = 0; channel < 3; ++channel) {
          for (int place = 0; place < 1024; ++place) bytes.push_back(pixel(record, channel, place));
        }
      }
      put("set/" + std::string(batch) + ".bin", bytes);
    }
  }
};

TEST_F(Cifar10Test, PlanesBecomeChannels) {
  const DataSplit split = load_dataset(set_);
  EXPECT_EQ(split.format, "CIFAR-10");
  EXPECT_EQ(split.train.name, "set");
  EXPECT_EQ(split.train.image_shape, (Shape{32, 32, 3}));
  EXPECT_EQ(split.train.classes, 10);
  EXPECT_THAT(split.train.labels, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 0));
  EXPECT_THAT(split.test.labels, ElementsAre(1, 2));
  EXPECT_EQ(split.test.classes, 10);
  const std::vector<double> train = stored(split.train), test = stored(split.test);
  ASSERT_EQ(train.size(), 10u * 3072);
  ASSERT_EQ(test.size(), 2u * 3072);
  for (int record = 0; record < 12; ++record) {
    const double* image = record < 10 ? &train[record * 3072] : &test[(record - 10) * 3072];
    for (int place = 0; place < 1024; ++place) {
      for (int channel = 0; channel < 3; ++channel) {
        ASSERT_EQ(image[3 * place + channel], pixel(record, channel, place))
            << record << ' ' << place << ' ' << channel;
      }
    }
  }
}

TEST_F(Cifar10Test, NamesOfClassesAreOptional) {
  EXPECT_THAT(load_dataset(set_).train.class_names, IsEmpty());
  put_text("set/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\r\ntruck\n\n");
  EXPECT_THAT(load_dataset(set_).test.class_names, ElementsAre("a", "b", "c", "d", "e", "f", "g", "h", "i", "truck"));
  put_text("set/batches.meta.txt", "a\nb\n");
  EXPECT_THAT(load_error(set_), HasSubstr("batches.meta.txt: expected the names of 10 classes, a line each, found 2"));
  put("set/batches.meta.txt", Bytes(100'000));
  EXPECT_THAT(load_error(set_), HasSubstr("in 100000 bytes"));
}

TEST_F(Cifar10Test, SaysWhatIsWrong) {
  const Bytes whole = file_bytes(set_ / "data_batch_3.bin");
  std::filesystem::remove(set_ / "data_batch_3.bin");
  EXPECT_THAT(load_error(set_), HasSubstr("looked for data_batch_3.bin"));
  put("set/data_batch_3.bin", {});
  EXPECT_THAT(load_error(set_),
              AllOf(HasSubstr("data_batch_3.bin: expected records of 3073 bytes"), HasSubstr("found 0 bytes")));
  put("set/data_batch_3.bin", joined(whole, Bytes{0}));
  EXPECT_THAT(load_error(set_), HasSubstr("found 6147 bytes"));
  Bytes broken = whole;
  broken[kRecord] = 10;
  put("set/data_batch_3.bin", broken);
  EXPECT_THAT(load_error(set_), HasSubstr("data_batch_3.bin: record 1 has label 10, expected 0 to 9"));
  put("set/data_batch_3.bin", whole);
  std::filesystem::remove(set_ / "test_batch.bin");
  EXPECT_THAT(load_error(set_), HasSubstr("looked for test_batch.bin"));
}

TEST_F(Cifar10Test, TruncatedOrDamaged) {
  truncate_everywhere(set_, set_ / "data_batch_2.bin", 439, [](const DataSplit& split) {  // 7 · 439 = 3073
    EXPECT_EQ(split.train.count(), 9);
  });
  damage(set_, set_ / "data_batch_5.bin", 200);
}

}  // namespace
}  // namespace slopewise
