// Perturbing activities instead of weights: an example's slope is spread over the active units of a layer, not over all
// weights (Ren et al. 2022, arXiv 2210.03310). Both estimate the whole gradient, the last layer included, from the
// slopes of one Gaussian tangent.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "slopewise/study/activities.hpp"
#include "slopewise/study/claims/claims.hpp"

namespace slopewise {
namespace {

constexpr Index kLayerSamples = 1000;

EstimatorOptions activity_options(const StudyContext& context) {
  return {.law = "gaussian", .seed = context.seed("activity"), .exact_head = false};
}

ClaimResult measure_activity(StudyContext& context) {
  const Subject& subject = context.subject();
  const GradientView& gradient = subject.gradient();
  const double square = gradient.squared_norm();
  const auto n = static_cast<double>(subject.size());
  const std::size_t layers = subject.layout().blocks.size();
  const Index tests = static_cast<Index>(layers) + 1;
  const auto make = [&] { return activity_estimator(subject, activity_options(context)); };
  const std::vector<double> predicted = layer_variances(subject, *make());

  // ‖g − ∇‖² of every layer; in the last column ‖g‖² of forward gradients along tangents of the weights, each the mean
  // of several.
  const std::vector<double> norms = context.pool().squared_gradient_norms();
  const Index count = std::min(context.samples(kLayerSamples), context.pool().count());
  const Index several = context.pool().count() / count;
  std::vector<std::vector<double>> columns = squared_errors(subject, make, 0, count);
  columns.emplace_back();
  for (Index j = 0; j < count; ++j) {
    const auto from = norms.begin() + j * several;
    columns.back().push_back(std::accumulate(from, from + several, 0.0) / static_cast<double>(several));
  }
  const double activities = std::accumulate(predicted.begin(), predicted.end(), 0.0);
  ClaimResult result =
      judge("total variance with tangents of the weights / of the activities", (n + 1) * square / activities,
            function_of_means(columns,
                              [&](std::span<const double> means) {
                                return (means[layers] - square) / std::accumulate(means.begin(), means.end() - 1, 0.0);
                              }),
            tests);
  Series series{.name = "layers",
                .columns = {"weights", "predicted variance / |grad|^2", "measured", "standard error",
                            "of tangents of the weights / |grad|^2"},
                .rows = {}};
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const Measured measured = mean_of(columns[layer]);
    if (!measured.interval(share_of_confidence(tests)).contains(predicted[layer])) result.verdict = Verdict::kFails;
    const Block& block = subject.layout().blocks[layer];
    const auto weights = static_cast<double>(block.rows * block.columns_with_bias());
    series.rows.push_back({weights, predicted[layer] / square, measured.value / square, measured.error / square,
                           weights + gradient.block_squared_norm(static_cast<Index>(layer)) / square});
    series.labels.push_back(fmt::format("layer {}", layer + 1));
  }
  result.condition = fmt::format(
      "n = {}, batch {}: the signal-to-noise ratio ‖∇‖² / tr V is predicted as {:.2e} with tangents of the weights and "
      "as {:.2e} with tangents of the activities",
      subject.size(), context.options().batch, 1 / (n + 1), square / activities);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim activity_claim() {
  return {.name = "activity",
          .statement =
              "Perturbing activities instead of weights, one slope an example, the variance counts a layer's "
              "active units and not its weights",
          .equation = "",
          .weight = 1,
          .refusal =
              [](const StudyContext& context) { return why_unpredicted(context.subject(), activity_options(context)); },
          .run = measure_activity};
}

}  // namespace slopewise
