#include "slopewise/data/layout.hpp"

#include <gmock/gmock.h>

#include "slopewise/base/error.hpp"

namespace slopewise::detail {
namespace {

TEST(Layout, IsTakenWhereItIsEvident) {
  const auto found = [](const Shape& shape) { return find_layout(shape, {}, "x"); };
  EXPECT_EQ(found({5}).image_shape, (Shape{5}));
  EXPECT_EQ(found({4, 6}).image_shape, (Shape{4, 6, 1}));
  for (const auto& shape : {Shape{28, 28, 1}, Shape{6, 5, 3}, Shape{32, 32, 16}, Shape{7, 7, 512}}) {
    EXPECT_EQ(found(shape).image_shape, shape);
    EXPECT_FALSE(found(shape).channels_first);
  }
  EXPECT_EQ(found({3, 8, 8}).image_shape, (Shape{8, 8, 3}));
  EXPECT_TRUE(found({3, 8, 8}).channels_first);
  EXPECT_TRUE(found({16, 32, 32}).channels_first);
  EXPECT_TRUE(found({64, 7, 7}).channels_first);
  EXPECT_EQ(found({1, 28, 20}).image_shape, (Shape{28, 20, 1}));
  EXPECT_FALSE(found({1, 28, 20}).channels_first);  // one channel lies alike in both
}

TEST(Layout, IsAskedForWhereItIsNot) {
  for (const auto& shape : {Shape{8, 8, 8}, Shape{3, 8, 3}, Shape{5, 6, 7}, Shape{3, 2, 1}, Shape{2, 2, 3},
                            Shape{4, 4, 512}, Shape{3, 3, 64}, Shape{2, 2, 10}, Shape{4, 4, 8}, Shape{512, 4, 4},
                            Shape{64, 1, 1}, Shape{1, 1, 64}, Shape{8, 4, 4}, Shape{4, 8, 4}, Shape{9, 4, 9}}) {
    EXPECT_THROW(find_layout(shape, {}, "x"), ArgumentError) << shape.to_string();
    EXPECT_EQ(find_layout(shape, Layout::kChannelsLast, "x").image_shape, shape);
    EXPECT_EQ(find_layout(shape, Layout::kChannelsFirst, "x").image_shape, (Shape{shape[1], shape[2], shape[0]}));
    EXPECT_EQ(find_layout(shape, Layout::kTable, "x").image_shape, (Shape{shape.size()}));
  }
  EXPECT_THROW(find_layout({5}, Layout::kChannelsFirst, "x"), ArgumentError);
  for (const auto& shape : {Shape{}, Shape{2, 2, 2, 2}, Shape{0}, Shape{2, 0}})
    EXPECT_THROW(find_layout(shape, {}, "x"), FileError) << shape.to_string();
}

}  // namespace
}  // namespace slopewise::detail
