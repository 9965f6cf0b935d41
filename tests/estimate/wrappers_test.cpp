// What wraps an estimator, and activity perturbation by name, on a network with hidden layers: each against its own
// prediction, at θ.
#include "slopewise/estimate/wrappers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/activity.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr Index kRows = 6;
const Shape kImage{2, 3, 1};

class Net {
 public:
  explicit Net(const NetworkSpec& spec = {.hidden = {5, 4}})
      : block_(make_chain(spec, kImage, 3, false).front()),
        images_(random_vector<double>(kRows * kImage.size(), 1)),
        objective_(program(), {.rows = kRows,
                               .inputs = {std::span<const double>(images_), std::span<const std::int32_t>(labels_)}}),
        theta_(initialize<double>(program().layout(), 5)) {}

  const Program& program() const { return *block_.program; }
  EstimatorTarget target() const { return {program(), block_.sites}; }
  std::unique_ptr<Estimator<double>> make(const std::string& name, const EstimatorOptions& options) const {
    return make_estimator<double>(name, target(), options);
  }
  std::vector<double> exact() {
    std::vector<double> gradient(static_cast<std::size_t>(program().size()));
    objective_.gradient(theta_, gradient);
    return gradient;
  }
  std::vector<double> written(Estimator<double>& estimator, std::uint32_t step) {
    std::vector<double> out(static_cast<std::size_t>(program().size()));
    estimator.estimate(objective_, theta_, step).materialize(std::span(out));
    return out;
  }
  static constexpr std::size_t kHead = 4 * 3 + 3;

  ChainBlock block_;
  std::vector<double> images_;
  const std::vector<std::int32_t> labels_{0, 1, 2, 1, 0, 2};
  ProgramObjective<double> objective_;
  Parameters<double> theta_;
};

struct Case {
  std::string title, name;
  EstimatorOptions options;
  NetworkSpec spec = {.hidden = {5, 4}};
};
void PrintTo(const Case& which, std::ostream* out) {
  *out << which.title;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string& name : estimator_names()) {
    if (takes_losses_alone(name) || name == "activities" || name == "exact" || name == "input-span") continue;
    all.push_back({"exact_head_" + name, name, {.tangents = 2, .seed = 3, .exact_head = true}});
  }
  for (const std::string law : {"rank-one", "rank-one-gaussian"}) {
    for (const bool head : {true, false})
      all.push_back({"input_span_" + law + (head ? "_exact_head" : ""),
                     "input-span",
                     {.law = law, .tangents = 2, .seed = 8, .exact_head = head}});
  }
  all.push_back({"clipped", "forward", {.tangents = 1, .seed = 4, .clip_slope = 0.5}});
  all.push_back({"clipped_of_three", "forward", {.tangents = 3, .seed = 4, .clip_slope = 1.5}});
  all.push_back({"clipped_exact_head", "forward", {.tangents = 2, .seed = 4, .exact_head = true, .clip_slope = 0.3}});
  all.push_back({"auto_rate", "forward", {.tangents = 2, .seed = 5, .auto_rate = true}});
  all.push_back({"auto_rate_differences", "central", {.tangents = 2, .seed = 5, .epsilon = 1e-5, .auto_rate = true}});
  all.push_back({"per_deviation", "one-sided", {.tangents = 12, .seed = 7, .epsilon = 1e-6, .per_deviation = true}});
  for (const std::string law : {"rademacher", "gaussian", "uniform"}) {
    for (const bool head : {true, false}) {
      for (const bool together : {true, false}) {
        all.push_back({"activities_" + law + (head ? "" : "_estimated_head") + (together ? "" : "_one_by_one"),
                       "activities",
                       {.law = law, .tangents = 2, .seed = 6, .activity = {.together = together}, .exact_head = head}});
      }
    }
  }
  all.push_back({"exact_blocks", "forward", {.tangents = 2, .seed = 3, .exact_blocks = 1}});
  all.push_back({"exact_blocks_rank_one", "forward", {.law = "rank-one", .tangents = 2, .seed = 3, .exact_blocks = 0}});
  all.push_back({"exact_blocks_momentum", "momentum", {.tangents = 2, .seed = 3, .exact_blocks = 1}});
  all.push_back({"exact_blocks_activities", "activities", {.law = "uniform", .tangents = 2, .exact_blocks = 1}});
  all.push_back({"exact_blocks_frozen", "exact", {.exact_blocks = 1}});
  const NetworkSpec stream{.hidden = {4, 4, 4, 4}, .residual = true};
  for (const Index ahead : {0, 1}) {
    for (const Index group : {1, 2}) {
      const ActivityOptions how{.prior = "residual", .correction = Correction::kNone, .group = group, .ahead = ahead};
      all.push_back({"residual_" + std::to_string(ahead) + "_" + std::to_string(group),
                     "activities",
                     {.law = "rademacher", .tangents = 0, .activity = how},
                     stream});
    }
  }
  all.push_back({"residual_exact_blocks",
                 "activities",
                 {.law = "rademacher",
                  .tangents = 0,
                  .activity = {.prior = "residual", .correction = Correction::kNone},
                  .exact_blocks = 1},
                 stream});
  for (const std::string prior : {"feedback", "random-feedback", "mirror"}) {
    for (const Correction correction : {Correction::kFull, Correction::kGated, Correction::kNone}) {
      all.push_back(
          {"activities_" + prior + "_" + std::to_string(static_cast<int>(correction)),
           "activities",
           {.law = "rademacher", .tangents = 2, .seed = 6, .activity = {.prior = prior, .correction = correction}}});
    }
  }
  for (Case& which : all) std::replace(which.title.begin(), which.title.end(), '-', '_');
  return all;
}

