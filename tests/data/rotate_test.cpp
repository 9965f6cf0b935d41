#include "slopewise/data/rotate.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace slopewise {
namespace {

Dataset two_images() {
  Dataset data{.name = "two", .image_shape = {3, 3, 2}, .classes = 2, .pixels = {}, .labels = {0, 1}};
  for (int i = 0; i < 2 * 18; ++i) data.pixels.push_back(static_cast<std::uint8_t>(7 * i % 251));
  return data;
}

TEST(Rotate, AQuarterIsExact) {
  const Dataset before = two_images();
  Dataset after = before;
  rotate_images(after, 90);
  for (int i = 0; i < 2; ++i) {
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 3; ++x) {
        for (int c = 0; c < 2; ++c) {  // the right column becomes the top row
          EXPECT_EQ(after.pixels[static_cast<std::size_t>(i * 18 + (y * 3 + x) * 2 + c)],
                    before.pixels[static_cast<std::size_t>(i * 18 + (x * 3 + (2 - y)) * 2 + c)]);
        }
      }
    }
  }
  for (const double more : {90.0, 180.0}) rotate_images(after, more);
  EXPECT_EQ(after.pixels, before.pixels);
}

TEST(Rotate, CornersLeaveAndComeBackEmpty) {
  Dataset data = two_images();
  data.pixels.assign(36, 200);
  rotate_images(data, 45);
  EXPECT_EQ(data.pixels[8], 200);  // the centre stays
  EXPECT_LT(data.pixels[0], 200);  // the corner comes from outside
  rotate_images(data, 0);
  EXPECT_EQ(data.pixels[8], 200);
}

TEST(Rotate, EmptySetsStayEmpty) {
  Dataset none{.name = "none", .image_shape = {3, 3, 1}, .classes = 2, .pixels = {}, .labels = {}};
  rotate_images(none, 30);
  EXPECT_TRUE(none.pixels.empty());
}

}  // namespace
}  // namespace slopewise
