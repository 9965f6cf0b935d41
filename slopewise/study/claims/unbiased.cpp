// The mean of forward gradients is the gradient.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

ClaimResult measure_unbiased(StudyContext& context) {
  const GradientView& gradient = context.subject().gradient();
  const Samples& pool = context.pool();
  const auto count = static_cast<double>(pool.count());
  // ⟨mean g, ∇⟩ / ‖∇‖²: of all entries at once, as g·∇ = s². With Gaussian v it is χ²(N)/N, exactly.
  double along = 0;
  for (const double slope : pool.slopes) along += slope * slope / gradient.squared_norm();
  ClaimResult result =
      judge("⟨mean g, ∇⟩ / ‖∇‖²", 1, along / count, scale_interval(along, count, share_of_confidence(2)));

  // Entry by entry: (mean g_i − ∇_i) / standard error, the largest of which has to pass for them all.
  Series entries{.name = "entries", .columns = {"index", "gradient", "mean", "standard error"}, .rows = {}};
  double largest = 0;
  for (std::size_t t = 0; t < pool.tracked.size(); ++t) {
    const double expected = gradient[pool.tracked[t]];
    // Less ∇_i (v_i² − 1), whose mean is 0, an entry is a product of two independent symmetric numbers, so that its law
    // is symmetric whatever share of ‖∇‖² it has.
    Moments moments, symmetric;
    for (Index j = 0; j < pool.count(); ++j) {
      const double v = double{pool.entries[static_cast<std::size_t>(j) * pool.tracked.size() + t]};
      moments.add(pool.gradient_entry(j, t));
      symmetric.add(pool.gradient_entry(j, t) - expected * (v * v - 1));
    }
    largest = std::max(largest, std::abs(symmetric.mean() - expected) / symmetric.mean_error());
    entries.rows.push_back({static_cast<double>(pool.tracked[t]), expected, moments.mean(), moments.mean_error()});
  }
  const double allowed = self_normalized_limit(1 - share_of_confidence(2 * static_cast<Index>(pool.tracked.size())));
  if (largest > allowed) result.verdict = Verdict::kFails;
  result.condition = fmt::format(
      "over {} forward gradients; of {} entries the mean is at most {:.2f} standard errors off (allowed {:.2f})",
      pool.count(), pool.tracked.size(), largest, allowed);
  result.series.push_back(std::move(entries));
  return result;
}

}  // namespace

Claim unbiased_claim() {
  return {.name = "unbiased",
          .statement = "The forward gradient is unbiased: E[g] = ∇",
          .equation = "",
          .weight = 14,
          .run = measure_unbiased};
}

}  // namespace slopewise
