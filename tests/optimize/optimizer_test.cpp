// Each optimizer against PyTorch's, against closed forms, and against itself: interrupted, threaded, given nonsense.
#include "slopewise/optimize/optimizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimate.hpp"
#include "tests/optimize/support.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// More than two pieces of any loop, and a rest that fills no register.
constexpr Index kSize = 50003;

GradientEstimate dense(std::vector<double> gradient) {
  return {0, std::make_shared<const DenseGradient<double>>(std::move(gradient))};
}

// Steps of `optimizer` on random gradients, each a function of the optimizer's count of steps.
template <class T>
void take_steps(Optimizer<T>& optimizer, Parameters<T>& theta, int steps) {
  for (int i = 0; i < steps; ++i) {
    const auto seed = static_cast<std::uint64_t>(optimizer.steps());
    optimizer.step(theta, dense(random_vector<double>(theta.size(), seed)), 0.01);
  }
}

// f(x) = Σ aᵢ(xᵢ − bᵢ)²/2 + 1 − cos xᵢ after 20 steps; printed by tests/peers/torch_optimizers.py with PyTorch 1.13.
struct PeerRun {
  std::string_view name;
  double weight_decay;
  std::array<double, 3> theta;
};
constexpr PeerRun kPeerRuns[] = {
    {"sgd", 0, {0.3181627233420353, -0.42139643181833747, -0.9987100419902929}},
    {"momentum", 0, {0.3350353205432593, -0.435828038793273, 0.2894361647830327}},
    {"nesterov", 0, {0.3371130825653451, -0.49019869144936107, 0.19445403890807025}},
    {"adam", 0, {0.3288758197007451, 0.5460096756476778, -0.9993134048295542}},
    {"adamw", 0, {0.3288758197007451, 0.5460096756476778, -0.9993134048295542}},
    {"sgd", 0.125, {0.2990604695691575, -0.41307032717415254, -0.8449458077418647}},
    {"momentum", 0.125, {0.30713598696747646, -0.4610161279090977, 0.2545340444463945}},
    {"nesterov", 0.125, {0.3095956061104203, -0.47980835379796744, 0.16542414928629848}},
    {"adam", 0.125, {0.3167657794654584, 0.5469813735727442, -1.0077726237184244}},
    {"adamw", 0.125, {0.3291223742968822, 0.4344839773220214, -0.8286391930616902}},
};

template <class T>
void expect_peer_run(const PeerRun& run, double tolerance) {
  constexpr double kCurvature[] = {0.5, 2.0, 0.01}, kCentre[] = {1.0, -0.75, 3.0}, kStart[] = {0.25, 1.5, -2.0};
  Parameters<T> theta(kSize);
  for (Index i = 0; i < kSize; ++i) theta.edit()[i] = static_cast<T>(kStart[i % 3]);
  const auto optimizer = make_optimizer<T>(
      run.name, kSize,
      {.momentum = 0.8, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-4, .weight_decay = run.weight_decay});
  std::vector<double> gradient(kSize);
  for (int step = 0; step < 20; ++step) {
    const std::span<const T> x = std::as_const(theta).values();
    for (Index i = 0; i < kSize; ++i)
      gradient[i] = kCurvature[i % 3] * (x[i] - kCentre[i % 3]) + std::sin(double{x[i]});
    optimizer->step(theta, dense(gradient), 0.05);
  }
  const std::vector<T> found = copy_of(theta);
  for (Index i = 0; i < kSize; ++i) ASSERT_NEAR(found[i], run.theta[i % 3], tolerance) << run.name << ", entry " << i;
}

TEST(Optimizer, DoesWhatPyTorchDoes) {
  for (const PeerRun& run : kPeerRuns) {
    expect_peer_run<double>(run, 1e-12);
    expect_peer_run<float>(run, 3e-6);
  }
}

