#include "slopewise/data/rotate.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "support.hpp"

namespace slopewise {
namespace {

Dataset two_images(std::vector<std::uint8_t> pixels) {
  return {
      .name = "two", .image_shape = {3, 3, 2}, .classes = 2, .inputs = Rows(std::move(pixels), 18), .labels = {0, 1}};
}

Dataset two_images() {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < 2 * 18; ++i) pixels.push_back(static_cast<std::uint8_t>(7 * i % 251));
  return two_images(std::move(pixels));
}

TEST(Rotate, AQuarterIsExact) {
  const Dataset before = two_images();
  Dataset after = before;
  rotate_images(after, 90);
  for (int i = 0; i < 2; ++i) {
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 3; ++x) {
        for (int c = 0; c < 2; ++c) {  // the right column becomes the top row
          EXPECT_EQ(stored(after)[static_cast<std::size_t>(i * 18 + (y * 3 + x) * 2 + c)],
                    stored(before)[static_cast<std::size_t>(i * 18 + (x * 3 + (2 - y)) * 2 + c)]);
        }
      }
    }
  }
  for (const double more : {90.0, 180.0}) rotate_images(after, more);
  EXPECT_EQ(stored(after), stored(before));
}

TEST(Rotate, CornersLeaveAndComeBackEmpty) {
  Dataset data = two_images(std::vector<std::uint8_t>(36, 200));
  rotate_images(data, 45);
  EXPECT_EQ(stored(data)[8], 200);  // the centre stays
  EXPECT_LT(stored(data)[0], 200);  // the corner comes from outside
  rotate_images(data, 0);
  EXPECT_EQ(stored(data)[8], 200);
}

TEST(Rotate, EmptySetsStayEmpty) {
  Dataset none{.name = "none", .image_shape = {3, 3, 1}, .classes = 2};
  rotate_images(none, 30);
  EXPECT_TRUE(stored(none).empty());
}

}  // namespace
}  // namespace slopewise
