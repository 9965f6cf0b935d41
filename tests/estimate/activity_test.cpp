// Activity perturbation: every prior and law against the mean and variance that theory gives.
//
// Rows of a batch are independent draws, so a batch that repeats few examples makes many draws at once. Means are
// tested at 6.5 standard errors: 2·4e-11 false alarms for each of about 6000 numbers, together 5e-7.
#include "slopewise/estimate/activity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/program/ops.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kInputs = 5, kFirst = 7, kSecond = 6, kOutputs = 3;
constexpr Index kExamples = 3;
constexpr Index kRepeats = 170;  // of each in a batch
constexpr Index kBatch = kExamples * kRepeats;

std::vector<double> copied(std::span<const double> values) {
  return {values.begin(), values.end()};
}

struct Net {
  Node x = Builder().input("x", {kInputs});
  Node first = relu(linear(x, kFirst));
  Node second = relu(linear(first, kSecond));
  Node logits = linear(second, kOutputs);
  Program program{cross_entropy(logits, Builder(x).indices("label", {}))};
  ActivitySites sites{.nodes = {first.number(), second.number()}, .logits = logits.number()};
};

// An estimator with an objective of its own, which is asked at a pace γ; none: it only looks.
class Perturbing {
 public:
  Perturbing(const Program& program, const ActivitySites& sites, EstimatorOptions options)
      : objective_(program, {}), estimator_(EstimatorTarget(program, sites), at_full_pace(options)) {}

  struct Found {
    std::vector<double> gradient;
    std::vector<ActivityNoise> noise;
    double variance;
    std::span<const double> values() const { return gradient; }
  };
  Found estimate(const Parameters<double>& theta, const Batch<double>& batch, std::uint32_t step,
                 std::optional<double> pace) {
    objective_.bind(batch);
    const GradientEstimate estimate = estimator_.estimate(objective_, theta, step);
    if (pace) estimator_.learn(estimate, *pace);
    Found found{std::vector<double>(static_cast<std::size_t>(estimate.size())), estimate.activities(),
                estimate.activity_variance()};
    estimate.materialize(std::span(found.gradient));
    return found;
  }
  std::vector<double> residuals(const Parameters<double>& theta, const Batch<double>& batch, std::uint32_t step) {
    objective_.bind(batch);
    return estimator_.residuals(objective_, theta, step);
  }
  std::shared_ptr<const Prediction> prediction(const Parameters<double>& theta, const Batch<double>& batch) {
    objective_.bind(batch);
    return estimator_.prediction(objective_, theta);
  }
  std::vector<StatePart> state() const { return estimator_.state(); }
  void restore(const std::vector<StatePart>& state) { estimator_.restore(state); }
  const ActivityPrior<double>& prior() const { return estimator_.prior(); }

 private:
  static EstimatorOptions& at_full_pace(EstimatorOptions& options) {
    options.activity.pace = 1;
    return options;
  }

  ProgramObjective<double> objective_;
  ActivityEstimator<double> estimator_;
};

EstimatorOptions rademacher(Index tangents, std::uint64_t seed, ActivityOptions activity = {}) {
  return {.law = "rademacher", .tangents = tangents, .seed = seed, .activity = std::move(activity)};
}

class Activity : public testing::Test {
 protected:
  Activity() {
    const std::vector<double> all = random_vector<double>(kExamples * kInputs, 5);
    for (Index b = 0; b < kBatch; ++b) {
      const Index example = b % kExamples;
      values_.insert(values_.end(), all.begin() + example * kInputs, all.begin() + (example + 1) * kInputs);
      labels_.push_back(static_cast<std::int32_t>(example % kOutputs));
    }
    for (double& w : theta_.edit()) w *= 0.8;
  }
  Batch<double> batch(Index rows = kBatch) const {
    return {.rows = rows,
            .inputs = {std::span<const double>(values_).subspan(0, static_cast<std::size_t>(rows * kInputs)),
                       std::span<const std::int32_t>(labels_).subspan(0, static_cast<std::size_t>(rows))}};
  }
  std::vector<double> exact() const {
    std::vector<double> gradient(static_cast<std::size_t>(net_.program.size()));
    Runner<double>(net_.program, {.mode = Workload::Mode::kPullback, .batch = kBatch})
        .gradient(theta_, batch(), gradient);
    return gradient;
  }
  const double* weight(Index segment) const {
    return theta_.values().data() + net_.program.layout().segments[static_cast<std::size_t>(segment)].offset;
  }

