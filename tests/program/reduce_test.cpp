// Reductions, sums along an axis, places of maxima, units of pieces and losses: values, ties, and what an option means.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

// y = f(x) for one example, its entries; and, of Σ c y with c = 1, 2, 3, …, the gradient and the slopes along the axes.
struct Found {
  Shape shape;
  std::vector<double> values, gradient, slopes;
};
Found of(const std::function<Node(const Node&)>& f, const Shape& shape, const std::vector<double>& x) {
  Builder build;
  const Node theta = build.parameter("x", shape, {}, std::max<Index>(1, shape.size()));
  const Node y = f(build.input("zero", shape) + theta);
  const Program program(sum(y * build.input("c", y.shape())));
  std::vector<double> weights, zero(x.size(), 0.0), axes(x.size() * x.size(), 0.0);
  for (Index i = 0; i < y.shape().size(); ++i) weights.push_back(static_cast<double>(i + 1));
  for (std::size_t i = 0; i < x.size(); ++i) axes[i * x.size() + i] = 1;
  const Batch<double> batch{.rows = 1, .inputs = {std::span<const double>(zero), std::span<const double>(weights)}};
  const auto count = static_cast<Index>(x.size());
  const auto along = Tangents<double>::dense(program.layout(), count, axes);
  Runner<double> runner(program, {.tangents = count, .outputs = {y.number()}});
  const RunResult<double> run = runner.run(Parameters<double>(x), batch, &along);
  Found found{y.shape(), {}, std::vector<double>(x.size()), {run.slopes.begin(), run.slopes.end()}};
  found.values.assign(runner.output(0).begin(), runner.output(0).end());
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(Parameters<double>(x), batch, found.gradient);
  EXPECT_THAT(found.gradient, Pointwise(DoubleNear(1e-12), found.slopes));
  return found;
}

const std::vector<double> kSix = {3, 1, 2, -1, 5, 5};

TEST(Reductions, GoOverAnyAxesAndKeepThem) {
  const Shape shape{2, 3};
  const Found rows = of([](const Node& x) { return reduce_max(x, {0}); }, shape, kSix);
  EXPECT_EQ(rows.shape, Shape({3}));
  EXPECT_THAT(rows.values, ElementsAre(3, 5, 5));
  const Found kept = of([](const Node& x) { return reduce_min(x, {-1}, true); }, shape, kSix);
  EXPECT_EQ(kept.shape, Shape({2, 1}));
  EXPECT_THAT(kept.values, ElementsAre(1, -1));
  EXPECT_THAT(of([](const Node& x) { return reduce_prod(x, {1}); }, shape, kSix).values, ElementsAre(6, -25));
  EXPECT_THAT(of([](const Node& x) { return reduce_l1(x, {1}); }, shape, kSix).values, ElementsAre(6, 11));
  EXPECT_THAT(of([](const Node& x) { return reduce_l2(x, {1}); }, shape, kSix).values,
              ElementsAre(std::sqrt(14), std::sqrt(51)));
  EXPECT_THAT(of([](const Node& x) { return sum(x, {0}, true); }, shape, kSix).values, ElementsAre(2, 6, 7));
  EXPECT_EQ(of([](const Node& x) { return mean(x, {}, true); }, shape, kSix).shape, Shape({1, 1}));
  EXPECT_NEAR(of([](const Node& x) { return log_sum_exp(x); }, {2}, {1000, 1000}).values[0], 1000 + std::log(2), 1e-12);
  EXPECT_THROW(of([](const Node& x) { return reduce_max(x, {1}); }, {2, 0}, {}), ShapeError);
  EXPECT_THROW(of([](const Node& x) { return log_sum_exp(x, {1}); }, {2, 0}, {}), ShapeError);
  EXPECT_THROW(of([](const Node& x) { return reduce_max(x, {2}); }, shape, kSix), ShapeError);
}

TEST(Reductions, TiesShareTheSlope) {
  EXPECT_THAT(of([](const Node& x) { return reduce_max(x, {1}); }, {2, 3}, kSix).gradient,
              ElementsAre(1, 0, 0, 0, 1, 1));
  EXPECT_THAT(of([](const Node& x) { return reduce_min(x); }, {4}, {2, 1, 1, 1}).gradient,
              ElementsAre(0, 1.0 / 3, 1.0 / 3, 1.0 / 3));
  EXPECT_THROW(of([](const Node& x) { return reduce_max(x); }, {3}, {1, std::nan(""), 2}), NumericError);
}

