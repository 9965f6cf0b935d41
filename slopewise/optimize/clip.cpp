#include "slopewise/optimize/clip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {

double norm_factor(double squared_norm, double limit) {
  const double norm = std::sqrt(squared_norm);
  return norm > limit ? limit / norm : 1;
}

std::vector<double> slope_factors(std::span<const double> slopes, double limit) {
  if (!(limit > 0))
    throw ArgumentError(fmt::format("slope clipping: limit: expected a number above 0, found {}", limit));
  std::vector<double> factors;
  for (const double slope : slopes) factors.push_back(std::abs(slope) > limit ? limit / std::abs(slope) : 1);
  return factors;
}

SlopeQuantile::SlopeQuantile(double quantile, double pace) : quantile_(quantile), pace_(pace) {
  const auto require = [](std::string_view name, double value) {
    if (!(value > 0 && value < 1))
      throw ArgumentError(fmt::format("slope clipping: {}: expected a number between 0 and 1, found {}", name, value));
  };
  require("quantile", quantile);
  require("pace", pace);
}

void SlopeQuantile::watch(std::span<const double> slopes) {
  double largest = 0;
  for (std::size_t k = 0; k < slopes.size(); ++k) {
    if (!std::isfinite(slopes[k]))
      throw NumericError(fmt::format("slope clipping: slope {}: expected a finite number, found {}", k, slopes[k]));
    largest = std::max(largest, std::abs(slopes[k]));
  }
  seen_ += static_cast<Index>(slopes.size());
  double& limit = state_[0].values[0];
  if (std::isinf(limit)) {
    if (largest > 0) limit = largest;
    return;
  }
  for (const double slope : slopes) limit *= std::exp(pace_ * ((std::abs(slope) > limit ? 1 : 0) - (1 - quantile_)));
}

void SlopeQuantile::restore(const StateView<double>& state) {
  detail::copy_state("slope clipping", state, state_);
  seen_ = state.steps;
}

}  // namespace slopewise
