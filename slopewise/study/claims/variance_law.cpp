// V[g_i] = ‖∇‖² + ∇_i², for entries of large, middling and small gradient; and the coefficient of ∇_i² on its own, on a
// network small enough for it to matter.
#include <fmt/format.h>

#include "slopewise/base/threads.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr const char* kGroups[] = {"largest", "median", "smallest"};
// The groups, all entries together, and the coefficient.
constexpr Index kTests = static_cast<Index>(std::size(kGroups)) + 2;

// c in V[g_i] = ‖∇‖² + c ∇_i², by least squares over all entries with weights w_i ∝ ∇_i²/‖∇‖² = r_i. As E[s²] = ‖∇‖²,
// s² Σ w_i (v_i² − 1) has the mean ‖∇‖² (c + 1) and far less noise than Σ w_i g_i².
Measured coefficient(const StudyContext& context, const Subject& subject) {
  const GradientView& gradient = subject.gradient();
  const Index n = gradient.size();
  double squares = 0;
  std::vector<double> share(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    share[i] = gradient[i] * gradient[i] / gradient.squared_norm();
    squares += share[i] * share[i];
  }
  const auto probe = make_probe("gaussian", subject.layout(), context.seed("variance-law"));
  const Samples samples = draw_samples(subject, *probe, context.samples(40000));
  std::vector<double> column(samples.slopes.size());
  parallel_for(samples.count(), [&](Index j) {
    std::vector<double> v(static_cast<std::size_t>(n));
    fill_tangent(*probe, samples, j, v);
    double total = 0;
    for (std::size_t i = 0; i < v.size(); ++i) total += share[i] * (v[i] * v[i] - 1);
    const double slope = samples.slopes[j];
    column[j] = slope * slope / gradient.squared_norm() * total / squares - 1;
  });
  return mean_of(column);
}

ClaimResult measure_variance_law(StudyContext& context) {
  const GradientView& gradient = context.subject().gradient();
  const Samples& pool = context.pool();
  const std::size_t group = pool.tracked.size() / std::size(kGroups);
  Series entries{.name = "entries",
                 .columns = {"index", "gradient", "predicted variance", "measured variance", "standard error"},
                 .rows = {}};
  // One column a group: the mean of g_i² / V[g_i] over its entries; less the mean of ∇_i² / V[g_i] it is the ratio.
  std::vector<std::vector<double>> columns(std::size(kGroups) + 1,
                                           std::vector<double>(static_cast<std::size_t>(pool.count()), 0.0));
  std::vector<double> offsets(columns.size(), 0.0);
  for (std::size_t t = 0; t < pool.tracked.size(); ++t) {
    const double square = gradient[pool.tracked[t]] * gradient[pool.tracked[t]];
    const double predicted = gradient.squared_norm() + square;
    Moments moments;
    for (Index j = 0; j < pool.count(); ++j) {
      const double g = pool.gradient_entry(j, t);
      moments.add(g);
      columns[t / group][j] += g * g / predicted / static_cast<double>(group);
      columns.back()[j] += g * g / predicted / static_cast<double>(pool.tracked.size());
    }
    offsets[t / group] += square / predicted / static_cast<double>(group);
    offsets.back() += square / predicted / static_cast<double>(pool.tracked.size());
    entries.rows.push_back({static_cast<double>(pool.tracked[t]), gradient[pool.tracked[t]], predicted,
                            moments.variance(), moments.variance_error()});
  }
  const auto ratio = [&](std::size_t c) {
    Measured found = mean_of(columns[c]);
    found.value -= offsets[c];
    return found;
  };
  ClaimResult result = judge("measured / predicted variance, mean over entries", 1, ratio(std::size(kGroups)), kTests);
  for (std::size_t c = 0; c < std::size(kGroups); ++c) {
    const Measured part = ratio(c);
    if (!part.interval(share_of_confidence(kTests)).contains(1)) result.verdict = Verdict::kFails;
    result.condition += fmt::format("{} gradients: {:.3f} ± {:.3f}; ", kGroups[c], part.value, part.error);
  }
  if (context.has_perceptrons()) {
    const Subject small = context.tiny();
    const Measured c = coefficient(context, small);
    if (!c.interval(share_of_confidence(kTests)).contains(1)) result.verdict = Verdict::kFails;
    result.condition +=
        fmt::format("the coefficient of ∇ᵢ², on a network of {} parameters: {:.3f} ± {:.3f} (predicted 1)",
                    small.size(), c.value, c.error);
  } else {
    result.condition += "the coefficient of ∇ᵢ², which a network of few parameters shows, was not looked at";
  }
  result.series.push_back(std::move(entries));
  return result;
}

}  // namespace

Claim variance_law_claim() {
  return {
      .name = "variance-law",
      .statement = "Each entry's variance is the squared norm of the gradient plus its own square: V[gᵢ] = ‖∇‖² + ∇ᵢ²",
      .equation = "7",
      .weight = 1,
      .run = measure_variance_law};
}

}  // namespace slopewise
