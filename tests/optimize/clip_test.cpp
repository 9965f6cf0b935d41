// What clipping does to one gradient, and to the mean of many.
#include "slopewise/optimize/clip.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/estimate.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/optimize/support.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

TEST(NormFactor, ShortensOnlyWhatIsTooLong) {
  EXPECT_EQ(norm_factor(25, 2), 0.4);
  EXPECT_EQ(norm_factor(25, 5), 1);
  EXPECT_EQ(norm_factor(0, 5), 1);
  EXPECT_EQ(norm_factor(25, kInfinity), 1);
}

TEST(SlopeFactors, BringSlopesToTheLimit) {
  EXPECT_THAT(slope_factors(std::vector<double>{1, -4, 0, 8, -2}, 2), testing::ElementsAre(1, 0.5, 1, 0.25, 1));
  for (const double limit : {0.0, -1.0, kNaN}) EXPECT_THROW(slope_factors({}, limit), ArgumentError) << limit;
}

// E[clip(s) v] = P(|s| ≤ L) ∇ for Gaussian tangents. The four comparisons fail by chance less than once in 1e9 runs.
TEST(SlopeFactors, ShrinkTheMeanByTheShareOfSlopesWithinTheLimit) {
  const std::vector<double> gradient{3, -2, 1, 0};
  const auto probe = make_probe("gaussian", ParameterLayout::vector(4), 11);
  const double norm = std::sqrt(14.0), limit = 0.9 * norm;
  const double share = std::erf(0.9 / std::sqrt(2.0));
  std::vector<Moments> entries(4);
  std::vector<double> v(4), g(4);
  for (std::uint32_t step = 0; step < 100000; ++step) {
    const auto draw = probe->draw(step, 1);
    draw->fill(0, 0, std::span(v));
    const std::vector<double> slopes{inner_product<double>(v, gradient)};
    GradientEstimate estimate({.loss = 0, .slopes = slopes}, slopes, draw, {});
    estimate.scale_coefficients(slope_factors(estimate.slopes(), limit));
    estimate.materialize(std::span(g));
    for (std::size_t i = 0; i < 4; ++i) entries[i].add(g[i]);
  }
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(agrees(entries[i].mean(), share * gradient[i], entries[i].mean_error())) << "entry " << i;
}

TEST(ScaleCoefficients, WantsAFactorForEachTangent) {
  const auto draw = make_probe("gaussian", ParameterLayout::vector(4), 11)->draw(0, 2);
  GradientEstimate estimate({.loss = 0, .slopes = {1, 2}}, {1, 2}, draw, {});
  GradientEstimate dense(0, std::make_shared<const DenseGradient<double>>(std::vector<double>{1, 2}));
  EXPECT_THROW(estimate.scale_coefficients(std::vector<double>{1}), ShapeError);
  EXPECT_THROW(dense.scale_coefficients(std::vector<double>{1, 1}), ShapeError);
}

// By the recursion itself the share of slopes above the limit is 1 − quantile + log(L_end / L_start) / (pace · count).
TEST(SlopeQuantile, LeavesTheShareOfSlopesAboveTheLimitThatItWasAskedFor) {
  for (const double quantile : {0.5, 0.9, 0.99}) {
    SlopeQuantile clip(quantile);
    EXPECT_EQ(clip.limit(), kInfinity);
    clip.watch(std::vector<double>{0, 0});
    EXPECT_EQ(clip.limit(), kInfinity);
    clip.watch(std::vector<double>{-3, 2});
    EXPECT_EQ(clip.limit(), 3);
    RandomStream random(5);
    constexpr int kSlopes = 40000;
    int above = 0;
    for (int i = 0; i < kSlopes; ++i) {
      const double slope = 20 * random.uniform(-1, 1);
      above += std::abs(slope) > clip.limit();
      clip.watch(std::vector<double>{slope});
    }
    EXPECT_NEAR(static_cast<double>(above) / kSlopes, 1 - quantile, 0.005);
    EXPECT_NEAR(clip.limit(), 20 * quantile, 3);
    EXPECT_EQ(clip.state().steps, kSlopes + 4);
  }
}

TEST(SlopeQuantile, GoesOnBitForBitFromItsState) {
  SlopeQuantile whole(0.8), before(0.8), after(0.8);
  const auto watch = [](SlopeQuantile& clip, std::uint64_t seed) { clip.watch(random_vector<double>(50, seed)); };
  watch(whole, 1), watch(whole, 2);
  watch(before, 1);
  after.restore(before.state());
  watch(after, 2);
  EXPECT_EQ(after.limit(), whole.limit());
  EXPECT_EQ(after.state().steps, 100);
  EXPECT_NE(before.limit(), whole.limit());
}

TEST(SlopeQuantile, SaysWhatIsWrong) {
  for (const double bad : {0.0, 1.0, -0.5, kNaN}) {
    EXPECT_THROW(SlopeQuantile{bad}, ArgumentError) << bad;
    EXPECT_THROW(SlopeQuantile(0.5, bad), ArgumentError) << bad;
  }
  SlopeQuantile clip(0.5);
  EXPECT_THROW(clip.watch(std::vector<double>{1, kNaN}), NumericError);
  EXPECT_EQ(clip.limit(), kInfinity);
  EXPECT_THROW(clip.restore({.steps = 1}), ArgumentError);
}

}  // namespace
}  // namespace slopewise
