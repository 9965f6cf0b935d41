#include "slopewise/statistics/jackknife.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/statistics/distributions.hpp"

namespace slopewise {
namespace {

std::vector<double> uniform_column(Index count, std::uint64_t seed) {
  RandomStream random(seed);
  std::vector<double> column(static_cast<std::size_t>(count));
  for (double& value : column) value = random.uniform();
  return column;
}

// Of the mean itself, with one sample a block, the jackknife's error is the ordinary standard error.
TEST(Jackknife, OfAMeanIsTheStandardError) {
  const std::vector<double> column = uniform_column(64, 1);
  const Measured direct = mean_of(column);
  const Measured found = function_of_means({&column, 1}, [](std::span<const double> mean) { return mean[0]; });
  EXPECT_NEAR(found.value, direct.value, 1e-15);
  EXPECT_NEAR(found.error, direct.error, 1e-15);
  EXPECT_EQ(found.degrees, 63);
  EXPECT_NEAR(found.skewness, direct.skewness, 1e-12);
}

// Means of 200 squares of normals, 20,000 times. Of intervals of 99.9 %, 10 should lie below the truth, and by
// Student's t, which does not know of skewness, some 50 do.
TEST(MeasuredInterval, CoversAlsoWhereSamplesAreSkewed) {
  constexpr int kRepetitions = 20'000;
  constexpr double kConfidence = 0.999;
  int below = 0, above = 0, below_by_t = 0;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    RandomStream random(3, static_cast<std::uint64_t>(repetition));
    std::vector<double> column(200);
    for (std::size_t i = 0; i < column.size(); i += 2) {
      const double square = -2 * std::log(1 - random.uniform()), angle = 2 * M_PI * random.uniform();
      column[i] = square * std::cos(angle) * std::cos(angle);
      column[i + 1] = square * std::sin(angle) * std::sin(angle);
    }
    Measured mean = mean_of(column);
    below += mean.interval(kConfidence).high < 1;
    above += mean.interval(kConfidence).low > 1;
    mean.skewness = 0;
    below_by_t += mean.interval(kConfidence).high < 1;
  }
  EXPECT_LT(below, 35);
  EXPECT_LT(above, 35);
  EXPECT_GT(above, 1);
  EXPECT_GT(below_by_t, 35);
}

// Of a known error the interval is the normal's, and with the value's own skewness it reaches further down than up.
TEST(MeasuredInterval, OfAKnownErrorIsNormal) {
  Measured measured{.value = 2, .error = 0.5, .degrees = std::numeric_limits<double>::infinity()};
  const double z = normal_quantile(0.995);
  EXPECT_NEAR(measured.interval(0.99).low, 2 - 0.5 * z, 1e-9);
  EXPECT_NEAR(measured.interval(0.99).high, 2 + 0.5 * z, 1e-9);
  // χ² of 32 degrees of freedom, centred and scaled, has the skewness ½; its quantiles are those of the table.
  measured.skewness = 0.5;
  const auto scaled = [](double p) { return (chi_squared_quantile(32, p) - 32) / 8; };
  EXPECT_NEAR(measured.interval(0.99).low, 2 - 0.5 * scaled(0.995), 0.005);
  EXPECT_NEAR(measured.interval(0.99).high, 2 - 0.5 * scaled(0.005), 0.005);
}

// Two uniforms of one half, added to one: var a/b ≈ (var a − 2r cov + r² var b)/b², r = a/b.
TEST(ErrorInTheory, IsTheDeltaMethods) {
  const double means[] = {1, 2}, covariances[] = {2.0 / 12, 1.0 / 12, 1.0 / 12, 10.0 / 12};
  const double error =
      error_in_theory(means, covariances, 640, [](std::span<const double> mean) { return mean[0] / mean[1]; });
  EXPECT_NEAR(error, std::sqrt((2.0 / 12 - 2 * 0.5 / 12 + 0.25 * 10 / 12) / 4 / 640), 1e-9);
}

// Sums of 20 numbers of a symmetric law without a variance, ±1/√u, pass the limit less often than said; and a limit
// that is half of that is passed.
TEST(SelfNormalizedLimit, BoundsSymmetricSumsOfAnyLaw) {
  const double limit = self_normalized_limit(0.05);
  EXPECT_NEAR(limit, std::sqrt(2 * std::log(40.0)), 1e-12);
  EXPECT_THROW(self_normalized_limit(0), ArgumentError);
  int beyond = 0, beyond_half = 0;
  for (std::uint64_t repetition = 0; repetition < 2000; ++repetition) {
    RandomStream random(4, repetition);
    double sum = 0, squares = 0;
    for (int i = 0; i < 20; ++i) {
      const double size = 1 / std::sqrt(1 - random.uniform()), value = random.uniform() < 0.5 ? -size : size;
      sum += value;
      squares += value * value;
    }
    beyond += std::abs(sum) > limit * std::sqrt(squares);
    beyond_half += std::abs(sum) > limit / 2 * std::sqrt(squares);
  }
  EXPECT_LE(beyond, 100);
  EXPECT_GT(beyond_half, 100);
}

// The interval of a ratio of correlated means covers the true ratio as often as it says: 95 % of 2000 repetitions,
// within 5 standard deviations of that count (false alarm below 1e-6).
TEST(Jackknife, TheIntervalOfARatioCovers) {
  constexpr int kRepetitions = 2000;
  int covered = 0;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    std::vector<std::vector<double>> columns(2);
    RandomStream random(2, static_cast<std::uint64_t>(repetition));
    for (int i = 0; i < 640; ++i) {
      const double common = random.uniform();
      columns[0].push_back(common + random.uniform());      // mean 1
      columns[1].push_back(common + 3 * random.uniform());  // mean 2
    }
    const Measured ratio = function_of_means(columns, [](std::span<const double> mean) { return mean[0] / mean[1]; });
    covered += ratio.interval(0.95).contains(0.5);
  }
  EXPECT_NEAR(covered, 0.95 * kRepetitions, 5 * std::sqrt(kRepetitions * 0.95 * 0.05));
}

TEST(Jackknife, RefusesWhatItCannotCut) {
  const std::vector<std::vector<double>> uneven{uniform_column(100, 1), uniform_column(99, 1)};
  const auto first = [](std::span<const double> mean) { return mean[0]; };
  EXPECT_THROW(function_of_means(uneven, first), ArgumentError);
  EXPECT_THROW(function_of_means({}, first), ArgumentError);
  const std::vector<double> few = uniform_column(1, 1);
  EXPECT_THROW(function_of_means({&few, 1}, first), ArgumentError);
}

TEST(BetaQuantile, InvertsTheDistribution) {
  for (const double p : {0.025, 0.5, 0.975}) EXPECT_NEAR(beta_cdf(1.5, 40, beta_quantile(1.5, 40, p)), p, 1e-12);
  EXPECT_THROW(beta_quantile(1, 1, 1.5), ArgumentError);
}

}  // namespace
}  // namespace slopewise
