#include "slopewise/statistics/jackknife.hpp"

#include <gtest/gtest.h>

#include <cmath>

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
  const std::vector<double> few = uniform_column(63, 1);
  EXPECT_THROW(function_of_means({&few, 1}, first), ArgumentError);
}

TEST(BetaQuantile, InvertsTheDistribution) {
  for (const double p : {0.025, 0.5, 0.975}) EXPECT_NEAR(beta_cdf(1.5, 40, beta_quantile(1.5, 40, p)), p, 1e-12);
  EXPECT_THROW(beta_quantile(1, 1, 1.5), ArgumentError);
}

}  // namespace
}  // namespace slopewise
