#include "slopewise/base/shape.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Shape, AScalarHasRankZeroAndOneEntry) {
  const Shape scalar;
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.size(), 1);
  EXPECT_EQ(scalar.to_string(), "()");
  EXPECT_EQ(scalar, Shape(std::vector<std::int64_t>{}));
}

TEST(Shape, ReadsExtentsFromEitherEnd) {
  const Shape shape = {28, 14, 3};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape.size(), 28 * 14 * 3);
  EXPECT_EQ(shape[0], 28);
  EXPECT_EQ(shape[2], 3);
  EXPECT_EQ(shape[-1], 3);
  EXPECT_EQ(shape[-3], 28);
  EXPECT_EQ(shape.axis_index(-2), 1u);
  EXPECT_EQ(shape.to_string(), "(28, 14, 3)");
  EXPECT_THAT(shape.extents(), testing::ElementsAre(28, 14, 3));
  EXPECT_EQ(std::vector<std::int64_t>(shape.begin(), shape.end()), shape.extents());
  EXPECT_NE(shape, (Shape{28, 14}));
}

TEST(Shape, AnEmptyAxisMakesNoEntries) {
  EXPECT_EQ((Shape{5, 0, 7}).size(), 0);
}

TEST(Shape, RefusesAMissingAxis) {
  const Shape shape = {2, 3};
  const auto message = HasSubstr("of shape (2, 3): expected an axis in [-2, 2)");
  EXPECT_THAT([&] { shape[2]; }, ThrowsMessage<ShapeError>(message));
  EXPECT_THAT([&] { shape[-3]; }, ThrowsMessage<ShapeError>(message));
  EXPECT_THROW(Shape()[0], ShapeError);
}

TEST(Shape, RefusesNegativeExtentsAndOverflow) {
  EXPECT_THAT([] { Shape({2, -1}); }, ThrowsMessage<ShapeError>(HasSubstr("(2, -1)")));
  const std::int64_t large = std::int64_t{1} << 32;
  EXPECT_EQ((Shape{large, large / 4}).size(), std::int64_t{1} << 62);
  EXPECT_THAT([&] { Shape({large, large}); }, ThrowsMessage<ShapeError>(HasSubstr("(4294967296, 4294967296)")));
}

}  // namespace
}  // namespace slopewise
