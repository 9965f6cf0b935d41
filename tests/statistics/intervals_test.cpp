#include "slopewise/statistics/intervals.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "tests/statistics/draws.hpp"

namespace slopewise {
namespace {

CentralMoments moments_of(const std::vector<double>& values) {
  Moments moments;
  moments.add(values);
  return moments.central();
}

TEST(Intervals, InClosedForm) {
  const Interval normal = normal_interval(3, 2, 0.95);
  EXPECT_NEAR(normal.low, 3 - 2 * 1.9599639845400545, 1e-13);
  EXPECT_NEAR(normal.high, 3 + 2 * 1.9599639845400545, 1e-13);
  // Eleven values −5…5: mean 0, variance 11, so the error of the mean is 1.
  std::vector<double> values;
  for (int i = -5; i <= 5; ++i) values.push_back(i);
  const Interval mean = mean_interval(moments_of(values), 0.95);
  EXPECT_NEAR(mean.low, -2.2281388519862744, 1e-12);
  EXPECT_NEAR(mean.high, 2.2281388519862744, 1e-12);
  const Interval scale = scale_interval(10, 10, 0.9);
  EXPECT_NEAR(scale.low, 10 / 18.307038053275146, 1e-12);
  EXPECT_NEAR(scale.high, 10 / 3.9402991361190605, 1e-11);
  // Wilson's for 10 of 20: (n p + z²/2)/(n + z²) is 1/2.
  const Interval half = proportion_interval(10, 20, 0.95);
  EXPECT_NEAR(half.low, 0.29929800, 1e-7);
  EXPECT_NEAR(half.high, 0.70070200, 1e-7);
  EXPECT_EQ(proportion_interval(0, 20, 0.95).low, 0.0);
  EXPECT_NEAR(proportion_interval(0, 20, 0.95).high, 1.96 * 1.96 / (20 + 1.96 * 1.96), 1e-4);
  EXPECT_EQ(proportion_interval(20, 20, 0.95).high, 1.0);
  EXPECT_TRUE((Interval{1, 2}.contains(1) && Interval{1, 2}.contains(2)));
  EXPECT_FALSE(
      (Interval{1, 2}.contains(0.999) || Interval{1, 2}.contains(2.001) || Interval{1, 2}.contains(std::nan(""))));
}

// A ratio of a sample to itself is 1 without error, if the covariance of the means is told.
TEST(Intervals, RatioKnowsTheCovariance) {
  RandomStream random(1);
  auto values = draw_normals(random, 100);
  for (double& value : values) value += 10;
  const CentralMoments sample = moments_of(values);
  const Interval interval = ratio_interval(sample, sample, 0.99, sample.mean_error() * sample.mean_error());
  EXPECT_NEAR(interval.low, 1.0, 1e-8);
  EXPECT_NEAR(interval.high, 1.0, 1e-8);
  EXPECT_LT(ratio_interval(sample, sample, 0.99).low, 0.99);
}

// Each interval of confidence 0.95 must hold the truth in 95 % of 4,000 simulations: their count lies in the Wilson
// interval of confidence 1 − 1e-7 (about ±1.8 %), which is the false-alarm rate of each of these tests.
constexpr int kTrials = 4000;
constexpr double kConfidence = 0.95;

template <class Simulate>
void expect_coverage(std::uint64_t seed, double truth, const Simulate& simulate) {
  RandomStream random(seed);
  int covered = 0;
  for (int trial = 0; trial < kTrials; ++trial) covered += simulate(random).contains(truth);
  EXPECT_TRUE(proportion_interval(covered, kTrials, 1 - 1e-7).contains(kConfidence))
      << "covered " << covered << " of " << kTrials;
}

TEST(IntervalCoverage, Mean) {
  expect_coverage(11, 0,
                  [](RandomStream& random) { return mean_interval(moments_of(draw_normals(random, 5)), kConfidence); });
}

TEST(IntervalCoverage, VarianceOfANormal) {
  expect_coverage(12, 1, [](RandomStream& random) {
    return variance_interval(moments_of(draw_normals(random, 1000)), kConfidence);
  });
}

TEST(IntervalCoverage, VarianceOfALightTailedLaw) {
  expect_coverage(13, 1.0 / 12, [](RandomStream& random) {
    Moments moments;
    for (int i = 0; i < 500; ++i) moments.add(random.uniform());
    return variance_interval(moments.central(), kConfidence);
  });
}

TEST(IntervalCoverage, Scale) {
  expect_coverage(14, 1, [](RandomStream& random) {
    double sum = 0;
    for (const double value : draw_normals(random, 4)) sum += value * value;
    return scale_interval(sum, 4, kConfidence);
  });
}

TEST(IntervalCoverage, Proportion) {
  expect_coverage(15, 0.3, [](RandomStream& random) {
    std::int64_t successes = 0;
    for (int i = 0; i < 1000; ++i) successes += random.uniform() < 0.3;
    return proportion_interval(successes, 1000, kConfidence);
  });
}

TEST(IntervalCoverage, RatioOfIndependentMeans) {
  expect_coverage(16, 0.5, [](RandomStream& random) {
    Moments numerator, denominator;
    for (int i = 0; i < 200; ++i) {
      numerator.add(2 + draw_normal(random));
      denominator.add(4 + 2 * draw_normal(random));
    }
    return ratio_interval(numerator.central(), denominator.central(), kConfidence);
  });
}

TEST(Intervals, RefuseWhatTheyCannotTake) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (const double confidence : {0.0, 1.0, -1.0, 2.0, nan}) {
    EXPECT_THROW(normal_interval(0, 1, confidence), ArgumentError);
    EXPECT_THROW(scale_interval(1, 1, confidence), ArgumentError);
    EXPECT_THROW(proportion_interval(1, 2, confidence), ArgumentError);
  }
  EXPECT_THROW(normal_interval(nan, 1, 0.9), ArgumentError);
  EXPECT_THROW(normal_interval(0, -1, 0.9), ArgumentError);
  EXPECT_THROW(student_t_interval(0, 1, 0, 0.9), ArgumentError);
  EXPECT_THROW(mean_interval(moments_of({1}), 0.9), ArgumentError);
  EXPECT_THROW(variance_interval(moments_of({1, 2, 3}), 0.9), ArgumentError);
  MomentsArray second_order(1, 2);
  for (int i = 0; i < 10; ++i) second_order.add(std::vector<double>{static_cast<double>(i)});
  EXPECT_THROW(variance_interval(second_order.entry(0), 0.9), ArgumentError);
  EXPECT_THROW(scale_interval(-1, 1, 0.9), ArgumentError);
  EXPECT_THROW(scale_interval(inf, 1, 0.9), ArgumentError);
  EXPECT_THROW(proportion_interval(3, 2, 0.9), ArgumentError);
  EXPECT_THROW(proportion_interval(0, 0, 0.9), ArgumentError);
  EXPECT_THROW(ratio_interval(moments_of({1, 2}), moments_of({-1, 1}), 0.9), ArgumentError);
  EXPECT_THROW(ratio_interval(moments_of({1, 2}), moments_of({10, 11}), 0.9, 100), ArgumentError);
}

}  // namespace
}  // namespace slopewise
