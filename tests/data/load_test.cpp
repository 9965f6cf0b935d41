// What load_dataset recognises, and the formats but IDX.
#include "slopewise/data/load.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <functional>
#include <string_view>

#include "slopewise/data/npz.hpp"
#include "support.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t kRecord = 3073;

class LoadTest : public FileTest {
 protected:
  std::filesystem::path set_ = directory_ / "set";

  std::filesystem::path put_text(const std::string& name, std::string_view text) const {
    return put(name, Bytes(text.begin(), text.end()));
  }
  std::string load_error(const std::filesystem::path& path) const {
    return file_error([&] { load_dataset(path); });
  }

  // Loads `path` with `file` cut at every `stride`-th length; what is not an error goes to `check`.
  void truncate_everywhere(const std::filesystem::path& path, const std::filesystem::path& file, std::size_t stride,
                           const std::function<void(const DataSplit&)>& check) const {
    const Bytes whole = file_bytes(file);
    for (std::size_t length = 0; length < whole.size(); length += stride) {
      std::filesystem::resize_file(file, length);
      const std::string error = file_error([&] { check(load_dataset(path)); });
      EXPECT_TRUE(error.empty() || error.find(file.string()) != std::string::npos) << length << ": " << error;
      std::ofstream(file, std::ios::binary)
          .write(reinterpret_cast<const char*>(whole.data()), static_cast<std::streamsize>(whole.size()));
    }
  }

  // Loads `path` with bits of `file` flipped; returns how often that was an error.
  int damage(const std::filesystem::path& path, const std::filesystem::path& file, int times) const {
    const Bytes whole = file_bytes(file);
    RandomStream random(7);
    int errors = 0;
    for (int i = 0; i < times; ++i) {
      put(std::filesystem::relative(file, directory_).string(), damaged(whole, random));
      errors += !file_error([&] {
                   const DataSplit split = load_dataset(path);
                   for (const Dataset* set : {&split.train, &split.test}) {
                     EXPECT_EQ(std::ssize(set->pixels), set->count() * set->image_shape.size());
                     for (const std::int32_t label : set->labels) EXPECT_TRUE(label >= 0 && label < set->classes);
                   }
                 }).empty();
    }
    return errors;
  }
};

// --- which format it is

