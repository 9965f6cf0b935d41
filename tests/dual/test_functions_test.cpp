// The objectives: their minima, known values and gradients, and their slopes against central differences.
#include "slopewise/dual/test_functions.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/dual/derivatives.hpp"

namespace slopewise {
namespace {

template <class F>
void expect_minimum(const F& f, const std::vector<double>& minimum, double expected_value) {
  const auto [value, gradient] = slopewise::gradient(f, minimum);
  EXPECT_NEAR(value, expected_value, 1e-12 * (1 + std::abs(expected_value)));
  for (std::size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(gradient[i], 0.0, 1e-11) << "entry " << i;
  // The Hessian is positive there: curvature along random directions, and no lower value beside it.
  RandomStream random(11);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> v(minimum.size()), beside(minimum);
    for (std::size_t i = 0; i < v.size(); ++i) {
      v[i] = random.uniform(-1, 1);
      beside[i] += 0.01 * v[i];
    }
    EXPECT_GT(curvature(f, minimum, v).curvature, 0.0);
    EXPECT_GT(f(std::span<const double>(beside)), expected_value);
  }
}

template <class F>
void expect_slopes(const F& f, const std::vector<double>& x) {
  RandomStream random(12);
  std::vector<double> v(x.size()), ahead(x), behind(x);
  const double step = 6e-6;
  for (std::size_t i = 0; i < v.size(); ++i) {
    v[i] = random.uniform(-1, 1);
    ahead[i] += step * v[i];
    behind[i] -= step * v[i];
  }
  const double expected = (f(std::span<const double>(ahead)) - f(std::span<const double>(behind))) / (2 * step);
  EXPECT_NEAR(slope(f, x, v).slope, expected, 1e-7 * (1 + std::abs(expected)));
}

TEST(TestFunctions, Beale) {
  const Beale f;
  expect_minimum(f, f.minimum(), 0);
  expect_slopes(f, {-1.2, 0.8});
  EXPECT_DOUBLE_EQ(f(std::span<const double>(std::vector<double>{0, 0})), 1.5 * 1.5 + 2.25 * 2.25 + 2.625 * 2.625);
  EXPECT_THROW(gradient(f, std::vector<double>(3)), ArgumentError);
}

TEST(TestFunctions, Rosenbrock) {
  const Rosenbrock f;
  for (const std::size_t n : {2u, 5u, 30u}) expect_minimum(f, f.minimum(n), 0);
  expect_slopes(f, {-1.2, 1.0, 0.3, 2.0});
  // ∇f(−1.2, 1) = (−400·x(y − x²) − 2(1 − x), 200(y − x²)) = (−215.6, −88), the standard starting point.
  const auto [value, gradient] = slopewise::gradient(f, std::vector<double>{-1.2, 1.0});
  EXPECT_NEAR(value, 24.2, 1e-12);
  EXPECT_NEAR(gradient[0], -215.6, 1e-11);
  EXPECT_NEAR(gradient[1], -88.0, 1e-11);
  EXPECT_THROW(slopewise::gradient(f, std::vector<double>(1)), ArgumentError);
}

TEST(TestFunctions, StyblinskiTang) {
  const StyblinskiTang f;
  for (const std::size_t n : {1u, 3u, 20u}) {
    expect_minimum(f, f.minimum(n), StyblinskiTang::kMinimumPerEntry * static_cast<double>(n));
  }
  expect_slopes(f, {-1.2, 1.0, 0.3, 2.0});
  EXPECT_THROW(gradient(f, {}), ArgumentError);
}

TEST(TestFunctions, PendulumFit) {
  const PendulumFit f;
  EXPECT_EQ(f.minimum(), (std::vector<double>{4.0, 0.3}));
  EXPECT_EQ(f.observed().size(), static_cast<std::size_t>(PendulumFit::kSteps / PendulumFit::kStepsPerObservation));
  expect_minimum(f, f.minimum(), 0);
  expect_slopes(f, {3.5, 0.2});
  expect_minimum(PendulumFit(9.0, 0.0), {9.0, 0.0}, 0);
  EXPECT_THROW(gradient(f, std::vector<double>(1)), ArgumentError);
}

// Without damping the energy ½φ′² − p₀ cos φ is kept, so the pendulum comes back to its start angle: the period is
// 4 K(sin(φ₀/2)) / √p₀, K the complete elliptic integral.
TEST(TestFunctions, PendulumSwingsWithItsPeriod) {
  const double interval = PendulumFit::kStep * PendulumFit::kStepsPerObservation;
  const double periods = 5, period = 10 * interval;
  const double root = 4 * std::comp_ellint_1(std::sin(PendulumFit::kStartAngle / 2)) / period;
  const PendulumFit f(root * root, 0.0);
  for (int i = 1; i <= static_cast<int>(periods); ++i) {
    EXPECT_NEAR(f.observed()[10 * i - 1], PendulumFit::kStartAngle, 2e-3) << "after period " << i;
    EXPECT_NEAR(f.observed()[10 * i - 6], -PendulumFit::kStartAngle, 2e-3) << "half a period before";
  }
}

}  // namespace
}  // namespace slopewise
