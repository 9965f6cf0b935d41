// Slopes that count for at most L: clip(s) v has the mean P(|s| ≤ L) ∇ for Gaussian tangents (Stein's lemma), shorter
// than ∇ but not turned. As E[f(s) s]² / E[f(s)²] is greatest for f(s) ∝ s, no clip raises the signal-to-noise ratio.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "slopewise/optimize/clip.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

// Limits in units of ‖∇‖, the standard deviation of a slope. Entries are looked at one by one at kEntries of them.
constexpr double kLimits[] = {0.25, 0.5, 1, 2, 3};
constexpr double kEntries = 1;

// What theory says of a limit c, for z ~ N(0, 1) and ψ(z) = z clipped to ±c.
struct Law {
  explicit Law(double c) : share(std::erf(c / std::numbers::sqrt2)) {
    const double tail = 2 * c * std::exp(-c * c / 2) / std::sqrt(2 * std::numbers::pi);
    square = share - tail + c * c * (1 - share);
    fourth = 3 * share - tail * (c * c + 3) + c * c * (1 - share + tail);
  }
  // (E[g]² / E‖g‖²) of clipped slopes over that of plain ones, ‖g‖² = ψ² (z² + the n − 1 other squares of v).
  double snr(double n) const { return share * share * (n + 2) / ((n - 1) * square + fourth); }

  double share;   // P(|z| ≤ c) = E[ψ z]
  double square;  // E[ψ²]
  double fourth;  // E[ψ² z²]
};

ClaimResult measure_clipping(StudyContext& context) {
  const GradientView& gradient = context.subject().gradient();
  const Samples& pool = context.pool();
  const double square = gradient.squared_norm();
  const auto n = static_cast<double>(gradient.size());
  const auto tracked = static_cast<Index>(pool.tracked.size());
  const Index tests = 2 * static_cast<Index>(std::size(kLimits)) + tracked;
  Series series{.name = "limits",
                .columns = {"limit / |grad|", "predicted length", "measured", "standard error", "predicted SNR / plain",
                            "measured SNR / plain", "standard error of it"},
                .rows = {}};
  ClaimResult result;
  double furthest = -1, largest = 0;
  Index looked_at = 0;
  bool all = true;
  for (const double c : kLimits) {
    const std::vector<double> factors = slope_factors(pool.slopes, c * std::sqrt(square));
    // g·∇ = clip(s) s and ‖g‖², in units of ‖∇‖².
    std::vector<std::vector<double>> columns(2, std::vector<double>(factors.size()));
    for (std::size_t j = 0; j < factors.size(); ++j) {
      const double squared_slope = pool.slopes[j] * pool.slopes[j] / square;
      columns[0][j] = factors[j] * squared_slope;
      columns[1][j] = factors[j] * factors[j] * squared_slope * pool.squared_norms[j];
    }
    const Law law(c);
    const Measured length = mean_of(columns[0]);
    // Over E[g]²/E‖g‖² = 1/(n + 2) of plain slopes, as theory has it: over the measured one only the slopes that are
    // clipped would count, at a high limit too few for an interval.
    const Measured snr =
        function_of_means(columns, [n](std::span<const double> mean) { return mean[0] * mean[0] / mean[1] * (n + 2); });
    all = all && length.interval(share_of_confidence(tests)).contains(law.share) &&
          snr.interval(share_of_confidence(tests)).contains(law.snr(n));
    series.rows.push_back({c, law.share, length.value, length.error, law.snr(n), snr.value, snr.error});
    if (const double off = std::abs(length.value - law.share) / length.error; off > furthest) {
      furthest = off;
      result = judge(fmt::format("length of the mean / ‖∇‖, slopes clipped at {} ‖∇‖", c), law.share, length, tests);
    }
    if (c != kEntries) continue;
    for (std::size_t t = 0; t < pool.tracked.size(); ++t) {
      if (has_large_share(gradient, pool.tracked[t])) continue;  // its law is not symmetric
      ++looked_at;
      Moments moments;
      for (Index j = 0; j < pool.count(); ++j) moments.add(factors[j] * pool.gradient_entry(j, t));
      largest =
          std::max(largest, std::abs(moments.mean() - law.share * gradient[pool.tracked[t]]) / moments.mean_error());
    }
  }
  const double allowed = self_normalized_limit(1 - share_of_confidence(tests));
  result.verdict = all && largest <= allowed ? Verdict::kHolds : Verdict::kFails;
  result.condition = fmt::format(
      "biased in length, not in direction: of {} entries the mean at {} ‖∇‖ is at most {:.2f} standard errors off P ∇ᵢ "
      "(allowed {:.2f}); it does not help against noise: at limits from {} to {} ‖∇‖ the signal-to-noise ratio is "
      "{:.3f} "
      "to {:.3f} of the plain one",
      looked_at, kEntries, largest, allowed, kLimits[0], kLimits[std::size(kLimits) - 1], series.rows.front()[5],
      series.rows.back()[5]);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim clipping_claim() {
  return {.name = "clipping",
          .statement = "Clipping slopes at L shortens the mean forward gradient to P(|s| ≤ L) ∇ and does not turn it",
          .equation = "",
          .weight = 0.1,
          .run = measure_clipping};
}

}  // namespace slopewise