TEST(Reductions, ProductsOfZeros) {
  const auto product = [](const Node& x) { return reduce_prod(x); };
  EXPECT_THAT(of(product, {3}, {2, 0, 3}).gradient, ElementsAre(0, 6, 0));
  EXPECT_THAT(of(product, {3}, {0, 0, 3}).gradient, ElementsAre(0, 0, 0));
}

TEST(Reductions, LengthOfNothingHasNoSlope) {
  EXPECT_THAT(of([](const Node& x) { return reduce_l2(x); }, {2}, {0, 0}).gradient, ElementsAre(0, 0));
  EXPECT_THAT(of([](const Node& x) { return reduce_l1(x); }, {3}, {0, -2, 3}).gradient, ElementsAre(0, -1, 1));
}

TEST(CumSum, FromEitherEndWithOrWithoutItself) {
  const auto along = [](Index axis, bool exclusive, bool reverse) {
    return [=](const Node& x) { return cumsum(x, axis, exclusive, reverse); };
  };
  EXPECT_THAT(of(along(-1, false, false), {2, 3}, kSix).values, ElementsAre(3, 4, 6, -1, 4, 9));
  EXPECT_THAT(of(along(1, true, false), {2, 3}, kSix).values, ElementsAre(0, 3, 4, 0, -1, 4));
  EXPECT_THAT(of(along(1, false, true), {2, 3}, kSix).values, ElementsAre(6, 3, 2, 9, 10, 5));
  EXPECT_THAT(of(along(1, true, true), {2, 3}, kSix).values, ElementsAre(3, 2, 0, 10, 5, 0));
  EXPECT_THAT(of(along(0, false, false), {2, 3}, kSix).values, ElementsAre(3, 1, 2, 2, 6, 7));
}