// On f = ax²/2 the methods with a velocity obey x₍ₜ₊₂₎ = T x₍ₜ₊₁₎ − D xₜ, so xₜ = c₁r₁ᵗ + c₂r₂ᵗ with r² − T r + D = 0.
double two_root_solution(double trace, double determinant, double x0, double x1, int t) {
  using Complex = std::complex<double>;
  const Complex root = std::sqrt(Complex(trace * trace / 4 - determinant));
  const Complex r1 = trace / 2 + root, r2 = trace / 2 - root;
  const Complex c1 = (x1 - r2 * x0) / (r1 - r2);
  return (c1 * std::pow(r1, t) + (x0 - c1) * std::pow(r2, t)).real();
}

TEST(Optimizer, FollowsItsClosedFormOnAQuadratic) {
  constexpr double kRate = 0.1, kMomentum = 0.75, kDecay = 0.05;
  const std::vector<double> start{1, -2, 0.5}, curvature{0.3, 4, 11};
  for (const std::string_view name : {"sgd", "momentum", "nesterov"}) {
    const auto optimizer = make_optimizer<double>(name, 3, {.momentum = kMomentum, .weight_decay = kDecay});
    Parameters<double> theta(start);
    for (int t = 1; t <= 40; ++t) {
      std::vector<double> gradient = copy_of(theta);
      for (std::size_t i = 0; i < 3; ++i) gradient[i] *= curvature[i];
      optimizer->step(theta, dense(gradient), kRate);
      for (std::size_t i = 0; i < 3; ++i) {
        const double kept = 1 - kRate * (curvature[i] + kDecay);
        double expected = start[i] * std::pow(kept, t);
        if (name == "momentum") expected = two_root_solution(kept + kMomentum, kMomentum, start[i], kept * start[i], t);
        if (name == "nesterov") {
          const double first = start[i] * (1 - (1 - kept) * (1 + kMomentum));
          expected = two_root_solution((1 + kMomentum) * kept, kMomentum * kept, start[i], first, t);
        }
        ASSERT_NEAR(std::as_const(theta).values()[i], expected, 1e-12) << name << ", step " << t << ", entry " << i;
      }
    }
  }
}

// Corrected for their start, both means of a constant gradient are that gradient from the first step on.
TEST(Adam, MovesByTheRateWhereTheGradientIsConstant) {
  const std::vector<double> gradient{3, -1e-3, 0};
  const auto adam = make_optimizer<double>("adam", 3, {.epsilon = 1e-6});
  Parameters<double> theta(3);
  for (int t = 1; t <= 2000; ++t) {
    adam->step(theta, dense(gradient), 0.01);
    for (std::size_t i = 0; i < 3; ++i) {
      const double expected = -0.01 * t * gradient[i] / (std::abs(gradient[i]) + 1e-6);
      ASSERT_NEAR(std::as_const(theta).values()[i], expected, 1e-11 * t) << "step " << t << ", entry " << i;
    }
  }
}

// A gradient that must not be written out.
class Unwritable final : public Gradient {
 public:
  explicit Unwritable(GradientEstimate gradient) : gradient_(std::move(gradient)) {}
  Index size() const override { return gradient_.size(); }
  bool finite() const override { return gradient_.finite(); }
  double squared_norm() const override { return gradient_.squared_norm(); }
  void add_to(Parameters<float>& theta, double factor) const override { gradient_.add_to(theta, factor); }
  void add_to(Parameters<double>& theta, double factor) const override { gradient_.add_to(theta, factor); }
  void add_to(std::span<float> numbers, double factor) const override { gradient_.add_to(numbers, factor); }
  void add_to(std::span<double> numbers, double factor) const override { gradient_.add_to(numbers, factor); }
  double entry(Index i) const override { return gradient_.entry(i); }
  void materialize(std::span<float>) const override { FAIL() << "the gradient was written out"; }
  void materialize(std::span<double>) const override { FAIL() << "the gradient was written out"; }

