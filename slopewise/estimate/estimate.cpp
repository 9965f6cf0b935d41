#include "slopewise/estimate/estimate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "slopewise/statistics/intervals.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

GradientEstimate::GradientEstimate(Slopes found, std::vector<double> coefficients, std::shared_ptr<const Draw> draw,
                                   NoiseEstimate noise, PriorTerm prior, std::vector<double> block_slopes)
    : found_(std::move(found)),
      coefficients_(std::move(coefficients)),
      draw_(std::move(draw)),
      prior_(std::move(prior)),
      block_slopes_(std::move(block_slopes)),
      noise_(noise) {
  if (prior_.vector) require_size(prior_.vector->size());
}

template <class T>
GradientEstimate::GradientEstimate(double loss, std::shared_ptr<const DenseGradient<T>> gradient)
    : found_{.loss = loss, .slopes = {}} {
  const double square = gradient->squared_norm();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  noise_ = {.squared_norm = square,
            .squared_norm_low = square,
            .squared_norm_high = square,
            .confidence = 1,
            .residual_squared_norm = 0,
            .snr_low = kInfinity,
            .snr_high = kInfinity};
  append(std::move(gradient));
}

template <class T>
GradientEstimate::GradientEstimate(double loss, std::shared_ptr<const DenseGradient<T>> gradient, NoiseEstimate noise,
                                   std::vector<ActivityNoise> activities, double activity_variance)
    : found_{.loss = loss, .slopes = {}},
      activities_(std::move(activities)),
      activity_variance_(activity_variance),
      noise_(noise) {
  append(std::move(gradient));
}

template <class T>
void GradientEstimate::append(std::shared_ptr<const DenseGradient<T>> rest) {
  if (floats_ || doubles_) throw ArgumentError("gradient estimate: expected one dense part, found a second one");
  if constexpr (std::is_same_v<T, float>) {
    floats_ = std::move(rest);
  } else {
    doubles_ = std::move(rest);
  }
}

GradientEstimate GradientEstimate::without_rest() const {
  GradientEstimate estimate = *this;
  estimate.floats_.reset();
  estimate.doubles_.reset();
  return estimate;
}

std::optional<double> GradientEstimate::slope() const {
  if (!activities_.empty()) {
    double signal = 0;
    for (const ActivityNoise& noise : activities_) signal += noise.signal;
    return std::sqrt(signal);
  }
  if (slopes().empty()) return std::nullopt;
  return std::sqrt(std::inner_product(slopes().begin(), slopes().end(), slopes().begin(), 0.0) /
                   static_cast<double>(slopes().size()));
}

Index GradientEstimate::implicit_size() const {
  return draw_ ? draw_->layout().size : 0;
}

Index GradientEstimate::size() const {
  return implicit_size() + (floats_ ? floats_->size() : doubles_ ? doubles_->size() : 0);
}

// Tangents are finite, so only coefficients and dense parts are looked at.
bool GradientEstimate::finite() const {
  const auto all_finite = [](const std::vector<double>& numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); });
  };
  return all_finite(coefficients_) && (!prior_.vector || (std::isfinite(prior_.scale) && all_finite(*prior_.vector))) &&
         (!floats_ || floats_->finite()) && (!doubles_ || doubles_->finite());
}

void GradientEstimate::scale_coefficients(std::span<const double> factors) {
  if (factors.size() != coefficients_.size()) {
    throw ShapeError(
        fmt::format("gradient estimate: expected {} factors, found {}", coefficients_.size(), factors.size()));
  }
  for (std::size_t k = 0; k < factors.size(); ++k) coefficients_[k] *= factors[k];
  clipped_ += std::ranges::count_if(factors, [](double factor) { return factor < 1; });
}

void GradientEstimate::scale(double factor) {
  for (double& coefficient : coefficients_) coefficient *= factor;
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
void GradientEstimate::add(std::span<T> numbers, double factor) const {
  require_size(numbers.size());
  const std::span<T> body = numbers.first(static_cast<std::size_t>(implicit_size()));
  const std::span<T> rest = numbers.subspan(body.size());
  const double scale = factor * prior_.scale;
  for (std::size_t i = 0; prior_.vector && i < body.size(); ++i) body[i] += static_cast<T>(scale * (*prior_.vector)[i]);
  if (draw_) draw_->add_to(scaled(factor), body);
  if (floats_) floats_->add_to(rest, factor);
  if (doubles_) doubles_->add_to(rest, factor);
}

template <class T>
void GradientEstimate::add(Parameters<T>& theta, double factor) const {
  require_size(static_cast<std::size_t>(theta.size()));
  const Index body = implicit_size();
  if (prior_.vector) {
    theta.add(0, body, static_cast<T>(factor * prior_.scale), [&](Index first, Index count, T* scratch) {
      const double* from = prior_.vector->data() + first;
      std::transform(from, from + count, scratch, [](double entry) { return static_cast<T>(entry); });
      return static_cast<const T*>(scratch);
    });
  }
  if (draw_) draw_->add_to(scaled(factor), theta);
  if (floats_) floats_->add_to(theta, body, factor);
  if (doubles_) doubles_->add_to(theta, body, factor);
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

std::span<const float> GradientEstimate::held_floats() const {
  return floats_ && implicit_size() == 0 ? floats_->values() : std::span<const float>();
}
std::span<const double> GradientEstimate::held_doubles() const {
  return doubles_ && implicit_size() == 0 ? doubles_->values() : std::span<const double>();
}

double GradientEstimate::entry(Index i) const {
  if (i < 0 || i >= size()) {
    throw ArgumentError(fmt::format("gradient estimate: entry {}: expected 0 to {}", i, size() - 1));
  }
  if (const Index in_rest = i - implicit_size(); in_rest >= 0)
    return floats_ ? floats_->entry(in_rest) : doubles_->entry(in_rest);
  double total = prior_.vector ? prior_.scale * (*prior_.vector)[i] : 0;
  for (Index k = 0; k < draw_->count(); ++k) {
    double v = 0;
    draw_->fill(k, i, std::span(&v, 1));
    total += coefficients_[k] * v;
  }
  return total;
}

double GradientEstimate::squared_norm() const {
  const double rest = floats_ ? floats_->squared_norm() : doubles_ ? doubles_->squared_norm() : 0;
  if (!draw_) return rest;
  if (!prior_.vector && draw_->count() == 1) return coefficients_[0] * coefficients_[0] * draw_->squared_norm(0) + rest;
  std::vector<double> whole(static_cast<std::size_t>(size()));
  materialize(whole);
  return dot(whole.data(), whole.data(), size());
}

template GradientEstimate::GradientEstimate(double, std::shared_ptr<const DenseGradient<float>>);
template GradientEstimate::GradientEstimate(double, std::shared_ptr<const DenseGradient<double>>);
template GradientEstimate::GradientEstimate(double, std::shared_ptr<const DenseGradient<float>>, NoiseEstimate,
                                            std::vector<ActivityNoise>, double);
template GradientEstimate::GradientEstimate(double, std::shared_ptr<const DenseGradient<double>>, NoiseEstimate,
                                            std::vector<ActivityNoise>, double);
template void GradientEstimate::append(std::shared_ptr<const DenseGradient<float>>);
template void GradientEstimate::append(std::shared_ptr<const DenseGradient<double>>);

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
