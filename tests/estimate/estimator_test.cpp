// Every registered estimator run on a program and held against its own prediction.
#include "slopewise/estimate/estimator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/objective/function_objective.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/estimate/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

struct Case {
  std::string estimator, law;
  Index count;

  EstimatorOptions options() const { return {.law = law, .tangents = count, .seed = 41, .epsilon = 1e-4}; }
};

bool accepts(const std::string& estimator, const std::string& law) {
  try {
    make_estimator<double>(estimator, ParameterLayout::vector(9), {.law = law});
    return true;
  } catch (const ArgumentError&) {
    return false;
  }
}

// Makes the estimator of a case, with something learned.
template <class T>
std::unique_ptr<Estimator<T>> make_learned(std::string_view name, SmallProblem<T>& problem,
                                           const EstimatorOptions& options) {
  auto estimator = make_estimator<T>(name, problem.layout(), options);
  learn_some(*estimator, problem);
  return estimator;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string& estimator : estimator_names()) {
    const bool has_own_tangents = estimator == "frame" || estimator == "exact";
    for (const std::string& law : probe_names()) {
      if (!accepts(estimator, law) || (has_own_tangents && law != probe_names().front())) continue;
      // Along the same tangents as "forward", by the same law: three that are drawn in three ways will do.
      if (takes_losses_alone(estimator) && law != "gaussian" && law != "rank-one" && law != "low-rank") continue;
      for (const Index count : {1, 4}) {
        if (estimator != "exact" || count == 1) all.push_back({estimator, law, count});
      }
    }
  }
  return all;
}

class EveryEstimator : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Registry, EveryEstimator, testing::ValuesIn(cases()), [](const auto& chosen) {
  std::string name = chosen.param.estimator + "_" + chosen.param.law + "_" + std::to_string(chosen.param.count);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// What is asked of an objective.
class Counting final : public Objective<double> {
 public:
  explicit Counting(Objective<double>& inner) : inner_(inner) {}
  const ParameterLayout& layout() const override { return inner_.layout(); }
  double loss(const Parameters<double>& parameters) override {
    ++losses;
    return inner_.loss(parameters);
  }
  Slopes slopes(const Parameters<double>& parameters, const Tangents<double>& tangents) override {
    slopes_taken += tangents.count();
    return inner_.slopes(parameters, tangents);
  }
  double gradient(const Parameters<double>& parameters, std::span<double> out) override {
    ++gradients;
    return inner_.gradient(parameters, out);
  }

  Index losses = 0, slopes_taken = 0, gradients = 0;