 private:
  GradientEstimate gradient_;
};

// A matrix of 40 × 30 with its bias.
ParameterLayout matrix_layout() {
  ParameterLayout layout;
  layout.add("weight", {40, 30}, {}, 40);
  layout.add_bias("bias", 0);
  return layout;
}

GradientEstimate along_tangents(std::vector<double> coefficients) {
  static const auto probe = make_probe("rank-one", matrix_layout(), 7);
  const auto count = static_cast<Index>(coefficients.size());
  return {Slopes{.loss = 0, .slopes = coefficients}, coefficients, probe->draw(0, count), {}};
}

TEST(Sgd, NeverWritesTheGradientOutAndLeavesPackedMatricesPacked) {
  const GradientEstimate gradient = along_tangents({0.5, -2});
  const Parameters<float> start(random_vector<float>(gradient.size(), 1));
  Parameters<float> theta = start, expected = start;
  theta.packed(0, 40, 30);
  expected.packed(0, 40, 30);
  make_optimizer<float>("sgd", gradient.size(), {})->step(theta, Unwritable(gradient), 0.1);
  EXPECT_NE(theta.edit_packed(0, 40, 30), nullptr) << "the matrix has to be packed again";
  gradient.add_to(expected, -0.1);
  EXPECT_EQ(copy_of(theta), copy_of(expected));
}

class EveryOptimizer : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Registry, EveryOptimizer, testing::ValuesIn(optimizer_names()));

TEST_P(EveryOptimizer, TakesAnImplicitGradientAsItsDenseForm) {
  const GradientEstimate implicit = along_tangents({0.5, -2, 0.25});
  std::vector<double> written(static_cast<std::size_t>(implicit.size()));
  implicit.materialize(std::span(written));
  Parameters<float> one(random_vector<float>(implicit.size(), 1)), other = one;
  one.packed(0, 40, 30);
  const OptimizerOptions options{.weight_decay = 0.1, .clip_norm = 3};
  const auto first = make_optimizer<float>(GetParam(), implicit.size(), options);
  const auto second = make_optimizer<float>(GetParam(), implicit.size(), options);
  for (int i = 0; i < 5; ++i) {
    first->step(one, implicit, 0.05);
    second->step(other, dense(written), 0.05);
  }
  EXPECT_THAT(copy_of(one), testing::Pointwise(testing::FloatNear(2e-6f), copy_of(other)));
}

// Packed matrices stay packed but where λθ is added to the gradient.
TEST_P(EveryOptimizer, ChangesPackedMatricesAsTheyAre) {
  const GradientEstimate gradient = along_tangents({0.5, -2});
  for (const double decay : {0.0, 0.1}) {
    const auto optimizer = make_optimizer<float>(GetParam(), gradient.size(), {.weight_decay = decay});
    Parameters<float> theta(random_vector<float>(gradient.size(), 1)), flat = theta;
    theta.packed(0, 40, 30);
    const auto beside = make_optimizer<float>(GetParam(), gradient.size(), {.weight_decay = decay});
    for (int i = 0; i < 3; ++i) {
      optimizer->step(theta, gradient, 0.05);
      beside->step(flat, gradient, 0.05);
    }
    EXPECT_EQ(theta.edit_packed(0, 40, 30) == nullptr, optimizer->flattens()) << decay;
    EXPECT_EQ(optimizer->flattens(), decay > 0 && GetParam() != "sgd" && GetParam() != "adamw");
    EXPECT_THAT(copy_of(theta), testing::Pointwise(testing::FloatNear(2e-6f), copy_of(flat)));
  }
}

