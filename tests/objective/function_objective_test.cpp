#include "slopewise/objective/function_objective.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/dual/test_functions.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Logarithm of the first entry: not finite for entries ≤ 0.
struct LogOfFirst {
  template <class S>
  S operator()(std::span<const S> x) const {
    using std::log;
    return log(x[0]) + 0.0 * x[1];
  }
};

template <class F>
struct Example {
  F function;
  std::vector<double> point;
};

template <class F>
class Functions : public testing::Test {
 public:
  static Example<F> example();
};
template <>
Example<Beale> Functions<Beale>::example() {
  return {{}, {1.3, -0.4}};
}
template <>
Example<Rosenbrock> Functions<Rosenbrock>::example() {
  return {{}, random_vector<double>(13, 4)};
}
template <>
Example<PendulumFit> Functions<PendulumFit>::example() {
  return {PendulumFit(), {3.7, 0.35}};
}
using Types = testing::Types<Beale, Rosenbrock, PendulumFit>;
TYPED_TEST_SUITE(Functions, Types);

TYPED_TEST(Functions, LossSlopesAndGradientAgree) {
  const auto [function, point] = this->example();
  const auto n = static_cast<Index>(point.size());
  FunctionObjective objective(function, n);
  const Parameters<double> theta(point);
  EXPECT_EQ(objective.size(), n);
  EXPECT_TRUE(objective.has_gradient());
  const double loss = function(std::span<const double>(point));
  EXPECT_EQ(objective.loss(theta), loss);

  std::vector<double> gradient(point.size());
  EXPECT_NEAR(objective.gradient(theta, gradient), loss, 1e-12 * loss);
  for (const Index count : {1, 2, 9}) {
    const auto directions = random_vector<double>(count * n, 5);
    const Slopes found = objective.slopes(theta, Tangents<double>::dense(objective.layout(), count, directions));
    EXPECT_NEAR(found.loss, loss, 1e-12 * loss);
    ASSERT_EQ(found.slopes.size(), static_cast<std::size_t>(count));
    for (Index k = 0; k < count; ++k) {
      const auto v = std::span(directions).subspan(static_cast<std::size_t>(k * n), point.size());
      const double expected = inner_product<double>(v, gradient);
      EXPECT_NEAR(found.slopes[static_cast<std::size_t>(k)], expected, 1e-11 * (1 + std::abs(expected)));
    }
  }
}

// Central differences err by ε²/6 v·D³L(v, v): a tenth of the step, a hundredth of the error.
TYPED_TEST(Functions, BlackBoxSlopesErrByTheSquareOfTheStep) {
  const auto [function, point] = this->example();
  const auto n = static_cast<Index>(point.size());
  FunctionObjective exact(function, n);
  const Parameters<double> theta(point);
  const auto tangents = Tangents<double>::dense(exact.layout(), 3, random_vector<double>(3 * n, 6));
  const Slopes expected = exact.slopes(theta, tangents);
  const auto errors = [&](double epsilon) {
    BlackBoxObjective box([&](std::span<const double> x) { return function(x); }, n, epsilon);
    EXPECT_FALSE(box.has_gradient());
    EXPECT_EQ(box.loss(theta), exact.loss(theta));
    const Slopes found = box.slopes(theta, tangents);
    EXPECT_EQ(found.loss, exact.loss(theta));
    std::vector<double> differences;
    for (std::size_t k = 0; k < 3; ++k) differences.push_back(found.slopes[k] - expected.slopes[k]);
    return differences;
  };
  const std::vector<double> coarse = errors(1e-2);
  const std::vector<double> fine = errors(1e-3);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_GT(std::abs(coarse[k]), 1e-6 * std::abs(expected.slopes[k]));
    EXPECT_NEAR(coarse[k] / fine[k], 100, 1);
  }
}

TEST(FunctionObjective, WrongSizesAreNamed) {
  FunctionObjective objective(Beale{}, 2);
  const Parameters<double> three(Index{3});
  const Parameters<double> two(Index{2});
  const auto tangents = Tangents<double>::dense(objective.layout(), 1, std::vector<double>{1, 0});
  const auto wide = Tangents<double>::dense(ParameterLayout::vector(4), 1, std::vector<double>(4));
  std::vector<double> room(2), cramped(1);
  const auto names = [](const std::string& sizes) { return ThrowsMessage<ShapeError>(HasSubstr(sizes)); };
  EXPECT_THAT([&] { objective.loss(three); }, names("expected 2 entries, found 3"));
  EXPECT_THAT([&] { objective.slopes(three, tangents); }, names("expected 2 entries, found 3"));
  EXPECT_THAT([&] { objective.gradient(three, room); }, names("expected 2 entries, found 3"));
  EXPECT_THAT([&] { objective.gradient(two, cramped); }, names("expected 2 entries, found 1"));
  EXPECT_THAT([&] { objective.slopes(two, wide); }, names("expected 2 entries, found 4"));
  BlackBoxObjective box([](std::span<const double>) { return 0.0; }, 2);
  EXPECT_THAT([&] { box.loss(three); }, names("expected 2 entries, found 3"));
  EXPECT_THAT([&] { box.slopes(three, tangents); }, names("central differences: expected 2 entries, found 3"));
  EXPECT_THAT([&] { box.slopes(Parameters<double>(Index{1}), tangents); }, names("expected 2 entries, found 1"));
  EXPECT_THAT([&] { box.slopes(two, wide); }, names("expected tangents of 2 entries, found 4"));
}

TEST(FunctionObjective, WhatIsNotFiniteIsReported) {
  FunctionObjective objective(LogOfFirst{}, 2);
  const auto tangents = Tangents<double>::dense(objective.layout(), 1, std::vector<double>{1, 0});
  std::vector<double> room(2);
  const Parameters<double> negative(std::vector<double>{-1, 0});
  EXPECT_THROW(objective.loss(negative), NumericError);
  EXPECT_THROW(objective.slopes(negative, tangents), NumericError);
  EXPECT_THROW(objective.gradient(negative, room), NumericError);
  EXPECT_THROW(objective.loss(Parameters<double>(std::vector<double>{0, 0})), NumericError);
  BlackBoxObjective box([](std::span<const double> x) { return std::sqrt(x[0]); }, 2, 0.1);
  EXPECT_THROW(box.loss(negative), NumericError);
  // Finite at θ, not at the step behind it.
  EXPECT_NO_THROW(box.loss(Parameters<double>(std::vector<double>{0.05, 0})));
  EXPECT_THROW(box.slopes(Parameters<double>(std::vector<double>{0.05, 0}), tangents), NumericError);
}

TEST(BlackBox, HasNoGradientAndNeedsAStep) {
  BlackBoxObjective box([](std::span<const double>) { return 0.0; }, 2);
  const Parameters<double> theta(Index{2});
  std::vector<double> room(2);
  EXPECT_THAT([&] { box.gradient(theta, room); }, ThrowsMessage<ArgumentError>(HasSubstr("no exact gradient")));
  const auto tangents = Tangents<double>::dense(box.layout(), 1, std::vector<double>{1, 0});
  for (const double epsilon : {0.0, -1e-3, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT([&] { central_differences(box, theta, tangents, epsilon); },
                ThrowsMessage<ArgumentError>(HasSubstr("a step above 0")));
  }
}

}  // namespace
}  // namespace slopewise
