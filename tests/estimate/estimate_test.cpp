// Gradient estimates as vectors: however one is asked for, it is the same.
#include "slopewise/estimate/estimate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "tests/probe/layouts.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

// Implicit ones along each law with K of 1 and 3, and a dense one.
std::vector<GradientEstimate> estimates() {
  const ParameterLayout layout = small_layout();
  std::vector<GradientEstimate> all;
  for (const std::string& law : probe_names()) {
    for (const Index count : {1, 3}) {
      std::vector<double> coefficients{0.5, -1.5, 2};
      coefficients.resize(static_cast<std::size_t>(count));
      all.emplace_back(Slopes{.loss = 0.25, .slopes = std::vector<double>(coefficients.size(), 1.0)}, coefficients,
                       make_probe(law, layout, 3)->draw(4, count), NoiseEstimate{});
    }
  }
  const auto dense = [](Index size) {
    return std::make_shared<const DenseGradient<double>>(random_vector<double>(size, 6));
  };
  all.emplace_back(0.25, dense(layout.size));
  // A part along tangents and one that is dense.
  const ParameterLayout body = layout.first(2);
  all.emplace_back(Slopes{.loss = 0.25, .slopes = {1}}, std::vector<double>{0.5},
                   make_probe("rank-one", body, 3)->draw(4, 1), NoiseEstimate{});
  all.back().append(dense(layout.size - body.size));
  return all;
}

TEST(GradientEstimate, EveryWayToReadItAgrees) {
  for (const GradientEstimate& estimate : estimates()) {
    const auto n = static_cast<std::size_t>(estimate.size());
    ASSERT_EQ(n, 28u);
    EXPECT_EQ(estimate.loss(), 0.25);
    std::vector<double> g(n, NAN);
    estimate.materialize(std::span(g));
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(estimate.entry(static_cast<Index>(i)), g[i], 1e-14);
    const double square = inner_product<double>(g, g);
    EXPECT_NEAR(estimate.squared_norm(), square, 1e-13 * square);

    std::vector<float> narrow(n, NAN);
    estimate.materialize(std::span(narrow));
    const auto start = random_vector<double>(28, 5);
    std::vector<double> theta = start;
    std::vector<float> narrow_theta(start.begin(), start.end());
    estimate.add_to(std::span(theta), -0.125);
    estimate.add_to(std::span(narrow_theta), -0.125);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(narrow[i], g[i], 1e-5);
      EXPECT_NEAR(theta[i], start[i] - 0.125 * g[i], 1e-14);
      EXPECT_NEAR(narrow_theta[i], theta[i], 1e-6);
    }
  }
}

TEST(GradientEstimate, AThetaOfAnotherSizeIsRefused) {
  std::vector<double> wide(27);
  std::vector<float> narrow(29);
  const auto names = [](const std::string& sizes) {
    return testing::ThrowsMessage<ShapeError>(testing::HasSubstr(sizes));
  };
  for (const GradientEstimate& estimate : estimates()) {
    EXPECT_THAT([&] { estimate.add_to(std::span(wide), 1); }, names("expected 28 parameters, found 27"));
    EXPECT_THAT([&] { estimate.add_to(std::span(narrow), 1); }, names("expected 28 parameters, found 29"));
    EXPECT_THAT([&] { estimate.materialize(std::span(wide)); }, names("expected 28 parameters, found 27"));
    EXPECT_THAT([&] { estimate.materialize(std::span(narrow)); }, names("expected 28 parameters, found 29"));
  }
}

TEST(GradientEstimate, ADenseOneIsExact) {
  const GradientEstimate estimate(1, std::make_shared<const DenseGradient<double>>(std::vector<double>{3, -4}));
  EXPECT_EQ(estimate.noise().squared_norm, 25);
  EXPECT_EQ(estimate.noise().squared_norm_low, 25);
  EXPECT_EQ(estimate.noise().squared_norm_high, 25);
  EXPECT_EQ(estimate.noise().confidence, 1);
  EXPECT_TRUE(std::isinf(estimate.noise().snr_low) && std::isinf(estimate.noise().snr_high));
}

}  // namespace
}  // namespace slopewise
