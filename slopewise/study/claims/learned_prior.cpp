// A prior for the activity gradients, learnt from slopes alone: m = mask ∘ (B e) of every example, e the output error.
// Corrected by the slopes the estimate stays unbiased, and its variance is that of what the prior leaves, ∂loss/∂z − m.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/data/batches.hpp"
#include "slopewise/study/activities.hpp"
#include "slopewise/study/claims/claims.hpp"

namespace slopewise {
namespace {

constexpr Index kTangents = 4;
constexpr double kPace = 0.1;
// Mini-batches that the prior learns from, at fixed θ, and estimates after that.
constexpr Index kPasses = 400, kVarianceSamples = 240;

// Each layer has slopes of its own, so that its variance shows its own residual.
EstimatorOptions plain_options(const StudyContext& context) {
  return {.law = "rademacher",
          .tangents = kTangents,
          .seed = context.seed("learned-prior"),
          .activity = {.pace = kPace, .together = false}};
}

ClaimResult measure_learned_prior(StudyContext& context) {
  const Subject& subject = context.subject();
  const std::size_t layers = subject.sites().nodes.size();
  // For each layer its residual, by slopes, and its variance; for all layers the variance and the mean along ∇.
  const Index tests = 2 * static_cast<Index>(layers) + 2;
  const EstimatorOptions plain = plain_options(context);
  EstimatorOptions corrected = plain;
  corrected.activity.prior = "feedback";

  const Index passes = context.samples(kPasses, 100);
  const auto learner = activity_estimator(subject, corrected);
  {
    const ThreadScope one_thread(1);  // passes this short are not worth sharing
    ProgramObjective<float> objective = subject.objective();
    const Batches batches(context.train().count(), context.options().batch, context.seed("learned-prior batches"));
    for (Index pass = 0; pass < passes; ++pass) {
      check_interrupted("learning a prior");
      const ExampleBatch<float> batch(context.train(), batches.indices(pass));
      objective.bind(batch.batch());
      learner->learn(learner->estimate(objective, subject.parameters(), static_cast<std::uint32_t>(pass)), 1);
    }
  }
  const auto make = [&](const EstimatorOptions& options) {
    auto made = activity_estimator(subject, options);
    if (options.activity.prior == corrected.activity.prior) made->restore(learner->state());
    return made;
  };

  const std::vector<double> before = squared_residuals(subject, *make(plain));
  const std::vector<double> after = squared_residuals(subject, *make(corrected));
  const std::vector<double> predicted_plain = layer_variances(subject, *make(plain));
  const std::vector<double> predicted = layer_variances(subject, *make(corrected));

  // ‖g − ∇‖² of each layer, corrected and plain; of the corrected also mean (s − u·m)² of each layer and g·∇/‖∇‖².
  const Index count = context.samples(kVarianceSamples, 128);
  const auto first = static_cast<std::uint32_t>(passes);
  const GradientView& gradient = subject.gradient();
  std::vector<std::vector<double>> residuals(layers, std::vector<double>(static_cast<std::size_t>(count)));
  std::vector<double> along(static_cast<std::size_t>(count));
  const auto see = [&](std::size_t j, const GradientEstimate& estimate) {
    for (std::size_t layer = 0; layer < layers; ++layer) residuals[layer][j] = estimate.activities()[layer].residual;
    const std::span<const float> found = estimate.held<float>();
    for (Index i = 0; i < gradient.size(); ++i) along[j] += gradient[i] * double{found[i]} / gradient.squared_norm();
  };
  std::vector<std::vector<double>> errors = squared_errors(
      subject, [&] { return make(corrected); }, first, count, see);
  std::vector<std::vector<double>> plain_errors = squared_errors(
      subject, [&] { return make(plain); }, first, count);
  for (auto* of_layers : {&errors, &plain_errors}) of_layers->resize(layers);  // the last layer's gradient is exact
  std::vector<std::vector<double>> columns = errors;
  columns.insert(columns.end(), plain_errors.begin(), plain_errors.end());

  const auto sum = [&](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
  };
  ClaimResult result = judge("variance with the learnt prior / without", sum(predicted) / sum(predicted_plain),
                             function_of_means(columns,
                                               [&](std::span<const double> means) {
                                                 const auto half = means.begin() + static_cast<std::ptrdiff_t>(layers);
                                                 return std::accumulate(means.begin(), half, 0.0) /
                                                        std::accumulate(half, means.end(), 0.0);
                                               }),
                             tests);
  const auto agrees = [&](const Measured& measured, double expected) {
    if (!measured.interval(share_of_confidence(tests)).contains(expected)) result.verdict = Verdict::kFails;
  };
  const Measured mean_along = mean_of(along);
  agrees(mean_along, 1);
  Series series{
      .name = "layers",
      .columns = {"residual", "residual from slopes", "predicted variance / plain", "measured", "standard error"},
      .rows = {}};
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const double norm = before[layer];
    const Measured residual = mean_of(residuals[layer]);
    agrees(residual, after[layer]);
    const std::vector<std::vector<double>> pair = {errors[layer], plain_errors[layer]};
    const Measured factor = function_of_means(pair, [](std::span<const double> means) { return means[0] / means[1]; });
    const double expected = predicted[layer] / predicted_plain[layer];
    agrees(factor, expected);
    series.rows.push_back({after[layer] / norm, residual.value / norm, expected, factor.value, factor.error});
    series.labels.push_back(fmt::format("layer {}", layer + 1));
  }
  result.condition = fmt::format(
      "after {} mini-batches of {} with {} tangents at fixed weights; the residual ‖∂loss/∂z − m‖² / ‖∂loss/∂z‖² is "
      "{:.3f} in "
      "the first hidden layer and {:.2g} in the last; ⟨mean g, ∇⟩ / ‖∇‖² = {:.4f} ± {:.4f}",
      passes, context.options().batch, kTangents, series.rows.front()[0], series.rows.back()[0], mean_along.value,
      mean_along.error);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim learned_prior_claim() {
  return {
      .name = "learned-prior",
      .statement =
          "A prior for the activity gradients can be learnt from slopes alone: the estimate stays unbiased "
          "and its variance falls to what the prior leaves",
      .equation = "",
      .weight = 2,
      .refusal = [](const StudyContext& context) { return why_unpredicted(context.subject(), plain_options(context)); },
      .run = measure_learned_prior};
}

}  // namespace slopewise