// The same steps as those of a rate that is known, and the direction is what θ moves along.
TEST_P(EveryOptimizer, TakesTheRateOnceItsDirectionIsKnown) {
  for (const bool written : {true, false}) {
    const GradientEstimate gradient =
        written ? dense(random_vector<double>(matrix_layout().size, 3, -2, 2)) : along_tangents({0.5, -2, 0.25});
    for (const double decay : {0.0, 0.1}) {
      const OptimizerOptions options{.weight_decay = decay, .clip_norm = 3};
      const auto known = make_optimizer<float>(GetParam(), gradient.size(), options);
      const auto found = make_optimizer<float>(GetParam(), gradient.size(), options);
      Parameters<float> one(random_vector<float>(gradient.size(), 1)), other = one;
      other.packed(0, 40, 30);
      for (int i = 0; i < 5; ++i) {
        const double rate = 0.01 * (i + 1);
        known->step(one, gradient, rate);
        std::vector<float> expected = copy_of(other);
        int asked = 0;
        found->step(other, gradient, [&](const StepDirection& direction) {
          ++asked;
          EXPECT_EQ(copy_of(other), expected) << "θ was moved before";
          if (GetParam() == "sgd" || GetParam() == "adamw") {  // whose decay is no part of the direction
            for (float& entry : expected) entry *= static_cast<float>(1 - rate * decay);
          }
          direction.gradient.add_to(std::span(expected), -rate * direction.factor);
          return rate;
        });
        EXPECT_EQ(asked, 1);
        EXPECT_THAT(copy_of(other), testing::Pointwise(testing::FloatNear(1e-6f), expected));
      }
      EXPECT_EQ(found->steps(), 5);
      EXPECT_THAT(copy_of(other), testing::Pointwise(testing::FloatNear(3e-6f), copy_of(one)));
    }
  }
}

