#include "slopewise/optimize/line_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/cholesky.hpp"

namespace slopewise {
namespace {

// The first λ where even a curvature of 0 is to be damped.
constexpr double kLeastDamping = 1e-12;

void require_bound(std::string_view what, double most) {
  if (!(most > 0)) throw ArgumentError(fmt::format("{}: most: expected a number above 0, found {}", what, most));
}

void require_finite(std::string_view what, std::string_view name, std::span<const double> numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!std::isfinite(numbers[i]))
      throw NumericError(fmt::format("{}: {} {}: expected a finite number, found {}", what, name, i, numbers[i]));
  }
}

double norm(std::span<const double> x) {
  double square = 0;
  for (const double entry : x) square += entry * entry;
  return std::sqrt(square);
}

}  // namespace

double line_search_rate(double curvature, double most) {
  require_bound("line search", most);
  require_finite("line search", "curvature", std::span(&curvature, 1));
  return curvature > 0 ? std::min(1 / curvature, most) : most;
}

HyperplaneStep hyperplane_step(std::span<const double> slopes, std::span<const double> curvatures, double damping,
                               double most) {
  const std::size_t count = slopes.size();
  if (count == 0 || curvatures.size() != count * (count + 1) / 2) {
    throw ShapeError(fmt::format("hyperplane step: expected K slopes and K (K + 1)/2 curvatures, found {} and {}",
                                 count, curvatures.size()));
  }
  require_bound("hyperplane step", most);
  if (!(damping >= 0))
    throw ArgumentError(fmt::format("hyperplane step: damping: expected a number from 0 on, found {}", damping));
  require_finite("hyperplane step", "slope", slopes);
  require_finite("hyperplane step", "curvature", curvatures);

  std::vector<double> model(count * count);  // VᵀHV, lower half
  double size = 0;
  std::size_t pair = count;
  for (std::size_t i = 0; i < count; ++i) {
    model[i * count + i] = curvatures[i];
    size += std::abs(curvatures[i]) / static_cast<double>(count);
    for (std::size_t j = i + 1; j < count; ++j)
      model[j * count + i] = (curvatures[pair++] - curvatures[i] - curvatures[j]) / 2;
  }

  HyperplaneStep step{.coefficients = {}, .damping = damping * size};
  std::vector<double> lower;
  while (true) {
    std::vector<double> damped = model;
    for (std::size_t i = 0; i < count; ++i) damped[i * count + i] += step.damping;
    lower = try_cholesky(damped, static_cast<Index>(count));
    if (!lower.empty()) break;
    step.damping = std::max(10 * step.damping, kLeastDamping * std::max(size, 1.0));
  }
  step.coefficients = cholesky_solve(lower, {slopes.begin(), slopes.end()});
  const double length = norm(step.coefficients), bound = most * norm(slopes);
  if (length > bound)
    for (double& t : step.coefficients) t *= bound / length;
  return step;
}

}  // namespace slopewise
