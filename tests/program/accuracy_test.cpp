// Every op of the registry that has a slope of its own to compute, over the whole range of its type, beside closed
// forms in 113 bits; and what an infinite slope leaves to what does not vary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/registry.hpp"
#include "slopewise/program/runner.hpp"
#include "tests/accuracy.hpp"
#include "tests/program/unary_references.hpp"

namespace slopewise {
namespace {

// f at a parameter θ ().
template <class T>
class AtPoint {
 public:
  explicit AtPoint(Node (*op)(const Node&))
      : program_([&] {
          Builder build;
          return Program(op(build.parameter("x", {}, {}, 1)));
        }()) {}

  // Value and slope; NaN where the runner reports what is not finite.
  std::array<T, 2> forward(T x) {
    return run(first_, x, [](const RunResult<T>& found) {
      return std::array<T, 2>{T(found.loss), T(found.slopes[0])};
    });
  }
  T second(T x) {
    return run(second_, x, [](const RunResult<T>& found) { return std::array<T, 2>{T(found.curvatures[0])}; })[0];
  }
  T backward(T x) {
    std::vector<T> gradient(1);
    back_.gradient(Parameters<T>(std::vector<T>{x}), {.rows = 1}, gradient);
    return gradient[0];
  }

 private:
  template <class F>
  std::array<T, 2> run(Runner<T>& runner, T x, F take) {
    const auto tangents = Tangents<T>::dense(program_.layout(), 1, std::vector<T>{1});
    return take(runner.run(Parameters<T>(std::vector<T>{x}), {.rows = 1}, &tangents));
  }

