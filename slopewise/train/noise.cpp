#include "slopewise/train/noise.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

double product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

// Estimates are made again where they are needed again: R of them would take R times the memory of θ.
// With S the sum of R estimates: Σ_{r≠r′} g_r·g_r′ = ‖S‖² − Σ‖g_r‖², and without batch r the same of S − g_r.
GradientNoise measure_noise(Index batches, const std::function<std::span<const float>(Index, Index)>& estimate,
                            const std::function<std::span<const float>(Index)>& exact) {
  if (batches < 2) throw ArgumentError(fmt::format("measure_noise: expected at least 2 batches, found {}", batches));
  const auto count = static_cast<double>(batches);
  GradientNoise noise;
  std::vector<float> sum, first;
  std::vector<double> squares, with_sum;
  for (Index batch = 0; batch < batches; ++batch) {
    const std::span<const float> g = estimate(batch, 0);
    first.assign(g.begin(), g.end());
    sum.resize(g.size());
    for (std::size_t i = 0; i < g.size(); ++i) sum[i] += g[i];
    squares.push_back(product(first, first));
    const std::span<const float> again = estimate(batch, 1);
    double gap = 0;
    for (std::size_t i = 0; i < again.size(); ++i) {
      const double difference = static_cast<double>(first[i]) - static_cast<double>(again[i]);
      gap += difference * difference;
    }
    noise.tangent_variance += gap / 2 / count;
    if (!exact) continue;
    const std::span<const float> truth = exact(batch);
    const double norms = std::sqrt(squares.back() * product(truth, truth));
    noise.cosine += norms > 0 ? product(first, truth) / norms / count : 0;
  }
  for (Index batch = 0; batch < batches; ++batch) with_sum.push_back(product(estimate(batch, 0), sum));
  double all = 0, total = product(sum, sum);
  for (const double square : squares) all += square;
  noise.squared_norm = (total - all) / (count * (count - 1));
  noise.variance = (all - total / count) / (count - 1);
  if (batches < 3) return noise;
  double spread = 0;
  std::vector<double> without;
  double mean = 0;
  for (std::size_t r = 0; r < squares.size(); ++r) {
    const double left = total - 2 * with_sum[r] + squares[r];
    without.push_back((left - (all - squares[r])) / ((count - 1) * (count - 2)));
    mean += without.back() / count;
  }
  for (const double value : without) spread += (value - mean) * (value - mean);
  noise.squared_norm_error = std::sqrt((count - 1) / count * spread);
  return noise;
}

}  // namespace slopewise