TEST_P(EveryOptimizer, LeavesThetaWhereNoRateIsFound) {
  const auto optimizer = make_optimizer<double>(GetParam(), 3, {.weight_decay = 0.1});
  Parameters<double> theta(std::vector<double>{1, 2, 3});
  const auto step = [&](double rate) {
    optimizer->step(theta, dense({1, -2, 3}), [rate](const StepDirection&) { return rate; });
  };
  for (const double rate : {-0.1, kNaN, kInfinity}) EXPECT_THROW(step(rate), ArgumentError) << rate;
  EXPECT_THROW(
      optimizer->step(theta, dense({1, -2, 3}), [](const StepDirection&) -> double { throw NumericError("no slope"); }),
      NumericError);
  EXPECT_EQ(optimizer->steps(), 0);
  EXPECT_EQ(copy_of(theta), (std::vector<double>{1, 2, 3}));
  step(0);
  EXPECT_EQ(copy_of(theta), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(optimizer->steps(), 1);
}

template <class T>
void expect_resumes(const std::string& name) {
  const OptimizerOptions options{.weight_decay = 0.01, .clip_norm = 50};
  const auto make = [&] { return make_optimizer<T>(name, kSize, options); };
  Parameters<T> whole(random_vector<T>(kSize, 99)), halves = whole;
  const auto through = make(), before = make(), after = make();
  take_steps(*through, whole, 20);

  take_steps(*before, halves, 10);
  StateView<T> saved = before->state();
  std::reverse(saved.vectors.begin(), saved.vectors.end());  // by name, not by order
  after->restore(saved);
  EXPECT_EQ(after->steps(), 10);
  Parameters<T> without_memory = halves;
  take_steps(*after, halves, 10);
  EXPECT_EQ(copy_of(halves), copy_of(whole));
  EXPECT_EQ(after->steps(), through->steps());
  for (std::size_t i = 0; i < after->state().vectors.size(); ++i) {
    EXPECT_EQ(after->state().vectors[i].name, through->state().vectors[i].name);
    EXPECT_TRUE(std::ranges::equal(after->state().vectors[i].values, through->state().vectors[i].values));
  }

  // What was restored matters.
  if (saved.vectors.empty()) return;
  const auto forgetful = make();
  forgetful->step(without_memory, dense(random_vector<double>(kSize, 10)), 0.01);
  EXPECT_NE(copy_of(without_memory), copy_of(halves));
}

TEST_P(EveryOptimizer, GoesOnBitForBitFromItsState) {
  expect_resumes<float>(GetParam());
  expect_resumes<double>(GetParam());
}

TEST_P(EveryOptimizer, SameBitsAtAnyNumberOfThreads) {
  const auto with = [&](int count) {
    const ThreadScope threads(count);
    Parameters<float> theta(random_vector<float>(kSize, 3));
    const auto optimizer = make_optimizer<float>(GetParam(), kSize, {.weight_decay = 0.01, .clip_norm = 10});
    take_steps(*optimizer, theta, 3);
    return copy_of(theta);
  };
  const std::vector<float> one = with(1);
  EXPECT_EQ(with(2), one);
  EXPECT_EQ(with(3), one);
}

// A clipped gradient is the same as one that was shorter to begin with; below the limit nothing happens.
TEST_P(EveryOptimizer, ClipsTheNorm) {
  const auto after = [&](const std::vector<double>& gradient, double limit) {
    Parameters<double> theta(2);
    const auto optimizer = make_optimizer<double>(GetParam(), 2, {.epsilon = 1, .clip_norm = limit});
    for (int i = 0; i < 3; ++i) optimizer->step(theta, dense(gradient), 0.1);
    return copy_of(theta);
  };
  EXPECT_THAT(after({3, -4}, 0.5), testing::Pointwise(testing::DoubleNear(1e-15), after({0.3, -0.4}, kInfinity)));
  EXPECT_EQ(after({3, -4}, 5.5), after({3, -4}, kInfinity));
  EXPECT_NE(after({3, -4}, 4.5), after({3, -4}, kInfinity));
}

// The norm of many entries, summed in pieces, is that which a dense gradient gives itself.
TEST(ClipNorm, IsTheSameWithAndWithoutABuffer) {
  const GradientEstimate gradient = dense(random_vector<double>(kSize, 4));
  const auto after = [&](std::string_view name) {
    Parameters<double> theta(kSize);
    make_optimizer<double>(name, kSize, {.momentum = 0, .clip_norm = 1})->step(theta, gradient, 1);
    return copy_of(theta);
  };
  const std::vector<double> plain = after("sgd");
  EXPECT_NEAR(inner_product<double>(plain, plain), 1, 1e-12);
  EXPECT_THAT(after("momentum"), testing::Pointwise(testing::DoubleNear(1e-14), plain));
}

template <class T>
void expect_refused(const std::string& name, const Gradient& gradient, double clip_norm) {
  const auto optimizer = make_optimizer<T>(name, gradient.size(), {.weight_decay = 0.1, .clip_norm = clip_norm});
  Parameters<T> theta(random_vector<T>(gradient.size(), 1));
  take_steps(*optimizer, theta, 2);
  const std::vector<T> before = copy_of(theta);
  std::vector<std::vector<T>> state_before;
  for (const auto& vector : optimizer->state().vectors)
    state_before.emplace_back(vector.values.begin(), vector.values.end());
  EXPECT_THROW(optimizer->step(theta, gradient, 0.1), NumericError);
  EXPECT_EQ(copy_of(theta), before);
  EXPECT_EQ(optimizer->steps(), 2);
  for (std::size_t i = 0; i < state_before.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(optimizer->state().vectors[i].values, state_before[i]));
}

TEST_P(EveryOptimizer, RefusesNonFiniteGradientsBeforeItTouchesAnything) {
  for (const double bad : {kNaN, kInfinity, -kInfinity}) {
    for (const double clip_norm : {kInfinity, 1.0}) {
      for (const Index at : {Index{5}, kSize - 2}) {  // one in a register, one in the rest
        std::vector<double> entries = random_vector<double>(kSize, 5);
        entries[at] = bad;
        expect_refused<float>(GetParam(), dense(entries), clip_norm);
        expect_refused<double>(GetParam(), dense(entries), clip_norm);
      }
      expect_refused<float>(GetParam(), along_tangents({1, bad}), clip_norm);
      expect_refused<double>(GetParam(), along_tangents({1, bad}), clip_norm);
    }
  }
}

TEST_P(EveryOptimizer, RefusesWhatDoesNotFit) {
  const auto optimizer = make_optimizer<double>(GetParam(), 3, {});
  EXPECT_EQ(optimizer->name(), GetParam());
  EXPECT_EQ(optimizer->size(), 3);
  EXPECT_FALSE(optimizer_summary(GetParam()).empty());
  Parameters<double> three(3), four(4);
  EXPECT_THROW(optimizer->step(four, dense({1, 2, 3}), 0.1), ShapeError);
  EXPECT_THROW(optimizer->step(three, dense({1, 2, 3, 4}), 0.1), ShapeError);
  for (const double rate : {-0.1, kNaN, kInfinity})
    EXPECT_THROW(optimizer->step(three, dense({1, 2, 3}), rate), ArgumentError) << rate;
  EXPECT_EQ(optimizer->steps(), 0);
  EXPECT_EQ(copy_of(three), std::vector<double>(3));
}

TEST_P(EveryOptimizer, RefusesAStateThatIsNotItsOwn) {
  const auto optimizer = make_optimizer<double>(GetParam(), 2, {});
  Parameters<double> theta(2);
  optimizer->step(theta, dense({1, 2}), 0.1);
  const std::vector<double> values{5, 6, 7};
  StateView<double> state = optimizer->state();
  const auto refused = [&]<class E>(E*, const StateView<double>& bad) {
    EXPECT_THROW(optimizer->restore(bad), E);
    EXPECT_EQ(optimizer->steps(), 1);
    for (const auto& vector : optimizer->state().vectors) EXPECT_NE(vector.values[0], 5);
  };
  StateView<double> bad = state;
  bad.steps = -1;
  refused(static_cast<ArgumentError*>(nullptr), bad);
  bad = state;
  bad.vectors.push_back({"else", values});
  refused(static_cast<ArgumentError*>(nullptr), bad);
  if (state.vectors.empty()) return;
  bad = state;
  bad.vectors[0].values = std::span(values).first(2);
  bad.vectors.back().values = values;
  refused(static_cast<ShapeError*>(nullptr), bad);
  bad = state;
  bad.vectors.pop_back();
  refused(static_cast<ArgumentError*>(nullptr), bad);
  bad = state;
  bad.vectors.push_back(bad.vectors[0]);
  refused(static_cast<ArgumentError*>(nullptr), bad);
}

TEST(MakeOptimizer, SaysWhatIsWrong) {
  const auto make = [](std::string_view name, const OptimizerOptions& options) {
    return [=] { make_optimizer<float>(name, 3, options); };
  };
  EXPECT_THAT(make("adagrad", {}), ThrowsMessage<ArgumentError>(HasSubstr("sgd, momentum, nesterov, adam, adamw")));
  EXPECT_THROW(optimizer_summary("adagrad"), ArgumentError);
  const std::pair<std::string, OptimizerOptions> bad[] = {
      {"momentum", {.momentum = 1}},
      {"momentum", {.momentum = -0.1}},
      {"beta1", {.beta1 = 1}},
      {"beta2", {.beta2 = kNaN}},
      {"epsilon", {.epsilon = 0}},
      {"epsilon", {.epsilon = kInfinity}},
      {"weight_decay", {.weight_decay = -1}},
      {"weight_decay", {.weight_decay = kNaN}},
      {"clip_norm", {.clip_norm = 0}},
      {"clip_norm", {.clip_norm = kNaN}},
  };
  for (const auto& [option, options] : bad) {
    EXPECT_THAT(make("adam", options), ThrowsMessage<ArgumentError>(HasSubstr(option + ": expected")));
  }
}

}  // namespace
}  // namespace slopewise