  Program program_;
  Runner<T> first_{program_, {.tangents = 1}};
  Runner<T> second_{program_, {.tangents = 1, .order = 2}};
  Runner<T> back_{program_, {.mode = Workload::Mode::kPullback}};
};

template <class T>
void check_unary(const std::string& name, const UnaryReference& reference) {
  AtPoint<T> at(reference.op);
  Worst value, slope, curvature, pullback;
  const auto representable = [](Quad exact) { return std::isfinite(static_cast<T>(exact)); };
  const auto small = [&](Quad exact) { return fabsq(exact) < reference.limits.least * std::numeric_limits<T>::min(); };
  for (const T x : points_everywhere<T>()) {
    const ExactLocal exact = reference.exact(x);
    if (!std::isfinite(x) || !representable(exact.value) || !representable(exact.slope)) continue;
    const auto [found, found_slope] = at.forward(x);
    if (!small(exact.value)) value.take(x, found, exact.value);
    if (small(exact.slope)) continue;
    slope.take(x, found_slope, exact.slope, exact.slope_term);
    pullback.take(x, at.backward(x), exact.slope, exact.slope_term);
    if (representable(exact.curvature) && !small(exact.curvature))
      curvature.take(x, at.second(x), exact.curvature, exact.curvature_term);
  }
  value.expect_at_most(reference.limits.value, name, "value");
  slope.expect_at_most(reference.limits.slope, name, "slope");
  curvature.expect_at_most(reference.limits.curvature, name, "second derivative");
  pullback.expect_at_most(reference.limits.pullback, name, "pullback's slope");
}

// Entry `entry` of y = op(x) for x (3), its slopes and second derivatives along the axes, and the largest of the terms
// that they are sums of.
using Row = std::array<Quad, 3>;
struct ExactRow {
  Quad value;
  Row slopes, curvatures;
  Quad value_term = 0, slope_term = 0, curvature_term = 0;
};
struct RowReference {
  Node (*entry_of)(const Node& x, Index entry);
  ExactRow (*exact)(const Row& x, std::size_t entry);
  double limit = 4;
  double pullback = 4;
};

// p of entry i and Σ of the others.
struct Share {
  Quad p, others;
};
Share quad_softmax(const Row& x, std::size_t i) {
  Quad others = 0;
  for (std::size_t j = 0; j < 3; ++j) others += j == i ? 0 : expq(x[j] - x[i]);
  return {1 / (1 + others), others / (1 + others)};
}
ExactRow quad_log_softmax(const Row& x, std::size_t i) {
  const Share own = quad_softmax(x, i);
  ExactRow exact{-log1pq(own.others / own.p), {}, {}};
  for (std::size_t j = 0; j < 3; ++j) {
    const Share share = quad_softmax(x, j);
    exact.slopes[j] = i == j ? share.others : -share.p;
    exact.curvatures[j] = -share.p * share.others;
  }
  return exact;
}

template <bool kLeast>
ExactRow exact_extreme(const Row& x, std::size_t) {
  const auto found = kLeast ? std::min_element(x.begin(), x.end()) : std::max_element(x.begin(), x.end());
  ExactRow exact{*found, {}, {}};
  exact.slopes[static_cast<std::size_t>(found - x.begin())] = 1;
  return exact;
}

std::map<std::string, RowReference> row_references() {
  const auto exact_softmax = [](const Row& x, std::size_t i) {
    const Share own = quad_softmax(x, i);
    ExactRow exact{own.p, {}, {}, 0, 0, own.p};
    for (std::size_t j = 0; j < 3; ++j) {
      const Share share = quad_softmax(x, j);
      exact.slopes[j] = i == j ? own.p * own.others : -own.p * share.p;
      exact.curvatures[j] =
          i == j ? own.p * own.others * (own.others - own.p) : own.p * share.p * (share.p - share.others);
    }
    return exact;
  };
  const auto exact_cross_entropy = [](const Row& x, std::size_t i) {
    ExactRow exact = quad_log_softmax(x, i);
    exact.value = -exact.value;
    for (std::size_t j = 0; j < 3; ++j) {
      exact.slopes[j] = -exact.slopes[j];
      exact.curvatures[j] = -exact.curvatures[j];
    }
    return exact;
  };
  // Centring leaves the digits of the largest entry.
  const auto exact_normalize = [](const Row& x, std::size_t i) {
    const Quad mean = (x[0] + x[1] + x[2]) / 3;
    Quad variance = 0, most = 0;
    for (const Quad number : x) {
      variance += (number - mean) * (number - mean) / 3;
      most = fmaxq(most, fabsq(number));
    }
    const Quad r = 1 / sqrtq(variance + 1e-5), y = (x[i] - mean) * r, size = fmaxq(1, most * r);
    ExactRow exact{y, {}, {}, size, size * r, size * r * r};
    for (std::size_t j = 0; j < 3; ++j) {
      const Quad y_j = (x[j] - mean) * r, d = r * (Quad(i == j) - Quad(1) / 3), a = y_j * r / 3;
      exact.slopes[j] = d - a * y;
      exact.curvatures[j] = -2 * a * d + y * (3 * a * a - r * r * 2 / 9);
    }
    return exact;
  };
  const auto exact_rms_normalize = [](const Row& x, std::size_t i) {
    const Quad r = 1 / sqrtq((x[0] * x[0] + x[1] * x[1] + x[2] * x[2]) / 3 + 1e-5), y = x[i] * r;
    ExactRow exact{y, {}, {}, 0, r, r * r};
    for (std::size_t j = 0; j < 3; ++j) {
      const Quad d = r * Quad(i == j), a = x[j] * r * r / 3;
      exact.slopes[j] = d - a * y;
      exact.curvatures[j] = -2 * a * d + y * (3 * a * a - r * r / 3);
    }
    return exact;
  };
  return {
      {"softmax", {[](const Node& x, Index entry) { return slice(softmax(x), 0, entry, entry + 1); }, exact_softmax}},
      // The pullback has y alone, and p = e^y a relative error as large as that of y.
      {"log_softmax",
       {[](const Node& x, Index entry) { return slice(log_softmax(x), 0, entry, entry + 1); }, quad_log_softmax, 4,
        1000}},
      {"cross_entropy",
       {[](const Node& x, Index) { return cross_entropy(x, Builder(x).indices("label", {})); }, exact_cross_entropy}},
      {"log_sum_exp",
       {[](const Node& x, Index) { return log_sum_exp(x); },
        [](const Row& x, std::size_t) {
          Quad most = fmaxq(x[0], fmaxq(x[1], x[2])), total = 0;
          for (const Quad number : x) total += expq(number - most);
          ExactRow exact{most + logq(total), {}, {}, fabsq(most)};
          for (std::size_t j = 0; j < 3; ++j) {
            const Share share = quad_softmax(x, j);
            exact.slopes[j] = share.p;
            exact.curvatures[j] = share.p * share.others;
          }
          return exact;
        }}},
      {"reduce_max", {[](const Node& x, Index) { return reduce_max(x); }, exact_extreme<false>}},
      {"reduce_min", {[](const Node& x, Index) { return reduce_min(x); }, exact_extreme<true>}},
      {"reduce_prod",
       {[](const Node& x, Index) { return reduce_prod(x); },
        [](const Row& x, std::size_t) {
          return ExactRow{x[0] * x[1] * x[2], {x[1] * x[2], x[0] * x[2], x[0] * x[1]}, {}};
        }}},
      {"normalize",
       {[](const Node& x, Index entry) { return slice(normalize(x), 0, entry, entry + 1); }, exact_normalize, 8, 8}},
      {"rms_normalize",
       {[](const Node& x, Index entry) { return slice(rms_normalize(x), 0, entry, entry + 1); }, exact_rms_normalize, 8,
        8}},
  };
}

// f of two parameters (), its slopes and second derivatives along a, along b and along both.
struct ExactPair {
  Quad value, slope_a, slope_b, curve_aa, curve_bb, curve_ab;
};
struct PairReference {
  Node (*op)(const Node&, const Node&);
  ExactPair (*exact)(Quad, Quad);
  bool positive = false;  // a
  bool unit = false;      // b is 0 or 1
};

std::map<std::string, PairReference> pair_references() {
  return {
      {"add", {add, [](Quad a, Quad b) { return ExactPair{a + b, 1, 1, 0, 0, 0}; }}},
      {"sub", {sub, [](Quad a, Quad b) { return ExactPair{a - b, 1, -1, 0, 0, 0}; }}},
      {"mul", {mul, [](Quad a, Quad b) { return ExactPair{a * b, b, a, 0, 0, 1}; }}},
      {"mean_squared_error",
       {mean_squared_error,
        [](Quad a, Quad b) {
          const Quad d = a - b;
          return ExactPair{d * d, 2 * d, -2 * d, 2, 2, -2};
        }}},
      {"huber",
       {[](const Node& a, const Node& b) { return huber(a, b, 1.5); },
        [](Quad a, Quad b) {
          const Quad d = a - b, size = fabsq(d), delta = 1.5;
          if (size > delta)
            return ExactPair{delta * (size - delta / 2), copysignq(delta, d), -copysignq(delta, d), 0, 0, 0};
          return ExactPair{d * d / 2, d, -d, 1, 1, -1};
        }}},
      {"prelu",
       {prelu, [](Quad x, Quad a) { return x > 0 ? ExactPair{x, 1, 0, 0, 0, 0} : ExactPair{a * x, a, x, 0, 0, 1}; }}},
      {"div",
       {div,
        [](Quad a, Quad b) { return ExactPair{a / b, 1 / b, -a / (b * b), 0, 2 * a / (b * b * b), -1 / (b * b)}; }}},
      {"pow",
       {pow,
        [](Quad a, Quad b) {
          const Quad y = powq(a, b), log = logq(a);
          return ExactPair{y,
                           b * powq(a, b - 1),
                           y * log,
                           b * (b - 1) * powq(a, b - 2),
                           y * log * log,
                           powq(a, b - 1) * (1 + b * log)};
        },
        true}},
      {"binary_cross_entropy",
       {binary_cross_entropy,
        [](Quad x, Quad t) {
          const bool positive = x > 0;
          const Quad rest = quad_sigmoid(-fabsq(x));
          return ExactPair{log1pq(expq(-fabsq(x))) + (positive ? x * (1 - t) : -x * t),
                           positive ? (1 - t) - rest : rest - t,
                           -x,
                           rest * (1 - rest),
                           0,
                           -1};
        },
        false, true}},
      {"minimum", {minimum, [](Quad a, Quad b) { return ExactPair{fminq(a, b), Quad(a < b), Quad(b < a), 0, 0, 0}; }}},
      {"maximum", {maximum, [](Quad a, Quad b) { return ExactPair{fmaxq(a, b), Quad(a > b), Quad(b > a), 0, 0, 0}; }}},
  };
}

// At pairs whose logarithms are spread over all of the type's range, or about 1.
template <class T>
void check_pair(const std::string& name, const PairReference& reference) {
  using Range = std::numeric_limits<T>;
  Builder build;
  const Node a = build.parameter("a", {}, {}, 1);
  const Program program(reference.op(a, build.parameter("b", {}, {}, 1)));
  Runner<T> runner(program, {.batch = 1, .tangents = 3, .order = 2});
  Runner<T> back(program, {.mode = Workload::Mode::kPullback});
  const auto along = Tangents<T>::dense(program.layout(), 3, std::vector<T>{1, 0, 0, 1, 1, 1});
  RandomStream random(6);
  Worst value, slope, curvature, pullback;
  int compared = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const double wide = trial % 2 == 0 ? Range::max_exponent : 4;
    std::vector<T> x(2);
    for (T& number : x) {
      number = static_cast<T>(std::exp2(random.uniform(-wide, wide)));
      if (random.below(2) == 0 && (&number == &x[1] || !reference.positive)) number = -number;
    }
    if (reference.unit) x[1] = static_cast<T>(random.below(2));
    const ExactPair exact = reference.exact(x[0], x[1]);
    const Quad both = exact.curve_aa + 2 * exact.curve_ab + exact.curve_bb;
    const Quad term = fmaxq(fabsq(exact.curve_aa), fmaxq(fabsq(exact.curve_bb), 2 * fabsq(exact.curve_ab)));
    // The numbers it is made from are normal ones.
    const auto normal = [](Quad number) {
      const Quad size = fabsq(number);
      return size == 0 || (size < Range::max() / 64 && size > 64 * Range::min());
    };
    const std::array parts = {exact.value,    exact.slope_a,  exact.slope_b,
                              exact.curve_aa, exact.curve_bb, exact.curve_ab};
    if (!std::all_of(parts.begin(), parts.end(), normal)) continue;
    ++compared;
    const Parameters<T> theta(x);
    const RunResult<T> found = runner.run(theta, {.rows = 1}, &along);
    std::vector<T> gradient(2);
    back.gradient(theta, {.rows = 1}, gradient);
    value.take(x[0], static_cast<T>(found.loss), exact.value);
    slope.take(x[0], static_cast<T>(found.slopes[0]), exact.slope_a);
    slope.take(x[0], static_cast<T>(found.slopes[1]), exact.slope_b);
    slope.take(x[0], static_cast<T>(found.slopes[2]), exact.slope_a + exact.slope_b,
               fmaxq(fabsq(exact.slope_a), fabsq(exact.slope_b)));
    curvature.take(x[0], static_cast<T>(found.curvatures[0]), exact.curve_aa);
    curvature.take(x[0], static_cast<T>(found.curvatures[1]), exact.curve_bb);
    curvature.take(x[0], static_cast<T>(found.curvatures[2]), both, term);
    pullback.take(x[0], gradient[0], exact.slope_a);
    pullback.take(x[0], gradient[1], exact.slope_b);
  }
  EXPECT_GT(compared, 200) << name;
  value.expect_at_most(4, name, "value");
  slope.expect_at_most(4, name, "slope");
  curvature.expect_at_most(8, name, "second derivative");
  pullback.expect_at_most(4, name, "pullback's slope");
}

template <class T>
void check_row(const std::string& name, const RowReference& reference, Index entry) {
  Builder build;
  const Program program(sum(reference.entry_of(build.parameter("x", {3}, {}, 3), entry)));
  Runner<T> first(program, {.batch = 1, .tangents = 3}), second(program, {.batch = 1, .tangents = 3, .order = 2});
  Runner<T> back(program, {.mode = Workload::Mode::kPullback});
  const auto axes = Tangents<T>::dense(program.layout(), 3, std::vector<T>{1, 0, 0, 0, 1, 0, 0, 0, 1});
  const auto label = static_cast<std::int32_t>(entry);
  Batch<T> batch{.rows = 1, .inputs = {}};
  if (!program.inputs().empty()) batch.inputs = {std::span<const std::int32_t>(&label, 1)};
  RandomStream random(5);
  Worst value, slope, curvature, pullback;
  for (int trial = 0; trial < 400; ++trial) {
    const double spread = std::ldexp(1, trial % 12 - 3), shift = trial % 5 == 0 ? random.uniform(-1000, 1000) : 0;
    std::vector<T> x(3);
    for (T& number : x) number = static_cast<T>(random.uniform(-spread, spread) + shift);
    const ExactRow exact = reference.exact({x[0], x[1], x[2]}, static_cast<std::size_t>(entry));
    const Parameters<T> theta(x);
    const RunResult<T> found = first.run(theta, batch, &axes);
    const RunResult<T> bent = second.run(theta, batch, &axes);
    std::vector<T> gradient(3);
    back.gradient(theta, batch, gradient);
    value.take(x[0], static_cast<T>(found.loss), exact.value, exact.value_term);
    for (std::size_t j = 0; j < 3; ++j) {
      slope.take(x[j], static_cast<T>(found.slopes[j]), exact.slopes[j], exact.slope_term);
      curvature.take(x[j], static_cast<T>(bent.curvatures[j]), exact.curvatures[j], exact.curvature_term);
      pullback.take(x[j], gradient[j], exact.slopes[j], exact.slope_term);
    }
  }
  value.expect_at_most(reference.limit, name, "value");
  slope.expect_at_most(reference.limit, name, "slope");
  curvature.expect_at_most(2 * reference.limit, name, "second derivative");
  pullback.expect_at_most(reference.pullback, name, "pullback's slope");
}

TEST(Accuracy, OfEveryOpEntryByEntry) {
  for (const auto& [name, reference] : unary_references()) {
    check_unary<double>(name, reference);
    check_unary<float>(name, reference);
  }
}

TEST(Accuracy, OfEveryOpRowByRow) {
  for (const auto& [name, reference] : row_references()) {
    for (const Index entry : {0, 1, 2}) {
      check_row<double>(name, reference, entry);
      check_row<float>(name, reference, entry);
    }
  }
}

TEST(Accuracy, OfEveryOpOnTwoNumbers) {
  for (const auto& [name, reference] : pair_references()) {
    check_pair<double>(name, reference);
    check_pair<float>(name, reference);
  }
}

// A new op needs a reference above, or a reason here.
TEST(Accuracy, CoversTheRegistry) {
  // Moves of their inputs, and sums of products of them: their errors are those of sums, whose terms may cancel.
  const std::set<std::string> plain = {
      "linear", "matmul", "conv", "conv_transpose", "embedding", "scale", "dropout", "sum", "mean", "cumsum",
      "max_pool", "average_pool", "reshape", "transpose", "concatenate", "slice", "rearrange", "numbers", "rope",
      "resize", "scale_shift",
      // Such sums of normalize, softmax, sigmoid and tanh, which are compared by themselves.
      "layer_norm", "scaled_dot_product_attention", "lstm", "gru", "rnn",
      // No slope of their own.
      "equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor", "where", "argmax", "argmin",
      "hardmax"};
  const auto unary = unary_references();
  const auto pairs = pair_references();
  const auto rows = row_references();
  for (const OpEntry& op : op_registry()) {
    EXPECT_EQ(unary.count(op.name) + pairs.count(op.name) + rows.count(op.name) + plain.count(op.name), 1u) << op.name;
  }
}

// y = f(x) for a parameter x of these entries, its sum the loss: slopes along each of the tangents, second derivatives,
// and the gradient.
struct Found {
  std::vector<double> slopes, curvatures, gradient;
};
Found run_along(const std::function<Node(const Node&)>& f, const std::vector<double>& x,
                const std::vector<double>& tangents, int order = 2) {
  Builder build;
  const auto size = static_cast<Index>(x.size()), count = static_cast<Index>(tangents.size()) / size;
  const Program program(sum(f(build.parameter("x", {size}, {}, size))));
  const Parameters<double> theta(x);
  const auto directions = Tangents<double>::dense(program.layout(), count, tangents);
  Runner<double> runner(program, {.tangents = count, .order = order});
  const RunResult<double> result = runner.run(theta, {.rows = 1}, &directions);
  Found found{{result.slopes.begin(), result.slopes.end()}, {result.curvatures.begin(), result.curvatures.end()}, {}};
  found.gradient.resize(x.size());
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, {.rows = 1}, found.gradient);
  return found;
}

