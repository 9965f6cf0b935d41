#include "slopewise/statistics/distributions.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/statistics/draws.hpp"

namespace slopewise {
namespace {

using std::numbers::pi;
constexpr double kInf = std::numeric_limits<double>::infinity();

// Simpson's rule.
double integral(const std::function<double(double)>& f, double low, double high, int halves = 2000) {
  const double step = (high - low) / (2 * halves);
  double sum = f(low) + f(high);
  for (int i = 1; i < 2 * halves; ++i) sum += (i % 2 == 1 ? 4 : 2) * f(low + i * step);
  return sum * step / 3;
}

TEST(Distributions, TabledValues) {
  EXPECT_NEAR(normal_cdf(1.0), 0.84134474606854293, 1e-15);
  EXPECT_NEAR(normal_cdf(-10) / 7.6198530241605269e-24, 1.0, 1e-13);
  EXPECT_NEAR(normal_quantile(0.975), 1.9599639845400545, 1e-14);
  EXPECT_NEAR(student_t_quantile(10, 0.975), 2.2281388519862744, 1e-12);
  EXPECT_NEAR(student_t_quantile(1, 0.75), 1.0, 1e-14);
  EXPECT_NEAR(chi_squared_quantile(10, 0.95), 18.307038053275146, 1e-11);
  EXPECT_NEAR(chi_squared_quantile(2, 0.5), 2 * std::numbers::ln2, 1e-14);
  EXPECT_EQ(chi_squared_quantile(3, 0), 0.0);
  EXPECT_NEAR(chi_squared_cdf(2, 3.0), 1 - std::exp(-1.5), 1e-15);
  EXPECT_NEAR(beta_cdf(2, 3, 0.4), 0.5248, 1e-15);
  EXPECT_NEAR(beta_pdf(2, 3, 0.4), 12 * 0.4 * 0.36, 1e-14);
}

TEST(Distributions, OutsideTheirSupport) {
  EXPECT_EQ(beta_cdf(2, 3, -1), 0.0);
  EXPECT_EQ(beta_cdf(2, 3, 2), 1.0);
  EXPECT_EQ(beta_pdf(2, 3, 2), 0.0);
  EXPECT_EQ(beta_pdf(0.5, 3, 0), kInf);
  EXPECT_EQ(chi_squared_cdf(3, -1), 0.0);
  EXPECT_EQ(chi_squared_cdf(3, kInf), 1.0);
  EXPECT_EQ(cosine_pdf(5, 1.1), 0.0);
  EXPECT_EQ(cosine_cdf(5, -1.1), 0.0);
  EXPECT_EQ(cosine_cdf(5, 1.1), 1.0);
  EXPECT_EQ(half_normal_pdf(-1), 0.0);
  EXPECT_EQ(half_normal_cdf(-1), 0.0);
  EXPECT_EQ(product_normal_pdf(kInf), 0.0);
  EXPECT_EQ(product_normal_cdf(kInf), 1.0);
  EXPECT_EQ(product_normal_cdf(-kInf), 0.0);
}

TEST(Distributions, CosineInFewDimensionsInClosedForm) {
  for (const double c : {-1.0, -0.7, 0.0, 0.3, 0.9}) {
    EXPECT_NEAR(cosine_cdf(2, c), 1 - std::acos(c) / pi, 1e-14);  // arcsine
    EXPECT_NEAR(cosine_cdf(3, c), 0.5 * (1 + c), 1e-14);          // uniform, Archimedes
    EXPECT_NEAR(cosine_pdf(3, c), 0.5, 1e-14);
    EXPECT_NEAR(cosine_pdf(4, c), 2 / pi * std::sqrt(1 - c * c), 1e-14);  // semicircle
  }
  EXPECT_EQ(cosine_pdf(2, 1), kInf);
}

TEST(Distributions, CosineSquaredIsBeta) {
  for (const double n : {5.0, 100.0, 1e6}) {
    for (const double t : {0.01, 0.5, 1.0, 3.0}) {
      const double c = t / std::sqrt(n);
      EXPECT_NEAR(cosine_cdf(n, c) - cosine_cdf(n, -c), beta_cdf(0.5, (n - 1) / 2, c * c), 1e-12);
      EXPECT_NEAR(cosine_pdf(n, c), c * beta_pdf(0.5, (n - 1) / 2, c * c), 1e-9 * std::sqrt(n));
    }
  }
  // Nearly normal with variance 1/n, and E c² = 1/n.
  EXPECT_NEAR(cosine_cdf(1e6, 2e-3), normal_cdf(2), 1e-6);
  EXPECT_NEAR(integral([](double c) { return c * c * cosine_pdf(10, c); }, -1, 1), 0.1, 1e-12);
  EXPECT_NEAR(integral([](double c) { return c * cosine_pdf(10, c); }, 0, 1) * 2, cosine_mean_abs(10), 1e-12);
  EXPECT_NEAR(cosine_mean_abs(1e6), std::sqrt(2 / (pi * 1e6)), 1e-9);
}

TEST(Distributions, ProductNormalIsABesselLaw) {
  EXPECT_NEAR(product_normal_pdf(1), 0.42102443824070834 / pi, 1e-15);  // K₀(1)
  EXPECT_EQ(product_normal_pdf(-2), product_normal_pdf(2));
  EXPECT_EQ(product_normal_pdf(0), kInf);
  EXPECT_NEAR(product_normal_cdf(0), 0.5, 1e-15);
  for (const double x : {1e-12, 1e-3, 0.5, 2.0, 20.0}) {
    EXPECT_NEAR(product_normal_cdf(x) + product_normal_cdf(-x), 1.0, 1e-15);
  }
  EXPECT_NEAR(product_normal_cdf(3) - product_normal_cdf(0.5), integral(product_normal_pdf, 0.5, 3), 1e-13);
  EXPECT_NEAR(product_normal_cdf(-3) / integral(product_normal_pdf, 3, 60, 20000), 1.0, 1e-10);
  // Near 0 the mass is x (1 + log 2 − γ − log x)/π.
  const double x = 1e-6;
  EXPECT_NEAR(product_normal_cdf(x) - 0.5, x * (1 + std::log(2 / x) - std::numbers::egamma) / pi, 1e-15);
}

TEST(Distributions, ProductNormalHasVarianceOneAndKurtosisNine) {
  const auto moment = [](int power) {
    // x = t³ takes the logarithm at 0 away.
    return 2 * integral(
                   [&](double t) {
                     return t == 0 ? 0.0 : std::pow(t, 3 * power) * product_normal_pdf(t * t * t) * 3 * t * t;
                   },
                   0, 4.2, 5000);
  };
  EXPECT_NEAR(moment(0), 1.0, 1e-9);
  EXPECT_NEAR(moment(2), 1.0, 1e-10);
  EXPECT_NEAR(moment(4), kProductNormalKurtosis, 1e-9);
}

TEST(Distributions, HalfNormalMoments) {
  const auto moment = [](int power) {
    return integral([&](double x) { return std::pow(x, power) * half_normal_pdf(x); }, 0, 12, 50000);
  };
  const double mean = moment(1), variance = moment(2) - mean * mean;
  EXPECT_NEAR(moment(0), 1.0, 1e-13);
  EXPECT_NEAR(mean, kHalfNormalMean, 1e-13);
  EXPECT_NEAR((moment(3) - 3 * mean * moment(2) + 2 * mean * mean * mean) / std::pow(variance, 1.5),
              kHalfNormalSkewness, 1e-12);
  EXPECT_NEAR(half_normal_cdf(1.5), integral(half_normal_pdf, 0, 1.5), 1e-14);
}

TEST(Distributions, RefuseWhatTheyCannotTake) {
  const double nan = std::nan("");
  EXPECT_THROW(normal_cdf(nan), ArgumentError);
  EXPECT_THROW(normal_quantile(0), ArgumentError);
  EXPECT_THROW(normal_quantile(1), ArgumentError);
  EXPECT_THROW(student_t_quantile(0, 0.5), ArgumentError);
  EXPECT_THROW(chi_squared_quantile(-1, 0.5), ArgumentError);
  EXPECT_THROW(chi_squared_quantile(1, 1), ArgumentError);
  EXPECT_THROW(chi_squared_cdf(1, nan), ArgumentError);
  EXPECT_THROW(beta_cdf(0, 1, 0.5), ArgumentError);
  EXPECT_THROW(beta_pdf(1, nan, 0.5), ArgumentError);
  EXPECT_THROW(cosine_pdf(1, 0), ArgumentError);
  EXPECT_THROW(cosine_cdf(5, nan), ArgumentError);
  EXPECT_THROW(cosine_mean_abs(1), ArgumentError);
  EXPECT_THROW(product_normal_cdf(nan), ArgumentError);
  EXPECT_THROW(product_normal_pdf(nan), ArgumentError);
  EXPECT_THROW(half_normal_cdf(nan), ArgumentError);
}

}  // namespace
}  // namespace slopewise
