#include "slopewise/estimate/estimate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "slopewise/statistics/intervals.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

GradientEstimate::GradientEstimate(double loss, std::vector<double> slopes, std::vector<double> coefficients,
                                   std::shared_ptr<const Draw> draw, NoiseEstimate noise, PriorTerm prior,
                                   std::vector<double> block_slopes)
    : loss_(loss),
      slopes_(std::move(slopes)),
      coefficients_(std::move(coefficients)),
      draw_(std::move(draw)),
      prior_(std::move(prior)),
      block_slopes_(std::move(block_slopes)),
      noise_(noise) {
  if (prior_.vector) require_size(prior_.vector->size());
}

GradientEstimate::GradientEstimate(double loss, std::vector<double> gradient)
    : loss_(loss), prior_{.vector = std::make_shared<const std::vector<double>>(std::move(gradient)), .slopes = {}} {
  const double square = squared_norm();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  noise_ = {.squared_norm = square,
            .squared_norm_low = square,
            .squared_norm_high = square,
            .confidence = 1,
            .residual_squared_norm = 0,
            .snr_low = kInfinity,
            .snr_high = kInfinity};
}

Index GradientEstimate::size() const {
  return draw_ ? draw_->layout().size : static_cast<Index>(prior_.vector->size());
}

// Tangents are finite, so only coefficients and the dense part are looked at.
bool GradientEstimate::finite() const {
  const auto all_finite = [](const std::vector<double>& numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); });
  };
  return all_finite(coefficients_) && (!prior_.vector || (std::isfinite(prior_.scale) && all_finite(*prior_.vector)));
}

void GradientEstimate::scale_coefficients(std::span<const double> factors) {
  if (factors.size() != coefficients_.size()) {
    throw ShapeError(
        fmt::format("gradient estimate: expected {} factors, found {}", coefficients_.size(), factors.size()));
  }
  for (std::size_t k = 0; k < factors.size(); ++k) coefficients_[k] *= factors[k];
}

void GradientEstimate::require_size(std::size_t found) const {
  if (static_cast<Index>(found) != size()) {
    throw ShapeError(fmt::format("gradient estimate: expected {} parameters, found {}", size(), found));
  }
}

std::vector<double> GradientEstimate::scaled(double factor) const {
  std::vector<double> scaled = coefficients_;
  for (double& coefficient : scaled) coefficient *= factor;
  return scaled;
}

template <class T>
void GradientEstimate::add_prior(std::span<T> numbers, double factor) const {
  const double scale = factor * prior_.scale;
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] += static_cast<T>(scale * (*prior_.vector)[i]);
}

template <class T>
void GradientEstimate::add(std::span<T> numbers, double factor) const {
  require_size(numbers.size());
  if (prior_.vector) add_prior(numbers, factor);
  if (draw_) draw_->add_to(scaled(factor), numbers);
}

template <class T>
void GradientEstimate::add(Parameters<T>& theta, double factor) const {
  require_size(static_cast<std::size_t>(theta.size()));
  if (prior_.vector) add_prior(theta.edit(), factor);
  if (draw_) draw_->add_to(scaled(factor), theta);
}

void GradientEstimate::add_to(std::span<float> numbers, double factor) const {
  add(numbers, factor);
}
void GradientEstimate::add_to(std::span<double> numbers, double factor) const {
  add(numbers, factor);
}
void GradientEstimate::add_to(Parameters<float>& theta, double factor) const {
  add(theta, factor);
}
void GradientEstimate::add_to(Parameters<double>& theta, double factor) const {
  add(theta, factor);
}

void GradientEstimate::materialize(std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0f);
  add(out, 1);
}
void GradientEstimate::materialize(std::span<double> out) const {
  std::fill(out.begin(), out.end(), 0.0);
  add(out, 1);
}

double GradientEstimate::entry(Index i) const {
  if (i < 0 || i >= size()) {
    throw ArgumentError(fmt::format("gradient estimate: entry {}: expected 0 to {}", i, size() - 1));
  }
  double total = prior_.vector ? prior_.scale * (*prior_.vector)[static_cast<std::size_t>(i)] : 0;
  for (Index k = 0; draw_ && k < draw_->count(); ++k) {
    double v = 0;
    draw_->fill(k, i, std::span(&v, 1));
    total += coefficients_[static_cast<std::size_t>(k)] * v;
  }
  return total;
}

double GradientEstimate::squared_norm() const {
  if (!draw_) return dot(prior_.vector->data(), prior_.vector->data(), size());
  if (!prior_.vector && draw_->count() == 1) return coefficients_[0] * coefficients_[0] * draw_->squared_norm(0);
  std::vector<double> whole(static_cast<std::size_t>(size()));
  materialize(whole);
  return dot(whole.data(), whole.data(), size());
}

NoiseEstimate estimate_noise(const Probe& probe, std::span<const double> slopes) {
  const auto count = static_cast<double>(slopes.size());
  const double squares = std::inner_product(slopes.begin(), slopes.end(), slopes.begin(), 0.0);
  const Probe::SnrRange snr = probe.snr(static_cast<Index>(slopes.size()));
  NoiseEstimate noise{.squared_norm = squares / count,
                      .confidence = kNoiseConfidence,
                      .residual_squared_norm = squares / count,
                      .snr_low = snr.low,
                      .snr_high = snr.high};
  const auto n = static_cast<double>(probe.layout().size);
  if (!probe.orthogonal()) {
    // mean(s²) has the variance (κ − 1) ‖∇‖⁴ / K, that of a χ² of 2 K / (κ − 1) degrees.
    const double degrees = 2 * count / (probe.slope_kurtosis() - 1);
    const Interval interval = degrees > 0 ? scale_interval(degrees * noise.squared_norm, degrees, kNoiseConfidence)
                                          : Interval{0, std::numeric_limits<double>::infinity()};
    noise.squared_norm_low = interval.low;
    noise.squared_norm_high = interval.high;
  } else if (count < n) {
    constexpr double kTail = (1 - kNoiseConfidence) / 2;
    noise.squared_norm_low = squares / n / beta_quantile(count / 2, (n - count) / 2, 1 - kTail);
    noise.squared_norm_high = squares / n / beta_quantile(count / 2, (n - count) / 2, kTail);
  } else {  // a whole basis: nothing is left to chance
    noise.squared_norm_low = noise.squared_norm_high = squares / n;
  }
  return noise;
}

}  // namespace slopewise
