// Data sets from arrays: .npy, .npz and .safetensors.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <span>
#include <utility>
#include <vector>

#include "load_support.hpp"
#include "slopewise/data/npz.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

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

}  // namespace
}  // namespace slopewise