// What does not vary has no slope, in K tangents, in second-order terms and on the way back, as in a dual.
TEST(InfiniteSlopes, LeaveAloneWhatDoesNotVary) {
  using testing::ElementsAre;
  const Found relus = run_along([](const Node& x) { return sqrt(relu(x)); }, {-1, 4}, {1, 0, 0, 1, 1, 1});
  EXPECT_THAT(relus.slopes, ElementsAre(0, 0.25, 0.25));
  EXPECT_THAT(relus.curvatures, ElementsAre(0, -1.0 / 32, -1.0 / 32));
  EXPECT_THAT(relus.gradient, ElementsAre(0, 0.25));
  // Another flat piece, and |x| = √(x²), which at 0 has the slope 0 in a dual too.
  EXPECT_THAT(run_along([](const Node& x) { return sqrt(leaky_relu(x, 0)); }, {-1, 4}, {1, 1}).gradient,
              ElementsAre(0, 0.25));
  const Found sizes = run_along([](const Node& x) { return sqrt(square(x)); }, {0, -3}, {1, 0, 0, 1}, 1);
  EXPECT_THAT(sizes.slopes, ElementsAre(0, -1));
  EXPECT_THAT(sizes.gradient, ElementsAre(0, -1));
  // A probability that is 0 to the last bit.
  const Found roots = run_along([](const Node& x) { return sqrt(softmax(x)); }, {800, 0}, {1, 0, 0, 1});
  EXPECT_THAT(roots.slopes, ElementsAre(0, 0));
  EXPECT_THAT(roots.gradient, ElementsAre(0, 0));
}

