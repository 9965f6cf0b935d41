// What slopes alone say of ‖∇‖².
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/estimate/estimate.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/probe/layouts.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

struct NoiseCase {
  std::string law;
  Index count;
};

class NoiseEstimates : public testing::TestWithParam<NoiseCase> {};

// The laws whose interval is exact.
INSTANTIATE_TEST_SUITE_P(, NoiseEstimates,
                         testing::Values(NoiseCase{"gaussian", 1}, NoiseCase{"gaussian", 8}, NoiseCase{"frame", 1},
                                         NoiseCase{"frame", 8}),
                         [](const auto& chosen) {
                           return chosen.param.law + "_" + std::to_string(chosen.param.count);
                         });

// 4 comparisons for each of 4 cases at 8e-11: false alarm rate 1.3e-9.
TEST_P(NoiseEstimates, CoverWhatTheyPromiseAndAreUnbiased) {
  constexpr int kRepetitions = 50'000;
  const ParameterLayout layout = small_layout();
  const std::vector<double> gradient = random_vector<double>(layout.size, 8);
  const double truth = inner_product<double>(gradient, gradient);
  const auto probe = make_probe(GetParam().law, layout, 12);
  Moments found;
  int below = 0, above = 0;
  std::vector<double> v(gradient.size()), slopes(static_cast<std::size_t>(GetParam().count));
  for (std::uint32_t step = 0; step < kRepetitions; ++step) {
    const auto draw = probe->draw(step, GetParam().count);
    for (std::size_t k = 0; k < slopes.size(); ++k) {
      draw->fill(static_cast<Index>(k), 0, std::span<double>(v));
      slopes[k] = inner_product<double>(v, gradient);
    }
    const NoiseEstimate noise = estimate_noise(*probe, slopes);
    found.add(noise.squared_norm);
    below += truth < noise.squared_norm_low;
    above += truth > noise.squared_norm_high;
    ASSERT_EQ(noise.confidence, kNoiseConfidence);
    ASSERT_EQ(noise.snr_low, probe->snr(GetParam().count).low);
    ASSERT_EQ(noise.snr_high, probe->snr(GetParam().count).high);
  }
  const double tail = (1 - kNoiseConfidence) / 2;
  const double error = std::sqrt(tail * (1 - tail) * kRepetitions);
  EXPECT_TRUE(agrees(below, tail * kRepetitions, error)) << "intervals above the truth";
  EXPECT_TRUE(agrees(above, tail * kRepetitions, error)) << "intervals below the truth";
  EXPECT_TRUE(agrees(found.mean(), truth, found.mean_error()));
  // Gaussian: χ²(K), variance 2/K. Frame: n/K times Beta(K/2, (n − K)/2).
  const auto n = static_cast<double>(layout.size);
  const auto k = static_cast<double>(GetParam().count);
  const double variance = GetParam().law == "gaussian" ? 2 / k : 2 * (n - k) / (k * (n + 2));
  EXPECT_TRUE(agrees(found.variance(), truth * truth * variance, found.variance_error()));
}

// The other laws' intervals cover the truth at least as often as they promise; 2 values of K and 6 laws, one-sided:
// false alarm rate 5e-10.
TEST(NoiseEstimate, IsCautiousForOtherLaws) {
  constexpr int kRepetitions = 20'000;
  const ParameterLayout layout = small_layout();
  const std::vector<double> gradient = random_vector<double>(layout.size, 8);
  const double truth = inner_product<double>(gradient, gradient);
  std::vector<double> v(gradient.size());
  for (const std::string& law : probe_names()) {
    if (law == "gaussian" || law == "frame") continue;
    const auto probe = make_probe(law, layout, 13);
    for (const Index count : {1, 8}) {
      int covered = 0;
      std::vector<double> slopes(static_cast<std::size_t>(count));
      for (std::uint32_t step = 0; step < kRepetitions; ++step) {
        const auto draw = probe->draw(step, count);
        for (Index k = 0; k < count; ++k) {
          draw->fill(k, 0, std::span<double>(v));
          slopes[static_cast<std::size_t>(k)] = inner_product<double>(v, gradient);
        }
        const NoiseEstimate noise = estimate_noise(*probe, slopes);
        covered += noise.squared_norm_low <= truth && truth <= noise.squared_norm_high;
      }
      const double error = std::sqrt(kNoiseConfidence * (1 - kNoiseConfidence) * kRepetitions);
      EXPECT_GE(covered, kNoiseConfidence * kRepetitions - kSigmas * error) << law << ", K = " << count;
    }
  }
}

TEST(NoiseEstimate, OfAWholeBasisLeavesNothingToChance) {
  const ParameterLayout layout = small_layout();
  const std::vector<double> gradient = random_vector<double>(layout.size, 8);
  const double truth = inner_product<double>(gradient, gradient);
  const auto probe = make_probe("frame", layout, 12);
  const auto draw = probe->draw(0, layout.size);
  std::vector<double> v(gradient.size()), slopes;
  for (Index k = 0; k < layout.size; ++k) {
    draw->fill(k, 0, std::span<double>(v));
    slopes.push_back(inner_product<double>(v, gradient));
  }
  const NoiseEstimate noise = estimate_noise(*probe, slopes);
  EXPECT_NEAR(noise.squared_norm, truth, 1e-9 * truth);
  EXPECT_EQ(noise.squared_norm_low, noise.squared_norm_high);
  EXPECT_NEAR(noise.squared_norm_low, truth, 1e-9 * truth);
  EXPECT_TRUE(std::isinf(noise.snr_low));
}

}  // namespace
}  // namespace slopewise