class Wrapped : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Every, Wrapped, testing::ValuesIn(cases()),
                         [](const auto& chosen) { return chosen.param.title; });

// About 160 comparisons for each of 55 cases, each at 8e-11: false alarm rate 7e-7 altogether, as far as means of so
// many estimates are normal.
TEST_P(Wrapped, HasTheMeanAndVarianceItPredicts) {
  const ThreadScope one(1);
  Net net(GetParam().spec);
  const std::vector<double> gradient = net.exact();
  const GradientView view(net.program().layout(), gradient);
  const auto estimator = net.make(GetParam().name, GetParam().options);
  if (!GetParam().options.auto_rate) {  // of which the few clipped slopes are left out of account
    for (std::uint32_t step = 0; step < 12; ++step)
      estimator->learn(estimator->estimate(net.objective_, net.theta_, 1'000'000 + step));
  }
  const auto prediction = estimator->prediction(net.objective_, net.theta_);
  const std::vector<double> mean = prediction->mean(view), variances = prediction->entry_variances(view);
  MomentsArray estimates(gradient.size(), 4);
  Moments errors;
  for (std::uint32_t step = 0; step < 10'000; ++step) {
    const std::vector<double> g = net.written(*estimator, step);
    estimates.add(g);
    double error = 0;
    for (std::size_t i = 0; i < g.size(); ++i) error += (g[i] - mean[i]) * (g[i] - mean[i]);
    errors.add(error);
  }
  const double rounding = 1e-9 * std::sqrt(view.squared_norm());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const CentralMoments entry = estimates.entry(i);
    EXPECT_TRUE(agrees(entry.mean, mean[i], entry.mean_error(), rounding)) << "E g_" << i;
    EXPECT_TRUE(agrees(entry.variance(), variances[i], entry.variance_error(), rounding * rounding)) << "V g_" << i;
  }
  EXPECT_TRUE(agrees(errors.mean(), prediction->total_variance(view), errors.mean_error(), rounding * rounding));
}

// What was learned goes over whole, and the estimates that follow are the same.
TEST_P(Wrapped, GoesOnFromItsState) {
  Net net(GetParam().spec);
  EstimatorOptions options = GetParam().options;
  if (options.clip_slope < 1e9) options.clip_quantile = 0.5;
  const auto whole = net.make(GetParam().name, options), resumed = net.make(GetParam().name, options);
  const auto learn = [&](Estimator<double>& estimator, std::uint32_t step) {
    estimator.learn(estimator.estimate(net.objective_, net.theta_, step));
  };
  for (std::uint32_t step = 0; step < 5; ++step) learn(*whole, step);
  resumed->restore(whole->state());
  for (std::uint32_t step = 5; step < 8; ++step) {
    learn(*whole, step);
    learn(*resumed, step);
  }
  EXPECT_EQ(net.written(*resumed, 9), net.written(*whole, 9));
  EXPECT_EQ(resumed->rate(), whole->rate());
}

