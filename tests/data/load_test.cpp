// What load_dataset recognises, and the formats but IDX.
#include "slopewise/data/load.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <map>
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
  std::string load_error(const std::filesystem::path& path, const LoadOptions& options = {}) const {
    return file_error([&] { load_dataset(path, options); });
  }
  // What is asked for where a data set can be read in more than one way.
  std::string question(const std::filesystem::path& path, const LoadOptions& options = {}) const {
    try {
      load_dataset(path, options);
    } catch (const ArgumentError& error) {
      return error.what();
    }
    return "";
  }

  // What is asked for is refused as well.
  static DataSplit loaded(const std::filesystem::path& path) {
    try {
      return load_dataset(path);
    } catch (const ArgumentError& error) {
      throw FileError(path.string() + "/: " + error.what());
    }
  }
  // Loads `path` with `file` cut at every `stride`-th length; what is not an error goes to `check`.
  void truncate_everywhere(const std::filesystem::path& path, const std::filesystem::path& file, std::size_t stride,
                           const std::function<void(const DataSplit&)>& check) const {
    const Bytes whole = file_bytes(file);
    for (std::size_t length = 0; length < whole.size(); length += stride) {
      std::filesystem::resize_file(file, length);
      const std::string error = file_error([&] { check(loaded(path)); });
      EXPECT_TRUE(error.empty() || error.find(file.string()) != std::string::npos ||
                  error.find(path.string() + "/") != std::string::npos)
          << length << ": " << error;
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
                   const DataSplit split = loaded(path);
                   for (const Dataset* set : {&split.train, &split.test}) {
                     EXPECT_EQ(std::ssize(stored(*set)), set->count() * set->image_shape.size());
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
    const std::string header = format_npy_header(number_type<T>(), shape);
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
  const DataSplit split = load_dataset(npz_, {.layout = Layout::kChannelsLast});
  EXPECT_EQ(split.format, "NumPy .npz");
  EXPECT_EQ(split.train.name, "some");
  EXPECT_EQ(split.train.image_shape, (Shape{2, 2, 3}));
  EXPECT_EQ(split.train.classes, 3);
  EXPECT_THAT(split.train.labels, ElementsAre(0, 1, 2));
  EXPECT_THAT(split.test.labels, ElementsAre(0, 1));
  EXPECT_EQ(stored(split.train).size(), 36u);
  EXPECT_EQ(stored(split.train)[35], 175);
}

TEST_F(NumpyTest, ReadsADirectoryOfArrays) {
  put_directory();
  const DataSplit split = load_dataset(set_);
  EXPECT_EQ(split.format, "NumPy");
  EXPECT_EQ(split.train.image_shape, (Shape{1, 2, 1}));
  EXPECT_EQ(split.test.classes, 5);
  EXPECT_THAT(stored(split.train), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(split.train.labels, ElementsAre(0, 4));
  EXPECT_THAT(stored(split.test), ElementsAre(5, 6));
  EXPECT_THAT(split.test.labels, ElementsAre(2));
}

TEST_F(NumpyTest, SaysWhatIsWrong) {
  const auto error = [&](const Shape& images, const Shape& labels) {
    put_npz(images, labels);
    return load_error(npz_);
  };
  EXPECT_THAT(error({3, 4, 2, 2, 2}, {3}), HasSubstr("array train_images: expected examples of 1 to 3 axes"));
  EXPECT_THAT(error({0, 2, 2}, {0}), HasSubstr("array train_images: expected examples, found none"));
  EXPECT_THAT(error({3, 2, 2}, {2}), HasSubstr("array train_labels: holds 2 labels, expected 3"));
  EXPECT_THAT(error({3, 2, 2}, {3, 2, 2}), HasSubstr("found shape (3, 2, 2)"));
  EXPECT_THAT(error({3, 6, 5, 3}, {3}), AllOf(HasSubstr("train images are (6, 5, 3) but"), HasSubstr("are (2, 2)")));

  NpzWriter(npz_).commit();
  EXPECT_THAT(load_error(npz_), HasSubstr("found no array train_images, x_train, X, data or images; it holds none"));
  put_directory();
  put_npy<float>("x_train", {2, 1, 2}, {1, 2, 3, NAN});
  EXPECT_THAT(load_error(set_), HasSubstr("x_train.npy: example 1, number 1: found nan, expected a finite number"));
  put_directory();
  put_npy<std::int32_t>("y_train", {2}, {0, -1});
  EXPECT_THAT(load_error(set_), HasSubstr("y_train.npy: label 1 is -1, expected a whole number from 0 to 65535"));
  put_npy<std::int64_t>("y_train", {2}, {65'536, 0});
  EXPECT_THAT(load_error(set_), HasSubstr("label 0 is 65536"));
  put_npy<std::int64_t>("y_train", {2}, {0, std::int64_t{1} << 32});
  EXPECT_THAT(load_error(set_), HasSubstr("label 1 is 4.29497e+09"));
  std::filesystem::remove(set_ / "y_train.npy");
  EXPECT_THAT(load_error(set_),
              HasSubstr("found x_train but no y_train; it holds \"x_test\", \"x_train\", \"y_test\""));
}

TEST_F(NumpyTest, OneHotLabelsMayBeClassesOrNumbers) {
  const auto put_labels = [&](const std::vector<float>& train, Index outputs = 3) {
    put_npy<std::uint8_t>("x_train", {2, 1, 2}, {1, 2, 3, 4});
    put_npy<float>("y_train", {2, 3}, train);
    put_npy<std::uint8_t>("x_test", {1, 1, 2}, {5, 6});
    std::vector<float> test(static_cast<std::size_t>(outputs), 0);
    test[1] = 1;
    put_npy<float>("y_test", {1, outputs}, test);
  };
  put_labels({0, 1, 0, 1, 0, 0});
  EXPECT_THAT(question(set_), AllOf(HasSubstr("y_train.npy: 3 numbers an example, all 0 but a single 1"),
                                    HasSubstr("say --target class or number")));
  const DataSplit classes = load_dataset(set_, {.target = TargetKind::kClass});
  EXPECT_THAT(classes.train.labels, ElementsAre(1, 0));
  EXPECT_THAT(classes.test.labels, ElementsAre(1));
  EXPECT_EQ(classes.train.classes, 3);  // also of a class without an example
  EXPECT_EQ(classes.test.classes, 3);
  EXPECT_EQ(load_dataset(set_, {.target = TargetKind::kNumber}).train.outputs, 3);
  for (const auto& numbers : {std::vector<float>{0, 1, 0, 1, 0, 1}, {0, 0.5F, 0, 1, 0, 0}, {0, 0, 0, 1, 0, 0}}) {
    put_labels(numbers);
    EXPECT_EQ(load_dataset(set_).train.outputs, 3);
    EXPECT_THAT(load_error(set_, {.target = TargetKind::kClass}),
                HasSubstr("or a single 1 among zeros, found 3 numbers"));
  }
  put_labels({0, 1, 0, 1, 0, 0}, 2);
  EXPECT_THAT(load_error(set_), HasSubstr("y_test.npy: 2 numbers to predict an example, expected 3"));
  put_npy<std::int32_t>("y_train", {2}, {0, 1});
  EXPECT_THAT(load_error(set_), HasSubstr("y_test.npy: expected one label an example"));
}

TEST_F(NumpyTest, WordsAreClasses) {
  // Text of a type as headers spell it, each entry as its bytes.
  const auto put_words = [&](const std::string& name, const std::string& type, Index count, const std::string& entries,
                             const std::string& axes = "") {
    std::string dict =
        fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},{}), }}\n", type, count, axes);
    const Bytes start = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<std::uint8_t>(dict.size()), 0};
    put("set/" + name + ".npy", joined(joined(start, dict), entries));
  };
  using std::string_literals::operator""s;
  put_directory();
  put_words("y_test", "|S3", 1, "cat"s);
  for (const auto& [type, entries] : {std::pair("|S3",
                                                "dog"
                                                "ox\0"s),
                                      {"|S4", "dog\0ox\0\0"s},
                                      {"<U3", "d\0\0\0o\0\0\0g\0\0\0o\0\0\0x\0\0\0\0\0\0\0"s},
                                      {">U3", "\0\0\0d\0\0\0o\0\0\0g\0\0\0o\0\0\0x\0\0\0\0"s}}) {
    for (const char* axes : {"", " 1"}) {
      put_words("y_train", type, 2, entries, axes);
      const DataSplit split = load_dataset(set_);
      EXPECT_THAT(split.train.class_names, ElementsAre("cat", "dog", "ox")) << type;
      EXPECT_THAT(split.train.labels, ElementsAre(1, 2));
      EXPECT_THAT(split.test.labels, ElementsAre(0));
    }
  }
  put_words("y_train", "<U1", 2, "\xE9\0\0\0\0\xF6\x01\0"s);  // é and a character of four bytes
  EXPECT_THAT(load_dataset(set_).train.class_names, ElementsAre("cat", "\xC3\xA9", "\xF0\x9F\x98\x80"));
  EXPECT_THAT(question(set_, {.target = TargetKind::kNumber}), HasSubstr("expected numbers in"));

  put_words("y_train", "<U1", 2, "a\0\0\0\0\xD8\0\0"s);
  EXPECT_THAT(load_error(set_), HasSubstr("y_train.npy: found 0xd800 in text"));
  put_words("y_train", "|S3", 2, "dog\0\0\0"s);
  EXPECT_THAT(load_error(set_), HasSubstr("entry 1 is empty, expected a word"));
  put_words("y_train", "|S3", 2, "dog"s);
  EXPECT_THAT(load_error(set_), HasSubstr("expected "));
  put_words("y_train", "|S3", 2, "dogfoxcow"s);
  EXPECT_THAT(load_error(set_), HasSubstr("bytes in all, expected "));
  put_words("y_train", "|S1", 2, "abcd"s, " 2");
  EXPECT_THAT(load_error(set_), HasSubstr("expected text, one an example, found text of shape (2, 2)"));
  put_words("y_train", "|S0", 1 << 30, "");  // entries of no bytes
  EXPECT_THAT(load_error(set_), HasSubstr("entries of type |S0"));
  put_words("y_train", "<U300000", 2, "");
  EXPECT_THAT(load_error(set_), HasSubstr("or text of 1 to 262144 characters"));
  put_words("y_train", "<U4", Index{1} << 50, "");
  EXPECT_THAT(load_error(set_), HasSubstr("bytes in all, expected "));
  put_words("y_train", "|O", 2, "");
  EXPECT_THAT(load_error(set_),
              HasSubstr("entries are Python objects, expected numbers, or text for labels: save them as "
                        "y.astype(str)"));
  put_directory();
  put_words("x_train", "|S1", 2, "ab"s);
  EXPECT_THAT(load_error(set_), HasSubstr("x_train.npy: entries are text, expected numbers"));
  put_directory();
  std::string many;
  for (int i = 0; i < 70'000; ++i) many += fmt::format("{:05}", i);
  put_words("y_train", "|S5", 70'000, many);
  EXPECT_THAT(load_error(set_), HasSubstr("more than 65536 different words"));
}

TEST_F(NumpyTest, AValidationSetIsTheTestSetWhereThereIsNone) {
  for (const char* names : {"x_{},y_{}", "{}_images,{}_labels"}) {
    for (const char* set : {"val", "valid", "validation"}) {
      const std::string both = fmt::format(fmt::runtime(names), set, set);
      const std::size_t comma = both.find(',');
      std::filesystem::remove_all(set_);
      put_npy<std::uint8_t>("x_train", {2, 1, 2}, {1, 2, 3, 4});
      put_npy<std::int32_t>("y_train", {2}, {0, 1});
      put_npy<std::uint8_t>(both.substr(0, comma), {1, 1, 2}, {7, 8});
      put_npy<std::int32_t>(both.substr(comma + 1), {1}, {1});
      EXPECT_THAT(stored(load_dataset(set_).test), ElementsAre(7, 8)) << both;
      put_npy<std::uint8_t>("x_test", {1, 1, 2}, {5, 6});
      put_npy<std::int32_t>("y_test", {1}, {0});
      const DataSplit split = load_dataset(set_);
      EXPECT_THAT(stored(split.test), ElementsAre(5, 6)) << both;
      EXPECT_THAT(split.left_out, ElementsAre("the array " + both.substr(0, comma)));
    }
  }
}

TEST_F(NumpyTest, ArraysWithoutNamesAreToldHowToGetSome) {
  NpzWriter file(npz_);
  add(file, "arr_0", {2, 1, 2}, "arr_1", {2});
  file.commit();
  EXPECT_THAT(load_error(npz_), HasSubstr("\"arr_1\"; give them names: numpy.savez(path, X=…, y=…)"));
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
  DataSplit load(std::string_view train, const LoadOptions& options = {}) const {
    put_text("set/train.csv", train);
    return load_dataset(set_, options);
  }
  std::string error(std::string_view train, const LoadOptions& options = {}) const {
    put_text("set/train.csv", train);
    return load_error(set_, options);
  }
  // Of one file.
  DataSplit load_one(std::string_view text, LoadOptions options = {}) const {
    options.test_share = 0.25;
    return load_dataset(put_text("one.csv", text), options);
  }
  std::string question_of(std::string_view text) const {
    return question(put_text("one.csv", text), {.test_share = 0.5});
  }
};

TEST_F(CsvTest, TheLabelIsTheColumnThatIsNamed) {
  const DataSplit split = load("3,0,1,2,255\n0,4,5,6,7\n", {.label = "1"});
  EXPECT_EQ(split.format, "CSV");
  EXPECT_EQ(split.train.name, "set");
  EXPECT_EQ(split.train.image_shape, (Shape{4}));
  EXPECT_EQ(split.train.classes, 4);
  EXPECT_THAT(split.train.labels, ElementsAre(3, 0));
  EXPECT_THAT(stored(split.train), ElementsAre(0, 1, 2, 255, 4, 5, 6, 7));
  EXPECT_THAT(split.test.labels, ElementsAre(2));
  EXPECT_THAT(stored(split.test), ElementsAre(9, 8, 7, 6));
}

TEST_F(CsvTest, OrTheColumnThatAHeaderNames) {
  put_text("set/test.csv", "a,b,label,c,\"d, or \"\"e\"\"\"\n0,1,7,2,3\n");
  const DataSplit split = load("a,b,\"label\",c,\"d, or \"\"e\"\"\"\n0,1,7,2,3\n");
  EXPECT_THAT(split.train.labels, ElementsAre(7));
  EXPECT_THAT(stored(split.train), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(split.train.column_names, ElementsAre("a", "b", "c", "d, or \"e\""));
}

TEST_F(CsvTest, SquareRowsOfBytesAreImages) {
  std::string row;
  for (int i = 0; i < 64; ++i) row += fmt::format(",{}", 4 * i);
  put_text("set/test.csv", "1" + row);
  EXPECT_EQ(load("1" + row + "\n0" + row).train.image_shape, (Shape{8, 8, 1}));
  EXPECT_EQ(load("1" + row + "\n0" + row, {.layout = Layout::kTable}).train.image_shape, (Shape{64}));
}

// Elsewhere a first column of few whole numbers may be a feature.
TEST_F(CsvTest, WithoutAHeaderTheFirstColumnIsTheLabelOfImagesAlone) {
  const auto rows = [](int pixels, int step, const std::string& last) {
    std::string text;
    for (int row = 0; row < 6; ++row) {
      text += std::to_string(row % 3);
      for (int i = 1; i < pixels; ++i) text += fmt::format(",{}", step * i);
      text += fmt::format(",{}\n", last.empty() ? std::to_string(100 + row) : last);
    }
    return text;
  };
  EXPECT_EQ(load_one(rows(64, 4, "")).train.classes, 3);
  const auto asked = AllOf(HasSubstr("the first does, before other numbers"), HasSubstr("say --label COLUMN"));
  EXPECT_THAT(question_of(rows(63, 4, "")), asked);
  EXPECT_THAT(question_of(rows(64, 5, "")), asked);
  EXPECT_THAT(question_of(rows(64, 4, "0.5")), asked);
  EXPECT_THAT(question_of(rows(49, 4, "")), asked);
  EXPECT_THAT(question_of("0,5.1,3.5\n1,4.9,3.2\n0,4.7,3.25\n"), asked);
}

// As pandas' to_csv and R's write.csv write rows of a table.
TEST_F(CsvTest, AnIndexIsNoFeature) {
  for (const char* name : {"", "\"\"", "Unnamed: 0"}) {
    put_text("set/test.csv", fmt::format("{},a,label,b\n7,5,0,6\n7,7,1,8\n", name));
    const DataSplit split = load(fmt::format("{},a,label,b\n300,1,0,2\n\"0\",3,1,4\n", name));
    EXPECT_THAT(split.train.column_names, ElementsAre("a", "b"));
    EXPECT_THAT(stored(split.train), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(split.train.labels, ElementsAre(0, 1));
    EXPECT_THAT(stored(split.test), ElementsAre(5, 6, 7, 8));  // the training set says what the column is
    EXPECT_THAT(split.left_out, ElementsAre("the index in column 1"));
  }
  const auto text = put_text("one.csv", ",a,b,price\n0,1,2,1.5\n1,3,4,2.5\n2,5,6,2.25\n3,7,8,2\n");
  for (const char* label : {"price", "4"}) {
    const DataSplit split = load_dataset(text, {.test_share = 0.5, .label = label});
    EXPECT_THAT(split.train.column_names, ElementsAre("a", "b")) << label;
    EXPECT_EQ(split.train.outputs, 1);
  }
  EXPECT_THAT(question(text, {.label = "5"}), HasSubstr("or a number from 2 to 4, found 5"));
  EXPECT_THAT(load_error(put_text("one.csv", ",a,label\n0,x,1\n")), HasSubstr("column 2, \"a\" holds words"));
}

TEST_F(CsvTest, IndicesOfATableThatWasWrittenAgainArePassedOver) {
  put_text("set/test.csv", ",Unnamed: 0,a,label\n0,0,1,0\n0,0,2,1\n");  // as many as in train.csv, whatever they hold
  const DataSplit split = load(",Unnamed: 0,a,label\n0,7,1,0\n1,8,2,1\n");
  EXPECT_THAT(split.train.column_names, ElementsAre("a"));
  EXPECT_EQ(split.test.image_shape, (Shape{1}));
  EXPECT_THAT(split.left_out, ElementsAre("the index in column 1", "the index in column 2"));
}

TEST_F(CsvTest, AnUnnamedColumnOfAnythingElseIsAskedAbout) {
  put_text("set/test.csv", ",a,label\n0,1,0\n1,2,1\n");
  for (const char* rows :
       {"0.5,1,0\n1.5,2,1\n", "-1,1,0\n1,2,1\n", "1,1,0\n1,2,1\n", "1.0,1,0\n2.0,2,1\n", "x,1,0\ny,2,1\n"}) {
    put_text("set/train.csv", fmt::format(",a,label\n{}", rows));
    EXPECT_THAT(question(set_), HasSubstr("column 1 has no name, and is no index")) << rows;
  }
  EXPECT_EQ(load_one("id,a,label\n0,1,0\n1,2,1\n2,3,1\n3,4,0\n").train.image_shape, (Shape{2}));
  // --label names it.
  EXPECT_THAT(load_one(",a\n0,1\n1,2\n2,3\n3,4\n", {.label = "1"}).train.column_names, ElementsAre("a"));
}

TEST_F(CsvTest, AnIndexIsNothingANetworkReads) {
  Dataset network{
      .image_shape = {2}, .outputs = 1, .target_mean = {0}, .target_deviation = {1}, .column_names = {"size", "rooms"}};
  for (const char* text : {",size,rooms,price\n9,50,2,100.5\n", ",size,price,rooms\n9,50,100.5,2\n",
                           "size,rooms,price\n50,2,100.5\n", ",size,rooms\n9,50,2\n"}) {
    const Dataset set =
        load_dataset(put_text("one.csv", text), {.like = &network, .judged = true, .labels_needed = false}).test;
    EXPECT_THAT(stored(set), ElementsAre(50, 2)) << text;
  }
  network.column_names = {"", "rooms"};
  const auto path = put_text("one.csv", ",rooms,price\n50,2,100.5\n");
  EXPECT_THAT(stored(load_dataset(path, {.like = &network, .judged = true}).test), ElementsAre(50, 2));
}

TEST_F(CsvTest, TakesWhatSpreadsheetsWrite) {
  for (const char* text :
       {"\xEF\xBB\xBFlabel,a,b,c,d\r\n1,2,3,4,5\r\n6,7,8,9,10", "\"1\",2, 3,4 ,5\n\n6,\"7\",8,9,10\n\n",
        "\xEF\xBB\xBF"
        "1,2,3,4,5\r6,7,8,9,10\r",
        "label;a;b;c;d\n1;2;3;4;5\n6;7;8;9;10\n", "1\t2\t3\t4\t5\n6\t7\t8\t9\t10\n"}) {
    put_text("set/test.csv", text);
    const Dataset train = load(text, {.label = "1"}).train;
    EXPECT_THAT(train.labels, ElementsAre(1, 6)) << text;
    EXPECT_THAT(stored(train), ElementsAre(2, 3, 4, 5, 7, 8, 9, 10)) << text;
  }
}

TEST_F(CsvTest, TablesOfWordsAndNumbers) {
  const std::string iris =
      "sepal length,petal width,Species\n5.1,0.2,setosa\n7,1.4,versicolor\n6.3,2.5,virginica\n4.9,-0.1,setosa\n";
  const LoadOptions options{.test_share = 0.25};
  const auto path = put_text("iris.csv", iris);
  const DataSplit split = load_dataset(path, options);
  EXPECT_THAT(split.train.class_names, ElementsAre("setosa", "versicolor", "virginica"));
  EXPECT_EQ(split.train.classes, 3);
  EXPECT_EQ(split.train.count(), 3);
  EXPECT_EQ(split.test.count(), 1);
  EXPECT_THAT(split.train.column_names, ElementsAre("sepal length", "petal width"));
  // Each example in one set, with its own label.
  std::map<double, int> labels;
  for (const Dataset* set : {&split.train, &split.test}) {
    const std::vector<double> numbers = stored(*set);
    for (std::size_t i = 0; i < set->labels.size(); ++i) labels[numbers[2 * i]] = set->labels[i];
  }
  EXPECT_EQ(labels, (std::map<double, int>{{5.1, 0}, {7, 1}, {6.3, 2}, {4.9, 0}}));
  // Mean 0 and deviation 1 of the training part.
  std::vector<double> inputs(6);
  gather_inputs<double>(split.train, std::vector<Index>{0, 1, 2}, inputs);
  for (int column = 0; column < 2; ++column) {
    double sum = 0, squares = 0;
    for (int i = 0; i < 3; ++i)
      sum += inputs[2 * i + column], squares += inputs[2 * i + column] * inputs[2 * i + column];
    EXPECT_NEAR(sum, 0, 1e-12);
    EXPECT_NEAR(squares, 3, 1e-12);
  }
  EXPECT_EQ(split.test.scaling, split.train.scaling);
  EXPECT_EQ(load_dataset(put("iris.csv.gz", gzip(Bytes(iris.begin(), iris.end()))), options).train.labels,
            split.train.labels);
  EXPECT_EQ(load_dataset(path, {.test_share = 0.25, .label = "species"}).train.labels, split.train.labels);
  EXPECT_EQ(load_dataset(path, {.test_share = 0.25, .label = "3"}).train.labels, split.train.labels);
  // Some seed sets another example apart.
  bool differs = false;
  for (std::uint64_t seed = 2; seed < 20; ++seed)
    differs |= load_dataset(path, {.test_share = 0.25, .seed = seed}).train.selection != split.train.selection;
  EXPECT_TRUE(differs);
  // Without a header, as UCI has it.
  EXPECT_EQ(load_one(iris.substr(iris.find('\n') + 1)).train.labels, split.train.labels);
}

TEST_F(CsvTest, NumbersToPredict) {
  const std::string text = "size,rooms,price\n50,2,100.5\n100,3,201\n75,3,150.25\n60,1,90\n";
  const DataSplit split = load_one(text, {.label = "price"});
  EXPECT_EQ(split.train.classes, 0);
  EXPECT_EQ(split.train.outputs, 1);
  ASSERT_EQ(split.train.count(), 3);
  ASSERT_EQ(split.test.count(), 1);
  double sum = 0, squares = 0;
  for (const float target : split.train.targets) sum += target, squares += target * target;
  EXPECT_NEAR(sum, 0, 1e-6);
  EXPECT_NEAR(squares, 3, 1e-5);
  const std::map<double, double> prices{{50, 100.5}, {100, 201}, {75, 150.25}, {60, 90}};
  EXPECT_NEAR(split.test.targets[0] * split.test.target_deviation[0] + split.test.target_mean[0],
              prices.at(stored(split.test)[0]), 1e-4);
  EXPECT_EQ(load_one("a,label\n1,3\n2,4\n3,3\n5,4\n", {.target = TargetKind::kNumber}).train.outputs, 1);
}

TEST_F(CsvTest, TheLabelIsWhatANetworkDoesNotRead) {
  const Dataset network{
      .image_shape = {2}, .outputs = 1, .target_mean = {0}, .target_deviation = {1}, .column_names = {"size", "rooms"}};
  for (const char* text :
       {"size,rooms,price\n50,2,100.5\n", "size,price,rooms\n50,100.5,2\n", "price,size,rooms\n100.5,50,2\n"}) {
    for (const bool needed : {true, false}) {
      const Dataset set =
          load_dataset(put_text("one.csv", text), {.like = &network, .judged = true, .labels_needed = needed}).test;
      EXPECT_THAT(stored(set), ElementsAre(50, 2));
      EXPECT_THAT(set.targets, ElementsAre(100.5F));
    }
  }
  const auto refused = [&](const std::string& text) {
    return load_error(put_text("one.csv", text), {.like = &network, .judged = true, .labels_needed = false});
  };
  EXPECT_THAT(refused("size,price\n50,100.5\n"), HasSubstr("the columns are size, price, expected size, rooms"));
  EXPECT_THAT(refused("rooms,size\n2,50\n"), HasSubstr("the columns are rooms, size, expected size, rooms"));
  EXPECT_THAT(refused("size,label\n50,1\n"), HasSubstr("expected size, rooms"));
  const Dataset wide{.image_shape = {3},
                     .outputs = 1,
                     .target_mean = {0},
                     .target_deviation = {1},
                     .column_names = {"size", "rooms", "age"}};
  EXPECT_THAT(load_error(put_text("one.csv", "size,rooms,label\n50,2,1.5\n"), {.like = &wide, .judged = true}),
              HasSubstr("the columns are size, rooms, expected size, rooms, age"));
}

TEST_F(CsvTest, AsksWhatIsNotEvident) {
  std::string wine, many;
  for (int i = 0; i < 300; ++i) {
    wine += fmt::format("{},{},{}\n", i % 253, 0.5 * i, i % 3);
    many += fmt::format("{},{}\n", 3 * i, i % 7 + 0.5);
  }
  EXPECT_THAT(question_of(wine), AllOf(HasSubstr("here the last does: say"), HasSubstr("--label COLUMN")));
  EXPECT_THAT(question_of("0.5,1.5\n2.5,3.5\n"), HasSubstr("neither the first nor the last"));
  EXPECT_THAT(question_of("1,0.5,2\n2,1.5,3\n"), HasSubstr("the first and the last look like one"));
  EXPECT_THAT(question_of("a,b\n1,2\n3,4\n"), HasSubstr("no column is called label, class, target or y"));
  EXPECT_THAT(question_of("\"\",mpg\nMazda,21\nDatsun,22.8\n"), HasSubstr("column 1 has no name"));
  EXPECT_THAT(question_of("label,a\n" + many), HasSubstr("--target class or number"));
  EXPECT_THAT(question_of("label,a\n1.0,2\n2.0,3\n"), HasSubstr("--target class or number"));
  EXPECT_THAT(question(put_text("one.csv", "label,a\n1,2\n0,3\n")), HasSubstr("--test-share"));
  EXPECT_THAT(question(put_text("one.csv", "label,a\n1,2\n0,3\n"), {.test_share = 0.1}),
              HasSubstr("leaves 0 of the 2"));
  EXPECT_THAT(question(put_text("one.csv", "clas,a\n1,2\n0,3\n"), {.test_share = 0.5, .label = "class"}),
              HasSubstr("--label: expected a column of"));
}

TEST_F(CsvTest, WholeNumbersThatAreNoPlacesAreNames) {
  const DataSplit split = load_one("label,a\n-1,2\n1,3\n-1,4\n1,5\n");
  EXPECT_THAT(split.train.class_names, ElementsAre("-1", "1"));
  EXPECT_EQ(split.train.classes, 2);
}

TEST_F(CsvTest, SoAreThoseThatLeaveOutMorePlacesThanTheyTake) {
  const auto names = [&](const std::vector<int>& labels) {
    std::string text = "label,a\n";
    for (int i = 0; i < 2; ++i) {
      for (const int label : labels) text += fmt::format("{},{}\n", label, i);
    }
    return load_one(text).train.class_names;
  };
  EXPECT_THAT(names({0, 10, 20}), ElementsAre("0", "10", "20"));
  EXPECT_THAT(names({5, 3}), ElementsAre("3", "5"));
  EXPECT_THAT(names({1, 2, 3}), IsEmpty());
  EXPECT_THAT(names({0, 3}), IsEmpty());
  EXPECT_THAT(names({2, 4, 6}), ElementsAre("2", "4", "6"));
  EXPECT_EQ(load_one("label,a\n10,2\n20,3\n0,4\n0,5\n").train.classes, 21);  // each would hardly come twice
}

TEST_F(CsvTest, AValidationSetIsTheTestSetWhereThereIsNone) {
  std::filesystem::remove(set_ / "test.csv");
  put_text("set/train.csv", "label,a\n0,1\n1,2\n");
  for (const char* name : {"val.csv", "valid.csv", "validation.tsv"}) {
    put_text(fmt::format("set/{}", name), "label,a\n0,7\n");
    EXPECT_THAT(stored(load_dataset(set_).test), ElementsAre(7)) << name;
    put_text("set/test.csv", "label,a\n0,8\n");
    const DataSplit split = load_dataset(set_);
    EXPECT_THAT(stored(split.test), ElementsAre(8)) << name;
    EXPECT_THAT(split.left_out, ElementsAre(name));
    std::filesystem::remove(set_ / "test.csv");
    std::filesystem::remove(set_ / name);
  }
}

TEST_F(CsvTest, DecimalCommasAreNamed) {
  for (const char* text : {"a;b;label\n1,5;2,5;0\n", "a;b;label\n1;2,5;0\n", "1,5;2,5;0\n", "1,5;2,5\n", "1,5\t2\t0\n",
                           "\"1,5\",\"2,5\",0\n1,2,3\n", "a;label\n1;0\n1,5;1\n"}) {
    EXPECT_THAT(load_error(put_text("one.csv", text), {.test_share = 0.5}),
                AllOf(HasSubstr("5\", expected a point in place of the decimal comma"), HasSubstr("decimal=','")))
        << text;
  }
  EXPECT_THAT(load_one("label;a\n\"x, y\";1\nz;2\nz;3\nz;4\n").train.class_names, ElementsAre("x, y", "z"));
}

TEST_F(CsvTest, FieldsMayLieAcrossChunks) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += std::to_string(i % 100) + ",1,22,123,250\n";
  const Dataset train = load(text, {.label = "1"}).train;
  ASSERT_EQ(train.count(), 30'000);
  const std::vector<double> numbers = stored(train);
  for (int i = 0; i < 30'000; ++i) {
    ASSERT_EQ(train.labels[i], i % 100);
    ASSERT_THAT(std::span(numbers).subspan(4 * i, 4), ElementsAre(1, 22, 123, 250)) << i;
  }
}

TEST_F(CsvTest, SaysWhatIsWrong) {
  EXPECT_THAT(error(""), HasSubstr("train.csv: expected records of examples"));
  EXPECT_THAT(error("label,a\n"), HasSubstr("expected records of examples, found none"));
  EXPECT_THAT(error("1,2,3,4,5\n1,2,3,4\n"), HasSubstr("record 2 has 4 fields, expected 5 as in the first"));
  EXPECT_THAT(error("1,2,3,4,5\n1,2,3,4,5,6\n"), HasSubstr("record 2 has 6 fields"));
  put_text("set/test.csv", "label,a\n1,2\n");
  EXPECT_THAT(error("label,a\n65536,2\n"), HasSubstr("label 0 is 65536, expected a whole number from 0 to 65535"));
  put_text("set/test.csv", "2,9,8,7,6\n");
  for (const char* field : {"", "0x1", "1 2", "nan", "+nan", "+inf", "+-1", "++1", "abc", "1e999"}) {
    EXPECT_THAT(error("1,2,3,4,5\n1,2," + std::string(field) + ",4,5\n"), HasSubstr("record 2, column 3")) << field;
  }
  EXPECT_THAT(error("label,a\n1,?\n"), HasSubstr("record 2, column 2, \"a\": found \"?\", expected a finite number"));
  EXPECT_THAT(error("label,a,city\n1,2,Rome\n"), HasSubstr("column 3, \"city\" holds words, as \"Rome\""));
  EXPECT_THAT(error("label,a,b,c,label\n1,2,3,4,5\n"), HasSubstr("two columns are called label"));
  EXPECT_THAT(error("1\n"), HasSubstr("0 columns beside the label"));
  EXPECT_THAT(error("1,2,\"3,4,5\n1,2,3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("1,2,\"3\"3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("1,2,3\"3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("label,\"" + std::string(3 << 20, 'a')), HasSubstr("RFC 4180"));
  std::string many = "1";
  for (int i = 0; i < 1'100'000; ++i) many += ",1";
  EXPECT_THAT(error(many), HasSubstr("more than 1048576 fields"));
  put_text("set/test.csv", "2,9,8,7\n");
  EXPECT_THAT(error("3,0,1,2,255\n0,4,5,6,7\n", {.label = "1"}), HasSubstr("train images are (4) but test images"));
  std::filesystem::remove(set_ / "test.csv");
  EXPECT_THAT(error("1,2,3,4,5\n"), HasSubstr("looked for test.csv"));
}

// Text may end after any digit and still be text: what was read then is a beginning of the whole.
TEST_F(CsvTest, TruncatedOrDamaged) {
  put_text("set/test.csv", "label,a,b,c,d\n2,9,8,7,6\n");
  const auto file = put_text("set/train.csv", "label,a,b,c,d\n3,10,111,112,255\n10,44,5,66,217\n");
  int read = 0;
  truncate_everywhere(set_, file, 1, [&](const DataSplit& split) {
    ++read;
    ASSERT_LE(split.train.count(), 2);
    const std::vector<double> numbers = stored(split.train);
    EXPECT_THAT(std::span(numbers).first(3), ElementsAre(10, 111, 112));
  });
  EXPECT_EQ(read, 7);  // within "255", after it and its line break, within "217" and after it
  EXPECT_GT(damage(set_, file, 500), 250);
}

// --- folders of pictures

class FolderTest : public LoadTest {
 protected:
  // A grey 2 × 3 picture.
  void put_grey(const std::string& name, int first) const {
    put_text(name, fmt::format("P2 # text\n3 2\n255\n{} 1 2 3 4 5\n", first));
  }
};

TEST_F(FolderTest, EachFolderIsAClass) {
  put_grey("set/cat/1.pgm", 10);
  put_grey("set/dog/1.PGM", 20);
  put("set/dog/2.ppm", joined(std::string("P6\n3 2\n255\n"), Bytes(18, 7)));
  put_text("set/dog/notes.txt", "no picture");
  const DataSplit split = load_dataset(set_, {.test_share = 0.34});
  EXPECT_EQ(split.format, "image folders");
  EXPECT_EQ(split.train.image_shape, (Shape{2, 3, 3}));
  EXPECT_THAT(split.train.class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(split.train.count() + split.test.count(), 3);
}

TEST_F(FolderTest, TrainAndTest) {
  for (const char* set : {"train", "test"}) {
    put_grey(fmt::format("set/{}/b/1.pgm", set), 10);
    put_grey(fmt::format("set/{}/a/1.pgm", set), 20);
  }
  const DataSplit split = load_dataset(set_);
  EXPECT_THAT(split.train.labels, ElementsAre(0, 1));
  EXPECT_THAT(stored(split.test), ElementsAre(20, 1, 2, 3, 4, 5, 10, 1, 2, 3, 4, 5));
}

TEST_F(FolderTest, AValidationSetIsTheTestSetWhereThereIsNone) {
  put_grey("set/train/a/1.pgm", 10);
  EXPECT_THAT(load_error(set_),
              AllOf(HasSubstr("found train but none of test, val, valid, validation"), HasSubstr("--test-share")));
  for (const char* name : {"validation", "valid", "val"}) {
    put_grey(fmt::format("set/{}/a/1.pgm", name), 20);
    EXPECT_EQ(stored(load_dataset(set_).test).front(), 20);
  }
  EXPECT_THAT(load_dataset(set_).left_out, ElementsAre("the directory valid", "the directory validation"));
  put_grey("set/test/a/1.pgm", 30);
  const DataSplit split = load_dataset(set_);
  EXPECT_EQ(stored(split.test).front(), 30);
  EXPECT_THAT(split.left_out, ElementsAre("the directory val", "the directory valid", "the directory validation"));
  // Pictures without classes are no class called test.
  std::filesystem::remove_all(set_ / "test/a");
  put_grey("set/test/1.pgm", 30);
  EXPECT_EQ(stored(load_dataset(set_).test).front(), 20);
  EXPECT_EQ(load_dataset(set_).left_out.front(), "the directory test");
  for (const char* name : {"validation", "valid", "val"}) std::filesystem::remove_all(set_ / name);
  EXPECT_THAT(load_error(set_), HasSubstr("expected a folder of pictures for each class in test, found none"));
}

TEST_F(FolderTest, PicturesWithoutFoldersHaveNoLabels) {
  put_grey("set/2.pgm", 20);
  put_grey("set/10.pgm", 10);
  const Dataset network{.image_shape = {2, 3, 1}, .classes = 2, .class_names = {"cat", "dog"}};
  const Dataset set = load_dataset(set_, {.like = &network, .judged = true, .labels_needed = false}).test;
  EXPECT_FALSE(set.labelled);
  EXPECT_THAT(stored(set), ElementsAre(10, 1, 2, 3, 4, 5, 20, 1, 2, 3, 4, 5));
  for (const LoadOptions& options : {LoadOptions{}, LoadOptions{.like = &network, .judged = true}})
    EXPECT_THAT(load_error(set_, options), HasSubstr("pictures that lie in no folder, expected one for each class"));
}

TEST_F(FolderTest, SaysWhatIsWrong) {
  put_grey("set/cat/1.pgm", 10);
  put_text("set/cat/2.pgm", "P2 1 1 255 7");
  EXPECT_THAT(load_error(set_), HasSubstr("1×1 pixels, expected 2×3 as in"));
  put_text("set/cat/2.pgm", "P2 100000 100000 255 7");
  EXPECT_THAT(load_error(set_), HasSubstr("100000×100000 pixels"));
  put_text("set/cat/2.pgm", "GIF89a");
  EXPECT_THAT(load_error(set_), HasSubstr("expected a PNG, JPEG, PPM or PGM picture"));
}

}  // namespace
}  // namespace slopewise
