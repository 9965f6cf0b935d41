#include <gmock/gmock.h>

#include <cstdlib>
#include <numeric>

#include "slopewise/data/load.hpp"
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

class IdxDirectoryTest : public FileTest {
 protected:
  IdxDirectoryTest() {
    put("tiny/train-images-idx3-ubyte", images(4));
    put("tiny/train-labels.idx1-ubyte", labels({1, 0, 2, 1}));
    put("tiny/t10k-images.idx3-ubyte.gz", gzip(images(2)));
    put("tiny/t10k-labels-idx1-ubyte.gz", gzip(labels({3, 0})));
  }
  std::string load_error() const {
    return file_error([&] { load_dataset(directory_ / "tiny"); });
  }
};

TEST_F(IdxDirectoryTest, LoadsEverySpelling) {
  const DataSplit split = load_dataset(directory_ / "tiny/");
  EXPECT_EQ(split.format, "IDX");
  EXPECT_EQ(split.train.name, "tiny");
  EXPECT_EQ(split.test.name, "tiny");
  EXPECT_EQ(split.train.count(), 4);
  EXPECT_EQ(split.train.image_shape, (Shape{2, 3, 1}));
  EXPECT_EQ(split.train.classes, 4);
  EXPECT_EQ(stored(split.train)[7], 7);
  EXPECT_EQ(split.test.count(), 2);
  EXPECT_EQ(split.test.classes, 4);
  EXPECT_THAT(split.test.labels, ElementsAre(3, 0));
}

TEST_F(IdxDirectoryTest, NamesWhatIsMissing) {
  std::filesystem::remove(directory_ / "tiny/t10k-labels-idx1-ubyte.gz");
  EXPECT_THAT(load_error(), HasSubstr("looked for t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, "
                                      "t10k-labels.idx1-ubyte, t10k-labels.idx1-ubyte.gz"));
}

TEST_F(IdxDirectoryTest, RejectsFilesThatDoNotFitTogether) {
  put("tiny/train-images-idx3-ubyte", images(3));
  EXPECT_THAT(load_error(), HasSubstr("holds 4 labels, expected 3"));
  put("tiny/train-images-idx3-ubyte", images(0));
  EXPECT_THAT(load_error(), HasSubstr("found shape (0, 2, 3)"));
  put("tiny/train-images-idx3-ubyte", labels({1, 2, 3, 4}));
  EXPECT_THAT(load_error(), HasSubstr("expected an array of rank 2 or more with entries, found shape (4)"));
  put("tiny/train-images-idx3-ubyte", images(4, 2));
  EXPECT_THAT(load_error(), HasSubstr("train images are (2, 2) but test images"));
}

TEST(Mnist, IsReadWhole) {
  const char* named = std::getenv("SLOPEWISE_DATA");
  if (named == nullptr) GTEST_SKIP() << "SLOPEWISE_DATA is not set to a directory that holds MNIST";
  std::filesystem::path directory = named;
  if (std::filesystem::exists(directory / "mnist")) directory /= "mnist";
  const auto [train, test, format, left_out] = load_dataset(directory);
  EXPECT_EQ(format, "IDX");
  EXPECT_TRUE(left_out.empty());
  EXPECT_EQ(train.count(), 60'000);
  EXPECT_EQ(test.count(), 10'000);
  EXPECT_EQ(train.image_shape, (Shape{28, 28, 1}));
  EXPECT_EQ(train.classes, 10);
  // Mean and count of fives as published everywhere MNIST is used.
  const std::vector<double> pixels = stored(train);
  const double sum = std::accumulate(pixels.begin(), pixels.end(), 0.0);
  EXPECT_NEAR(sum / 255 / static_cast<double>(pixels.size()), 0.1307, 5e-5);
  EXPECT_EQ(std::ranges::count(train.labels, 5), 5421);
}

}  // namespace
}  // namespace slopewise