 private:
  Objective<double>& inner_;
};

TEST_P(EveryEstimator, CostsWhatItStates) {
  SmallProblem<double> problem;
  Counting objective(problem.objective());
  const auto estimator = make_learned<double>(GetParam().estimator, problem, GetParam().options());
  EXPECT_EQ(estimator->name(), GetParam().estimator);
  const GradientEstimate estimate = estimator->estimate(objective, problem.theta(), 0);
  EXPECT_EQ(objective.slopes_taken, estimator->slopes());
  EXPECT_EQ(objective.losses, estimator->losses());
  EXPECT_EQ(objective.gradients, GetParam().estimator == "exact" ? 1 : 0);
  EXPECT_EQ(estimate.size(), problem.layout().size);
  // The mean of losses on both sides is off by ε²/2 vᵀHv.
  EXPECT_NEAR(estimate.loss(), problem.objective().loss(problem.theta()),
              GetParam().estimator == "central" ? 1e-6 : 1e-14);
}

// The same step gives the same estimate, another step or seed another; float32 differs from float64 by rounding.
TEST_P(EveryEstimator, IsAFunctionOfSeedAndStep) {
  SmallProblem<double> problem;
  SmallProblem<float> narrow;
  EstimatorOptions options = GetParam().options();
  options.epsilon = 1e-2;  // float32 has no digits for shorter steps
  const auto estimate = [&]<class T>(SmallProblem<T>& on, std::uint32_t step, std::uint64_t seed) {
    EstimatorOptions seeded = options;
    seeded.seed = seed;
    std::vector<double> g(static_cast<std::size_t>(on.layout().size));
    const auto estimator = make_learned<T>(GetParam().estimator, on, seeded);
    estimator->estimate(on.objective(), on.theta(), step + 1);  // leaves nothing behind
    estimator->estimate(on.objective(), on.theta(), step).materialize(std::span(g));
    return g;
  };
  const std::vector<double> g = estimate(problem, 5, 1);
  EXPECT_EQ(g, estimate(problem, 5, 1));
  if (GetParam().estimator != "exact") {
    EXPECT_NE(g, estimate(problem, 6, 1));
    EXPECT_NE(g, estimate(problem, 5, 2));
  }
  const double scale = std::sqrt(inner_product<double>(g, g));
  EXPECT_THAT(estimate(narrow, 5, 1), testing::Pointwise(testing::DoubleNear(2e-3 * scale), g));
}

// What was learned goes over whole, and the estimates that follow are the same; other names are refused.
TEST_P(EveryEstimator, GoesOnFromItsState) {
  SmallProblem<double> problem;
  const auto whole = make_learned<double>(GetParam().estimator, problem, GetParam().options());
  const auto resumed = make_estimator<double>(GetParam().estimator, problem.layout(), GetParam().options());
  resumed->restore(whole->state());
  learn_some(*whole, problem);
  learn_some(*resumed, problem);
  const auto steps = [](const Estimator<double>& estimator) {
    Index taken = 0;
    for (const StatePart& part : estimator.state()) taken += std::get<StateView<double>>(part.state).steps;
    return taken;
  };
  EXPECT_EQ(steps(*whole), steps(*resumed));
  std::vector<double> expected(static_cast<std::size_t>(problem.layout().size)), found(expected.size());
  whole->estimate(problem.objective(), problem.theta(), 3).materialize(std::span(expected));
  resumed->estimate(problem.objective(), problem.theta(), 3).materialize(std::span(found));
  EXPECT_EQ(found, expected);

  if (whole->state().empty()) {
    EXPECT_THROW(resumed->restore({{"more", StateView<double>()}}), ArgumentError);
    return;
  }
  EXPECT_THROW(resumed->restore({}), ArgumentError);
  std::vector<StatePart> more = whole->state(), shorter = whole->state();
  std::get<StateView<double>>(more[0].state).vectors.push_back({"more", {}});
  EXPECT_THAT([&] { resumed->restore(more); }, ThrowsMessage<ArgumentError>(HasSubstr("more")));
  for (auto& vector : std::get<StateView<double>>(shorter[0].state).vectors)
    vector.values = vector.values.first(vector.values.size() - 1);
  EXPECT_THROW(resumed->restore(shorter), ShapeError);
  resumed->estimate(problem.objective(), problem.theta(), 3).materialize(std::span(found));
  EXPECT_EQ(found, expected);
}

// An estimate that is kept is not changed by what is learned after it.
TEST_P(EveryEstimator, KeepsAnEstimateAsItWas) {
  SmallProblem<double> problem;
  const auto estimator = make_learned<double>(GetParam().estimator, problem, GetParam().options());
  const GradientEstimate kept = estimator->estimate(problem.objective(), problem.theta(), 3);
  std::vector<double> before(static_cast<std::size_t>(kept.size())), after(before.size());
  kept.materialize(std::span(before));
  learn_some(*estimator, problem);
  kept.materialize(std::span(after));
  EXPECT_EQ(after, before);
}

// 64 comparisons for each of about 180 cases, each at 8e-11: false alarm rate 9e-7 altogether, as far as means of so
// many estimates are normal. What was learned stays as it is meanwhile.
TEST_P(EveryEstimator, HasTheMeanAndVarianceItPredicts) {
  const ThreadScope one(1);
  SmallProblem<double> problem;
  LinearProblem linear(problem);
  const std::vector<double> gradient = problem.gradient();
  const GradientView view(problem.layout(), gradient);
  const auto n = gradient.size();
  const auto estimator = make_learned<double>(GetParam().estimator, problem, GetParam().options());
  const std::uint32_t estimates_made = estimator->state().empty() ? 40'000 : 100'000;
  const std::vector<double> mean = estimator->mean(view), variances = estimator->entry_variances(view);

  MomentsArray estimates(n, 4);
  Moments errors;         // ‖g − E g‖²
  Moments squared_norms;  // the estimates' own of ‖∇‖²
  std::vector<double> g(n);
  for (std::uint32_t step = 0; step < estimates_made; ++step) {
    const GradientEstimate estimate = estimator->estimate(linear, problem.theta(), step);
    estimate.materialize(std::span(g));
    estimates.add(g);
    double error = 0;
    for (std::size_t i = 0; i < n; ++i) error += (g[i] - mean[i]) * (g[i] - mean[i]);
    errors.add(error);
    const double squared_norm = estimate.noise().squared_norm;
    if (!std::isnan(squared_norm)) squared_norms.add(squared_norm);
    ASSERT_LE(estimate.noise().snr_low, estimate.noise().snr_high);
    if (step > 0) continue;
    // The stated signal-to-noise ratio is that of the prediction.
    const double snr = view.squared_norm() / estimator->total_variance(view);
    EXPECT_GE(snr, estimate.noise().snr_low * (1 - 1e-12));
    EXPECT_LE(snr, estimate.noise().snr_high * (1 + 1e-12));
  }

  // Central differences of step 1e-4 are off by about 1e-7.
  const double rounding = 1e-5 * std::sqrt(view.squared_norm());
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const CentralMoments entry = estimates.entry(i);
    sum += variances[i];
    EXPECT_TRUE(agrees(entry.mean, mean[i], entry.mean_error(), rounding)) << "E g_" << i;
    EXPECT_TRUE(agrees(entry.variance(), variances[i], entry.variance_error(), rounding * rounding)) << "V g_" << i;
  }
  EXPECT_NEAR(sum, estimator->total_variance(view), 1e-10 * view.squared_norm());
  EXPECT_TRUE(agrees(errors.mean(), estimator->total_variance(view), errors.mean_error(), rounding * rounding))
      << "E‖g − E g‖²";
  if (squared_norms.count() == 0) return;  // its slopes do not tell
  EXPECT_TRUE(agrees(squared_norms.mean(), view.squared_norm(), squared_norms.mean_error(), 1e-5 * view.squared_norm()))
      << "E mean s²";
}

