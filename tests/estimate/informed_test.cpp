// Forward gradients informed by priors and scales, in every combination.
#include "slopewise/estimate/informed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/estimate/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// A prior that knows something: the gradient and as much else.
std::vector<double> half_known(SmallProblem<double>& problem) {
  std::vector<double> m = problem.gradient();
  const std::vector<double> other = random_vector<double>(problem.layout().size, 17, -0.3, 0.3);
  for (std::size_t i = 0; i < m.size(); ++i) m[i] = 1.5 * m[i] + other[i];
  return m;
}

std::unique_ptr<Scales> make_scales(std::string_view name, const ParameterLayout& layout) {
  if (name == "block") return block_scales(layout);
  return name == "entry" ? entry_scales(layout.size, 0.05) : nullptr;
}

class EveryLawInformed : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Registry, EveryLawInformed, testing::ValuesIn(probe_names()), [](const auto& law) {
  std::string name = law.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// 3 scales by 3 prior scales by 8 laws, 63 comparisons each at 8e-11: false alarm rate 4e-7.
TEST_P(EveryLawInformed, HasTheMeanAndVarianceItPredicts) {
  const ThreadScope one(1);
  SmallProblem<double> problem;
  LinearProblem linear(problem);
  const std::vector<double> gradient = problem.gradient();
  const GradientView view(problem.layout(), gradient);
  for (const std::string_view scales : {"none", "block", "entry"}) {
    for (const PriorScale prior_scale : {PriorScale::kOne, PriorScale::kFitted, PriorScale::kMeasured}) {
      const auto estimator = informed_estimator<double>("informed", problem.layout(), {.law = GetParam(), .seed = 5},
                                                        {.prior = fixed_prior(half_known(problem)),
                                                         .prior_scale = prior_scale,
                                                         .scales = make_scales(scales, problem.layout())});
      learn_some(*estimator, problem);
      const std::vector<double> variances = estimator->entry_variances(view);
      MomentsArray entries(gradient.size(), 4);
      std::vector<double> g(gradient.size());
      Moments residuals;
      for (std::uint32_t step = 0; step < 20'000; ++step) {
        const GradientEstimate estimate = estimator->estimate(linear, problem.theta(), step);
        estimate.materialize(std::span(g));
        entries.add(g);
        residuals.add(estimate.noise().residual_squared_norm);
      }
      double total = 0;
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        const CentralMoments entry = entries.entry(i);
        EXPECT_TRUE(agrees(entry.mean, gradient[i], entry.mean_error())) << "E g_" << i << ", " << scales;
        EXPECT_TRUE(agrees(entry.variance(), variances[i], entry.variance_error())) << "V g_" << i << ", " << scales;
        total += variances[i];
      }
      EXPECT_NEAR(estimator->total_variance(view), total, 1e-10 * total);
      if (scales != "none" || prior_scale != PriorScale::kOne) continue;
      std::vector<double> rest = half_known(problem);
      for (std::size_t i = 0; i < rest.size(); ++i) rest[i] = gradient[i] - rest[i];
      EXPECT_TRUE(agrees(residuals.mean(), inner_product<double>(rest, rest), residuals.mean_error())) << "E residual";
    }
  }
}

// With the exact gradient for a prior nothing is left to chance, whatever its length where that is measured.
TEST(Informed, APriorThatIsRightLeavesNoNoise) {
  SmallProblem<double> problem;
  const std::vector<double> gradient = problem.gradient();
  for (const double length : {1.0, 4.0}) {
    std::vector<double> m = gradient;
    for (double& entry : m) entry *= length;
    const auto estimator = informed_estimator<double>(
        "informed", problem.layout(), {.law = "rank-one", .tangents = 2},
        {.prior = fixed_prior(m), .prior_scale = length == 1 ? PriorScale::kOne : PriorScale::kMeasured, .scales = {}});
    const GradientEstimate estimate = estimator->estimate(problem.objective(), problem.theta(), 3);
    std::vector<double> g(gradient.size());
    estimate.materialize(std::span(g));
    EXPECT_THAT(g, testing::Pointwise(testing::DoubleNear(1e-12), gradient));
    EXPECT_NEAR(estimate.noise().residual_squared_norm, 0, 1e-24);
    EXPECT_NEAR(estimator->total_variance(GradientView(problem.layout(), gradient)), 0, 1e-24);
  }
}

// The best multiple a = ∇·m/‖m‖² leaves 1 − cos² of the variance, and the fit to slopes comes to it.
TEST(Informed, AFittedScaleComesToTheBest) {
  SmallProblem<double> problem;
  const std::vector<double> gradient = problem.gradient(), m = half_known(problem);
  const auto estimator =
      informed_estimator<double>("informed", problem.layout(), {.law = "rademacher", .tangents = 8},
                                 {.prior = fixed_prior(m), .prior_scale = PriorScale::kFitted, .scales = {}});
  double found = 0;
  for (std::uint32_t step = 0; step < 400; ++step) {
    const GradientEstimate estimate = estimator->estimate(problem.objective(), problem.theta(), step);
    found = estimate.prior().scale;
    EXPECT_TRUE(step > 0 || found == 0);
    estimator->learn(estimate);
  }
  const double best = inner_product<double>(gradient, m) / inner_product<double>(m, m);
  EXPECT_NEAR(found, best, 0.1 * best);
}

