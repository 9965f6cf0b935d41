#include "slopewise/report/notation.hpp"

#include <gtest/gtest.h>

namespace slopewise {
namespace {

TEST(Notation, WritesFormulas) {
  EXPECT_EQ(notation("E|grad_B|^2 / |grad|^2"), "E‖∇ₘ‖² / ‖∇‖²");
  EXPECT_EQ(notation("g_i/|grad| from"), "gᵢ/‖∇‖ from");
  EXPECT_EQ(notation("|g|/(|grad| sqrt n) from"), "‖g‖/(‖∇‖ √n) from");
  EXPECT_EQ(notation("cos(m, grad)"), "cos(m, ∇)");
  EXPECT_EQ(notation("predicted snr"), "predicted SNR");
  EXPECT_EQ(notation("upgrade of gradients"), "upgrade of gradients");
  EXPECT_EQ(notation("/data/my_images"), "/data/my_images");
}

TEST(Notation, WritesNumbersAsFormatNumberDoes) {
  EXPECT_EQ(notation("-1"), "−1");
  EXPECT_EQ(notation("from -0.18 (-inf to 1e-07), [-1, 1e+15]"), "from −0.18 (−inf to 1e−7), [−1, 1e15]");
  EXPECT_EQ(notation("mini-batch, 3-4, --rate, x-1, -O3"), "mini-batch, 3-4, --rate, x-1, -O3");
}

TEST(Notation, NamesColumns) {
  EXPECT_EQ(column_title("test_error"), "test error");
  EXPECT_EQ(column_title("standard error"), "standard error");
}

}  // namespace
}  // namespace slopewise
