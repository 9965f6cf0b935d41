#include "slopewise/audit/audit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "tests/audit/tasks.hpp"

namespace slopewise {
namespace {

const AuditWatcher kSilent{[](const std::string&) {}, [](double) {}};

const MethodFigures& figures_of(const AuditResult& result, const std::string& method) {
  return *std::ranges::find(result.figures, method, &MethodFigures::method);
}

TEST(Audit, PlansTheBytesThatTrainingSaysOfItself) {
  const DataSplit data = audited_digits(32);
  AuditTask task = audited(data, perceptron({64, 64}), 32);
  task.local = make_network({.family = "mlp", .hidden = {64, 64}, .block_layers = 1}, data.train.image_shape,
                            target_of(data.train));
  const std::vector<AuditMethod> methods = audit_methods(task);
  const std::vector<Index> batches{32, 128};
  double told = 0;
  const std::vector<MethodCost> costs =
      measure_costs(task, methods, batches, 0.1, [&](double share) { told += share; });
  ASSERT_EQ(costs.size(), 2 * methods.size());
  EXPECT_NEAR(told, 1, 1e-9);
  for (std::size_t i = 0; i < methods.size(); ++i) {
    const Trainer trainer(settings_of(task, methods[i], 0.1), data, network_of(task, methods[i]));
    EXPECT_EQ(costs[i].bytes(), trainer.step_bytes() + trainer.state_bytes()) << methods[i].name;
    EXPECT_GT(costs[i].seconds, 0) << methods[i].name;
    // Other batches are planned alone, and take more.
    EXPECT_GE(costs[methods.size() + i].step_bytes, costs[i].step_bytes) << methods[i].name;
    EXPECT_TRUE(std::isnan(costs[methods.size() + i].seconds)) << methods[i].name;
  }
  const auto bytes = [&](const char* name) { return std::ranges::find(costs, name, &MethodCost::method)->bytes(); };
  EXPECT_LT(bytes("weights K=1"), bytes("backprop"));
}

TEST(Audit, RefusesOptionsThatCannotBe) {
  const DataSplit data = audited_digits(16);
  const AuditTask task = audited(data, {.family = "logistic", .hidden = {}}, 16);
  for (const AuditOptions& options : {AuditOptions{.seconds = std::nan("")}, AuditOptions{.samples = 0},
                                      AuditOptions{.batches = {0}}, AuditOptions{.tried = {"magic"}}})
    EXPECT_THROW(run_audit(task, options, kSilent), ArgumentError);
}

// Of softmax regression, whose Hessian is known to be positive, K tangents gain what theory says: 1/K of the noise.
TEST(Audit, PredictsWhatStepsDo) {
  const DataSplit data = audited_digits(128);
  const AuditTask task = audited(data, {.family = "logistic", .hidden = {}}, 128);
  const AuditResult found = run_audit(task, {.verify = false, .step_seconds = 0.1, .samples = 64}, kSilent);
  const MethodOutlook &backprop = *found.outlook_of("backprop"), &one = *found.outlook_of("weights K=1"),
                      &eight = *found.outlook_of("weights K=8");
  EXPECT_NEAR(backprop.slowdown(), 1, 1e-9);
  EXPECT_GT(one.slowdown(), eight.slowdown());
  EXPECT_NEAR((one.bend.value - backprop.bend.value) / (eight.bend.value - backprop.bend.value), 8, 1e-6);
  EXPECT_GT(found.outlook.curvature.trace.value, found.outlook.curvature.largest.value);
  EXPECT_GT(found.outlook.curvature.largest.value, found.outlook.curvature.along_gradient.value * 0.9);
  // E[s v·∇] is ‖∇‖², and ‖g‖² n + 2 times that along one tangent: SNR 1/(n + 1) without mini-batches.
  const double factor = found.noise.batch_factor.value;
  EXPECT_NEAR(one.snr, 1 / (factor * static_cast<double>(found.parameters + 2) - 1), 1e-6);

  // Means over steps from θ: what each does to the reference loss beside its prediction, which a quadratic keeps.
  AuditSubject subject(task);
  for (const AuditMethod& method : found.methods) {
    if (method.name != "weights K=1" && method.name != "backprop") continue;
    const MethodOutlook& outlook = *found.outlook_of(method.name);
    const auto estimator =
        make_estimator<float>(method.settings.estimator, EstimatorTarget(subject.program(), subject.block().sites),
                              estimator_options(method.settings, subject.block(), 9));
    std::vector<double> falls;
    for (std::uint32_t step = 0; step < 400; ++step) {
      const Index batch = step % subject.batches();
      const GradientEstimate estimate = estimator->estimate(subject.objective(batch), subject.theta(), step);
      Parameters<float> moved = subject.theta();
      estimate.add_to(moved, -outlook.rate);
      const Index other = (batch + 1) % subject.batches();
      falls.push_back(subject.objective(other).loss(subject.theta()) - subject.objective(other).loss(moved));
    }
    const Measured fall = mean_of(falls);
    const double predicted = outlook.outlook().decrease(outlook.rate);
    EXPECT_NEAR(fall.value, predicted, 6 * fall.error + 0.35 * predicted) << method.name;
    EXPECT_LE(outlook.decrease, predicted * (1 + 1e-9)) << method.name;
  }
}

// A residual network, of which the top alone trains, or each block by the gradient at the top of its stream.
TEST(Audit, LooksAtTopsAndAtResidualFeedback) {
  const DataSplit data = audited_digits(64);
  NetworkSpec spec = perceptron({24, 24, 24, 24});
  spec.residual = true;
  AuditTask task = audited(data, spec, 64);
  task.tops = tops_of(task.network);
  const AuditResult found = run_audit(task, {.verify = false, .step_seconds = 0.1, .samples = 32}, kSilent);
  const Index n = found.parameters, head = 10 * 24 + 10, block = 24 * 24 + 24;
  AuditSubject subject(task);
  std::vector<float> gradient(static_cast<std::size_t>(n)), other(static_cast<std::size_t>(n));
  const auto squared_from = [&](Index first) {  // ∇_B·∇_B′ over the entries from there on, as its signal is measured
    double sum = 0;
    for (Index batch = 0; batch < subject.batches(); ++batch) {
      subject.objective(batch).gradient(subject.theta(), gradient);
      subject.objective((batch + 1) % subject.batches()).gradient(subject.theta(), other);
      for (Index i = first; i < n; ++i)
        sum += double{gradient[static_cast<std::size_t>(i)]} * other[static_cast<std::size_t>(i)];
    }
    return sum / static_cast<double>(subject.batches());
  };
  const std::pair<const char*, Index> tops[] = {{"head only", n - head},
                                                {"last block and head", n - head - block},
                                                {"last 2 blocks and head", n - head - 2 * block}};
  double slowdown = std::numeric_limits<double>::infinity();
  for (const auto& [name, first] : tops) {
    const MethodOutlook& outlook = *found.outlook_of(name);
    const double square = squared_from(first);
    EXPECT_NEAR(outlook.signal.value, square, 1e-4 * square) << name;
    EXPECT_LT(outlook.slowdown(), slowdown) << name;  // more that learns, fewer steps
    slowdown = outlook.slowdown();
    EXPECT_LT(found.cost(name, 64)->step_bytes, found.cost("backprop", 64)->step_bytes) << name;
    EXPECT_LT(found.cost(name, 64)->forwards, found.cost("backprop", 64)->forwards) << name;
    // Its gradient is exact: nothing of its curvature counts twice.
    EXPECT_NEAR(outlook.decrease, outlook.outlook().decrease(outlook.rate), 1e-9 * outlook.decrease) << name;
  }
  EXPECT_GT(slowdown, 1);
  // No less of a top is promised where there is no room for the whole gradient beside it.
  AuditTask tight = task;
  tight.memory = std::max(found.cost("last 2 blocks and head", 64)->bytes(), found.least_bytes) + 8 * n;
  const AuditResult less = run_audit(tight, {.verify = false, .step_seconds = 0.1, .samples = 32}, kSilent);
  ASSERT_EQ(less.noise.reference, Reference::kSlopes);
  for (const auto& [name, first] : tops) {
    const MethodOutlook& outlook = *less.outlook_of(name);
    EXPECT_EQ(outlook.bend.value, found.outlook_of(name)->bend.value) << name;
    EXPECT_NEAR(outlook.decrease, outlook.outlook().decrease(outlook.rate), 1e-9 * outlook.decrease) << name;
  }
  // It points with the gradient, by no more than all of it.
  const MethodOutlook& residual = *found.outlook_of("residual feedback");
  EXPECT_GT(residual.cosine, 0.2);
  EXPECT_LT(residual.cosine, 1);
  const auto method = std::ranges::find(found.methods, "residual feedback", &AuditMethod::name);
  EXPECT_TRUE(method->biased());
  const auto estimator = make_estimator<float>("activities", EstimatorTarget(subject.program(), subject.block().sites),
                                               estimator_options(method->settings, subject.block(), 1));
  double signal = 0;
  for (Index batch = 0; batch < subject.batches(); ++batch) {
    estimator->estimate(subject.objective(batch), subject.theta(), 0).materialize(gradient);
    subject.objective((batch + 1) % subject.batches()).gradient(subject.theta(), other);
    signal += std::inner_product(gradient.begin(), gradient.end(), other.begin(), 0.0) /
              static_cast<double>(subject.batches());
  }
  EXPECT_NEAR(residual.signal.value, signal, 1e-4 * signal);
  EXPECT_GT(std::abs(signal - squared_from(0)), 1e-2 * signal);  // and no unbiased method's
  const Trainer trainer(settings_of(task, *method, 0.1), data, task.network);
  EXPECT_EQ(found.cost("residual feedback", 64)->bytes(), trainer.step_bytes() + trainer.state_bytes());
  // A network without sums has no stream, one without hidden layers no blocks, and of two all is the top.
  EXPECT_EQ(std::ranges::count(audit_methods(audited(data, perceptron({24, 24}), 64)), "residual feedback",
                               &AuditMethod::name),
            0);
  EXPECT_THAT(
      tops_of(make_network({.family = "logistic", .hidden = {}}, data.train.image_shape, target_of(data.train))),
      ::testing::IsEmpty());
  EXPECT_THAT(tops_of(make_network(perceptron({24}), data.train.image_shape, target_of(data.train))),
              ::testing::SizeIs(::testing::Le(1)));
}

TEST(Audit, RecommendsWhatFits) {
  const DataSplit data = audited_digits(256, 1024);
  AuditTask task = audited(data, perceptron(std::vector<Index>(6, 64)), 256);
  const AuditOptions options{.verify = false, .step_seconds = 0.1, .samples = 64};
  const AuditResult free = run_audit(task, options, kSilent);
  ASSERT_TRUE(free.recommendation.best);
  task.memory = figures_of(free, "weights K=1").bytes;
  ASSERT_LT(task.memory, figures_of(free, "backprop").bytes);
  const AuditResult tight = run_audit(task, options, kSilent);
  ASSERT_TRUE(tight.recommendation.best) << tight.recommendation.sentence;
  EXPECT_LE(tight.recommendation.best->bytes, task.memory);
  EXPECT_EQ(tight.noise.reference, Reference::kSlopes);
  // What does not fit is planned and not run.
  EXPECT_TRUE(std::isnan(tight.cost("backprop", task.batch)->seconds));
}

TEST(Audit, SaysWhatAStepTakesByRanks) {
  const DataSplit data = audited_digits(64);
  AuditTask task = audited(data, perceptron({16}), 64);
  const AuditOptions options{.verify = false, .step_seconds = 0.1, .samples = 16, .ranks = {1, 4}};
  const AuditResult found = run_audit(task, options, kSilent);
  ASSERT_EQ(found.ranks.size(), 2u);
  const AuditRanks &one = found.ranks[0], &four = found.ranks[1];
  EXPECT_EQ(one.step.examples.bytes, 0);
  EXPECT_EQ(four.step.examples.bytes, 6 * 40);
  EXPECT_EQ(four.step.backprop.bytes, 6 * 4 * found.parameters);
  EXPECT_LT(four.step.examples.memory, one.step.examples.memory);
  EXPECT_EQ(one.snr, one.snr_each);
  EXPECT_NEAR(four.snr_each / four.snr, 4, 1e-9);
  const nlohmann::ordered_json document = audit_document(task, options, found);
  EXPECT_EQ(document["ranks"]["steps"][1]["examples"]["bytes"], 240);
  // A backward pass is not asked of whoever has no room for one, nor of who wants none.
  task.forward_only = true;
  EXPECT_EQ(run_audit(task, options, kSilent).ranks.at(1).step.backprop.memory, 0);
  EXPECT_TRUE(run_audit(task, {.verify = false, .step_seconds = 0.1, .samples = 16}, kSilent).ranks.empty());
  EXPECT_THROW(run_audit(task, {.verify = false, .samples = 16, .ranks = {0}}, kSilent), ArgumentError);
}

TEST(Audit, TriesTheBestAndSaysHowFarTheyCame) {
  const DataSplit data = audited_digits(64);
  const AuditTask task = audited(data, perceptron({16}), 64);
  const AuditOptions options{.step_seconds = 0.1, .samples = 16};
  const AuditResult found = run_audit(task, options, kSilent);
  ASSERT_GE(found.trials.size(), 2u);
  EXPECT_EQ(found.trials.front().method, "backprop");
  EXPECT_EQ(found.trials.front().status, "reached");
  EXPECT_TRUE(figures_of(found, "backprop").measured);
  const nlohmann::ordered_json document = audit_document(task, options, found);
  EXPECT_EQ(document["methods"][0]["tried"]["status"], "reached");
  EXPECT_EQ(document["recommendation"]["best"]["method"], found.recommendation.best->method);
}

TEST(Audit, WithoutABackwardPass) {
  const DataSplit data = audited_digits(64);
  AuditTask task = audited(data, perceptron({16}), 64);
  const AuditOptions options{.verify = false, .step_seconds = 0.1, .samples = 200};
  const AuditResult exact = run_audit(task, options, kSilent);
  task.forward_only = true;
  const AuditResult blind = run_audit(task, options, kSilent);
  EXPECT_EQ(blind.outlook_of("backprop"), nullptr);
  EXPECT_EQ(blind.outlook.curvature.largest.value, 0);
  const Measured &trace = blind.outlook.curvature.trace, &other = exact.outlook.curvature.trace;
  EXPECT_NEAR(trace.value, other.value, 6 * std::hypot(trace.error, other.error));
  ASSERT_NE(blind.outlook_of("weights K=1"), nullptr);
  EXPECT_GT(blind.outlook_of("weights K=1")->rate, 0);
  ASSERT_TRUE(blind.recommendation.best);
}

// All weights 0: the output's biases alone have a gradient, and no tangent below finds a slope.
TEST(Audit, OfWeightsThatAreAllZeroSpeaksOfTheHeadAlone) {
  const DataSplit data = audited_digits(64);
  AuditTask task = audited(data, perceptron({8}), 64);
  keep_only(task, [](const Segment&) { return false; });
  const AuditResult found = run_audit(task, {.verify = false, .step_seconds = 0.1, .samples = 8}, kSilent);
  EXPECT_EQ(found.noise.blocks.front().batch_squared_norm, 0);
  EXPECT_GT(found.noise.blocks.back().batch_squared_norm, 0);
}

}  // namespace
}  // namespace slopewise
