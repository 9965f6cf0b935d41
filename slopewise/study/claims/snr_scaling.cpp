// The signal-to-noise ratio of a forward gradient, ‖∇‖² / E‖g − ∇‖², falls as 1/n.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/statistics/fit.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

// Networks from about a thousand to ten million parameters on 28 × 28 images.
const std::vector<std::vector<Index>> kHidden = {{1},   {4},    {13},         {40},        {126},
                                                 {400}, {1024}, {1400, 1400}, {2800, 2800}};
constexpr Index kLargestQuick = 500000;
// Samples of a network: so many over √n, but for the smallest. A sample's time grows with n, and in the same time no
// other power of n gives the line's slope a smaller error.
constexpr double kSamplesTimesRoot = 8e5;
constexpr Index kMostSamples = 8000;

ClaimResult measure_snr_scaling(StudyContext& context) {
  std::vector<double> x, y, weights;
  Series series{
      .name = "networks", .columns = {"n", "predicted snr", "measured snr", "standard error", "samples"}, .rows = {}};
  for (const std::vector<Index>& hidden : kHidden) {
    const Subject subject = context.perceptron(hidden);
    const auto n = static_cast<double>(subject.size());
    if (context.options().quick && subject.size() > kLargestQuick) continue;
    const Index count =
        context.samples(std::min(static_cast<Index>(kSamplesTimesRoot / std::sqrt(n)), kMostSamples), 128);
    const Samples samples =
        draw_samples(subject, *make_probe("gaussian", subject.layout(), context.seed(fmt::format("snr {}", n))), count,
                     {}, [&](double share) { context.progress()(share / static_cast<double>(kHidden.size())); });
    const double square = subject.gradient().squared_norm();
    const std::vector<double> norms = samples.squared_gradient_norms();
    const Measured snr =
        function_of_means({&norms, 1}, [&](std::span<const double> mean) { return square / (mean[0] - square); });
    x.push_back(std::log(n));
    y.push_back(std::log(snr.value));
    // From theory, not from the sample: ‖g‖² is nearly ‖∇‖² n χ²(1), so log SNR has variance 2 / N.
    weights.push_back(static_cast<double>(count) / 2);
    series.rows.push_back({n, 1 / (n + 1), snr.value, snr.error, static_cast<double>(count)});
  }
  const LineFit line = fit_line(x, y, weights);
  // The weights are inverse variances, so a y of weight 1 scatters by 1, whatever the few points show.
  ClaimResult result = judge("exponent of snr over n", -1,
                             {.value = line.slope,
                              .error = line.slope_error / line.scatter,
                              .degrees = std::numeric_limits<double>::infinity()});
  result.condition =
      fmt::format("n from {:.0f} to {:.3g}; snr n at the smallest {:.3f}, at the largest {:.3f}",
                  series.rows.front()[0], series.rows.back()[0], series.rows.front()[0] * series.rows.front()[2],
                  series.rows.back()[0] * series.rows.back()[2]);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim snr_scaling_claim() {
  return {.name = "snr-scaling",
          .statement = "The signal-to-noise ratio falls as 1/n with the number of parameters",
          .equation = "10",
          .weight = 14,
          .refusal = on_perceptrons("it compares networks of several sizes"),
          .run = measure_snr_scaling};
}

}  // namespace slopewise
