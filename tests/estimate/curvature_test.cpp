#include "slopewise/estimate/curvature.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/statistics/jackknife.hpp"

namespace slopewise {
namespace {

// L = ½ Σ λ_i θ_i², with its gradient.
class QuadraticObjective final : public Objective<float> {
 public:
  explicit QuadraticObjective(std::vector<double> spectrum)
      : spectrum_(std::move(spectrum)), layout_(ParameterLayout::vector(std::ssize(spectrum_))) {}
  const ParameterLayout& layout() const override { return layout_; }
  double loss(const Parameters<float>& theta) override {
    double sum = 0;
    for (std::size_t i = 0; i < spectrum_.size(); ++i)
      sum += spectrum_[i] * double{theta.values()[i]} * theta.values()[i] / 2;
    return sum;
  }
  Slopes slopes(const Parameters<float>& theta, const Tangents<float>& tangents) override {
    Slopes found = curvatures(theta, tangents);
    found.curvatures.clear();
    return found;
  }
  Slopes curvatures(const Parameters<float>& theta, const Tangents<float>& tangents) override {
    Slopes found{.loss = loss(theta)};
    std::vector<float> v(spectrum_.size());
    for (Index k = 0; k < tangents.count(); ++k) {
      tangents.expand(k, v);
      double slope = 0, curvature = 0;
      for (std::size_t i = 0; i < v.size(); ++i) {
        slope += spectrum_[i] * double{theta.values()[i]} * v[i];
        curvature += spectrum_[i] * double{v[i]} * v[i];
      }
      found.slopes.push_back(slope);
      found.curvatures.push_back(curvature);
    }
    return found;
  }
  double gradient(const Parameters<float>& theta, std::span<float> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(spectrum_[i] * double{theta.values()[i]});
    return loss(theta);
  }

 private:
  std::vector<double> spectrum_;
  ParameterLayout layout_;
};

std::vector<double> falling(Index n, double decay) {
  std::vector<double> spectrum;
  for (Index i = 1; i <= n; ++i) spectrum.push_back(std::pow(static_cast<double>(i), -decay));
  return spectrum;
}

std::vector<float> gradient_at(QuadraticObjective& objective, const Parameters<float>& theta) {
  std::vector<float> gradient(static_cast<std::size_t>(theta.size()));
  objective.gradient(theta, gradient);
  return gradient;
}

TEST(LargestCurvature, OfASpectrumIsItsLargest) {
  for (const double decay : {0.0, 0.5, 2.0}) {
    QuadraticObjective objective(falling(300, decay));
    const Parameters<float> theta(std::vector<float>(300, 1.0F));
    const LargestCurvature found = largest_curvature(objective, theta, gradient_at(objective, theta), 20);
    EXPECT_NEAR(found.value, 1, 0.02) << decay;
    EXPECT_LE(std::abs(found.value - 1), found.error + 1e-3) << decay;
  }
}

// L = Σ (1 − cos(a_i θ_i)): curvature a² at 0, which a step of a thousandth of θ's length would go far beyond.
class WavesObjective final : public Objective<float> {
 public:
  const ParameterLayout& layout() const override { return layout_; }
  double loss(const Parameters<float>& theta) override {
    double sum = 0;
    for (std::size_t i = 0; i < 3; ++i) sum += 1 - std::cos(kWaves[i] * double{theta.values()[i]});
    return sum;
  }
  Slopes slopes(const Parameters<float>&, const Tangents<float>&) override { return {}; }
  Slopes curvatures(const Parameters<float>& theta, const Tangents<float>& tangents) override {
    std::vector<float> v(3);
    tangents.expand(0, v);
    double sum = 0;
    for (std::size_t i = 0; i < 3; ++i)
      sum += kWaves[i] * kWaves[i] * std::cos(kWaves[i] * double{theta.values()[i]}) * double{v[i]} * v[i];
    return {.curvatures = {sum}};
  }
  double gradient(const Parameters<float>& theta, std::span<float> out) override {
    for (std::size_t i = 0; i < 3; ++i)
      out[i] = static_cast<float>(kWaves[i] * std::sin(kWaves[i] * double{theta.values()[i]}));
    return loss(theta);
  }

 private:
  static constexpr double kWaves[] = {1e4, 1, 1e-3};
  ParameterLayout layout_ = ParameterLayout::vector(3);
};

TEST(LargestCurvature, KeepsToWhereTheGradientIsNearlyALine) {
  WavesObjective objective;
  const Parameters<float> theta(std::vector<float>{1e-6F, 1, 1000});
  std::vector<float> gradient(3);
  objective.gradient(theta, gradient);
  EXPECT_NEAR(largest_curvature(objective, theta, gradient, 3).value, 1e8, 1e6);
}

TEST(LargestCurvature, MayBeNegative) {
  QuadraticObjective objective({-3, -2, -1});
  const Parameters<float> theta(std::vector<float>{1, 1, 1});
  EXPECT_NEAR(largest_curvature(objective, theta, gradient_at(objective, theta), 3).value, -1, 1e-3);
}

TEST(LargestCurvature, RefusesAStartOfZero) {
  QuadraticObjective objective({1, 1});
  EXPECT_THROW(largest_curvature(objective, Parameters<float>(2), std::vector<float>(2), 3), ArgumentError);
}

TEST(StepOutlook, IsBoundedByTheLargestCurvature) {
  const StepOutlook outlook{.signal = 2, .bend = 4};
  EXPECT_DOUBLE_EQ(outlook.highest_rate(), 1);
  EXPECT_DOUBLE_EQ(outlook.best_rate(), 0.5);
  EXPECT_DOUBLE_EQ(outlook.decrease(0.5), 0.5);
  EXPECT_DOUBLE_EQ(outlook.best_rate(10), kStableShare * 0.2);
  // Downwards curvature bounds nothing by itself.
  EXPECT_DOUBLE_EQ((StepOutlook{1, -1}).best_rate(), 0);
  EXPECT_DOUBLE_EQ((StepOutlook{1, -1}).best_rate(2), kStableShare);
  EXPECT_DOUBLE_EQ((StepOutlook{-1, 1}).best_rate(2), 0);
}

// Along K Gaussian tangents, the mean fall of the loss is what signal and bend say, at their best rate.
TEST(Curvature, PredictsWhatStepsAlongTangentsDo) {
  for (const double decay : {0.0, 1.0}) {
    QuadraticObjective objective(falling(50, decay));
    const Parameters<float> theta(std::vector<float>(50, 1.0F));
    const std::vector<float> g = gradient_at(objective, theta);
    const std::vector<double> wide(g.begin(), g.end());
    const GradientView gradient(objective.layout(), wide);
    const Curvature curvature = measure_curvature(objective, theta, gradient, 4096, 1);
    for (const Index tangents : {1, 8}) {
      const StepOutlook outlook = curvature.forward(static_cast<double>(tangents));
      const double rate = outlook.best_rate();
      const auto estimator = make_estimator<float>("forward", objective.layout(), {.tangents = tangents, .seed = 5});
      std::vector<double> falls;
      for (std::uint32_t step = 0; step < 4000; ++step) {
        Parameters<float> moved = theta;
        estimator->estimate(objective, theta, step).add_to(moved, -rate);
        falls.push_back(objective.loss(theta) - objective.loss(moved));
      }
      const Measured fall = mean_of(falls);
      const double predicted = outlook.decrease(rate) * gradient.squared_norm();
      EXPECT_NEAR(fall.value, predicted, 6 * fall.error + 0.05 * predicted) << decay << ", K = " << tangents;
    }
  }
}

}  // namespace
}  // namespace slopewise
