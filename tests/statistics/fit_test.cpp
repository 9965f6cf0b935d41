#include "slopewise/statistics/fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "tests/statistics/draws.hpp"

namespace slopewise {
namespace {

double uniform_cdf(double x) {
  return x;
}

std::vector<double> draw_uniforms(RandomStream& random, std::size_t count) {
  std::vector<double> values(count);
  for (double& value : values) value = random.uniform();
  return values;
}

TEST(KolmogorovSmirnov, ExactLawInClosedForm) {
  // n = 1: P(D < d) = 2d − 1 for d ≥ 1/2. n = 2: P(D < d) = 2 (2d − 1/2)² on [1/4, 1/2], 1 − 2 (1 − d)² above.
  for (const double d : {0.5, 0.6, 0.9, 0.99}) EXPECT_NEAR(kolmogorov_smirnov_p_value(1, d), 2 * (1 - d), 1e-14);
  for (const double d : {0.26, 0.3, 0.45}) {
    EXPECT_NEAR(kolmogorov_smirnov_p_value(2, d), 1 - 2 * std::pow(2 * d - 0.5, 2), 1e-14);
  }
  for (const double d : {0.5, 0.7, 0.9}) {
    EXPECT_NEAR(kolmogorov_smirnov_p_value(2, d), 2 * std::pow(1 - d, 2), 1e-14);
  }
  // n = 3, d ≤ 1/3: P(D < d) = 6 · (2d − 1/3)³, the volume of three disjoint slots.
  EXPECT_NEAR(kolmogorov_smirnov_p_value(3, 0.3), 1 - 6 * std::pow(0.6 - 1.0 / 3, 3), 1e-14);
}

TEST(KolmogorovSmirnov, PublishedValues) {
  // Marsaglia, Tsang, Wang 2003.
  EXPECT_NEAR(kolmogorov_smirnov_p_value(10, 0.274), 1 - 0.6284796154565043, 1e-13);
  EXPECT_NEAR(kolmogorov_smirnov_p_value(2000, 0.04) / (1 - 0.99676943191713676985), 1.0, 1e-8);
  // The limit law has its 5 % point at 1.3581.
  EXPECT_NEAR(kolmogorov_smirnov_p_value(1000000, 1.3580986e-3), 0.05, 1e-4);
}

TEST(KolmogorovSmirnov, RegimesMeet) {
  // At nd² = 3 and where the exact law ends, the p-value must not jump.
  for (const std::size_t n : {5u, 50u, 400u}) {
    const double d = std::sqrt(3.0 / static_cast<double>(n));
    EXPECT_NEAR(kolmogorov_smirnov_p_value(n, d * (1 - 1e-9)) / kolmogorov_smirnov_p_value(n, d * (1 + 1e-9)), 1.0,
                1e-6);
  }
  for (const double x : {0.5, 0.8, 1.0, 1.36, 1.7}) {
    EXPECT_NEAR(kolmogorov_smirnov_p_value(500, x / std::sqrt(500)),
                kolmogorov_smirnov_p_value(501, x / std::sqrt(501)), 1e-4);
  }
}

TEST(KolmogorovSmirnov, PValueFallsFromOneToZero) {
  for (const std::size_t n : {1u, 7u, 100u, 500u, 501u, 10000u}) {
    EXPECT_EQ(kolmogorov_smirnov_p_value(n, 0), 1.0);
    EXPECT_EQ(kolmogorov_smirnov_p_value(n, 1), 0.0);
    double last = 1;
    for (double d = 0; d <= 1; d += 0.003) {
      const double p = kolmogorov_smirnov_p_value(n, d);
      EXPECT_GE(p, 0.0);
      EXPECT_LE(p, last + 1e-12) << "n " << n << " d " << d;
      last = p;
    }
  }
}

TEST(KolmogorovSmirnov, StatisticInClosedForm) {
  EXPECT_NEAR(kolmogorov_smirnov_test(std::vector<double>{0.9, 0.1, 0.2}, uniform_cdf).statistic, 2.0 / 3 - 0.2, 1e-15);
  const std::vector<double> first = {1, 2, 2, 3}, second = {2, 3, 4};
  // After 1: 1/4 − 0; after 2: 3/4 − 1/3; after 3: 1 − 2/3.
  EXPECT_NEAR(kolmogorov_smirnov_test(first, second).statistic, 5.0 / 12, 1e-15);
  EXPECT_EQ(kolmogorov_smirnov_test(first, first).statistic, 0.0);
  EXPECT_EQ(kolmogorov_smirnov_test(first, first).p_value, 1.0);
}

// Under the null hypothesis p-values are uniform, which 1,000 of them are tested for by the same test at 1e-7: the
// false-alarm rate of each case.
class NullPValues : public testing::TestWithParam<std::size_t> {};

TEST_P(NullPValues, OfOneSampleAreUniform) {
  RandomStream random(1);
  std::vector<double> p_values;
  for (int trial = 0; trial < 1000; ++trial) {
    p_values.push_back(kolmogorov_smirnov_test(draw_normals(random, GetParam()), normal_cdf).p_value);
  }
  EXPECT_GT(kolmogorov_smirnov_test(p_values, uniform_cdf).p_value, 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Sizes, NullPValues, testing::Values(3, 20, 100, 1000));

TEST(KolmogorovSmirnov, PValuesOfTwoSamplesAreUniform) {
  RandomStream random(2);
  std::vector<double> p_values;
  for (int trial = 0; trial < 1000; ++trial) {
    p_values.push_back(kolmogorov_smirnov_test(draw_uniforms(random, 500), draw_uniforms(random, 701)).p_value);
  }
  EXPECT_GT(kolmogorov_smirnov_test(p_values, uniform_cdf).p_value, 1e-7);
}

TEST(KolmogorovSmirnov, SeesTheWrongLaw) {
  RandomStream random(3);
  auto values = draw_normals(random, 2000);
  const auto others = draw_normals(random, 1000);
  EXPECT_GT(kolmogorov_smirnov_test(values, others).p_value, 1e-7);
  for (double& value : values) value *= 1.3;
  EXPECT_LT(kolmogorov_smirnov_test(values, normal_cdf).p_value, 1e-6);
  for (double& value : values) value += 1;
  EXPECT_LT(kolmogorov_smirnov_test(values, others).p_value, 1e-20);
}

TEST(KolmogorovSmirnov, RefusesWhatItCannotTake) {
  const double nan = std::nan("");
  const std::vector<double> values = {0.5};
  EXPECT_THROW(kolmogorov_smirnov_test(std::vector<double>{}, uniform_cdf), ArgumentError);
  EXPECT_THROW(kolmogorov_smirnov_test(std::vector<double>{nan}, uniform_cdf), NumericError);
  EXPECT_THROW(kolmogorov_smirnov_test(values, [](double) { return 1.5; }), NumericError);
  EXPECT_THROW(kolmogorov_smirnov_test(values, std::vector<double>{}), ArgumentError);
  EXPECT_THROW(kolmogorov_smirnov_p_value(0, 0.5), ArgumentError);
  EXPECT_THROW(kolmogorov_smirnov_p_value(3, nan), ArgumentError);
}

TEST(ChiSquared, InClosedForm) {
  // Two degrees of freedom: p = exp(−χ²/2).
  const FitTest test = chi_squared_test(std::vector<double>{12, 8, 10}, std::vector<double>{10, 10, 10});
  EXPECT_NEAR(test.statistic, 0.8, 1e-15);
  EXPECT_NEAR(test.p_value, std::exp(-0.4), 1e-15);
  EXPECT_NEAR(chi_squared_test(std::vector<double>{12, 8, 9, 11}, std::vector<double>{10, 10, 10, 10}, 1).p_value,
              std::exp(-0.5), 1e-15);
}

// 1,000 p-values tested as above, at 1e-7. The χ² law is approximate and the counts whole, which bends the p-values'
// law by far less than the 0.09 that this would see.
TEST(ChiSquared, PValuesAreUniform) {
  RandomStream random(4);
  std::vector<double> p_values;
  const std::vector<double> expected(10, 200.0);
  for (int trial = 0; trial < 1000; ++trial) {
    std::vector<double> observed(10);
    for (int i = 0; i < 2000; ++i) ++observed[random.below(10)];
    p_values.push_back(chi_squared_test(observed, expected).p_value);
  }
  EXPECT_GT(kolmogorov_smirnov_test(p_values, uniform_cdf).p_value, 1e-7);
}

TEST(ChiSquared, RefusesWhatItCannotTake) {
  const std::vector<double> two = {1, 1}, three = {1, 1, 1};
  EXPECT_THROW(chi_squared_test(two, three), ArgumentError);
  EXPECT_THROW(chi_squared_test(two, two, 1), ArgumentError);
  EXPECT_THROW(chi_squared_test(two, two, -1), ArgumentError);
  EXPECT_THROW(chi_squared_test(two, std::vector<double>{2, 0}), ArgumentError);
  EXPECT_THROW(chi_squared_test(two, std::vector<double>{2, 1}), ArgumentError);
}

TEST(FitLine, GoesThroughPointsOnALine) {
  const LineFit fit = fit_line(std::vector<double>{1e6, 1e6 + 1, 1e6 + 3}, std::vector<double>{5, 7, 11});
  EXPECT_NEAR(fit.slope, 2, 1e-12);
  EXPECT_NEAR(fit(1e6 + 2), 9, 1e-8);
  EXPECT_NEAR(fit.scatter, 0, 1e-9);
}

TEST(FitLine, InClosedForm) {
  // x = −1, 0, 1, y = 0, 1, 5: slope 5/2, intercept 2, residuals ½, −1, ½, so scatter √1.5.
  const LineFit fit = fit_line(std::vector<double>{-1, 0, 1}, std::vector<double>{0, 1, 5});
  EXPECT_DOUBLE_EQ(fit.slope, 2.5);
  EXPECT_DOUBLE_EQ(fit.intercept, 2);
  EXPECT_DOUBLE_EQ(fit.scatter, std::sqrt(1.5));
  EXPECT_DOUBLE_EQ(fit.slope_error, std::sqrt(1.5 / 2));
  EXPECT_DOUBLE_EQ(fit.intercept_error, std::sqrt(1.5 / 3));
  EXPECT_EQ(fit.degrees, 1);
}

TEST(FitLine, AWeightOfTwoIsThePointTwice) {
  const LineFit weighted =
      fit_line(std::vector<double>{0, 1, 2, 5}, std::vector<double>{1, 3, 2, 7}, std::vector<double>{1, 2, 1, 3});
  const LineFit repeated = fit_line(std::vector<double>{0, 1, 1, 2, 5, 5, 5}, std::vector<double>{1, 3, 3, 2, 7, 7, 7});
  EXPECT_NEAR(weighted.slope, repeated.slope, 1e-14);
  EXPECT_NEAR(weighted.intercept, repeated.intercept, 1e-14);
  EXPECT_NEAR(weighted.scatter * std::sqrt(weighted.degrees), repeated.scatter * std::sqrt(repeated.degrees), 1e-13);
}

// Coverage of both intervals over 4,000 fits with unequal errors, judged at confidence 1 − 1e-7: the false-alarm rate.
TEST(FitLine, IntervalsCover) {
  RandomStream random(5);
  int slope_covered = 0, intercept_covered = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> x, y, weights;
    for (int i = 0; i < 8; ++i) {
      const double deviation = 0.5 + 0.3 * i;
      x.push_back(i);
      y.push_back(3 - 2 * i + deviation * draw_normal(random));
      weights.push_back(1 / (deviation * deviation));
    }
    const LineFit fit = fit_line(x, y, weights);
    slope_covered += fit.slope_interval(0.95).contains(-2);
    intercept_covered += fit.intercept_interval(0.95).contains(3);
  }
  EXPECT_TRUE(proportion_interval(slope_covered, kTrials, 1 - 1e-7).contains(0.95)) << slope_covered;
  EXPECT_TRUE(proportion_interval(intercept_covered, kTrials, 1 - 1e-7).contains(0.95)) << intercept_covered;
}

TEST(FitLine, RefusesWhatItCannotTake) {
  const std::vector<double> two = {1, 2}, three = {1, 2, 3};
  const double nan = std::nan("");
  EXPECT_THROW(fit_line(two, two), ArgumentError);
  EXPECT_THROW(fit_line(three, two), ArgumentError);
  EXPECT_THROW(fit_line(three, three, two), ArgumentError);
  EXPECT_THROW(fit_line(three, three, std::vector<double>{1, 0, 1}), ArgumentError);
  EXPECT_THROW(fit_line(three, three, std::vector<double>{1, nan, 1}), ArgumentError);
  EXPECT_THROW(fit_line(std::vector<double>{2, 2, 2}, three), ArgumentError);
  EXPECT_THROW(fit_line(three, std::vector<double>{1, nan, 2}), NumericError);
}

}  // namespace
}  // namespace slopewise
