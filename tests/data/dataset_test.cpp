#include "slopewise/data/dataset.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <numeric>

#include "support.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// `count` images of 2 × 3 pixels counting up from 0, and as many labels.
Bytes images(std::uint8_t count, std::uint8_t width = 3) {
  Bytes bytes = {0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, width};
  for (int i = 0; i < count * 2 * width; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  return bytes;
}
Bytes labels(const Bytes& values) {
  return joined(Bytes{0, 0, 8, 1, 0, 0, 0, static_cast<std::uint8_t>(values.size())}, values);
}

class DatasetTest : public FileTest {
 protected:
  DatasetTest() {
    put("tiny/train-images-idx3-ubyte", images(4));
    put("tiny/train-labels.idx1-ubyte", labels({1, 0, 2, 1}));
    put("tiny/t10k-images.idx3-ubyte.gz", gzip(images(2)));
    put("tiny/t10k-labels-idx1-ubyte.gz", gzip(labels({3, 0})));
  }
  std::string load_error() const {
    return file_error([&] { load_idx_directory(directory_ / "tiny"); });
  }
};

TEST_F(DatasetTest, LoadsEverySpelling) {
  const DataSplit split = load_idx_directory(directory_ / "tiny/");
  EXPECT_EQ(split.train.name, "tiny");
  EXPECT_EQ(split.train.count(), 4);
  EXPECT_EQ(split.train.image_shape, (Shape{2, 3, 1}));
  EXPECT_EQ(split.train.classes, 4);
  EXPECT_EQ(split.train.pixels[7], 7);
  EXPECT_EQ(split.test.count(), 2);
  EXPECT_EQ(split.test.classes, 4);
  EXPECT_THAT(split.test.labels, ElementsAre(3, 0));
}

TEST_F(DatasetTest, NamesWhatIsMissing) {
  EXPECT_THAT(file_error([&] { load_idx_directory(directory_ / "none"); }),
              HasSubstr("found No such file or directory"));
  EXPECT_THAT(file_error([&] { load_idx_directory(directory_ / std::string(300, 'a')); }), HasSubstr("too long"));
  EXPECT_THAT(file_error([&] { load_idx_directory(directory_ / "tiny/train-labels.idx1-ubyte"); }),
              HasSubstr("a file"));
  std::filesystem::remove(directory_ / "tiny/t10k-labels-idx1-ubyte.gz");
  EXPECT_THAT(load_error(), HasSubstr("looked for t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, "
                                      "t10k-labels.idx1-ubyte, t10k-labels.idx1-ubyte.gz"));
}

TEST_F(DatasetTest, RejectsFilesThatDoNotFitTogether) {
  put("tiny/train-images-idx3-ubyte", images(3));
  EXPECT_THAT(load_error(), HasSubstr("holds 4 labels, expected 3"));
  put("tiny/train-images-idx3-ubyte", images(0));
  EXPECT_THAT(load_error(), HasSubstr("found shape (0, 2, 3)"));
  put("tiny/train-images-idx3-ubyte", labels({1, 2, 3, 4}));
  EXPECT_THAT(load_error(), HasSubstr("expected an array of rank 3 with entries, found shape (4)"));
  put("tiny/train-images-idx3-ubyte", images(4, 2));
  EXPECT_THAT(load_error(), HasSubstr("train images are (2, 2, 1) but t10k images are (2, 3, 1)"));
}

TEST_F(DatasetTest, GathersRows) {
  const Dataset train = load_idx_directory(directory_ / "tiny").train;
  const std::vector<std::int64_t> indices = {3, 0, 3};
  std::vector<float> floats(18);
  std::vector<double> doubles(18);
  std::vector<std::int32_t> classes(3);
  gather_images(train, indices, std::span(floats));
  gather_images(train, indices, std::span(doubles));
  gather_labels(train, indices, classes);
  EXPECT_THAT(classes, ElementsAre(1, 1, 1));
  for (int i = 0; i < 18; ++i) {
    const int pixel = i < 6 ? 18 + i : i < 12 ? i - 6 : 6 + i;
    EXPECT_EQ(floats[i], static_cast<float>(pixel) / 255.f) << i;
    EXPECT_EQ(doubles[i], pixel / 255.0) << i;
  }
}

TEST_F(DatasetTest, RejectsBadIndicesAndSizes) {
  const Dataset train = load_idx_directory(directory_ / "tiny").train;
  std::vector<float> rows(6);
  std::vector<std::int32_t> classes(1);
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{4}, std::int64_t{1} << 62}) {
    const std::vector<std::int64_t> indices = {index};
    EXPECT_THROW(gather_images(train, indices, std::span(rows)), ArgumentError);
    EXPECT_THROW(gather_labels(train, indices, classes), ArgumentError);
  }
  const std::vector<std::int64_t> two = {0, 1};
  EXPECT_THROW(gather_images(train, two, std::span(rows)), ArgumentError);
  EXPECT_THROW(gather_labels(train, two, classes), ArgumentError);
  Dataset broken = train;
  broken.pixels.pop_back();
  EXPECT_THROW(gather_images(broken, std::vector<std::int64_t>{0}, std::span(rows)), ArgumentError);
}

TEST(Mnist, IsReadWhole) {
  const char* named = std::getenv("SLOPEWISE_DATA");
  if (named == nullptr) GTEST_SKIP() << "SLOPEWISE_DATA is not set to a directory that holds MNIST";
  std::filesystem::path directory = named;
  if (std::filesystem::exists(directory / "mnist")) directory /= "mnist";
  const auto [train, test] = load_idx_directory(directory);
  EXPECT_EQ(train.count(), 60'000);
  EXPECT_EQ(test.count(), 10'000);
  EXPECT_EQ(train.image_shape, (Shape{28, 28, 1}));
  EXPECT_EQ(train.classes, 10);
  // Mean and count of fives as published everywhere MNIST is used.
  const double sum = std::accumulate(train.pixels.begin(), train.pixels.end(), 0.0);
  EXPECT_NEAR(sum / 255 / static_cast<double>(train.pixels.size()), 0.1307, 5e-5);
  EXPECT_EQ(std::ranges::count(train.labels, 5), 5421);
}

}  // namespace
}  // namespace slopewise