// A running mean with the best share halves its squared distance to a constant gradient in (1 + 1/SNR) log 2 steps;
// after 20 times as many it is as good as there. Beyond twice that share it diverges, and is refused.
TEST(Momentum, ComesToAConstantGradientWithinItsLimit) {
  SmallProblem<double> problem;
  const std::vector<double> gradient = problem.gradient();
  const EstimatorOptions options{.law = "rademacher", .tangents = 2};
  const auto estimator = make_estimator<double>("momentum", problem.layout(), options);
  const double plain = make_estimator<double>("forward", problem.layout(), options)
                           ->total_variance(GradientView(problem.layout(), gradient));
  for (std::uint32_t step = 0; step < 400; ++step)
    estimator->learn(estimator->estimate(problem.objective(), problem.theta(), step));
  EXPECT_LT(estimator->total_variance(GradientView(problem.layout(), gradient)), 1e-3 * plain);
  EXPECT_EQ(std::get<StateView<double>>(estimator->state()[0].state).steps, 400);

  const double limit = 2.0 * (2.0 / 30) / (1 + 2.0 / 30);  // SNR = K/(n − 1), n = 31
  EstimatorOptions fast = options;
  fast.learning_share = 0.99 * limit;
  EXPECT_NO_THROW(make_estimator<double>("momentum", problem.layout(), fast));
  fast.learning_share = 1.01 * limit;
  EXPECT_THAT([&] { make_estimator<double>("momentum", problem.layout(), fast); },
              ThrowsMessage<ArgumentError>(HasSubstr("diverges")));
  EXPECT_NO_THROW(make_estimator<double>("momentum-fitted", problem.layout(), fast));
  fast.learning_share = 1.5;
  EXPECT_THAT([&] { make_estimator<double>("momentum-fitted", problem.layout(), fast); },
              ThrowsMessage<ArgumentError>(HasSubstr("found 1.5")));
}

// Learned from slopes alone, the scales come to the least total variance there is, (Σ_b √n_b ‖∇_b‖)²/K and the law's
// part of order ‖∇‖².
TEST(BlockScales, ComeToTheLeastVariance) {
  SmallProblem<double> problem;
  std::vector<double> gradient = problem.gradient();
  const GradientView view(problem.layout(), gradient);
  const auto estimator = make_estimator<double>("block-scales", problem.layout(), {.law = "rademacher"});
  for (std::uint32_t step = 0; step < 400; ++step)
    estimator->learn(estimator->estimate(problem.objective(), problem.theta(), step));
  double root = 0;
  for (Index b = 0; b < 2; ++b) {
    const Block& block = problem.layout().blocks[static_cast<std::size_t>(b)];
    root += std::sqrt(static_cast<double>(block.rows * block.columns_with_bias()) * view.block_squared_norm(b));
  }
  const double least = root * root - view.squared_norm();  // κ = 1
  EXPECT_GE(estimator->total_variance(view), least * (1 - 1e-12));
  EXPECT_LE(estimator->total_variance(view), 1.02 * least);
}

// Scales 1/√|∇_i| give ‖∇‖₁² − ‖∇‖² along Rademacher tangents, far below (n − 1) ‖∇‖² where few entries matter.
TEST(EntryScales, GainWhereFewEntriesMatter) {
  SmallProblem<double> problem;
  std::vector<double> gradient = problem.gradient();
  const EstimatorOptions options{.law = "rademacher", .tangents = 8, .learning_share = 0.02};
  const auto estimator = make_estimator<double>("entry-scales", problem.layout(), options);
  const GradientView view(problem.layout(), gradient);
  const double flat = estimator->total_variance(view);
  EXPECT_NEAR(flat, 30 * view.squared_norm() / 8, 1e-12);
  for (std::uint32_t step = 0; step < 600; ++step)
    estimator->learn(estimator->estimate(problem.objective(), problem.theta(), step));
  double sum = 0;
  for (const double entry : gradient) sum += std::abs(entry);
  const double least = (sum * sum - view.squared_norm()) / 8;
  EXPECT_GE(estimator->total_variance(view), least * (1 - 1e-12));
  EXPECT_LE(estimator->total_variance(view), least + 0.3 * (flat - least));
}

// The mean turns to where past estimates lay: with a span that holds the gradient, g points there K times better.
TEST(Guided, PutsMoreOfItsTangentsWhereEstimatesLay) {
  SmallProblem<double> problem;
  const std::vector<double> gradient = problem.gradient();
  const GradientView view(problem.layout(), gradient);
  const auto estimator = make_estimator<double>("guided", problem.layout(), {.isotropic_share = 0.25, .subspace = 1});
  EXPECT_NEAR(estimator->mean_factor(view), 1, 1e-12);
  estimator->learn(GradientEstimate(0, std::make_shared<const DenseGradient<double>>(gradient)));
  EXPECT_NEAR(estimator->mean_factor(view), 0.25 + 0.75 * 31, 1e-9);
  for (const EstimatorOptions& bad :
       {EstimatorOptions{.isotropic_share = 0}, EstimatorOptions{.isotropic_share = 1.5},
        EstimatorOptions{.subspace = 0}, EstimatorOptions{.subspace = 32}, EstimatorOptions{.law = "sphere"}})
    EXPECT_THROW(make_estimator<double>("guided", problem.layout(), bad), ArgumentError);
}

TEST(Informed, APriorOfAnotherSizeIsRefused) {
  EXPECT_THAT(
      [] {
        informed_estimator<double>("mine", ParameterLayout::vector(4), {},
                                   {.prior = fixed_prior({1, 2, 3}), .scales = {}});
      },
      ThrowsMessage<ShapeError>(HasSubstr("mine: prior: expected 4 entries, one for each parameter, found 3")));
}

}  // namespace
}  // namespace slopewise