// (1/K) Σ s_k v_k to the last digits, with the tangents of the law: its own in the case of "frame".
TEST(Forward, IsTheMeanOfSlopesTimesTangents) {
  SmallProblem<double> problem;
  const std::vector<double> gradient = problem.gradient();
  const auto expect = [&](std::string_view name, const std::string& asked_for, std::string_view law) {
    const auto draw = make_probe(law, problem.layout(), 3)->draw(8, 5);
    std::vector<double> v(gradient.size()), expected(gradient.size()), g(gradient.size());
    for (Index k = 0; k < 5; ++k) {
      draw->fill(k, 0, std::span<double>(v));
      const double slope = inner_product<double>(v, gradient);
      for (std::size_t i = 0; i < v.size(); ++i) expected[i] += slope * v[i] / 5;
    }
    const auto estimator = make_estimator<double>(name, problem.layout(), {.law = asked_for, .tangents = 5, .seed = 3});
    estimator->estimate(problem.objective(), problem.theta(), 8).materialize(std::span(g));
    EXPECT_THAT(g, testing::Pointwise(testing::DoubleNear(1e-12), expected)) << name << " along " << law;
  };
  for (const std::string& law : probe_names()) expect("forward", law, law);
  expect("frame", "rademacher", "frame");
}

// In place an estimate is that at a copy, from as many losses and no slopes, and θ is back within rounding.
TEST_P(EveryEstimator, LeavesThetaWhereItWas) {
  SmallProblem<float> problem;
  const auto estimator = make_learned<float>(GetParam().estimator, problem, GetParam().options());
  const std::vector<float> before(problem.theta().values().begin(), problem.theta().values().end());
  Parameters<float> theta = problem.theta();
  std::vector<double> expected(before.size()), found(before.size());
  estimator->estimate(problem.objective(), theta, 3).materialize(std::span(expected));
  EXPECT_THAT(theta.values(), testing::ElementsAreArray(before));
  estimator->estimate_in_place(problem.objective(), theta, 3).materialize(std::span(found));
  EXPECT_EQ(found, expected);
  const double moves = takes_losses_alone(GetParam().estimator) ? 3.0 * static_cast<double>(GetParam().count) : 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_NEAR(theta.values()[i], before[i], moves * 0x1p-24 * (std::abs(before[i]) + 1e-2)) << i;
}