  Net net_;
  std::vector<double> values_;
  std::vector<std::int32_t> labels_;
  Parameters<double> theta_ = Parameters<double>(random_vector<double>(net_.program.size(), 9));
};

// One example by plain loops: the inputs of each layer and ∂loss/∂h at each site and at the logits.
struct Traced {
  std::vector<double> inputs[3], gradients[3];
};
std::vector<double> affine(const double* weight, const double* bias, const std::vector<double>& x, Index outputs) {
  std::vector<double> y(bias, bias + outputs);
  for (Index i = 0; i < outputs; ++i) {
    for (std::size_t j = 0; j < x.size(); ++j)
      y[static_cast<std::size_t>(i)] += weight[i * static_cast<Index>(x.size()) + static_cast<Index>(j)] * x[j];
  }
  return y;
}
std::vector<double> rectified(std::vector<double> z) {
  for (double& value : z) value = std::max(value, 0.0);
  return z;
}
std::vector<double> back(const double* weight, const std::vector<double>& above, const std::vector<double>& mask) {
  std::vector<double> below(mask.size());
  for (std::size_t j = 0; j < below.size(); ++j) {
    for (std::size_t i = 0; i < above.size(); ++i) below[j] += above[i] * weight[i * below.size() + j];
    if (mask[j] == 0) below[j] = 0;
  }
  return below;
}

class TracedActivity : public Activity {
 protected:
  Traced trace(Index example) const {
    Traced t;
    t.inputs[0].assign(values_.begin() + example * kInputs, values_.begin() + (example + 1) * kInputs);
    t.inputs[1] = rectified(affine(weight(0), weight(1), t.inputs[0], kFirst));
    t.inputs[2] = rectified(affine(weight(2), weight(3), t.inputs[1], kSecond));
    std::vector<double> p = affine(weight(4), weight(5), t.inputs[2], kOutputs);
    double total = 0;
    for (double& value : p) total += value = std::exp(value);
    for (double& value : p) value /= total;
    p[static_cast<std::size_t>(labels_[static_cast<std::size_t>(example)])] -= 1;
    t.gradients[2] = p;
    t.gradients[1] = back(weight(4), p, t.inputs[2]);
    t.gradients[0] = back(weight(2), t.gradients[1], t.inputs[1]);
    return t;
  }
};

class ActivityLaws : public TracedActivity,
                     public testing::WithParamInterface<std::tuple<std::string, std::string, bool, bool>> {};

