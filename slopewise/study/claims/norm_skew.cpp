// ‖g‖ = |s| ‖v‖ is nearly ‖∇‖ √n times a half-normal: spread out, and skewed to the right by 0.995.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/statistics/distributions.hpp"
#include "slopewise/statistics/fit.hpp"
#include "slopewise/statistics/histogram.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr double kNormWidth = 4;
constexpr std::size_t kNormBins = 80;

ClaimResult measure_norm_skew(StudyContext& context) {
  const double scale =
      std::sqrt(context.subject().gradient().squared_norm() * static_cast<double>(context.subject().size()));
  std::vector<double> norms = context.pool().squared_gradient_norms();
  std::vector<std::vector<double>> powers(3);
  Histogram histogram(0, kNormWidth, kNormBins);
  for (double& norm : norms) {
    norm = std::sqrt(norm) / scale;
    powers[0].push_back(norm);
    powers[1].push_back(norm * norm);
    powers[2].push_back(norm * norm * norm);
    histogram.add(norm);
  }
  const Measured skewness = function_of_means(powers, [](std::span<const double> m) {
    const double variance = m[1] - m[0] * m[0];
    return (m[2] - 3 * m[0] * m[1] + 2 * m[0] * m[0] * m[0]) / (variance * std::sqrt(variance));
  });
  ClaimResult result = judge("skewness of ‖g‖", kHalfNormalSkewness, skewness, 2);
  const FitTest fit = kolmogorov_smirnov_test(norms, [](double x) { return half_normal_cdf(x); });
  if (fit.p_value < 1 - share_of_confidence(2)) result.verdict = Verdict::kFails;
  result.condition = fmt::format(
      "‖g‖ / (‖∇‖ √n) against the half-normal law: Kolmogorov-Smirnov p = {:.3g}; mean {:.3f} (predicted "
      "{:.3f})",
      fit.p_value, mean_of(norms).value, kHalfNormalMean);
  Series series{.name = "norms",
                .columns = {"|g|/(|grad| sqrt n) from", "to", "measured density", "predicted density"},
                .rows = {}};
  for (std::size_t b = 0; b < histogram.bins(); ++b) {
    const double low = histogram.edge(b), high = histogram.edge(b + 1);
    series.rows.push_back(
        {low, high, histogram.density(b), (half_normal_cdf(high) - half_normal_cdf(low)) / (high - low)});
  }
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim norm_skew_claim() {
  return {.id = "norm-skew",
          .statement = "The norm of a forward gradient is skewed to the right, as a half-normal's",
          .equation = "",
          .weight = 0.1,
          .run = measure_norm_skew};
}

}  // namespace slopewise