// Of a small problem along six tangents.
std::vector<double> slopes_of(std::string_view name, double epsilon) {
  SmallProblem<double> problem;
  return make_estimator<double>(name, problem.layout(), {.tangents = 6, .epsilon = epsilon})
      ->estimate(problem.objective(), problem.theta(), 3)
      .slopes();
}

// With the same tangents central differences err by ε²/6 v·D³L(v, v): half the step, a quarter of the error.
TEST(Central, ErrsFromForwardByTheSquareOfTheStep) {
  const std::vector<double> exact = slopes_of("forward", 1);
  const std::vector<double> coarse = slopes_of("central", 2e-3);
  const std::vector<double> fine = slopes_of("central", 1e-3);
  for (std::size_t k = 0; k < exact.size(); ++k) {
    EXPECT_NE(fine[k], exact[k]);
    EXPECT_NEAR((coarse[k] - exact[k]) / (fine[k] - exact[k]), 4, 0.02);
  }
}

struct AbsoluteValue {
  template <class S>
  S operator()(std::span<const S> theta) const {
    using std::abs;
    return abs(theta[0]);
  }
};

// One side errs by ε/2 vᵀHv, whose mean over v is no gradient; both sides cancel it.
TEST(OneSided, ErrsFromForwardByTheStep) {
  const std::vector<double> exact = slopes_of("forward", 1);
  const std::vector<double> coarse = slopes_of("one-sided", 2e-5);
  const std::vector<double> fine = slopes_of("one-sided", 1e-5);
  for (std::size_t k = 0; k < exact.size(); ++k) {
    EXPECT_NE(fine[k], exact[k]);
    EXPECT_NEAR((coarse[k] - exact[k]) / (fine[k] - exact[k]), 2, 0.02);
  }
}

// A loss that is not finite on the way throws, and θ is back where it was.
TEST(Central, BringsThetaBackWhereALossIsNotFinite) {
  class Broken final : public Objective<double> {
   public:
    const ParameterLayout& layout() const override { return layout_; }
    double loss(const Parameters<double>&) override {
      if (--left == 0) throw NumericError("the loss is NaN");
      return 1;
    }
    Slopes slopes(const Parameters<double>&, const Tangents<double>&) override { return {}; }
    double gradient(const Parameters<double>&, std::span<double>) override { return 0; }
    int left = 0;

   private:
    ParameterLayout layout_ = ParameterLayout::vector(3);
  };
  for (const std::string_view name : {"central", "one-sided"}) {
    const auto estimator = make_estimator<double>(name, ParameterLayout::vector(3), {.tangents = 2, .epsilon = 1});
    for (int at = 1; at <= estimator->losses(); ++at) {
      Broken objective;
      objective.left = at;
      Parameters<double> theta(std::vector<double>{1, -2, 0});
      EXPECT_THROW(estimator->estimate_in_place(objective, theta, 0), NumericError);
      EXPECT_THAT(theta.values(), testing::Pointwise(testing::DoubleNear(1e-14), {1.0, -2.0, 0.0})) << name << at;
    }
  }
}

// L = |θ|, smoothed by a normal of deviation ε, has the gradient 2Φ(θ/ε) − 1: not 1, however small ε is, half an ε away
// from the kink; and g = (|θ + εv| − |θ − εv|) v/2ε lies between 0 and v².
TEST(Central, IsTheGradientOfTheSmoothedLossAtAKink) {
  for (const double epsilon : {1e-2, 1e-5}) {
    const Parameters<double> theta(std::vector<double>{epsilon / 2});
    FunctionObjective<AbsoluteValue> objective({}, 1);
    const auto estimator = make_estimator<double>("central", objective.layout(), {.epsilon = epsilon});
    Moments moments;
    std::vector<double> g(1);
    for (std::uint32_t step = 0; step < 20'000; ++step) {
      estimator->estimate(objective, theta, step).materialize(std::span(g));
      moments.add(g[0]);
    }
    EXPECT_NEAR(moments.mean(), std::erf(0.5 / std::sqrt(2)), 5 * moments.mean_error()) << epsilon;
    EXPECT_LT(moments.mean_error(), 0.01);
  }
}