// A dense gradient and its tail: the head's is exact, whatever the body's is.
TEST(ExactHead, GivesTheLastLayersGradient) {
  Net net;
  const std::vector<double> truth = net.exact();
  const auto furthest = [&](bool exact_head, std::size_t first, std::size_t last) {
    const auto estimator = net.make("forward", {.law = "rademacher", .tangents = 2, .exact_head = exact_head});
    const std::vector<double> found = net.written(*estimator, 0);
    double most = 0;
    for (std::size_t i = first; i < last; ++i) most = std::max(most, std::abs(found[i] - truth[i]));
    return most;
  };
  const std::size_t body = truth.size() - Net::kHead;
  EXPECT_GT(furthest(true, 0, body), 1e-3);
  EXPECT_LT(furthest(true, body, truth.size()), 1e-12);
  EXPECT_GT(furthest(false, body, truth.size()), 1e-3);
}

// Entries above are those of the whole gradient, whatever lies below.
TEST(ExactBlocks, AreExact) {
  Net net;
  const std::vector<double> truth = net.exact();
  for (const Index blocks : {0, 1}) {
    const std::size_t body = truth.size() - Net::kHead - (blocks == 1 ? 5 * 4 + 4 : 0);
    for (const std::string name : {"forward", "activities", "exact"}) {
      const auto estimator = net.make(name, {.law = "rademacher", .tangents = 2, .exact_blocks = blocks});
      const std::vector<double> found = net.written(*estimator, 0);
      for (std::size_t i = body; i < truth.size(); ++i)
        EXPECT_NEAR(found[i], truth[i], 1e-12) << name << " " << blocks << ": " << i;
      double below = 0;
      for (std::size_t i = 0; i < body; ++i) below += std::abs(found[i] - truth[i]);
      EXPECT_GT(below, 1e-3) << name;
      const Demand whole = net.make("exact", {})->demand(net.objective_);
      EXPECT_LT(net.make("exact", {.exact_blocks = blocks})->demand(net.objective_).flops, whole.flops);
    }
  }
}

TEST(ExactBlocks, RefuseWhatMakesNoSense) {
  Net net;
  const auto refused = [&](const std::string& name, const EstimatorOptions& options, const char* why) {
    EXPECT_THAT([&] { net.make(name, options); }, ThrowsMessage<ArgumentError>(HasSubstr(why))) << name;
  };
  refused("forward", {.exact_blocks = 2}, "expected 0 to 1");
  refused("forward", {.exact_head = false, .exact_blocks = 1}, "estimated");
  refused("central", {.exact_blocks = 1}, "expected slopes");
  refused("activities", {.law = "rademacher", .activity = {.prior = "mirror"}, .exact_blocks = 1}, "feed the logits");
  EXPECT_THAT([&] { make_estimator<double>("forward", EstimatorTarget(net.program().layout()), {.exact_blocks = 0}); },
              ThrowsMessage<ArgumentError>(HasSubstr("expected a program")));
}

