#include "slopewise/train/noise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kSize = 6;

// g = ∇ + σ_b ξ(batch) + σ_t ζ(batch, draw), ξ and ζ standard normal: mini-batch noise and tangent noise.
class Law {
 public:
  Law(double batch_sigma, double tangent_sigma, std::uint64_t seed)
      : batch_sigma_(batch_sigma), tangent_sigma_(tangent_sigma), seed_(seed), out_(kSize) {}

  std::span<const float> exact(Index batch) {
    RandomStream random(seed_, static_cast<std::uint64_t>(batch));
    std::normal_distribution<double> normal;
    for (std::size_t i = 0; i < out_.size(); ++i)
      out_[i] = static_cast<float>(kGradient[i] + batch_sigma_ * normal(random));
    return out_;
  }
  std::span<const float> estimate(Index batch, Index draw) {
    exact(batch);
    RandomStream random(seed_, static_cast<std::uint64_t>(1000 + 2 * batch + draw));
    std::normal_distribution<double> normal;
    for (float& entry : out_) entry += static_cast<float>(tangent_sigma_ * normal(random));
    return out_;
  }
  GradientNoise measure(Index batches, bool checked = false) {
    const auto truth = [this](Index batch) { return exact(batch); };
    return measure_noise(
        batches, [this](Index batch, Index draw) { return estimate(batch, draw); },
        checked ? truth : std::function<std::span<const float>(Index)>());
  }

  static constexpr double kGradient[kSize] = {1, -0.5, 0.25, 0, 2, -1};
  static double squared_norm() {
    double sum = 0;
    for (const double entry : kGradient) sum += entry * entry;
    return sum;
  }

 private:
  double batch_sigma_, tangent_sigma_;
  std::uint64_t seed_;
  std::vector<float> out_;
};

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}
std::vector<float> copied(std::span<const float> values) {
  return {values.begin(), values.end()};
}

// Means over 4000 independent measurements at 6.5 standard errors: three false alarms in 1.2e10 for each law.
TEST(MeasureNoise, IsUnbiasedForNormAndVariances) {
  for (const auto& [batch_sigma, tangent_sigma] : {std::pair(0.5, 2.0), std::pair(3.0, 0.0), std::pair(0.0, 1.0)}) {
    Moments norm, variance, tangents;
    for (std::uint64_t trial = 0; trial < 4000; ++trial) {
      const GradientNoise noise = Law(batch_sigma, tangent_sigma, trial).measure(4);
      norm.add(noise.squared_norm);
      variance.add(noise.variance);
      tangents.add(noise.tangent_variance);
    }
    const auto expect = [](const Moments& found, double expected) {
      EXPECT_TRUE(agrees(found.mean(), expected, found.mean_error(), 1e-6));
    };
    expect(norm, Law::squared_norm());
    expect(variance, kSize * (batch_sigma * batch_sigma + tangent_sigma * tangent_sigma));
    expect(tangents, kSize * tangent_sigma * tangent_sigma);
  }
}

// The jackknife of a mean over pairs errs on the safe side, by about 1 part in as many as there are batches where the
// noise is large. Both variances are known to 3 % at 4000 measurements.
TEST(MeasureNoise, StandardErrorIsThatOfTheNorm) {
  Moments norm, squared_error;
  for (std::uint64_t trial = 0; trial < 4000; ++trial) {
    const GradientNoise noise = Law(0.5, 1, trial).measure(16);
    norm.add(noise.squared_norm);
    squared_error.add(noise.squared_norm_error * noise.squared_norm_error);
  }
  EXPECT_GT(squared_error.mean(), 0.85 * norm.variance());
  EXPECT_LT(squared_error.mean(), 1.3 * norm.variance());
}

TEST(MeasureNoise, IsWhatPlainSumsOverPairsGive) {
  constexpr Index kBatches = 5;
  Law law(0.5, 1, 7);
  std::vector<std::vector<float>> g, again, truth;
  for (Index batch = 0; batch < kBatches; ++batch) {
    g.push_back(copied(law.estimate(batch, 0)));
    again.push_back(copied(law.estimate(batch, 1)));
    truth.push_back(copied(law.exact(batch)));
  }
  // The mean of g·g′ over pairs of different batches, without one of them.
  const auto mean_product = [&](std::size_t without) {
    double sum = 0, pairs = 0;
    for (std::size_t r = 0; r < g.size(); ++r) {
      for (std::size_t s = 0; s < g.size(); ++s) {
        if (r == s || r == without || s == without) continue;
        sum += dot(g[r], g[s]);
        ++pairs;
      }
    }
    return sum / pairs;
  };
  Moments squares, gaps, cosines, left_out;
  for (std::size_t r = 0; r < g.size(); ++r) {
    squares.add(dot(g[r], g[r]));
    gaps.add(dot(g[r], g[r]) + dot(again[r], again[r]) - 2 * dot(g[r], again[r]));
    cosines.add(dot(g[r], truth[r]) / std::sqrt(dot(g[r], g[r]) * dot(truth[r], truth[r])));
    left_out.add(mean_product(r));
  }
  const GradientNoise noise = law.measure(kBatches, true);
  EXPECT_NEAR(noise.squared_norm, mean_product(g.size()), 1e-5);
  EXPECT_NEAR(noise.variance, squares.mean() - mean_product(g.size()), 1e-5);
  EXPECT_NEAR(noise.tangent_variance, gaps.mean() / 2, 1e-5);
  EXPECT_NEAR(noise.cosine, cosines.mean(), 1e-6);
  const double jackknife = (kBatches - 1) * (kBatches - 1) / double{kBatches} * left_out.variance();
  EXPECT_NEAR(noise.squared_norm_error, std::sqrt(jackknife), 1e-5);
}

TEST(MeasureNoise, NeedsTwoBatchesAndThreeForAnError) {
  EXPECT_THROW(Law(1, 1, 1).measure(1), ArgumentError);
  const GradientNoise noise = Law(1, 1, 1).measure(2);
  EXPECT_EQ(noise.squared_norm_error, 0);
  EXPECT_EQ(noise.cosine, 0);
  EXPECT_GT(noise.variance, 0);
}

}  // namespace
}  // namespace slopewise
