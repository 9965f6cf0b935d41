// The automatic rate held to the rate that descends a quadratic fastest, from slopes alone.
#include "slopewise/optimize/auto_rate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/probe/probe.hpp"
#include "tests/optimize/support.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using Vector = std::vector<double>;

constexpr std::size_t kGradientSize = 20, kExamples = 8;

// ½ Σ_i h_i θ_i² with example gradients ∇ + noise_b, at a point where ∇_i = h_i θ_i.
struct Noisy {
  Vector diagonal = random_vector<double>(kGradientSize, 2, 0.1, 3);
  Vector gradient = random_vector<double>(kGradientSize, 3);
  double noise = 1;
  std::shared_ptr<const Probe> probe = make_probe("gaussian", ParameterLayout::vector(kGradientSize), 6);

  // Watches `steps` steps along K tangents, each with a batch of its own.
  void watch(AutoRate& rate, std::uint32_t steps, std::size_t count) const {
    RandomStream random(8);
    for (std::uint32_t step = 0; step < steps; ++step) {
      std::vector<Vector> examples(kExamples, gradient);
      for (Vector& example : examples) {
        for (double& entry : example) entry += noise * random.uniform(-1, 1);
      }
      const auto draw = probe->draw(step, static_cast<Index>(count));
      Vector slopes(count), curvatures(count), squares(count), v(kGradientSize);
      for (std::size_t k = 0; k < count; ++k) {
        draw->fill(static_cast<Index>(k), 0, std::span(v));
        for (std::size_t b = 0; b < kExamples; ++b) {
          const double of_example = inner_product<double>(v, examples[b]);
          slopes[k] += of_example / static_cast<double>(kExamples);
          squares[k] += of_example * of_example / static_cast<double>(kExamples);
        }
        for (std::size_t i = 0; i < kGradientSize; ++i) curvatures[k] += diagonal[i] * v[i] * v[i];
      }
      rate.watch_curvature(slopes, curvatures);
      rate.watch(slopes, squares, static_cast<Index>(kExamples));
    }
  }
  // η = ‖∇‖²/E[gᵀHg]: equation (4) of docs/theory.md for the batch's gradient, K tangents.
  double best_rate(double count) const {
    double trace = 0, square = 0, along = 0;
    const double variance = noise * noise / 3 / static_cast<double>(kExamples);
    for (std::size_t i = 0; i < kGradientSize; ++i) {
      trace += diagonal[i];
      square += gradient[i] * gradient[i];
      along += diagonal[i] * (gradient[i] * gradient[i] + variance);
    }
    const double of_batch = square + variance * static_cast<double>(kGradientSize);
    return square / ((of_batch * trace + 2 * along) / count + (1 - 1 / count) * along);
  }
};

constexpr AutoRateOptions kPatient{
    .safety = 1, .warm_up = 0, .slope_memory = 1'000'000, .curvature_memory = 1'000'000, .spike = 1e9};