// A prior at the cuts of a stream costs no bias where all that slopes find is added, whatever it has learnt.
TEST(ResidualFeedback, IsCorrectedBySlopes) {
  Net net({.hidden = {4, 4, 4, 4}, .residual = true});
  const std::vector<double> truth = net.exact();
  for (const std::string prior : {"residual", "residual-learned"}) {
    for (const Index group : {1, 2}) {
      const auto estimator = net.make(
          "activities",
          {.law = "rademacher", .tangents = 2, .seed = 6, .activity = {.prior = prior, .pace = 1, .group = group}});
      for (std::uint32_t step = 0; step < 30; ++step)
        estimator->learn(estimator->estimate(net.objective_, net.theta_, 1'000'000 + step));
      MomentsArray estimates(truth.size(), 2);
      for (std::uint32_t step = 0; step < 10'000; ++step) estimates.add(net.written(*estimator, step));
      for (std::size_t i = 0; i < truth.size(); ++i) {
        const CentralMoments entry = estimates.entry(i);
        EXPECT_TRUE(agrees(entry.mean, truth[i], entry.mean_error(), 1e-9)) << prior << ": E g_" << i;
      }
    }
  }
}

// Maps that learn bring the prior nearer to the truth than the identity is.
TEST(ResidualFeedback, LearnsWhatBlocksDoOnTheWayBack) {
  Net net({.hidden = {4, 4, 4, 4}, .residual = true});
  const auto missed = [&](const std::string& prior, std::uint32_t steps) {
    const EstimatorOptions options{.law = "rademacher", .tangents = 16, .activity = {.prior = prior, .pace = 0.5}};
    ActivityEstimator<double> estimator(net.target(), options);
    for (std::uint32_t step = 0; step < steps; ++step)
      estimator.learn(estimator.estimate(net.objective_, net.theta_, step), 1);
    double squares = 0;
    for (const std::vector<double>& site : estimator.missed(net.objective_, net.theta_)) {
      for (const double d : site) squares += d * d;
    }
    return squares;
  };
  const double identity = missed("residual", 0);
  EXPECT_GT(identity, 0);
  EXPECT_DOUBLE_EQ(missed("residual-learned", 0), identity);
  EXPECT_LT(missed("residual-learned", 400), 0.6 * identity);
}

TEST(ResidualFeedback, RefusesWhatIsNoStream) {
  Net plain, net({.hidden = {4, 4, 4, 4}, .residual = true});
  const auto refused = [](Net& where, const EstimatorOptions& options, const char* why) {
    EXPECT_THAT([&] { where.make("activities", options); }, ThrowsMessage<ArgumentError>(HasSubstr(why)));
  };
  const ActivityOptions residual{.prior = "residual"};
  refused(plain, {.law = "rademacher", .activity = residual}, "add to what they read");
  refused(net, {.law = "rademacher", .activity = residual, .exact_head = false}, "exact head");
  refused(net, {.law = "rademacher", .activity = {.prior = "residual", .group = 4}}, "found none");
  refused(net, {.law = "rademacher", .activity = {.prior = "residual", .group = 0}}, "at least 1 block");
  refused(net, {.law = "rademacher", .activity = {.prior = "residual", .ahead = 1}}, "no tangents");
  refused(net, {.law = "rademacher", .activity = {.ahead = 1}}, "expected the prior 'residual'");
  refused(net, {.law = "rademacher", .activity = residual, .exact_blocks = 3}, "found none");
}

// The clipped estimate is each tangent's with min(1, c/|s|); a limit that no slope meets changes nothing.
TEST(Clipped, ALongSlopeCountsForItsLimit) {
  Net net;
  EstimatorOptions options{.law = "rademacher", .seed = 2, .exact_head = true};
  const auto plain = net.make("forward", options);
  const std::vector<double> free = net.written(*plain, 3);
  const double slope = *plain->estimate(net.objective_, net.theta_, 3).slope();
  options.clip_slope = slope / 4;
  const auto tight = net.make("forward", options);
  const std::vector<double> clipped = net.written(*tight, 3);
  EXPECT_EQ(tight->estimate(net.objective_, net.theta_, 3).clipped(), 1);
  options.clip_slope = slope * 1.01;
  EXPECT_EQ(net.written(*net.make("forward", options), 3), free);
  const std::size_t body = free.size() - Net::kHead;
  for (std::size_t i = 0; i < body; ++i) EXPECT_NEAR(clipped[i], free[i] / 4, 1e-14) << i;
  for (std::size_t i = body; i < free.size(); ++i) EXPECT_EQ(clipped[i], free[i]);
}

// Σ (s_k/S) v_k/K, S the deviation of the K slopes: the same whatever the loss is multiplied by.
TEST(PerDeviation, IsTheEstimateOverTheSlopesDeviation) {
  Net net;
  EstimatorOptions options{.law = "rademacher", .tangents = 3, .seed = 2, .epsilon = 1e-5};
  const auto plain = net.make("one-sided", options);
  options.per_deviation = true;
  const auto over = net.make("one-sided", options);
  const std::vector<double> s = plain->estimate(net.objective_, net.theta_, 3).slopes();
  const double mean = (s[0] + s[1] + s[2]) / 3;
  const double deviation =
      std::sqrt((std::pow(s[0] - mean, 2) + std::pow(s[1] - mean, 2) + std::pow(s[2] - mean, 2)) / 2);
  const std::vector<double> g = net.written(*plain, 3), found = net.written(*over, 3);
  for (std::size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(found[i], g[i] / deviation, 1e-12);
  EXPECT_EQ(over->estimate(net.objective_, net.theta_, 3).slopes(), s);
}

TEST(PerDeviation, LossesThatAreAlikeAreRefused) {
  class Flat final : public Objective<double> {
   public:
    const ParameterLayout& layout() const override { return layout_; }
    double loss(const Parameters<double>&) override { return 2; }
    Slopes slopes(const Parameters<double>&, const Tangents<double>&) override { return {}; }
    double gradient(const Parameters<double>&, std::span<double>) override { return 2; }

   private:
    ParameterLayout layout_ = ParameterLayout::vector(3);
  } flat;
  const auto estimator = make_estimator<double>("one-sided", flat.layout(), {.tangents = 4, .per_deviation = true});
  EXPECT_THAT([&] { estimator->estimate(flat, Parameters<double>(Index{3}), 0); },
              ThrowsMessage<NumericError>(HasSubstr("all 4 tangents are alike")));
}

// Convolutions keep the law's tangents; layers that are applied at several places draw one of them, and its input is of
// the length √q. 64 comparisons at 8e-11.
TEST(InputSpan, PredictsNetworksWithConvolutionsAndPlaces) {
  const ThreadScope one(1);
  Net net(NetworkSpec{.family = "cnn", .hidden = {4}, .convolutions = {{.channels = 2}}});
  const std::vector<double> gradient = net.exact();
  const GradientView view(net.program().layout(), gradient);
  const auto estimator = net.make("input-span", {.law = "rank-one-gaussian", .tangents = 3, .seed = 8});
  const auto prediction = estimator->prediction(net.objective_, net.theta_);
  EXPECT_TRUE(std::isnan(estimator->total_variance(view)));
  const std::vector<double> mean = prediction->mean(view), variances = prediction->entry_variances(view);
  MomentsArray estimates(gradient.size(), 4);
  for (std::uint32_t step = 0; step < 10'000; ++step) estimates.add(net.written(*estimator, step));
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const CentralMoments entry = estimates.entry(i);
    EXPECT_TRUE(agrees(entry.mean, mean[i], entry.mean_error(), 1e-9)) << "E g_" << i;
    EXPECT_TRUE(agrees(entry.variance(), variances[i], entry.variance_error(), 1e-12)) << "V g_" << i;
  }
}

// Of x and −x with one label, from weights of 0, ∇ is that of the biases alone. 21 comparisons at 8e-11.
TEST(InputSpan, PredictsWhatBiasesAddToTheSlopes) {
  const ThreadScope one(1);
  const ChainBlock block = make_chain({.family = "logistic", .hidden = {}}, kImage, 3, false).front();
  std::vector<double> images = random_vector<double>(kImage.size(), 1);
  images.resize(2 * images.size());
  std::transform(images.begin(), images.begin() + kImage.size(), images.begin() + kImage.size(), std::negate());
  const std::vector<std::int32_t> labels{1, 1};
  ProgramObjective<double> objective(
      *block.program, {.rows = 2, .inputs = {std::span<const double>(images), std::span<const std::int32_t>(labels)}});
  const Parameters<double> theta(objective.size());
  std::vector<double> gradient(static_cast<std::size_t>(objective.size()));
  objective.gradient(theta, gradient);
  const GradientView view(objective.layout(), gradient);
  const auto estimator = make_estimator<double>("input-span", EstimatorTarget(*block.program, block.sites),
                                                {.law = "rank-one-gaussian", .tangents = 2, .seed = 8});
  const std::vector<double> variances = estimator->prediction(objective, theta)->entry_variances(view);
  MomentsArray estimates(gradient.size(), 4);
  std::vector<double> g(gradient.size());
  for (std::uint32_t step = 0; step < 20'000; ++step) {
    estimator->estimate(objective, theta, step).materialize(std::span(g));
    estimates.add(g);
  }
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const CentralMoments entry = estimates.entry(i);
    EXPECT_TRUE(agrees(entry.variance(), variances[i], entry.variance_error(), 1e-12)) << "V g_" << i;
  }
}

// A gradient of one example lies in the span of its inputs: the mean is ∇ of the first layer times q.
TEST(InputSpan, OneExamplesGradientIsKeptWhole) {
  const ChainBlock block = make_chain({.hidden = {5}}, kImage, 3, false).front();
  const std::vector<double> image = random_vector<double>(kImage.size(), 1);
  const std::vector<std::int32_t> label{1};
  ProgramObjective<double> objective(
      *block.program, {.rows = 1, .inputs = {std::span<const double>(image), std::span<const std::int32_t>(label)}});
  const Parameters<double> theta = initialize<double>(block.program->layout(), 5);
  std::vector<double> gradient(static_cast<std::size_t>(objective.size()));
  objective.gradient(theta, gradient);
  const auto estimator =
      make_estimator<double>("input-span", EstimatorTarget(*block.program, block.sites), {.law = "rank-one"});
  const std::vector<double> mean =
      estimator->prediction(objective, theta)->mean(GradientView(objective.layout(), gradient));
  for (std::size_t i = 0; i < 30; ++i) EXPECT_NEAR(mean[i], 6 * gradient[i], 1e-12);
  for (std::size_t i = 30; i < 35; ++i) EXPECT_NEAR(mean[i], gradient[i], 1e-12);
}

TEST(AutoRated, TakesSecondOrderTermsInItsFirstStepsAndThenSeldom) {
  Net net;
  const auto estimator = net.make("forward", {.auto_rate = true});
  Index curved = 0;
  for (std::uint32_t step = 0; step < 100; ++step) {
    const GradientEstimate estimate = estimator->estimate(net.objective_, net.theta_, step);
    curved += estimate.measured().curvatures.empty() ? 0 : 1;
    EXPECT_EQ(estimate.measured().example_squares.size(), 1u);
    estimator->learn(estimate);
  }
  EXPECT_EQ(curved, 50 + 5);
  EXPECT_GT(*estimator->rate(), 0);
  EXPECT_EQ(net.make("forward", {})->rate(), std::nullopt);
}

// Of three losses what second-order terms say of one pass, and so the same rate, where the loss is smooth: kinks add to
// curvature over a distance what they have none of at a point. With ε = 1e-3 curvature errs by ε² of its own second
// derivative.
TEST(AutoRated, FindsTheSameRateFromLossesAlone) {
  Net net(NetworkSpec{.family = "logistic"});
  const auto slopes = net.make("forward", {.tangents = 3, .auto_rate = true});
  const auto losses = net.make("central", {.tangents = 3, .epsilon = 1e-3, .auto_rate = true});
  Index curved = 0;
  for (std::uint32_t step = 0; step < 100; ++step) {
    const GradientEstimate one = slopes->estimate(net.objective_, net.theta_, step);
    Parameters<double> theta = net.theta_;
    const GradientEstimate other = losses->estimate_in_place(net.objective_, theta, step);
    EXPECT_EQ(one.measured().curvatures.size(), other.measured().curvatures.size());
    for (std::size_t k = 0; k < other.measured().curvatures.size(); ++k)
      EXPECT_NEAR(other.measured().curvatures[k], one.measured().curvatures[k], 1e-4);
    curved += other.measured().curvatures.empty() ? 0 : 1;
    slopes->learn(one);
    losses->learn(other);
  }
  EXPECT_EQ(curved, 50 + 5);
  // Losses say nothing of single examples, and so take ‖∇_B‖² for ‖∇‖².
  EXPECT_GT(*losses->rate(), 0);
  EXPECT_NEAR(losses->outlook()->bend, slopes->outlook()->bend, 1e-3 * slopes->outlook()->bend);
  EXPECT_GE(losses->outlook()->signal, slopes->outlook()->signal);
  EXPECT_EQ(losses->asks().numbers(), 6);
}

TEST(Wrappers, WhatDoesNotFitIsRefused) {
  Net net, logistic(NetworkSpec{.family = "logistic"});
  const auto refused = [](const Net& on, const std::string& name, const EstimatorOptions& options) {
    return [&on, name, options] { on.make(name, options); };
  };
  EXPECT_THAT(refused(net, "central", {.exact_head = true}), ThrowsMessage<ArgumentError>(HasSubstr("differences")));
  EXPECT_THROW(logistic.make("forward", {.exact_head = true}), ArgumentError);
  EXPECT_THAT(refused(net, "projection", {.auto_rate = true}), ThrowsMessage<ArgumentError>(HasSubstr("projection")));
  EXPECT_THAT(refused(net, "forward", {.clip_slope = 1, .auto_rate = true}),
              ThrowsMessage<ArgumentError>(HasSubstr("clipping")));
  EXPECT_THAT(refused(net, "activities", {.clip_slope = 1}), ThrowsMessage<ArgumentError>(HasSubstr("activities")));
  EXPECT_THROW(net.make("exact", {.clip_slope = 1}), ArgumentError);
  EXPECT_THAT(refused(net, "input-span", {.law = "gaussian"}), ThrowsMessage<ArgumentError>(HasSubstr("'gaussian'")));
  EXPECT_THAT([&] { make_estimator<double>("input-span", net.program().layout(), {.law = "rank-one"}); },
              ThrowsMessage<ArgumentError>(HasSubstr("found a function")));
  EXPECT_THAT(refused(net, "central", {.tangents = 4, .per_deviation = true}),
              ThrowsMessage<ArgumentError>(HasSubstr("'one-sided', found 'central'")));
  EXPECT_THAT(refused(net, "one-sided", {.per_deviation = true}),
              ThrowsMessage<ArgumentError>(HasSubstr("at least 2 tangents")));
  EXPECT_THAT(refused(net, "one-sided", {.tangents = 4, .clip_slope = 1, .per_deviation = true}),
              ThrowsMessage<ArgumentError>(HasSubstr("neither clipped slopes")));
  EXPECT_THROW(net.make("forward", {.clip_slope = -1}), ArgumentError);
  EXPECT_THROW(make_estimator<double>("forward", net.program().layout(), {.exact_head = true}), ArgumentError);
  EXPECT_THROW(make_estimator<double>("activities", net.program().layout(), {}), ArgumentError);
}

// What the prediction cannot know it does not claim.
TEST(Wrappers, UnknownPredictionsAreNaN) {
  Net net(NetworkSpec{.family = "cnn", .hidden = {4}, .convolutions = {{.channels = 2}}});
  const std::vector<double> gradient = net.exact();
  const GradientView view(net.program().layout(), gradient);
  const auto at_convolutions = net.make("activities", {.law = "rademacher"});
  EXPECT_TRUE(std::isnan(at_convolutions->prediction(net.objective_, net.theta_)->total_variance(view)));
  const auto clipped = net.make("forward", {.law = "rademacher", .clip_slope = 1});
  EXPECT_TRUE(std::isnan(clipped->prediction(net.objective_, net.theta_)->total_variance(view)));
  EXPECT_TRUE(std::isnan(clipped->mean_factor(view)));
}

// Names from outside the library take their place among the others, once.
TEST(Registration, AnEstimatorFromOutsideIsKnownByName) {
  const auto negative = [] {
    return estimator_family(
        "test-forward", "as forward",
        []<class T>(std::type_identity<T>, const EstimatorTarget& target, const EstimatorOptions& options) {
          return make_estimator<T>("forward", target.layout, options);
        });
  };
  register_estimator(negative());
  EXPECT_THAT(estimator_names(), testing::Contains("test-forward"));
  EXPECT_EQ(estimator_summary("test-forward"), "as forward");
  Net net;
  EXPECT_EQ(net.written(*net.make("test-forward", {.seed = 8}), 2), net.written(*net.make("forward", {.seed = 8}), 2));
  EXPECT_THROW(register_estimator(negative()), ArgumentError);
  EXPECT_THAT([&] { net.make("forwards", {}); }, ThrowsMessage<ArgumentError>(HasSubstr("did you mean forward?")));
}

}  // namespace
}  // namespace slopewise
