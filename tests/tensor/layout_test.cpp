#include "slopewise/tensor/layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

TEST(Layout, SegmentsFollowOneAnotherAndBiasesShareTheirMatrix) {
  ParameterLayout layout;
  const Index kernel = layout.add("kernel", {4, 3, 3, 2}, {.kind = Initializer::Kind::kHe, .fan_in = 18}, 4);
  const Index gain = layout.add("gain", {5}, {.kind = Initializer::Kind::kOne}, 5);
  const Index bias = layout.add_bias("bias", kernel);
  EXPECT_EQ(layout.size, 72 + 5 + 4);
  EXPECT_EQ(layout.segments.size(), 3u);
  EXPECT_EQ(layout.blocks.size(), 2u);

  const Segment& last = layout.segments[static_cast<std::size_t>(bias)];
  EXPECT_EQ(last.name, "bias");
  EXPECT_EQ(last.offset, 77);
  EXPECT_EQ(last.shape, Shape{4});
  EXPECT_EQ(last.block, layout.segments[static_cast<std::size_t>(kernel)].block);
  EXPECT_EQ(last.initializer.kind, Initializer::Kind::kZero);
  EXPECT_EQ(layout.segments[static_cast<std::size_t>(gain)].offset, 72);
  EXPECT_EQ(layout.segments[static_cast<std::size_t>(gain)].initializer.kind, Initializer::Kind::kOne);

  const Block& matrix = layout.blocks[0];
  EXPECT_EQ(matrix.weight, kernel);
  EXPECT_EQ(matrix.bias, bias);
  EXPECT_EQ(matrix.rows, 4);
  EXPECT_EQ(matrix.columns, 18);
  EXPECT_EQ(matrix.columns_with_bias(), 19);
  EXPECT_EQ(layout.blocks[1].columns, 1);
  EXPECT_EQ(layout.blocks[1].columns_with_bias(), 1);
}

TEST(Layout, AVectorIsOneSegment) {
  const ParameterLayout layout = ParameterLayout::vector(7);
  ASSERT_EQ(layout.segments.size(), 1u);
  EXPECT_EQ(layout.segments[0].name, "theta");
  EXPECT_EQ(layout.segments[0].shape, Shape{7});
  EXPECT_EQ(layout.size, 7);
}

TEST(Layout, AShapeThatIsNoMatrixOfThatManyRowsIsRefused) {
  ParameterLayout layout;
  const auto throws =
      testing::ThrowsMessage<ShapeError>(testing::AllOf(testing::HasSubstr("'w'"), testing::HasSubstr("(3, 4)")));
  EXPECT_THAT([&] { layout.add("w", {3, 4}, {}, 5); }, throws);
  EXPECT_THAT([&] { layout.add("w", {3, 4}, {}, 0); }, throws);
  EXPECT_EQ(layout.size, 0);
  EXPECT_TRUE(layout.segments.empty());
}

}  // namespace
}  // namespace slopewise
