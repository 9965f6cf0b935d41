// Inputs of different shapes, ties and singular points of ops on two numbers, choices, and inputs that the output does
// not vary with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;

// All shapes of at most three axes of 1 or 2 entries, and some with none.
std::vector<Shape> small_shapes() {
  std::vector<Shape> shapes{Shape{}, Shape{3}, Shape{0}, Shape{0, 1}};
  for (const Index a : {1, 2}) {
    shapes.push_back({a});
    for (const Index b : {1, 2}) {
      shapes.push_back({a, b});
      for (const Index c : {1, 2}) shapes.push_back({a, b, c});
    }
  }
  return shapes;
}

// The entry of an input at the place of an output's entry, by NumPy's rule said once more, axis by axis.
Index source(const Shape& out, Index entry, const Shape& in) {
  Index from = 0, stride = 1;
  for (Index axis = 1; axis <= out.rank(); ++axis) {
    const Index at = entry % out[-axis];
    entry /= out[-axis];
    if (axis > in.rank()) continue;
    from += in[-axis] == 1 ? 0 : at * stride;
    stride *= in[-axis];
  }
  return from;
}

// Whether shapes fit, and what they make.
bool fit(const Shape& a, const Shape& b) {
  for (Index axis = 1; axis <= std::min(a.rank(), b.rank()); ++axis) {
    if (a[-axis] != b[-axis] && a[-axis] != 1 && b[-axis] != 1) return false;
  }
  return true;
}

std::vector<double> counted(Index count, double first) {
  std::vector<double> numbers;
  for (Index i = 0; i < count; ++i) numbers.push_back(first + static_cast<double>(i * i));
  return numbers;
}

// y of a node at a batch of 2, without a loss that sums it up.
std::vector<double> values_of(const Node& y, const std::vector<std::vector<double>>& inputs) {
  const Program program(sum(y));
  Workload workload{.batch = 2, .outputs = {y.number()}};
  Runner<double> runner(program, workload);
  Batch<double> batch{.rows = 2, .inputs = {}};
  for (const auto& input : inputs) batch.inputs.emplace_back(std::span<const double>(input));
  runner.run(Parameters<double>(Index{0}), batch);
  const auto found = runner.output(0);
  return {found.begin(), found.end()};
}

TEST(Broadcast, AgreesWithTheRuleAxisByAxis) {
  int met = 0;
  for (const Shape& a : small_shapes()) {
    for (const Shape& b : small_shapes()) {
      SCOPED_TRACE(a.to_string() + " " + b.to_string());
      Builder build;
      const Node p = build.input("a", a), q = build.input("b", b);
      if (!fit(a, b)) {
        EXPECT_THROW(sub(p, q), ShapeError);
        continue;
      }
      ++met;
      const Node y = sub(p, q);
      const auto u = counted(2 * a.size(), 1), v = counted(2 * b.size(), 100);
      const std::vector<double> found = values_of(y, {u, v});
      ASSERT_EQ(static_cast<Index>(found.size()), 2 * y.shape().size());
      for (Index i = 0; i < static_cast<Index>(found.size()); ++i) {
        const Index row = i / y.shape().size(), entry = i % y.shape().size();
        EXPECT_EQ(found[i],
                  u[row * a.size() + source(y.shape(), entry, a)] - v[row * b.size() + source(y.shape(), entry, b)]);
      }
    }
  }
  EXPECT_GT(met, 100);
}

TEST(Broadcast, OfThreeInputs) {
  for (const Shape& c : small_shapes()) {
    for (const Shape& b : small_shapes()) {
      const Shape a{2, 1, 2};
      if (!fit(a, b) || !fit(a, c) || !fit(b, c)) continue;
      SCOPED_TRACE(c.to_string() + " " + b.to_string());
      Builder build;
      const Node condition = build.input("c", c), first_choice = build.input("a", a);
      const Node y = where(condition, first_choice, build.input("b", b));
      std::vector<double> w(static_cast<std::size_t>(2 * c.size()));
      for (std::size_t i = 0; i < w.size(); ++i) w[i] = i % 3 == 0 ? 0 : 2;
      const auto u = counted(2 * a.size(), 1), v = counted(2 * b.size(), 100);
      const std::vector<double> found = values_of(y, {w, u, v});
      for (Index i = 0; i < static_cast<Index>(found.size()); ++i) {
        const Index row = i / y.shape().size(), entry = i % y.shape().size();
        const bool first = w[row * c.size() + source(y.shape(), entry, c)] != 0;
        EXPECT_EQ(found[i], first ? u[row * a.size() + source(y.shape(), entry, a)]
                                  : v[row * b.size() + source(y.shape(), entry, b)]);
      }
    }
  }
}