// By the tangent alone: the gradient of these is infinite, and the loss reported as such along the other entry.
TEST(InfiniteSlopes, OfAnEntryThatIsHeld) {
  const auto slope_of_second = [](Node (*f)(const Node&), double first) {
    Builder build;
    const Program program(sum(tanh(f(build.parameter("x", {2}, {}, 2)))));
    const Parameters<double> theta(std::vector<double>{first, 4});
    Runner<double> runner(program, {.tangents = 1, .order = 2});
    const auto held = Tangents<double>::dense(program.layout(), 1, std::vector<double>{0, 1});
    const RunResult<double> found = runner.run(theta, {.rows = 1}, &held);
    EXPECT_TRUE(std::isfinite(found.curvatures[0]));
    const auto varied = Tangents<double>::dense(program.layout(), 1, std::vector<double>{1, 0});
    EXPECT_THROW(runner.run(theta, {.rows = 1}, &varied), NumericError);
    return found.slopes[0];
  };
  const auto slope = [](double y) { return 1 / (std::cosh(y) * std::cosh(y)); };
  EXPECT_DOUBLE_EQ(slope_of_second(sqrt, 0), 0.25 * slope(2));
  EXPECT_DOUBLE_EQ(slope_of_second(log, 0), 0.25 * slope(std::log(4)));
  EXPECT_DOUBLE_EQ(slope_of_second([](const Node& x) { return mul(sqrt(x), x); }, 0), 3 * slope(8));
}