TEST(Places, OfTheLargestAndSmallest) {
  EXPECT_THAT(of([](const Node& x) { return argmax(x, 1); }, {2, 3}, kSix).values, ElementsAre(0, 1));
  EXPECT_THAT(of([](const Node& x) { return argmax(x, 1, true); }, {2, 3}, kSix).values, ElementsAre(0, 2));
  EXPECT_THAT(of([](const Node& x) { return argmin(x, 0); }, {2, 3}, kSix).values, ElementsAre(1, 0, 0));
  const Found hard = of([](const Node& x) { return hardmax(x, 1); }, {2, 3}, kSix);
  EXPECT_THAT(hard.values, ElementsAre(1, 0, 0, 0, 1, 0));
  EXPECT_THAT(hard.gradient, ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(of([](const Node& x) { return hardmax(x, 0); }, {2, 3}, kSix).values, ElementsAre(1, 0, 0, 0, 1, 1));
}

TEST(Softmax, AlongAnyAxis) {
  const std::vector<double> equal(8, 2.0);
  EXPECT_THAT(of([](const Node& x) { return softmax(x, 0); }, {4, 2}, equal).values,
              ElementsAre(0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25));
  const Found first = of([](const Node& x) { return softmax(x, 0); }, {2, 2}, {0, std::log(3), 0, 0});
  EXPECT_THAT(first.values, Pointwise(DoubleNear(1e-15), {0.5, 0.75, 0.5, 0.25}));
  const Found middle = of([](const Node& x) { return log_softmax(x, 1); }, {1, 2, 2}, {0, std::log(3), 0, 0});
  EXPECT_THAT(middle.values,
              Pointwise(DoubleNear(1e-15), {-std::log(2), std::log(0.75), -std::log(2), std::log(0.25)}));
}

// Where the pieces of a unit meet.
TEST(Pieces, ChoicesWhereTheyMeet) {
  const auto slope = [](const std::function<Node(const Node&)>& f, double x) { return of(f, {}, {x}).gradient[0]; };
  EXPECT_EQ(slope(abs, 0), 0);
  EXPECT_EQ(slope([](const Node& x) { return clip(x, -1, 2); }, -1), 0);
  EXPECT_EQ(slope([](const Node& x) { return clip(x, -1, 2); }, 2), 0);
  EXPECT_EQ(slope([](const Node& x) { return prelu(x, equal(x, scale(x, 2))); }, 0), 1);
  EXPECT_EQ(slope([](const Node& x) { return hard_sigmoid(x, 0.25, 0.5); }, -2), 0);
  EXPECT_EQ(slope(hard_swish, -3), 0);
  EXPECT_EQ(slope(hard_swish, 3), 1);
  EXPECT_EQ(slope([](const Node& x) { return shrink(x, 0.5, 0.25); }, 0.5), 0);
  EXPECT_EQ(slope([](const Node& x) { return elu(x, 0.5); }, 0), 0.5);
  EXPECT_EQ(slope([](const Node& x) { return celu(x, 0.5); }, 0), 1);
  EXPECT_EQ(slope([](const Node& x) { return thresholded_relu(x, 1); }, 1), 0);
  EXPECT_EQ(of(round, {4}, {0.5, 1.5, -0.5, 2.5}).values, (std::vector<double>{0, 2, 0, 2}));
  EXPECT_THROW(of([](const Node& x) { return clip(x, 1, 0); }, {}, {0}), ArgumentError);
  EXPECT_THROW(of([](const Node& x) { return celu(x, 0); }, {}, {0}), ArgumentError);
  EXPECT_THROW(of([](const Node& x) { return shrink(x, -1); }, {}, {0}), ArgumentError);
}

// The loss of logits (2, 3) at these labels, and its gradient.
struct Loss {
  double value;
  std::vector<double> gradient;
};
const std::vector<double> kLogits = {0.5, -1, 2, 1, 0, -0.5};
Loss loss_of(const CrossEntropyOptions& options, const std::vector<std::int32_t>& labels) {
  Builder build;
  const Node logits = build.parameter("logits", {2, 3}, {}, 2);
  const Program program(cross_entropy(logits, build.indices("label", {2}), options));
  const Batch<double> batch{.rows = 1, .inputs = {std::span<const std::int32_t>(labels)}};
  Loss loss{0, std::vector<double>(6)};
  Runner<double> runner(program, {.mode = Workload::Mode::kPullback});
  loss.value = runner.gradient(Parameters<double>(kLogits), batch, loss.gradient).loss;
  return loss;
}
// −log softmax of class c at a position.
double nll(std::size_t position, std::size_t c) {
  const double* x = kLogits.data() + 3 * position;
  return std::log(std::exp(x[0]) + std::exp(x[1]) + std::exp(x[2])) - x[c];
}

TEST(CrossEntropyOfPositions, IsTheirMean) {
  EXPECT_NEAR(loss_of({}, {2, 1}).value, (nll(0, 2) + nll(1, 1)) / 2, 1e-14);
  const Loss one = loss_of({.ignored = -100}, {-100, 1});
  EXPECT_NEAR(one.value, nll(1, 1), 1e-14);
  EXPECT_THAT(std::vector<double>(one.gradient.begin(), one.gradient.begin() + 3), ElementsAre(0, 0, 0));
  const Loss none = loss_of({.ignored = -100}, {-100, -100});
  EXPECT_EQ(none.value, 0);
  EXPECT_THAT(none.gradient, ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THROW(loss_of({}, {-100, 1}), ArgumentError);
  EXPECT_THROW(loss_of({.ignored = -100}, {-1, 1}), ArgumentError);
}

// As PyTorch's cross_entropy with weight and label_smoothing: the mean is by the labels' weights.
TEST(CrossEntropyOfPositions, WeighsClasses) {
  const std::vector<double> w = {1, 0.5, 2};
  EXPECT_NEAR(loss_of({.class_weights = w}, {2, 1}).value, (2 * nll(0, 2) + 0.5 * nll(1, 1)) / 2.5, 1e-14);
  double smooth = 0;
  for (std::size_t c = 0; c < 3; ++c) smooth += w[c] * (nll(0, c) + nll(1, c));
  EXPECT_NEAR(loss_of({.smoothing = 0.3, .class_weights = w}, {2, 1}).value,
              (0.7 * (2 * nll(0, 2) + 0.5 * nll(1, 1)) + 0.1 * smooth) / 2.5, 1e-14);
  EXPECT_THROW(loss_of({.class_weights = {1, 2}}, {2, 1}), ShapeError);
  EXPECT_THROW(loss_of({.class_weights = {1, 2, -1}}, {2, 1}), ArgumentError);
}

TEST(Losses, HuberAndBinary) {
  const auto against_zero = [](double delta) { return [=](const Node& x) { return huber(x, scale(x, 0), delta); }; };
  EXPECT_DOUBLE_EQ(of(against_zero(1), {2}, {0.5, -3}).values[0], (0.125 + 2.5) / 2);
  EXPECT_THAT(of(against_zero(1), {2}, {0.5, -3}).gradient, ElementsAre(0.25, -0.5));
  EXPECT_THROW(of(against_zero(0), {}, {0}), ArgumentError);
  const auto against_one = [](const Node& x) { return binary_cross_entropy(x, equal(x, x)); };
  const Found certain = of(against_one, {2}, {40, -800});
  EXPECT_NEAR(certain.values[0], 400, 1e-12);
  EXPECT_DOUBLE_EQ(certain.gradient[0], -std::exp(-40) / 2);
  EXPECT_EQ(certain.gradient[1], -0.5);
}

}  // namespace
}  // namespace slopewise
