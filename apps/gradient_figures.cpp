#include "apps/gradient_figures.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace slopewise {
namespace {

// Coverage of the intervals that stand beside predictions.
constexpr double kConfidence = 0.999;

// An interval for the mean of non-negative numbers, each nearly a multiple of a χ²(K) as a sum of K squared slopes is.
// The sample's own scatter says how many degrees of freedom its sum has (Satterthwaite 1946), at most N K. Simulated
// for Gaussian slopes and K = 1, a 99.9 % interval of 100 samples misses twice in 1000; Student's t misses seven times.
std::optional<Interval> mean_scale_interval(const CentralMoments& sample, Index tangents, double confidence) {
  if (sample.count < 2) return {};
  const double variance = sample.variance();
  if (variance == 0) return Interval{sample.mean, sample.mean};
  const double each = std::min(2 * sample.mean * sample.mean / variance, static_cast<double>(tangents));
  const double degrees = static_cast<double>(sample.count) * each;
  return scale_interval(degrees * sample.mean, degrees, confidence);
}

// The interval of f(x), f monotonic, from that of x.
template <class F>
std::optional<Interval> transformed(const std::optional<Interval>& interval, F f) {
  if (!interval) return {};
  const auto [low, high] = std::minmax({f(interval->low), f(interval->high)});
  return Interval{low, high};
}

}  // namespace

template <class T>
void EstimateSamples::add(const GradientEstimate& estimate, std::span<const T> dense, const GradientView& gradient,
                          std::span<const double> mean) {
  double square = 0, product = 0, error = 0;
  for (std::size_t i = 0; i < dense.size(); ++i) {
    const double entry = dense[i];
    square += entry * entry;
    product += entry * gradient.values()[i];
    error += (entry - mean[i]) * (entry - mean[i]);
  }
  const double norm = gradient.squared_norm();
  entries.add(dense);
  losses.push_back(estimate.loss());
  cosines.push_back(square > 0 ? product / std::sqrt(square * norm) : 0);
  cosine.add(cosines.back());
  component.add(product / norm);
  squared_error.add(error);
  if (estimate.slopes().empty()) return;
  slopes.insert(slopes.end(), estimate.slopes().begin(), estimate.slopes().end());
  if (!std::isnan(estimate.noise().squared_norm)) squared_slope.add(estimate.noise().squared_norm);
}

template void EstimateSamples::add(const GradientEstimate&, std::span<const float>, const GradientView&,
                                   std::span<const double>);
template void EstimateSamples::add(const GradientEstimate&, std::span<const double>, const GradientView&,
                                   std::span<const double>);

void SlopeError::add(std::span<const double> slopes, std::span<const double> full) {
  for (std::size_t k = 0; k < slopes.size(); ++k) {
    squared_error_ += (slopes[k] - full[k]) * (slopes[k] - full[k]);
    squared_slope_ += full[k] * full[k];
  }
}

Figure SlopeError::figure() const {
  return {.key = "slope_error",
          .label = "slope error, relative",
          .expected = std::numeric_limits<double>::quiet_NaN(),
          .measured = std::sqrt(squared_error_ / squared_slope_),
          .interval = {},
          .confidence = std::numeric_limits<double>::quiet_NaN()};
}

std::vector<Figure> gradient_figures(const EstimateSamples& samples, const GradientView& gradient,
                                     const Prediction& prediction, Index slopes_each) {
  const double norm = gradient.squared_norm();
  const double total_variance = samples.entries.total_variance();
  const double squared_error = samples.squared_error.mean();
  // That of E‖g − E g‖², which knows the exact gradient, carried over to the variance about the samples' own mean.
  const auto variance_interval =
      transformed(mean_scale_interval(samples.squared_error.central(), slopes_each, kConfidence),
                  [&](double x) { return squared_error > 0 ? x * total_variance / squared_error : x; });
  const auto root = [](double x) { return std::sqrt(x); };
  const CentralMoments& slopes = samples.squared_slope.central();
  const CentralMoments& cosines = samples.cosine.central();
  return {
      {.key = "gradient_norm",
       .label = "norm of the gradient",
       .expected = root(norm),
       .measured = slopes.count > 0 ? root(slopes.mean) : std::numeric_limits<double>::quiet_NaN(),
       .interval = transformed(mean_scale_interval(slopes, slopes_each, kNoiseConfidence), root),
       .confidence = kNoiseConfidence},
      {.key = "component",
       .label = "component along it",
       .expected = prediction.mean_factor(gradient),
       .measured = samples.component.mean(),
       .interval = mean_scale_interval(samples.component.central(), slopes_each, kConfidence),
       .confidence = kConfidence},
      {.key = "total_variance",
       .label = "total variance",
       .expected = prediction.total_variance(gradient),
       .measured = total_variance,
       .interval = variance_interval,
       .confidence = kConfidence},
      {.key = "snr",
       .label = "signal-to-noise ratio",
       .expected = norm / prediction.total_variance(gradient),
       .measured = norm / total_variance,
       .interval = transformed(variance_interval, [&](double x) { return norm / x; }),
       .confidence = kConfidence},
      {.key = "mean_cosine",
       .label = "mean cosine",
       .expected = prediction.mean_cosine(gradient),
       .measured = cosines.mean,
       .interval = cosines.count < 2 ? std::nullopt : std::optional(mean_interval(cosines, kConfidence)),
       .confidence = kConfidence},
  };
}

}  // namespace slopewise