// f of two parameters (): its value, its slopes by tangents, those by the pullback.
struct Pair {
  double value;
  std::vector<double> slopes, gradient;
};
Pair at(Node (*f)(const Node&, const Node&), double a, double b) {
  Builder build;
  const Node first = build.parameter("a", {}, {}, 1);
  const Program program(f(first, build.parameter("b", {}, {}, 1)));
  const Parameters<double> theta(std::vector<double>{a, b});
  const auto axes = Tangents<double>::dense(program.layout(), 2, std::vector<double>{1, 0, 0, 1});
  const RunResult<double> found = Runner<double>(program, {.tangents = 2}).run(theta, {.rows = 1}, &axes);
  Pair pair{found.loss, {found.slopes.begin(), found.slopes.end()}, {7, 7}};
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, {.rows = 1}, pair.gradient);
  return pair;
}

TEST(Pairs, ATieIsHalved) {
  for (const auto f : {minimum, maximum}) {
    for (const double tie : {2.0, 0.0, -0.0}) {
      const Pair found = at(f, tie, std::abs(tie));
      EXPECT_EQ(found.value, std::abs(tie));
      EXPECT_THAT(found.slopes, ElementsAre(0.5, 0.5));
      EXPECT_THAT(found.gradient, ElementsAre(0.5, 0.5));
    }
    EXPECT_THROW(at(f, 1, std::nan("")), NumericError);
    EXPECT_THROW(at(f, std::nan(""), 1), NumericError);
  }
}

// The value and slope of a^b for an exponent, or a base, that is held.
double power_slope(double a, double b, std::size_t along) {
  Builder build;
  const Node base = along == 0 ? build.parameter("a", {}, {}, 1) : build.input("a", {});
  const Node exponent = along == 1 ? build.parameter("b", {}, {}, 1) : build.input("b", {});
  const Program program(pow(base, exponent));
  const std::vector<double> held{along == 0 ? b : a};
  const Parameters<double> theta(std::vector<double>{along == 0 ? a : b});
  const auto one = Tangents<double>::dense(program.layout(), 1, std::vector<double>{1});
  const Batch<double> batch{.rows = 1, .inputs = {std::span<const double>(held)}};
  return Runner<double>(program, {.tangents = 1, .order = 2}).run(theta, batch, &one).slopes[0];
}

TEST(Pairs, SingularPointsOfPow) {
  EXPECT_EQ(power_slope(0, 0, 0), 0);  // 0^0 is 1
  EXPECT_EQ(power_slope(0, 1, 0), 1);
  EXPECT_EQ(power_slope(0, 3, 0), 0);
  EXPECT_EQ(power_slope(-2, 3, 0), 12);
  EXPECT_EQ(power_slope(-2, -1, 0), -0.25);
  EXPECT_EQ(power_slope(0, 2, 1), 0);
  EXPECT_THROW(power_slope(0, 0.5, 0), NumericError);  // inf
  EXPECT_THROW(power_slope(0, 0, 1), NumericError);    // −inf
  EXPECT_THROW(power_slope(-2, 3, 1), NumericError);
  EXPECT_THROW(power_slope(-2, 0.5, 0), NumericError);
  EXPECT_THROW(at(div, 1, 0), NumericError);
}