// mul: an infinite number beside one that is held or varies, and 0 · inf.
TEST(InfiniteSlopes, OfProducts) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Builder build;
  const Node x = build.parameter("x", {2}, {}, 2);
  const Program program(sum(tanh(mul(x, build.input("factor", {2})))));
  const Parameters<double> theta(std::vector<double>{1, 0.5});
  const std::vector<double> factors{kInfinity, 2};
  const Batch<double> batch{.rows = 1, .inputs = {std::span<const double>(factors)}};
  const auto held = Tangents<double>::dense(program.layout(), 1, std::vector<double>{0, 1});
  Runner<double> runner(program, {.tangents = 1, .order = 2});
  const RunResult<double> found = runner.run(theta, batch, &held);
  EXPECT_DOUBLE_EQ(found.slopes[0], 2 / (std::cosh(1) * std::cosh(1)));
  std::vector<double> gradient(2);
  Runner<double>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, batch, gradient);
  EXPECT_EQ(gradient[0], 0);  // tanh is flat there
  EXPECT_DOUBLE_EQ(gradient[1], 2 / (std::cosh(1) * std::cosh(1)));
}

// Behind a linear layer the op acts on each row as it is finished, on the way forward.
TEST(InfiniteSlopes, OfAnOpThatFinishesRows) {
  Builder build;
  const Node weight = build.parameter("w", {2, 1}, {}, 1);
  const Program program(sum(sqrt(relu(linear(build.input("x", {1}), weight)))));
  const std::vector<float> one{1};
  const Batch<float> batch{.rows = 1, .inputs = {std::span<const float>(one)}};
  const Parameters<float> theta(std::vector<float>{-1, 4});
  const auto axes = Tangents<float>::dense(program.layout(), 2, std::vector<float>{1, 0, 0, 1});
  const RunResult<float> found = Runner<float>(program, {.tangents = 2}).run(theta, batch, &axes);
  EXPECT_EQ(found.slopes[0], 0);
  EXPECT_EQ(found.slopes[1], 0.25f);
  std::vector<float> gradient(2);
  Runner<float>(program, {.mode = Workload::Mode::kPullback}).gradient(theta, batch, gradient);
  EXPECT_THAT(gradient, testing::ElementsAre(0, 0.25f));
}

// The squares of these leave the range of a float, and what they are normalized to is the same.
TEST(Normalize, OfLargeAndSmallNumbers) {
  for (const float scale : {1e30f, 1.0f, 1e-30f}) {
    Builder build;
    const Program program(slice(normalize(build.parameter("x", {3}, {}, 3), 0), 0, 0, 1));
    const Parameters<float> theta(std::vector<float>{scale, 0, -scale});
    const auto along = Tangents<float>::dense(program.layout(), 1, std::vector<float>{0, scale, 0});
    const RunResult<float> found = Runner<float>(program, {.tangents = 1, .order = 2}).run(theta, {.rows = 1}, &along);
    EXPECT_NEAR(found.loss, std::sqrt(1.5), 1e-6) << scale;
    EXPECT_NEAR(found.slopes[0], -std::sqrt(1.5) / 3, 1e-6) << scale;
    EXPECT_NEAR(found.curvatures[0], -std::sqrt(1.5) / 3, 1e-6) << scale;
  }
}

}  // namespace
}  // namespace slopewise
