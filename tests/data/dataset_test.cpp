#include "slopewise/data/dataset.hpp"

#include <gmock/gmock.h>

#include <numeric>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;

// Four images of 2 × 3 pixels that count up from 0.
Dataset counting() {
  std::vector<std::uint8_t> pixels(24);
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
  return {.name = "tiny",
          .image_shape = {2, 3, 1},
          .classes = 3,
          .inputs = Rows(std::move(pixels), 6),
          .labels = {1, 0, 2, 1}};
}

TEST(Dataset, GathersRows) {
  const Dataset train = counting();
  const std::vector<std::int64_t> indices = {3, 0, 3};
  std::vector<float> floats(18);
  std::vector<double> doubles(18);
  std::vector<std::int32_t> classes(3);
  gather_inputs(train, indices, std::span(floats));
  gather_inputs(train, indices, std::span(doubles));
  gather_labels(train, indices, classes);
  EXPECT_THAT(classes, ElementsAre(1, 1, 1));
  for (int i = 0; i < 18; ++i) {
    const int pixel = i < 6 ? 18 + i : i < 12 ? i - 6 : 6 + i;
    EXPECT_EQ(floats[i], static_cast<float>(pixel) / 255.f) << i;
    EXPECT_EQ(doubles[i], pixel / 255.0) << i;
  }
}

TEST(Dataset, RejectsBadIndicesAndSizes) {
  const Dataset train = counting();
  std::vector<float> rows(6);
  std::vector<std::int32_t> classes(1);
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{4}, std::int64_t{1} << 62}) {
    const std::vector<std::int64_t> indices = {index};
    EXPECT_THROW(gather_inputs(train, indices, std::span(rows)), ArgumentError);
    EXPECT_THROW(gather_labels(train, indices, classes), ArgumentError);
  }
  const std::vector<std::int64_t> two = {0, 1};
  EXPECT_THROW(gather_inputs(train, two, std::span(rows)), ArgumentError);
  EXPECT_THROW(gather_labels(train, two, classes), ArgumentError);
  Dataset broken = train;
  broken.labels.pop_back();
  EXPECT_THROW(gather_labels(broken, std::vector<std::int64_t>{0}, classes), ArgumentError);
  EXPECT_THROW(Rows(std::vector<float>(5), 2), ArgumentError);
}

}  // namespace
}  // namespace slopewise
