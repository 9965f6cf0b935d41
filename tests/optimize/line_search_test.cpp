// Second-order steps on quadratics, where the model is the loss.
#include "slopewise/optimize/line_search.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/probe/pairs.hpp"
#include "tests/optimize/support.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kDimensions = 7;

using Vector = std::vector<double>;

// L(θ) = ½ θᵀHθ.
class Quadratic {
 public:
  explicit Quadratic(Vector hessian) : hessian_(std::move(hessian)) {}
  // AᵀA + δI with random A: positive definite.
  static Quadratic convex() {
    const Vector a = random_vector<double>(kDimensions * kDimensions, 3);
    Vector hessian(a.size());
    for (std::size_t i = 0; i < kDimensions; ++i) {
      for (std::size_t j = 0; j < kDimensions; ++j) {
        for (std::size_t k = 0; k < kDimensions; ++k)
          hessian[i * kDimensions + j] += a[k * kDimensions + i] * a[k * kDimensions + j];
      }
      hessian[i * kDimensions + i] += 0.1;
    }
    return Quadratic(hessian);
  }
  Vector gradient(const Vector& theta) const {
    Vector gradient(kDimensions);
    for (std::size_t i = 0; i < kDimensions; ++i) {
      for (std::size_t j = 0; j < kDimensions; ++j) gradient[i] += hessian_[i * kDimensions + j] * theta[j];
    }
    return gradient;
  }
  double curvature(const Vector& v) const { return inner_product<double>(v, gradient(v)); }
  double loss(const Vector& theta) const { return curvature(theta) / 2; }

 private:
  Vector hessian_;
};

Vector tangent(const Draw& draw, Index k) {
  Vector v(kDimensions);
  draw.fill(k, 0, std::span(v));
  return v;
}

Vector moved(Vector theta, const Draw& draw, const Vector& coefficients) {
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    const Vector v = tangent(draw, static_cast<Index>(k));
    for (std::size_t i = 0; i < v.size(); ++i) theta[i] -= coefficients[k] * v[i];
  }
  return theta;
}

struct Measured {
  Vector slopes, curvatures;
};

Measured measure(const Quadratic& loss, const Vector& theta, const Draw& draw) {
  Measured found;
  const Vector gradient = loss.gradient(theta);
  for (Index k = 0; k < draw.count(); ++k) found.slopes.push_back(draw.slope(k, gradient));
  const auto pairs = with_pair_sums(make_probe("gaussian", draw.layout(), 4)->draw(0, draw.count()));
  for (Index k = 0; k < pairs->count(); ++k) found.curvatures.push_back(loss.curvature(tangent(*pairs, k)));
  return found;
}

std::shared_ptr<const Draw> directions(Index count) {
  return make_probe("gaussian", ParameterLayout::vector(kDimensions), 4)->draw(0, count);
}

TEST(LineSearch, EndsWhereTheLossIsLeastOnTheLine) {
  const Quadratic loss = Quadratic::convex();
  const Vector theta = random_vector<double>(kDimensions, 9);
  const auto draw = directions(1);
  const auto [slopes, curvatures] = measure(loss, theta, *draw);
  const double rate = line_search_rate(curvatures[0], 100);
  const Vector after = moved(theta, *draw, {rate * slopes[0]});
  EXPECT_NEAR(draw->slope(0, loss.gradient(after)), 0, 1e-12 * std::abs(slopes[0]));
  EXPECT_NEAR(loss.loss(theta) - loss.loss(after), slopes[0] * slopes[0] / (2 * curvatures[0]), 1e-12);
}

TEST(LineSearch, GoesNoFurtherThanItsBound) {
  EXPECT_EQ(line_search_rate(4, 1), 0.25);
  EXPECT_EQ(line_search_rate(4, 0.125), 0.125);
  EXPECT_EQ(line_search_rate(0, 0.125), 0.125);
  EXPECT_EQ(line_search_rate(-4, 0.125), 0.125);
  for (const double bad : {0.0, -1.0, kNaN}) EXPECT_THROW(line_search_rate(1, bad), ArgumentError) << bad;
  for (const double bad : {kInfinity, kNaN}) EXPECT_THROW(line_search_rate(bad, 1), NumericError) << bad;
}

TEST(HyperplaneStep, EndsWhereTheLossIsLeastInTheSpan) {
  const Quadratic loss = Quadratic::convex();
  const Vector theta = random_vector<double>(kDimensions, 9);
  for (const Index count : {Index{1}, Index{3}, kDimensions}) {
    const auto draw = directions(count);
    const auto [slopes, curvatures] = measure(loss, theta, *draw);
    const HyperplaneStep step = hyperplane_step(slopes, curvatures, 0, 1e6);
    EXPECT_EQ(step.damping, 0);
    const Vector gradient = loss.gradient(moved(theta, *draw, step.coefficients));
    for (Index k = 0; k < count; ++k) EXPECT_NEAR(draw->slope(k, gradient), 0, 1e-9) << k << " of " << count;
  }
}

TEST(HyperplaneStep, IsTheLineSearchAlongOneTangent) {
  for (const double curvature : {2.0, 0.01, 0.0}) {
    const HyperplaneStep step = hyperplane_step(std::vector{-1.5}, std::vector{curvature}, 0, 4);
    EXPECT_NEAR(step.coefficients[0], -1.5 * line_search_rate(curvature, 4), 1e-12) << curvature;
  }
}

TEST(HyperplaneStep, IsDampedUntilItGoesDown) {
  // Curvature 1, −2 and a coupling of 3: indefinite.
  const std::vector<double> slopes{1, 2}, curvatures{1, -2, 1 - 2 + 2 * 3};
  const HyperplaneStep step = hyperplane_step(slopes, curvatures, 0.1, 100);
  EXPECT_NEAR(step.damping, 15, 1e-12);  // 0.15 and 1.5 are too little
  const double down = slopes[0] * step.coefficients[0] + slopes[1] * step.coefficients[1];
  EXPECT_GT(down, 0);
  EXPECT_NEAR(16 * step.coefficients[0] + 3 * step.coefficients[1], 1, 1e-12);
  EXPECT_NEAR(3 * step.coefficients[0] + 13 * step.coefficients[1], 2, 1e-12);

  const HyperplaneStep shorter = hyperplane_step(slopes, curvatures, 0.1, 0.01);
  EXPECT_NEAR(std::hypot(shorter.coefficients[0], shorter.coefficients[1]), 0.01 * std::sqrt(5), 1e-15);
  EXPECT_NEAR(shorter.coefficients[0] / shorter.coefficients[1], step.coefficients[0] / step.coefficients[1], 1e-12);
}

TEST(HyperplaneStep, SaysWhatIsWrong) {
  const std::vector<double> slopes{1, 2}, curvatures{1, 2, 3};
  EXPECT_THROW(hyperplane_step({}, {}, 0, 1), ShapeError);
  EXPECT_THROW(hyperplane_step(slopes, slopes, 0, 1), ShapeError);
  EXPECT_THROW(hyperplane_step(slopes, curvatures, -1, 1), ArgumentError);
  EXPECT_THROW(hyperplane_step(slopes, curvatures, kNaN, 1), ArgumentError);
  EXPECT_THROW(hyperplane_step(slopes, curvatures, 0, 0), ArgumentError);
  EXPECT_THROW(hyperplane_step(slopes, std::vector{1.0, kNaN, 3.0}, 0, 1), NumericError);
  EXPECT_THROW(hyperplane_step(std::vector{1.0, kInfinity}, curvatures, 0, 1), NumericError);
}

}  // namespace
}  // namespace slopewise
