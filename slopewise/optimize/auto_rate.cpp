#include "slopewise/optimize/auto_rate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// The faster of two running means of curvature looks back over this share of the slower one's memory.
constexpr double kFastShare = 0.1;

void require(bool holds, std::string_view option, std::string_view expected, double found) {
  if (!holds) throw ArgumentError(fmt::format("automatic rate: {}: expected {}, found {}", option, expected, found));
}

void require_finite(std::string_view name, std::span<const double> numbers) {
  for (const double number : numbers) {
    if (!std::isfinite(number))
      throw NumericError(fmt::format("automatic rate: {}: expected a finite number, found {}", name, number));
  }
}

// The mean of `count` numbers, the last of them `newest`; from `memory` numbers on a running one.
void move(double& mean, double newest, double count, double memory) {
  mean += (newest - mean) / std::min(count, memory);
}

}  // namespace

AutoRate::AutoRate(const AutoRateOptions& options) : options_(options) {
  require(options.safety > 0 && options.safety < 2, "safety", "a number between 0 and 2", options.safety);
  require(options.warm_up >= 0, "warm_up", "at least 0", static_cast<double>(options.warm_up));
  require(options.slope_memory >= 1, "slope_memory", "at least 1", static_cast<double>(options.slope_memory));
  require(options.curvature_memory >= 1, "curvature_memory", "at least 1",
          static_cast<double>(options.curvature_memory));
  require(options.spike > 1, "spike", "a number above 1", options.spike);
}

double AutoRate::clipped(double slope) const {
  return std::clamp(slope, -limit(), limit());
}

void AutoRate::watch_curvature(std::span<const double> slopes, std::span<const double> curvatures) {
  if (slopes.empty() || slopes.size() != curvatures.size()) {
    throw ShapeError(fmt::format("automatic rate: expected a curvature for each of at least one slope, found {} and {}",
                                 curvatures.size(), slopes.size()));
  }
  require_finite("slope", slopes);
  require_finite("curvature", curvatures);
  const auto count = static_cast<double>(slopes.size());
  double square = 0, product = 0, trace = 0;
  for (std::size_t k = 0; k < slopes.size(); ++k) {
    const double s = clipped(slopes[k]);
    square += s * s / count;
    product += s * s * curvatures[k] / count;
    trace += curvatures[k] / count;
  }
  const double seen = ++curvature(kCount);
  const auto memory = static_cast<double>(options_.curvature_memory);
  const double fast = std::max(kFastShare * memory, 1.0);
  move(curvature(kTrace), trace, seen, memory);
  move(curvature(kSquareSlow), square, seen, memory);
  move(curvature(kProductSlow), product, seen, memory);
  move(curvature(kSquareFast), square, seen, fast);
  move(curvature(kProductFast), product, seen, fast);
}

void AutoRate::watch(std::span<const double> slopes, std::span<const double> example_squares, Index examples) {
  const std::size_t count = slopes.size();
  if (count == 0 || (!example_squares.empty() && example_squares.size() != count)) {
    throw ShapeError(
        fmt::format("automatic rate: expected a mean square of examples beside each of at least one slope, "
                    "found {} and {}",
                    example_squares.size(), count));
  }
  require_finite("slope", slopes);
  double square = 0, signal = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const double s = clipped(slopes[k]);
    square += s * s / static_cast<double>(count);
    double whole = slopes[k] * slopes[k];
    if (!example_squares.empty() && examples > 1) {
      // Of Σ_b s_b = B s: the mean of s_b s_b′ over b ≠ b′.
      const auto size = static_cast<double>(examples);
      whole = (size * whole - example_squares[k]) / (size - 1);
    }
    // Bounded on both sides: a factor that only long slopes have would take more from the positive products.
    signal += std::clamp(whole, -limit() * limit(), limit() * limit()) / static_cast<double>(count);
  }
  const auto seen = static_cast<double>(++steps_);
  const auto memory = static_cast<double>(options_.slope_memory);
  move(slope(kSquare), square, seen, memory);
  move(slope(kSignal), signal, seen, memory);
}

// E[gᵀHg]/E‖∇_B‖².
double AutoRate::curvature_met(Index tangents) const {
  const double slow = curvature(kProductSlow) / curvature(kSquareSlow);
  const double met = std::max(slow, curvature(kProductFast) / curvature(kSquareFast));
  // ∇_BᵀH∇_B/‖∇_B‖²: 0 at least and, as it is no more than tr H, at most a third of tr H + 2 ∇_BᵀH∇_B/‖∇_B‖².
  const double along = std::clamp((slow - trace()) / 2, 0.0, std::max(slow / 3, 0.0));
  const double each = 1 / static_cast<double>(tangents);
  return each * met + (1 - each) * along;
}

double AutoRate::rate(Index tangents) const {
  if (steps_ == 0 || !(curvature(kSquareSlow) > 0) || !(curvature(kSquareFast) > 0)) return 0;
  const double met = curvature_met(tangents);
  if (!(met > 0)) return 0;
  const double begun = static_cast<double>(steps_) / static_cast<double>(options_.warm_up + 1);
  return std::min(begun, 1.0) * options_.safety * signal_share() / met;
}

StepOutlook AutoRate::outlook(Index tangents) const {
  if (rate(tangents) == 0) return {};
  return {.signal = signal_share() * squared_slope(), .bend = curvature_met(tangents) * squared_slope()};
}

double AutoRate::limit() const {
  return steps_ > 0 && slope(kSquare) > 0 ? options_.spike * std::sqrt(slope(kSquare))
                                          : std::numeric_limits<double>::infinity();
}

double AutoRate::trace() const {
  return curvature(kCount) > 0 ? curvature(kTrace) : kNaN;
}
double AutoRate::squared_slope() const {
  return steps_ > 0 ? slope(kSquare) : kNaN;
}
double AutoRate::signal_share() const {
  if (!(squared_slope() > 0)) return kNaN;
  const double error = std::sqrt(2 / static_cast<double>(std::min(steps_, options_.slope_memory)));
  return std::clamp(slope(kSignal) / slope(kSquare), std::min(error, 1.0), 1.0);
}

void AutoRate::restore(const StateView<double>& state) {
  detail::copy_state("automatic rate", state, memory_);
  steps_ = state.steps;
}

}  // namespace slopewise