// E[g] = ∇ and tr V of each layer, for a prior that has learnt something.
TEST_P(ActivityLaws, MeanAndVarianceAreAsPredicted) {
  const auto [law, prior, together, exact_head] = GetParam();
  constexpr Index kTangents = 2;
  constexpr int kPasses = 400;
  Perturbing estimator(net_.program, net_.sites,
                       {.law = law,
                        .tangents = kTangents,
                        .seed = 11,
                        .activity = {.prior = prior, .together = together},
                        .exact_head = exact_head});
  for (std::uint32_t step = 0; step < 5; ++step) estimator.estimate(theta_, batch(), 1000 + step, 0.1);

  const auto n = static_cast<std::size_t>(net_.program.size());
  std::vector<double> sum(n), squares(n);
  for (std::uint32_t step = 0; step < kPasses; ++step) {
    const std::vector<double> g = estimator.estimate(theta_, batch(), step, std::nullopt).gradient;
    for (std::size_t i = 0; i < n; ++i) {
      sum[i] += g[i];
      squares[i] += g[i] * g[i];
    }
  }
  const std::vector<double> truth = exact();
  std::vector<double> variance(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double mean = sum[i] / kPasses;
    variance[i] = std::max(0.0, squares[i] / kPasses - mean * mean) * kPasses / (kPasses - 1);
    EXPECT_NEAR(mean, truth[i], 6.5 * std::sqrt(variance[i] / kPasses) + 1e-12) << "entry " << i;
  }

  // What the estimator predicts for itself, whatever the prior knows. Rows that repeat an example are independent, so
  // means of so many are nearly normal, and their sample variance has the relative error √(2/N).
  const GradientView view(net_.program.layout(), truth);
  const std::vector<double> expected = estimator.prediction(theta_, batch())->entry_variances(view);
  for (std::size_t i = 0; i < n; ++i)
    EXPECT_NEAR(variance[i], expected[i], 7 * std::sqrt(2.0 / kPasses) * expected[i] + 1e-15) << "V of entry " << i;

  // The same by plain loops, where the prior is known for each example: none.
  if (prior != "none") return;
  const double kurtosis = entries_kurtosis(entries_named(law));
  const ParameterLayout& layout = net_.program.layout();
  for (int layer = 0; layer < (exact_head ? 2 : 3); ++layer) {
    double predicted = 0, found = 0;
    for (Index example = 0; example < kExamples; ++example) {
      const Traced t = trace(example);
      const auto norm = [](const std::vector<double>& v) {
        double total = 0;
        for (const double x : v) total += x * x;
        return total;
      };
      double shared = norm(t.gradients[layer]);
      if (together) shared = norm(t.gradients[0]) + norm(t.gradients[1]) + (exact_head ? 0 : norm(t.gradients[2]));
      for (std::size_t i = 0; i < t.gradients[layer].size(); ++i) {
        if (layer < 2 && t.inputs[layer + 1][i] == 0) continue;
        const double d = t.gradients[layer][i];
        predicted += (1 + norm(t.inputs[layer])) * (shared + (kurtosis - 2) * d * d) / kTangents;
      }
    }
    predicted *= static_cast<double>(kRepeats) / static_cast<double>(kBatch * kBatch);
    for (const int segment : {2 * layer, 2 * layer + 1}) {
      const Segment& part = layout.segments[static_cast<std::size_t>(segment)];
      for (Index i = 0; i < part.size(); ++i) found += variance[static_cast<std::size_t>(part.offset + i)];
    }
    // The sum of several entries' sample variances, each of 400 nearly normal means: 7 % apiece, all of them dependent.
    EXPECT_NEAR(found / predicted, 1, 7 * std::sqrt(2.0 / kPasses)) << "layer " << layer;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ActivityLaws,
                         testing::Combine(testing::Values("rademacher", "gaussian", "uniform"),
                                          testing::Values("none", "feedback", "random-feedback", "mirror"),
                                          testing::Bool(), testing::Bool()),
                         [](const auto& parameters) {
                           std::string name = std::get<0>(parameters.param) + "_" + std::get<1>(parameters.param) +
                                              (std::get<2>(parameters.param) ? "_together" : "_one_by_one") +
                                              (std::get<3>(parameters.param) ? "" : "_estimated_head");
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// The noise that an estimate reports for itself is the one that its activity gradients have.
TEST_F(Activity, ReportedNoiseIsThatOfTheEstimate) {
  Perturbing estimator(net_.program, net_.sites, rademacher(2, 3, {.prior = "random-feedback"}));
  const ParameterLayout& layout = net_.program.layout();
  double reported = 0, found = 0;
  constexpr int kPasses = 300;
  // The biases' gradients are the means of the activity gradients: their variance is that of δ over B.
  std::vector<double> sum(static_cast<std::size_t>(net_.program.size())), squares(sum.size());
  for (std::uint32_t step = 0; step < kPasses; ++step) {
    const auto g = estimator.estimate(theta_, batch(), step, std::nullopt);
    reported += g.variance / kPasses;
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] += g.values()[i];
      squares[i] += g.values()[i] * g.values()[i];
    }
  }
  for (const std::size_t segment : {std::size_t{1}, std::size_t{3}}) {
    const Segment& bias = layout.segments[segment];
    for (Index i = bias.offset; i < bias.offset + bias.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      found += (squares[at] / kPasses - sum[at] * sum[at] / kPasses / kPasses) * static_cast<double>(kBatch);
    }
  }
  // Rademacher entries lack their own share, 1 of about 8 active units.
  EXPECT_GT(found / reported, 0.7);
  EXPECT_LT(found / reported, 1.15);
}

// Learnt from the slopes alone, feedback explains the top site, and the mirror all of them.
TEST_F(Activity, PriorsLearn) {
  const auto residuals_after = [&](const std::string& prior, int passes, double pace) {
    Perturbing estimator(net_.program, net_.sites, rademacher(4, 7, {.prior = prior}));
    for (int step = 0; step < passes; ++step)
      estimator.estimate(theta_, batch(), static_cast<std::uint32_t>(step), pace);
    return estimator.residuals(theta_, batch(), 99);
  };
  EXPECT_TRUE(residuals_after("none", 3, 0.1).empty());
  EXPECT_LT(residuals_after("feedback", 300, 0.3)[1], 0.01);
  for (const double share : residuals_after("mirror", 200, 0)) EXPECT_LT(share, 1e-6);
  EXPECT_GT(residuals_after("random-feedback", 100, 0.3)[1], 0.2);
}

// The mirror follows the weights' changes, and so stays what it has become.
TEST_F(Activity, TheMirrorFollowsTheWeights) {
  Perturbing estimator(net_.program, net_.sites,
                       rademacher(1, 7, {.prior = "mirror", .correction = Correction::kNone}));
  for (std::uint32_t step = 0; step < 300; ++step) estimator.estimate(theta_, batch(), step, 0.0);
  for (double& w : theta_.edit()) w += 0.3 * std::sin(1000 * w);
  const auto found = copied(estimator.estimate(theta_, batch(), 300, 0.0).values());
  EXPECT_THAT(found, testing::Pointwise(testing::DoubleNear(1e-9), exact()));
}

// Gated corrections are shrunk to the noise that is allowed, and the first pass, which knows nothing, adds none.
TEST_F(Activity, TheGateKeepsNoiseBearable) {
  const EstimatorOptions options = rademacher(1, 2, {.correction = Correction::kGated, .gate = 0.05});
  Perturbing gated(net_.program, net_.sites, options);
  const auto first = gated.estimate(theta_, batch(), 0, 0.0);
  EXPECT_EQ(first.variance, 0);
  for (std::uint32_t step = 1; step < 50; ++step) gated.estimate(theta_, batch(), step, 0.0);
  const auto later = gated.estimate(theta_, batch(), 50, 0.0);
  // Each of two sites may have τ of the signal.
  EXPECT_NEAR(later.variance / later.noise[0].signal, 2 * 0.05, 0.01);
  // Of what all of the slopes would say, the gate lets α through: α² n = τ at a site of n active units where m = 0.
  EstimatorOptions all = options;
  all.activity.correction = Correction::kFull;
  Perturbing open(net_.program, net_.sites, all);
  const auto full = open.estimate(theta_, batch(), 50, std::nullopt);
  double inverse_squares = 0;
  for (const std::size_t weight : {0u, 2u}) {
    const Segment& segment = net_.program.layout().segments[weight];
    const auto part = [&](const Perturbing::Found& estimate) {
      return estimate.values().subspan(static_cast<std::size_t>(segment.offset),
                                       static_cast<std::size_t>(segment.size()));
    };
    const auto through = part(later), whole = part(full);
    const double alpha = std::inner_product(through.begin(), through.end(), whole.begin(), 0.0) /
                         std::inner_product(whole.begin(), whole.end(), whole.begin(), 0.0);
    for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(through[i], alpha * whole[i], 1e-12);
    inverse_squares += 1 / (alpha * alpha);
  }
  EXPECT_NEAR(inverse_squares * 0.05 / (full.variance / full.noise[0].residual), 1, 1e-9);
  EstimatorOptions none = options;
  none.activity.correction = Correction::kNone;
  Perturbing frozen(net_.program, net_.sites, none);
  const auto g = copied(frozen.estimate(theta_, batch(), 0, 0.0).values());
  const auto head = static_cast<std::size_t>(net_.program.layout().segments[4].offset);
  const auto truth = exact();
  for (std::size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], i < head ? 0 : truth[i], 1e-14);
}

