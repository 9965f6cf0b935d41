#include "slopewise/optimize/step_rate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// The faster of the two means of curvature goes back over this share of the slower one's looks.
constexpr double kFasterShare = 0.2;
// A change of the loss of less than this share of it is rounding for a part that matters.
constexpr double kLeastChange = 1e-5;

void require_finite(std::initializer_list<double> numbers) {
  for (const double number : numbers) {
    if (!std::isfinite(number))
      throw NumericError(fmt::format("rate of steps: expected finite losses, slopes and curvatures, found {}", number));
  }
}

}  // namespace

StepRate::StepRate(const StepRateOptions& options) : options_(options) {
  if (!(options.safety > 0 && options.safety < 2)) {
    throw ArgumentError(
        fmt::format("rate of steps: safety: expected a number between 0 and 2, found {}", options.safety));
  }
  if (options.memory < 1)
    throw ArgumentError(fmt::format("rate of steps: memory: expected at least 1, found {}", options.memory));
}

double StepRate::newest(Mean i) const {
  const double memory = static_cast<double>(options_.memory) * (i == kFastCurvature ? kFasterShare : 1);
  return 1 / std::min(static_cast<double>(looks_), std::max(memory, 1.0));
}

void StepRate::watch(const StepLook& look) {
  require_finite({look.loss, look.slope, look.curvature});
  ++looks_;
  mean(kSlope) += (look.slope - mean(kSlope)) * newest(kSlope);
  for (const Mean i : {kSlowCurvature, kFastCurvature}) mean(i) += (std::abs(look.curvature) - mean(i)) * newest(i);
  const bool bounded = looks_ <= kFirst && look.loss > 0 && look.slope > 0;
  most_ = bounded ? kMostOfLoss * look.loss / look.slope : std::numeric_limits<double>::infinity();
}

double StepRate::rate() const {
  return std::min(options_.safety * outlook().best_rate(), most_);
}

void StepRate::met(const StepLook& look, double rate, double loss) {
  require_finite({look.loss, look.slope, look.curvature, rate, loss});
  const double expected = rate * look.slope;
  if (looks_ == 0 || !(rate > 0) || std::abs(expected) < kLeastChange * std::abs(look.loss)) return;
  const double more = 2 * (expected - (look.loss - loss)) / (rate * rate) - std::abs(look.curvature);
  if (!(more > 0)) return;
  for (const Mean i : {kSlowCurvature, kFastCurvature}) mean(i) += more * newest(i);
}

StepOutlook StepRate::outlook() const {
  return {.signal = mean(kSlope), .bend = std::max(mean(kSlowCurvature), mean(kFastCurvature))};
}

void StepRate::restore(const StateView<double>& state) {
  detail::copy_state("rate of steps", state, memory_);
  looks_ = state.steps;
}

}  // namespace slopewise