// Means of 40,000 slopes; their errors are below 1 %, and 5 % is beyond five of them.
TEST(AutoRate, ComesToTheRateOfSteepestDescent) {
  for (const double noise : {0.0, 1.0, 4.0}) {
    Noisy problem;
    problem.noise = noise;
    for (const std::size_t count : {1, 4}) {
      AutoRate rate(kPatient);
      problem.watch(rate, static_cast<std::uint32_t>(40'000 / count), count);
      const double best = problem.best_rate(static_cast<double>(count));
      EXPECT_NEAR(rate.rate(static_cast<Index>(count)), best, 0.05 * best) << "noise " << noise << ", K = " << count;
      double trace = 0;
      for (const double h : problem.diagonal) trace += h;
      EXPECT_NEAR(rate.trace(), trace, 0.02 * trace);
    }
  }
}

TEST(AutoRate, StartsFromNothingAndWarmsUp) {
  AutoRate rate({.safety = 1, .warm_up = 3, .slope_memory = 4});
  EXPECT_EQ(rate.rate(1), 0);
  EXPECT_EQ(rate.limit(), kInfinity);
  EXPECT_TRUE(std::isnan(rate.trace()) && std::isnan(rate.signal_share()) && std::isnan(rate.squared_slope()));
  const Vector slope{2}, curvature{8};
  rate.watch(slope);
  EXPECT_EQ(rate.rate(1), 0);  // no curvature yet
  rate.watch_curvature(slope, curvature);
  for (const double begun : {0.25, 0.5, 0.75, 1.0, 1.0}) {
    EXPECT_DOUBLE_EQ(rate.rate(1), begun / 8);
    rate.watch(slope);
  }
}

TEST(AutoRate, ShrinksAtOnceWhereCurvatureRises) {
  AutoRate rate({.safety = 1, .warm_up = 0, .curvature_memory = 50});
  const Vector slope{1}, flat{10}, steep{1000};
  for (int i = 0; i < 200; ++i) rate.watch_curvature(slope, flat), rate.watch(slope);
  EXPECT_NEAR(rate.rate(1), 0.1, 1e-12);
  for (int i = 0; i < 5; ++i) rate.watch_curvature(slope, steep), rate.watch(slope);
  EXPECT_LT(rate.rate(1), 0.002);
  for (int i = 0; i < 5; ++i) rate.watch_curvature(slope, flat), rate.watch(slope);
  EXPECT_LT(rate.rate(1), 0.01);  // and forgets slowly
  AutoRate concave({.warm_up = 0});
  concave.watch_curvature(slope, Vector{-1}), concave.watch(slope);
  EXPECT_EQ(concave.rate(1), 0);
}

// Slopes beyond the limit count as the limit, so that one of them does not lift it.
TEST(AutoRate, BoundsSlopesByThoseBefore) {
  AutoRate rate({.warm_up = 0, .slope_memory = 10, .spike = 3});
  for (int i = 0; i < 20; ++i) rate.watch(Vector{2});
  EXPECT_DOUBLE_EQ(rate.limit(), 6);
  rate.watch(Vector{1e9});
  EXPECT_DOUBLE_EQ(rate.limit(), 3 * std::sqrt(0.9 * 4 + 0.1 * 36));
  rate.watch_curvature(Vector{1e9}, Vector{5});
  rate.watch(Vector{-1e9});
  EXPECT_LT(rate.limit(), 12);
}

// Noise alone has no signal, and what is measured of it is no less than the error of the measurement.
TEST(AutoRate, TellsSignalFromTheNoiseOfBatches) {
  Noisy problem;
  AutoRate rate(kPatient);
  problem.watch(rate, 20'000, 1);
  double square = 0;
  for (const double entry : problem.gradient) square += entry * entry;
  const double share = square / (square + kGradientSize / 3.0 / kExamples);
  EXPECT_NEAR(rate.signal_share(), share, 0.05 * share);
  EXPECT_NEAR(rate.squared_slope(), square / share, 0.05 * square / share);

  problem.gradient.assign(kGradientSize, 0);
  AutoRate lost(kPatient);
  problem.watch(lost, 20'000, 1);
  EXPECT_DOUBLE_EQ(lost.signal_share(), 0.01);
}

TEST(AutoRate, GoesOnBitForBitFromItsState) {
  const Noisy problem;
  AutoRate whole, before, after;
  problem.watch(whole, 40, 2), problem.watch(whole, 30, 2);
  problem.watch(before, 40, 2);
  after.restore(before.state());
  problem.watch(after, 30, 2);
  EXPECT_EQ(after.rate(2), whole.rate(2));
  EXPECT_EQ(after.limit(), whole.limit());
  EXPECT_NE(before.rate(2), whole.rate(2));
  EXPECT_THROW(after.restore({.steps = 1}), ArgumentError);
  EXPECT_EQ(after.rate(2), whole.rate(2));
}

TEST(AutoRate, SaysWhatIsWrong) {
  for (const AutoRateOptions& bad :
       {AutoRateOptions{.safety = 0}, AutoRateOptions{.safety = 2}, AutoRateOptions{.safety = kNaN},
        AutoRateOptions{.warm_up = -1}, AutoRateOptions{.slope_memory = 0}, AutoRateOptions{.curvature_memory = 0},
        AutoRateOptions{.spike = 1}})
    EXPECT_THROW(AutoRate{bad}, ArgumentError);
  AutoRate rate;
  EXPECT_THROW(rate.watch(Vector{}), ShapeError);
  EXPECT_THROW(rate.watch(Vector{1, 2}, Vector{1, 2, 3}, 4), ShapeError);
  EXPECT_THROW(rate.watch_curvature(Vector{1, 2}, Vector{1}), ShapeError);
  EXPECT_THROW(rate.watch(Vector{kNaN}), NumericError);
  EXPECT_THROW(rate.watch_curvature(Vector{1}, Vector{kInfinity}), NumericError);
  EXPECT_EQ(rate.state().steps, 0);
}

}  // namespace
}  // namespace slopewise