TEST_F(Activity, LookingChangesNothing) {
  for (const std::string prior : {"feedback", "mirror"}) {
    Perturbing looked(net_.program, net_.sites, rademacher(1, 4, {.prior = prior}));
    Perturbing plain(net_.program, net_.sites, rademacher(1, 4, {.prior = prior}));
    for (std::uint32_t step = 0; step < 6; ++step) {
      looked.estimate(theta_, batch(), 77, std::nullopt);
      looked.residuals(theta_, batch(), 78);
      EXPECT_EQ(copied(looked.estimate(theta_, batch(), step, 0.1).values()),
                copied(plain.estimate(theta_, batch(), step, 0.1).values()));
    }
  }
}

TEST_F(Activity, GoesOnFromItsState) {
  for (const std::string prior : {"none", "feedback", "mirror"}) {
    const EstimatorOptions options = rademacher(1, 4, {.prior = prior, .correction = Correction::kGated});
    Perturbing whole(net_.program, net_.sites, options), later(net_.program, net_.sites, options);
    for (std::uint32_t step = 0; step < 4; ++step) whole.estimate(theta_, batch(), step, 0.1);
    later.restore(whole.state());
    for (std::uint32_t step = 4; step < 7; ++step) {
      EXPECT_EQ(copied(whole.estimate(theta_, batch(), step, 0.1).values()),
                copied(later.estimate(theta_, batch(), step, 0.1).values()));
    }
  }
}

