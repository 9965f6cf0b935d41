// An entry g_i = s v_i is nearly the product of two independent normals: kurtosis 9, an infinite density at 0.
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>

#include "slopewise/statistics/distributions.hpp"
#include "slopewise/statistics/fit.hpp"
#include "slopewise/statistics/histogram.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr double kEntryWidth = 6;
constexpr std::size_t kEntryBins = 120;

// Variance of g_i and its fourth central moment, for Gaussian v.
struct EntryMoments {
  double variance, fourth;
};

// With ∇_i = a and the rest of the slope normal of variance τ² = ‖∇‖² − a², g = a v² + t v: E g² = 3 a² + τ²,
// E g³ = 15 a³ + 9 a τ², E g⁴ = 105 a⁴ + 90 a² τ² + 9 τ⁴.
EntryMoments predicted_moments(double a, double squared_norm) {
  const double rest = squared_norm - a * a;
  const double second = 3 * a * a + rest, third = 15 * a * a * a + 9 * a * rest;
  const double fourth = 105 * a * a * a * a + 90 * a * a * rest + 9 * rest * rest;
  return {second - a * a, fourth - 4 * a * third + 6 * a * a * second - 3 * a * a * a * a};
}

// Standard error of the kurtosis over the entries, from the law it is tested against: few samples hold the large values
// that say how uncertain a kurtosis is. With entries z v_e of one z, the sums over e of (z v_e)² and (z v_e)⁴ have
// moments that follow from E z², z⁴, z⁶, z⁸ = 1, 3, 15, 105. Most of the error is z's, and the kurtosis of N normals
// has the skewness √(216/N) (Fisher 1930).
double kurtosis_error(double entries, double count, const std::function<double(std::span<const double>)>& kurtosis) {
  const double others = entries - 1;
  const double means[] = {entries, 9 * entries};
  const double second = 3 * entries * (3 + others);          // E (Σ z² v²)²
  const double mixed = 15 * entries * (15 + 3 * others);     // E (Σ z² v²)(Σ z⁴ v⁴)
  const double fourth = 105 * entries * (105 + 9 * others);  // E (Σ z⁴ v⁴)²
  const double across = mixed - means[0] * means[1];
  const double covariances[] = {second - means[0] * means[0], across, across, fourth - means[1] * means[1]};
  return error_in_theory(means, covariances, count, kurtosis);
}

ClaimResult measure_heavy_tails(StudyContext& context) {
  const GradientView& gradient = context.subject().gradient();
  const Samples& pool = context.pool();
  const double norm = std::sqrt(gradient.squared_norm());
  std::vector<std::vector<double>> powers(2, std::vector<double>(static_cast<std::size_t>(pool.count()), 0.0));
  std::vector<double> singles;  // one entry a sample, so that they are independent
  // Of the tracked entries those that the statement is about; an entry with a large share of ‖∇‖² is nearly its own
  // v_i².
  std::vector<std::size_t> near;
  EntryMoments sums{};
  for (std::size_t t = 0; t < pool.tracked.size(); ++t) {
    if (has_large_share(gradient, pool.tracked[t])) continue;
    near.push_back(t);
    const EntryMoments of_entry = predicted_moments(gradient[pool.tracked[t]], gradient.squared_norm());
    sums.variance += of_entry.variance;
    sums.fourth += of_entry.fourth;
  }
  const auto entries = static_cast<double>(near.size());
  const double predicted = sums.fourth * entries / (sums.variance * sums.variance);
  for (Index j = 0; j < pool.count(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    for (const std::size_t t : near) {
      const double centred = (pool.gradient_entry(j, t) - gradient[pool.tracked[t]]) / norm;
      powers[0][at] += centred * centred;
      powers[1][at] += centred * centred * centred * centred;
    }
    // s v_i less ∇_i v_i² is exactly a product: of v_i and of what the other entries add to s.
    const std::size_t t = near[at % near.size()];
    const double own = gradient[pool.tracked[t]];
    const double v = double{pool.entries[at * pool.tracked.size() + t]};
    singles.push_back((pool.gradient_entry(j, t) - own * v * v) / std::sqrt(gradient.squared_norm() - own * own));
  }
  const auto kurtosis_of = [entries](std::span<const double> mean) { return mean[1] * entries / (mean[0] * mean[0]); };
  const auto count = static_cast<double>(pool.count());
  const double means[] = {mean_of(powers[0]).value, mean_of(powers[1]).value};
  const Measured kurtosis{.value = kurtosis_of(means),
                          .error = kurtosis_error(entries, count, kurtosis_of),
                          .degrees = std::numeric_limits<double>::infinity(),
                          .skewness = std::sqrt(216 / count)};
  ClaimResult result = judge("kurtosis of an entry", predicted, kurtosis, 2);

  const FitTest fit = kolmogorov_smirnov_test(singles, product_normal_cdf);
  if (fit.p_value < 1 - share_of_confidence(2)) result.verdict = Verdict::kFails;
  Histogram histogram(-kEntryWidth, kEntryWidth, kEntryBins);
  for (const double single : singles) histogram.add(single);
  Series series{.name = "entries",
                .columns = {"g_i/|grad| from", "g_i/|grad| to", "measured density", "predicted density"},
                .rows = {}};
  for (std::size_t b = 0; b < histogram.bins(); ++b) {
    const double low = histogram.edge(b), high = histogram.edge(b + 1);
    series.rows.push_back(
        {low, high, histogram.density(b), (product_normal_cdf(high) - product_normal_cdf(low)) / (high - low)});
  }
  const std::size_t middle = kEntryBins / 2;
  result.condition = fmt::format(
      "against the product-normal law: Kolmogorov-Smirnov p = {:.3g}; density next to 0: {:.3f} (predicted {:.3f}, a "
      "normal's {:.3f})",
      fit.p_value, (series.rows[middle - 1][2] + series.rows[middle][2]) / 2, series.rows[middle][3],
      1 / std::sqrt(2 * M_PI));
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim heavy_tails_claim() {
  return {.name = "heavy-tails",
          .statement = "The entries are heavy-tailed: nearly products of two independent normals, with kurtosis 9",
          .equation = "",
          .weight = 0.1,
          .run = measure_heavy_tails};
}

}  // namespace slopewise