TEST_F(LoadTest, SaysWhatItLookedForAndFound) {
  EXPECT_THAT(load_error(directory_ / "none"), HasSubstr("found No such file or directory"));
  EXPECT_THAT(load_error(directory_ / std::string(300, 'a')), HasSubstr("too long"));
  EXPECT_THAT(load_error("/dev/zero"), HasSubstr("found neither"));
  EXPECT_THAT(load_error(put_text("file", "1")), HasSubstr("found another file"));
  std::filesystem::create_directory(set_);
  EXPECT_THAT(load_error(set_), AllOf(HasSubstr(set_.string()), HasSubstr("IDX (train-images-idx3-ubyte"),
                                      HasSubstr("CIFAR-10 (data_batch_1.bin"), HasSubstr("NumPy (train_images.npy"),
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
  put_text("set/train.csv", "1,2\n");
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
  ASSERT_EQ(split.train.pixels.size(), 10u * 3072);
  ASSERT_EQ(split.test.pixels.size(), 2u * 3072);
  for (int record = 0; record < 12; ++record) {
    const std::uint8_t* image =
        record < 10 ? &split.train.pixels[record * 3072] : &split.test.pixels[(record - 10) * 3072];
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

// --- NumPy

class NumpyTest : public LoadTest {
 protected:
  std::filesystem::path npz_ = directory_ / "some.npz";

  static void add(NpzWriter& file, const std::string& images, const Shape& shape, const std::string& labels,
                  const Shape& labels_shape) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t i = 0; i < shape.size(); ++i) pixels.push_back(static_cast<std::uint8_t>(5 * i));
    std::vector<std::int64_t> classes;
    for (std::int64_t i = 0; i < labels_shape.size(); ++i) classes.push_back(i % 3);
    file.add<std::uint8_t>(images, shape, pixels);
    file.add<std::int64_t>(labels, labels_shape, classes);
  }
  // An archive whose training set is as given, with a test set beside it that is in order.
  void put_npz(const Shape& images, const Shape& labels) const {
    NpzWriter file(npz_);
    add(file, "train_images", images, "train_labels", labels);
    add(file, "test_images", {2, 2, 2}, "test_labels", {2});
    file.commit();
  }
  template <class T>
  void put_npy(const std::string& name, const Shape& shape, const std::vector<T>& values) const {
    const std::string header = format_npy_header({npy_type<T>(), shape});
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    put("set/" + name + ".npy", joined(header, std::span(bytes, values.size() * sizeof(T))));
  }
  void put_directory() const {
    put_npy<std::uint8_t>("x_train", {2, 1, 2}, {1, 2, 3, 4});
    put_npy<std::int32_t>("y_train", {2}, {0, 4});
    put_npy<std::uint8_t>("x_test", {1, 1, 2}, {5, 6});
    put_npy<std::uint8_t>("y_test", {1, 1}, {2});
  }
};

TEST_F(NumpyTest, ReadsAnArchiveUnderEitherSpelling) {
  NpzWriter file(npz_);
  add(file, "x_train", {3, 2, 2, 3}, "y_train", {3, 1});
  add(file, "test_images", {2, 2, 2, 3}, "test_labels", {2});
  file.commit();
  const DataSplit split = load_dataset(npz_);
  EXPECT_EQ(split.format, "NumPy .npz");
  EXPECT_EQ(split.train.name, "some");
  EXPECT_EQ(split.train.image_shape, (Shape{2, 2, 3}));
  EXPECT_EQ(split.train.classes, 3);
  EXPECT_THAT(split.train.labels, ElementsAre(0, 1, 2));
  EXPECT_THAT(split.test.labels, ElementsAre(0, 1));
  EXPECT_EQ(split.train.pixels.size(), 36u);
  EXPECT_EQ(split.train.pixels[35], 175);
}

TEST_F(NumpyTest, ReadsADirectoryOfArrays) {
  put_directory();
  const DataSplit split = load_dataset(set_);
  EXPECT_EQ(split.format, "NumPy");
  EXPECT_EQ(split.train.image_shape, (Shape{1, 2, 1}));
  EXPECT_EQ(split.test.classes, 5);
  EXPECT_THAT(split.train.pixels, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(split.train.labels, ElementsAre(0, 4));
  EXPECT_THAT(split.test.pixels, ElementsAre(5, 6));
  EXPECT_THAT(split.test.labels, ElementsAre(2));
}

TEST_F(NumpyTest, SaysWhatIsWrong) {
  const auto error = [&](const Shape& images, const Shape& labels) {
    put_npz(images, labels);
    return load_error(npz_);
  };
  EXPECT_THAT(error({3, 4}, {3}), HasSubstr("array train_images: expected images (count, height, width)"));
  EXPECT_THAT(error({0, 2, 2}, {0}), HasSubstr("found shape (0, 2, 2)"));
  EXPECT_THAT(error({3, 2, 2}, {2}), HasSubstr("array train_labels: holds 2 labels, expected 3"));
  EXPECT_THAT(error({3, 2, 2}, {3, 10}), HasSubstr("found shape (3, 10)"));
  EXPECT_THAT(error({3, 2, 2, 3}, {3}), HasSubstr("train images are (2, 2, 3) but test images are (2, 2, 1)"));

  NpzWriter(npz_).commit();
  EXPECT_THAT(load_error(npz_), HasSubstr("found no array train_images or x_train; it holds none"));
  put_directory();
  put_npy<float>("x_train", {2, 1, 2}, {1, 2, 3, 4});
  EXPECT_THAT(load_error(set_), HasSubstr("x_train.npy: expected pixels of type |u1 (uint8, 0 to 255), found <f4"));
  put_directory();
  put_npy<double>("y_train", {2}, {0, 1});
  EXPECT_THAT(load_error(set_), HasSubstr("y_train.npy: expected integer labels, found entries of type <f8"));
  put_npy<std::int32_t>("y_train", {2}, {0, -1});
  EXPECT_THAT(load_error(set_), HasSubstr("y_train.npy: label 1 is -1, expected 0 to 65535"));
  put_npy<std::int64_t>("y_train", {2}, {65'536, 0});
  EXPECT_THAT(load_error(set_), HasSubstr("label 0 is 65536"));
  put_npy<std::int64_t>("y_train", {2}, {0, std::int64_t{1} << 32});
  EXPECT_THAT(load_error(set_), HasSubstr("entry 1 is 4294967296"));
  std::filesystem::remove(set_ / "y_train.npy");
  EXPECT_THAT(load_error(set_), HasSubstr("looked for train_labels.npy, y_train.npy"));
}

// 2^50 entries that are not there.
TEST_F(NumpyTest, BelievesNoClaimedSize) {
  put_directory();
  put_npy<std::uint8_t>("x_train", {1 << 20, 1 << 15, 1 << 15}, {1, 2, 3, 4});
  EXPECT_THAT(load_error(set_), HasSubstr("x_train.npy: 132 bytes in all, expected 1125899906842752"));
}

TEST_F(NumpyTest, TruncatedOrDamaged) {
  put_directory();
  const auto never = [](const DataSplit&) { ADD_FAILURE() << "a truncated array was read"; };
  for (const char* file : {"x_train.npy", "y_test.npy"}) truncate_everywhere(set_, set_ / file, 1, never);
  EXPECT_GT(damage(set_, set_ / "x_train.npy", 500), 250);
  put_npz({3, 2, 2}, {3});
  truncate_everywhere(npz_, npz_, 1, never);
  EXPECT_GT(damage(npz_, npz_, 500), 250);
}

// --- CSV

class CsvTest : public LoadTest {
 protected:
  CsvTest() { put_text("set/test.csv", "2,9,8,7,6\n"); }
  DataSplit load(std::string_view train) const {
    put_text("set/train.csv", train);
    return load_dataset(set_);
  }
  std::string error(std::string_view train) const {
    put_text("set/train.csv", train);
    return load_error(set_);
  }
};

TEST_F(CsvTest, TheFirstFieldIsTheLabel) {
  const DataSplit split = load("3,0,1,2,255\n0,4,5,6,7\n");
  EXPECT_EQ(split.format, "CSV");
  EXPECT_EQ(split.train.name, "set");
  EXPECT_EQ(split.train.image_shape, (Shape{2, 2, 1}));
  EXPECT_EQ(split.train.classes, 4);
  EXPECT_THAT(split.train.labels, ElementsAre(3, 0));
  EXPECT_THAT(split.train.pixels, ElementsAre(0, 1, 2, 255, 4, 5, 6, 7));
  EXPECT_THAT(split.test.labels, ElementsAre(2));
  EXPECT_THAT(split.test.pixels, ElementsAre(9, 8, 7, 6));
}

TEST_F(CsvTest, OrTheColumnThatAHeaderNames) {
  const DataSplit split = load("a,b,\"label\",c,\"d, or \"\"e\"\"\"\n0,1,7,2,3\n");
  EXPECT_THAT(split.train.labels, ElementsAre(7));
  EXPECT_THAT(split.train.pixels, ElementsAre(0, 1, 2, 3));
}

TEST_F(CsvTest, TakesWhatSpreadsheetsWrite) {
  for (const char* text :
       {"\xEF\xBB\xBFlabel,a,b,c,d\r\n1,2,3,4,5\r\n6,7,8,9,10", "\"1\",2, 3,4 ,5\n\n6,\"7\",8,9,10\n\n",
        "\xEF\xBB\xBF"
        "1,2,3,4,5\r6,7,8,9,10\r"}) {
    const Dataset train = load(text).train;
    EXPECT_THAT(train.labels, ElementsAre(1, 6)) << text;
    EXPECT_THAT(train.pixels, ElementsAre(2, 3, 4, 5, 7, 8, 9, 10)) << text;
  }
}

TEST_F(CsvTest, FieldsMayLieAcrossChunks) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += std::to_string(i % 100) + ",1,22,123,250\n";
  const Dataset train = load(text).train;
  ASSERT_EQ(train.count(), 30'000);
  for (int i = 0; i < 30'000; ++i) {
    ASSERT_EQ(train.labels[i], i % 100);
    ASSERT_THAT(std::span(train.pixels).subspan(4 * i, 4), ElementsAre(1, 22, 123, 250)) << i;
  }
}

TEST_F(CsvTest, SaysWhatIsWrong) {
  EXPECT_THAT(error(""), HasSubstr("train.csv: expected images"));
  EXPECT_THAT(error("label,a\n"), HasSubstr("found shape (0, 1, 1)"));
  EXPECT_THAT(error("1,2,3,4,5\n1,2,3,4\n"), HasSubstr("record 2 has 4 fields, expected 5 as in the first"));
  EXPECT_THAT(error("1,2,3,4,5\n1,2,3,4,5,6\n"), HasSubstr("record 2 has 6 fields"));
  EXPECT_THAT(error("1,2,3,4,5\n1,2,256,4,5\n"),
              HasSubstr(R"(record 2, field 3: found "256", expected a pixel from 0 to 255)"));
  EXPECT_THAT(error("1,2,3,4,5\n-1,2,2,4,5\n"), HasSubstr(R"(found "-1", expected a label from 0 to 65535)"));
  EXPECT_THAT(error("65536,2,3,4,5\n"), HasSubstr("expected a label"));
  for (const char* field : {"", "0.5", "1e2", "0x1", "+1", "1 2", "99999999999999999999", "nan"}) {
    EXPECT_THAT(error("1,2,3,4,5\n1,2," + std::string(field) + ",4,5\n"), HasSubstr("record 2, field 3")) << field;
  }
  EXPECT_THAT(error("digit,a,b,c,d\n1,2,3,4,5\n"),
              HasSubstr(R"(record 1, field 1: found "digit", expected a label from 0 to 65535, or a header with)"));
  EXPECT_THAT(error("label,a,b,c,label\n1,2,3,4,5\n"), HasSubstr("two columns are called label"));
  EXPECT_THAT(error("1,2,3\n"), HasSubstr("2 columns beside the label, expected the pixels of a square"));
  EXPECT_THAT(error("1\n"), HasSubstr("0 columns beside the label"));
  EXPECT_THAT(error("1,2,\"3,4,5\n1,2,3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("1,2,\"3\"3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("1,2,3\"3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("label,\"" + std::string(3 << 20, 'a')), HasSubstr("RFC 4180"));
  std::string many = "1";
  for (int i = 0; i < 1'100'000; ++i) many += ",1";
  EXPECT_THAT(error(many), HasSubstr("more than 1048576 fields"));
  std::filesystem::remove(set_ / "test.csv");
  EXPECT_THAT(error("1,2,3,4,5\n"), HasSubstr("looked for test.csv"));
}

// Text may end after any digit and still be text: what was read then is a beginning of the whole.
TEST_F(CsvTest, TruncatedOrDamaged) {
  const auto file = put_text("set/train.csv", "label,a,b,c,d\n3,10,111,112,255\n10,44,5,66,217\n");
  int read = 0;
  truncate_everywhere(set_, file, 1, [&](const DataSplit& split) {
    ++read;
    ASSERT_LE(split.train.count(), 2);
    EXPECT_THAT(std::span(split.train.pixels).first(3), ElementsAre(10, 111, 112));
  });
  EXPECT_EQ(read, 7);  // within "255", after it and its line break, within "217" and after it
  EXPECT_GT(damage(set_, file, 500), 250);
}

}  // namespace
}  // namespace slopewise