TEST(Choice, OfSpecialNumbers) {
  const auto truth = [](Node (*f)(const Node&, const Node&), double a, double b) {
    Builder build;
    const Node p = build.input("a", {}), q = build.input("b", {});
    return values_of(f(p, q), {{a, a}, {b, b}})[0];
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(truth(equal, 0.0, -0.0), 1);
  EXPECT_EQ(truth(equal, kInfinity, kInfinity), 1);
  for (const auto f : {less, less_equal, greater, greater_equal, equal}) {
    EXPECT_EQ(truth(f, std::nan(""), 1), 0);
    EXPECT_EQ(truth(f, 1, std::nan("")), 0);
  }
  EXPECT_EQ(truth(less, 1, 2), 1);
  EXPECT_EQ(truth(less, 2, 2), 0);
  EXPECT_EQ(truth(less_equal, 2, 2), 1);
  EXPECT_EQ(truth(greater, 2, 1), 1);
  EXPECT_EQ(truth(greater_equal, 1, 2), 0);
  EXPECT_EQ(truth(logical_and, 2, -1), 1);
  EXPECT_EQ(truth(logical_and, 2, 0), 0);
  EXPECT_EQ(truth(logical_or, 0, -1), 1);
  EXPECT_EQ(truth(logical_xor, 2, -1), 0);
  EXPECT_EQ(truth(logical_xor, 0, -1), 1);
}

// What is not chosen may be infinite: nothing of it comes through.
TEST(Choice, LeavesOutWhatIsNotChosen) {
  Builder build;
  const Node x = build.parameter("x", {2}, {}, 2);
  const Program program(sum(where(greater(x, build.input("0", {})), sqrt(x), x)));
  const Parameters<double> theta(std::vector<double>{0, 4});
  const std::vector<double> zero{0};
  const Batch<double> batch{.rows = 1, .inputs = {std::span<const double>(zero)}};
  const auto axes = Tangents<double>::dense(program.layout(), 2, std::vector<double>{1, 0, 0, 1});
  const RunResult<double> found = Runner<double>(program, {.tangents = 2, .order = 2}).run(theta, batch, &axes);
  EXPECT_THAT(found.slopes, ElementsAre(1, 0.25));
  EXPECT_THAT(found.curvatures, ElementsAre(0, -1.0 / 32));
  std::vector<double> gradient(2);
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, batch, gradient);
  EXPECT_THAT(gradient, ElementsAre(1, 0.25));
}

// Parameters that the loss depends on and does not vary with: directly, and behind ops whose cotangents nobody gives.
TEST(NoSlope, IsAZeroGradient) {
  Builder build;
  const Node x = build.input("x", {2});
  const Node p = build.parameter("p", {2}, {}, 2), q = build.parameter("q", {2}, {}, 2);
  const Node r = build.parameter("r", {2}, {}, 2);
  const Program program(sum(x * r * greater(p, square(q) * x)));
  const std::vector<double> numbers{1, 2, 3, 4};
  const Batch<double> batch{.rows = 2, .inputs = {std::span<const double>(numbers)}};
  const std::vector<double> start{3, 1, 1, 1, 0.5, 0.25};
  for (const bool checkpointed : {false, true}) {
    std::vector<double> gradient(6, 7.0);
    Runner<double>(program, {.mode = Workload::Mode::kPullback, .batch = 2, .checkpointed = checkpointed})
        .gradient(Parameters<double>(start), batch, gradient);
    EXPECT_THAT(gradient, ElementsAre(0, 0, 0, 0, 0.5, 0));
  }
  Parameters<double> moved(start);
  Runner<double>(program, {.mode = Workload::Mode::kDescent, .batch = 2}).descend(moved, batch, 1);
  EXPECT_THAT(std::vector<double>(moved.values().begin(), moved.values().end()), ElementsAre(3, 1, 1, 1, 0, 0.25));
  const auto all = Tangents<double>::dense(program.layout(), 1, std::vector<double>(6, 1.0));
  EXPECT_EQ(Runner<double>(program, {.batch = 2, .tangents = 1}).run(Parameters<double>(start), batch, &all).slopes[0],
            0.5);
}

// A loss without any slope.
TEST(NoSlope, OfALossOfSteps) {
  Builder build;
  const Program program(sum(greater(build.parameter("p", {2}, {}, 2), build.input("x", {2}))));
  const std::vector<double> numbers{1, 2};
  const Batch<double> batch{.rows = 1, .inputs = {std::span<const double>(numbers)}};
  const Parameters<double> theta(std::vector<double>{3, 1});
  const auto ones = Tangents<double>::dense(program.layout(), 1, std::vector<double>{1, 1});
  const RunResult<double> found = Runner<double>(program, {.tangents = 1, .order = 2}).run(theta, batch, &ones);
  EXPECT_EQ(found.loss, 1);
  EXPECT_EQ(found.slopes[0], 0);
  EXPECT_EQ(found.curvatures[0], 0);
  std::vector<double> gradient(2, 7.0);
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, batch, gradient);
  EXPECT_THAT(gradient, ElementsAre(0, 0));
}

}  // namespace
}  // namespace slopewise