// P∇ is the nearest point of the tangents' span: what is left is orthogonal to each of them.
TEST(Projection, LeavesNothingAlongItsTangents) {
  SmallProblem<double> problem;
  const std::vector<double> gradient = problem.gradient();
  for (const std::string_view law : {"gaussian", "sphere", "frame"}) {
    for (const Index count : {Index{1}, Index{5}, problem.layout().size}) {
      const auto estimator = make_estimator<double>("projection", problem.layout(),
                                                    {.law = std::string(law), .tangents = count, .seed = 3});
      std::vector<double> rest = gradient, v(gradient.size());
      estimator->estimate(problem.objective(), problem.theta(), 8).add_to(std::span(rest), -1);
      const auto draw = make_probe(law, problem.layout(), 3)->draw(8, count);
      for (Index k = 0; k < count; ++k) {
        draw->fill(k, 0, std::span<double>(v));
        EXPECT_NEAR(inner_product<double>(v, rest), 0, 1e-9) << law << ", K = " << count;
      }
    }
  }
}

TEST(Exact, IsThePullback) {
  SmallProblem<double> problem;
  const GradientEstimate estimate =
      make_estimator<double>("exact", problem.layout(), {})->estimate(problem.objective(), problem.theta(), 0);
  std::vector<double> g(static_cast<std::size_t>(estimate.size()));
  estimate.materialize(std::span(g));
  EXPECT_EQ(g, problem.gradient());
  EXPECT_TRUE(estimate.slopes().empty());
  EXPECT_TRUE(std::isinf(estimate.noise().snr_low));
  EXPECT_EQ(estimate.noise().squared_norm_low, estimate.noise().squared_norm_high);
}

TEST(Estimators, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  EXPECT_THAT(estimator_names(),
              testing::IsSupersetOf({"forward", "shrunk", "projection", "frame", "central", "one-sided", "blocks",
                                     "momentum", "momentum-fitted", "momentum-tangent", "block-scales", "entry-scales",
                                     "guided", "input-span", "activities", "exact"}));
  for (const std::string& name : estimator_names()) EXPECT_FALSE(estimator_summary(name).empty());
  for (const auto& ask : {+[] { make_estimator<double>("adjoint", ParameterLayout::vector(3), {}); },
                          +[] { make_estimator<float>("adjoint", ParameterLayout::vector(3), {}); },
                          +[] { estimator_summary("adjoint"); }}) {
    try {
      ask();
      FAIL() << "no error";
    } catch (const ArgumentError& error) {
      EXPECT_THAT(error.what(), HasSubstr("'adjoint'"));
      for (const std::string& name : estimator_names()) EXPECT_THAT(error.what(), HasSubstr(name));
    }
  }
}

TEST(Estimators, OptionsThatDoNotFitAreRefused) {
  const ParameterLayout layout = ParameterLayout::vector(9);
  const auto make = [&](std::string_view name, const EstimatorOptions& options) {
    return [&layout, name, options] { make_estimator<double>(name, layout, options); };
  };
  EXPECT_THAT(make("forward", {.law = "cauchy"}), ThrowsMessage<ArgumentError>(HasSubstr("'cauchy'")));
  EXPECT_THAT(make("forward", {.tangents = 0}), ThrowsMessage<ArgumentError>(HasSubstr("found 0")));
  EXPECT_THAT(make("central", {.tangents = -1}), ThrowsMessage<ArgumentError>(HasSubstr("found -1")));
  EXPECT_THAT(make("frame", {.tangents = 10}), ThrowsMessage<ArgumentError>(HasSubstr("1 to 9 tangents, found 10")));
  EXPECT_THAT(make("projection", {.tangents = 10}),
              ThrowsMessage<ArgumentError>(HasSubstr("at most n = 9 tangents, found 10")));
  for (const std::string& law : probe_names()) {
    for (const std::string& name : estimator_names()) {
      const bool needs_rotation = name == "projection" && law != "gaussian" && law != "sphere" && law != "frame";
      const bool needs_gaussian = name == "guided" && law != "gaussian";
      const bool needs_program = name == "activities" || name == "input-span";
      EXPECT_EQ(accepts(name, law), !needs_rotation && !needs_gaussian && !needs_program) << name << " along " << law;
    }
  }
  EXPECT_THAT(make("projection", {.law = "rademacher"}), ThrowsMessage<ArgumentError>(HasSubstr("found 'rademacher'")));
}

}  // namespace
}  // namespace slopewise
