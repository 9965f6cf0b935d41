// The verbs against closed forms and against each other.
#include "slopewise/dual/derivatives.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"

namespace slopewise {
namespace {

// f(x) = ½ Σ i xᵢ² + x₀ x₁ + exp(x₂): every derivative is known.
struct Quadratic {
  template <class S>
  S operator()(std::span<const S> x) const {
    using std::exp;
    S sum = x[0] * x[1] + exp(x[2]);
    for (std::size_t i = 0; i < x.size(); ++i) sum += 0.5 * static_cast<double>(i) * (x[i] * x[i]);
    return sum;
  }
  static std::vector<double> gradient(const std::vector<double>& x) {
    std::vector<double> g(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) g[i] = static_cast<double>(i) * x[i];
    g[0] += x[1];
    g[1] += x[0];
    g[2] += std::exp(x[2]);
    return g;
  }
  static double curvature(const std::vector<double>& x, const std::vector<double>& v) {
    double sum = 2 * v[0] * v[1] + std::exp(x[2]) * v[2] * v[2];
    for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(i) * v[i] * v[i];
    return sum;
  }
};

std::vector<double> random_vector(std::size_t size, std::uint64_t seed) {
  RandomStream random(seed);
  std::vector<double> x(size);
  for (double& entry : x) entry = random.uniform(-1, 1);
  return x;
}

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

constexpr std::size_t kSize = 19;  // neither a multiple of a pass nor less than one

TEST(Derivatives, SlopeIsGradientTimesTangent) {
  const auto x = random_vector(kSize, 1), v = random_vector(kSize, 2);
  const auto [value, slope] = slopewise::slope(Quadratic{}, x, v);
  EXPECT_DOUBLE_EQ(value, Quadratic{}(std::span<const double>(x)));
  EXPECT_NEAR(slope, dot(Quadratic::gradient(x), v), 1e-12);
}

TEST(Derivatives, GradientIsExact) {
  for (const std::size_t size : {3u, 8u, 16u, 19u}) {
    const auto x = random_vector(size, 3);
    const auto [value, gradient] = slopewise::gradient(Quadratic{}, x);
    const auto expected = Quadratic::gradient(x);
    EXPECT_DOUBLE_EQ(value, Quadratic{}(std::span<const double>(x)));
    ASSERT_EQ(gradient.size(), size);
    for (std::size_t i = 0; i < size; ++i) EXPECT_NEAR(gradient[i], expected[i], 1e-13) << "entry " << i;
  }
}

TEST(Derivatives, CurvatureIsTheHessianForm) {
  const auto x = random_vector(kSize, 4), v = random_vector(kSize, 5);
  const auto [value, slope, curvature] = slopewise::curvature(Quadratic{}, x, v);
  EXPECT_DOUBLE_EQ(value, Quadratic{}(std::span<const double>(x)));
  EXPECT_NEAR(slope, dot(Quadratic::gradient(x), v), 1e-12);
  EXPECT_NEAR(curvature, Quadratic::curvature(x, v), 1e-12);
}

class ManySlopes : public testing::TestWithParam<int> {};

TEST_P(ManySlopes, AreGradientTimesEachTangent) {
  const auto count = static_cast<std::size_t>(GetParam());
  const auto x = random_vector(kSize, 6), tangents = random_vector(kSize * count, 7);
  const auto [value, slopes] = slopewise::slopes(Quadratic{}, x, tangents);
  const auto gradient = Quadratic::gradient(x);
  EXPECT_DOUBLE_EQ(value, Quadratic{}(std::span<const double>(x)));
  ASSERT_EQ(slopes.size(), count);
  for (std::size_t k = 0; k < count; ++k) {
    EXPECT_NEAR(slopes[k], dot(gradient, std::span(tangents).subspan(k * kSize, kSize)), 1e-12) << "tangent " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Counts, ManySlopes, testing::Values(1, 2, 3, 4, 5, 8, 9, 11, 16, 21));

TEST(Derivatives, TakeGenericLambdas) {
  const auto f = []<class S>(std::span<const S> x) { return x[0] * x[0] + 3.0 * x[1]; };
  const std::vector<double> x = {2.0, 1.0};
  EXPECT_EQ(slope(f, x, std::vector<double>{1.0, 1.0}).slope, 7.0);
  EXPECT_EQ(curvature(f, x, std::vector<double>{3.0, 1.0}).curvature, 18.0);
}

TEST(Derivatives, NoVariablesNoSlopes) {
  const auto constant = []<class S>(std::span<const S>) { return S(4); };
  EXPECT_EQ(gradient(constant, {}).value, 4.0);
  EXPECT_TRUE(gradient(constant, {}).gradient.empty());
  EXPECT_EQ(slope(constant, {}, {}).value, 4.0);
  EXPECT_EQ(curvature(constant, {}, {}).curvature, 0.0);
}

template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "no ArgumentError";
}

TEST(Derivatives, SayWhichSizesDoNotFit) {
  const std::vector<double> x(5), v(4), rows(12), none;
  const Quadratic f;
  EXPECT_EQ(error_of([&] { slope(f, x, v); }), "slope: tangent v: expected 5 entries, as the point x has, found 4");
  EXPECT_EQ(error_of([&] { curvature(f, x, v); }),
            "curvature: tangent v: expected 5 entries, as the point x has, found 4");
  const std::string slopes_error = "slopes: tangents: expected K rows of the point's 5 entries, K >= 1, found ";
  EXPECT_EQ(error_of([&] { slopes(f, x, rows); }), slopes_error + "12 entries");
  EXPECT_EQ(error_of([&] { slopes(f, x, none); }), slopes_error + "0 entries");
}

TEST(Derivatives, PassOnWhatTheFunctionThrows) {
  const auto f = []<class S>(std::span<const S> x) -> S {
    if (x[0] > 0) throw NumericError("f: x[0] > 0");
    return x[0];
  };
  const std::vector<double> x = {1.0};
  EXPECT_THROW(slope(f, x, x), NumericError);
  EXPECT_THROW(slopes(f, x, x), NumericError);
  EXPECT_THROW(curvature(f, x, x), NumericError);
  EXPECT_THROW(gradient(f, x), NumericError);
}

}  // namespace
}  // namespace slopewise