TEST_F(Activity, SameBitsAtAnyNumberOfThreads) {
  for (const std::string prior : {"feedback", "mirror"}) {
    const auto with = [&](int threads) {
      const ThreadScope scope(threads);
      Perturbing estimator(net_.program, net_.sites, rademacher(3, 4, {.prior = prior}));
      for (std::uint32_t step = 0; step < 3; ++step) estimator.estimate(theta_, batch(), step, 0.1);
      return copied(estimator.estimate(theta_, batch(), 3, 0.1).values());
    };
    EXPECT_EQ(with(1), with(3));
  }
}

// Two estimators of one objective, which share the memory of its pass, say what each says alone.
TEST_F(Activity, MemoryMayBeShared) {
  EstimatorOptions options = rademacher(1, 4, {.prior = "feedback", .pace = 0.1});
  const EstimatorTarget target(net_.program, net_.sites);
  ActivityEstimator<double> one(target, options), other(target, options), alone(target, options);
  ProgramObjective<double> shared(net_.program, {}), own(net_.program, batch());
  for (std::uint32_t step = 0; step < 3; ++step) {
    shared.bind(batch(17));
    one.learn(one.estimate(shared, theta_, step), 1);
    shared.bind(batch());
    const GradientEstimate found = other.estimate(shared, theta_, step), expected = alone.estimate(own, theta_, step);
    other.learn(found, 1);
    alone.learn(expected, 1);
    EXPECT_EQ(copied(found.held<double>()), copied(expected.held<double>()));
  }
}

// One example, B = 0: the gradient of the first layer's bias is the residual r itself, and row i of B becomes
// γ r_i e / (mask_i |e|² + ½ the share of active units · |e|²).
TEST_F(Activity, FeedbackLearnsByNormalisedLeastMeanSquares) {
  constexpr double kPace = 0.01;
  Perturbing estimator(net_.program, net_.sites, rademacher(1, 4, {.prior = "feedback"}));
  const auto found = estimator.estimate(theta_, batch(1), 0, kPace);
  const auto bias = [&](Index segment) {
    return found.values().subspan(
        static_cast<std::size_t>(net_.program.layout().segments[static_cast<std::size_t>(segment)].offset));
  };
  const auto r = bias(1), e = bias(5);
  double squared_error = 0, active = 0;
  for (Index c = 0; c < kOutputs; ++c) squared_error += e[static_cast<std::size_t>(c)] * e[static_cast<std::size_t>(c)];
  for (Index i = 0; i < kFirst; ++i) active += r[static_cast<std::size_t>(i)] != 0;
  ASSERT_TRUE(active > 0 && active < kFirst) << active;
  const auto feedback = estimator.prior().state().vectors[0].values;
  for (Index i = 0; i < kFirst; ++i) {
    for (Index c = 0; c < kOutputs; ++c) {
      EXPECT_NEAR(feedback[static_cast<std::size_t>(i * kOutputs + c)],
                  kPace * r[static_cast<std::size_t>(i)] * e[static_cast<std::size_t>(c)] /
                      (squared_error * (1 + active / kFirst / 2)),
                  1e-15);
    }
  }
}

// From B = 0, two estimators of one seed learn the same but for the pace: asked for too much, the one learns at
// ½ / (1 + n / (K B')), B' = (Σ|e|²)² / Σ|e|⁴, here of three examples that err unlike.
TEST_F(TracedActivity, PaceIsBoundedByTheExamplesThatErr) {
  constexpr Index kTangents = 2;
  constexpr double kSlow = 1e-3;
  double squares = 0, fourths = 0;
  for (Index b = 0; b < kExamples; ++b) {
    double square = 0;
    for (const double e : trace(b).gradients[2]) square += e * e;
    squares += square;
    fourths += square * square;
  }
  const double erring = squares * squares / fourths;
  ASSERT_LT(erring, 0.9 * kExamples);
  for (const bool together : {true, false}) {
    const auto learnt = [&](double pace) {
      Perturbing estimator(net_.program, net_.sites,
                           rademacher(kTangents, 4, {.prior = "feedback", .together = together}));
      estimator.estimate(theta_, batch(kExamples), 0, pace);
      return copied(estimator.prior().state().vectors[0].values);
    };
    const std::vector<double> slow = learnt(kSlow), fast = learnt(2);
    const double entries = together ? kFirst + kSecond : kFirst;
    const double bound = 0.5 / (1 + entries / (kTangents * erring));
    EXPECT_THAT(slow, testing::Contains(testing::Not(0.0)));
    for (std::size_t i = 0; i < slow.size(); ++i) EXPECT_NEAR(fast[i], bound / kSlow * slow[i], 1e-12);
  }
}

// A layer of 300 units and 8 slopes: from a pace of 2 / (1 + 300 / 8) = 0.052 on B would grow without bound, so that of
// 0.15 is lowered. ∂loss/∂h is linear in the output error here, so B can come to explain it all.
TEST(ActivityPace, FeedbackSettlesInAWideLayer) {
  const Node wide = relu(linear(Builder().input("x", {6}), 300));
  const Node logits = linear(wide, 3);
  const Program program(cross_entropy(logits, Builder(wide).indices("label", {})));
  Perturbing estimator(program, {.nodes = {wide.number()}, .logits = logits.number()},
                       rademacher(1, 1, {.prior = "feedback"}));
  const Parameters<double> theta(random_vector<double>(program.size(), 2));
  const std::vector<std::int32_t> labels{0, 1, 2, 0, 1, 2, 0, 1};
  double left = 1;
  for (std::uint32_t step = 0; step < 1000; ++step) {
    const std::vector<double> x = random_vector<double>(6 * 8, 100 + step);
    const auto found = estimator.estimate(
        theta, {.rows = 8, .inputs = {std::span<const double>(x), std::span<const std::int32_t>(labels)}}, step, 0.15);
    left += 0.05 * (found.noise[0].residual / found.noise[0].signal - left);
  }
  EXPECT_LT(left, 0.1);
}

TEST_F(Activity, RefusesWhatDoesNotFit) {
  const EstimatorTarget target(net_.program, net_.sites);
  const auto make = [&](const EstimatorOptions& options) { ActivityEstimator<double>(target, options); };
  EXPECT_THROW(make({.law = "sphere"}), ArgumentError);
  EXPECT_THROW(make({.tangents = 0}), ArgumentError);
  EXPECT_THROW(make({.tangents = -1}), ArgumentError);
  EXPECT_THROW(make({.activity = {.prior = "oracle"}}), ArgumentError);
  EXPECT_THROW(make({.activity = {.gate = 0}}), ArgumentError);
  EXPECT_THROW(make({.activity = {.pace = -1}}), ArgumentError);
  EXPECT_THROW(ActivityEstimator<double>(EstimatorTarget(net_.program.layout()), {}), ArgumentError);
  // Without a hidden layer there is nothing to estimate but the head.
  const auto alone = [&](bool exact_head) {
    const Node scores = linear(Builder().input("x", {4}), 3);
    const Program logistic(cross_entropy(scores, Builder(scores).indices("label", {})));
    ActivityEstimator<double>(EstimatorTarget(logistic, {.nodes = {}, .logits = scores.number()}),
                              {.exact_head = exact_head});
  };
  EXPECT_THROW(alone(true), ArgumentError);
  EXPECT_NO_THROW(alone(false));
  EXPECT_NO_THROW(make({.tangents = 0, .activity = {.prior = "mirror", .correction = Correction::kNone}}));
  // A residual stream: the sites do not feed one layer each.
  Node h = linear(Builder().input("x", {4}), 4);
  const Node branch = relu(linear(h, 4));
  h = h + branch;
  const Node logits = linear(h, 3);
  const Program residual(cross_entropy(logits, Builder(h).indices("label", {})));
  EXPECT_THROW(
      ActivityEstimator<double>(EstimatorTarget(residual, {.nodes = {branch.number()}, .logits = logits.number()}),
                                {.activity = {.prior = "mirror"}}),
      ArgumentError);
}

}  // namespace
}  // namespace slopewise
