// Rosenbrock's function at (-1, 2): its exact gradient, and the slope along a direction of it; then the same as an
// objective, which gives slopes along several directions of a θ that is changed in place, and as a black box of which
// nothing is known but its values.
#include <cmath>
#include <cstdio>
#include <vector>

#include "slopewise/base/version.hpp"
#include "slopewise/dual/derivatives.hpp"
#include "slopewise/objective/function_objective.hpp"

int main() {
  const auto rosenbrock = []<class S>(std::span<const S> x) {
    return (1.0 - x[0]) * (1.0 - x[0]) + 100.0 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]);
  };
  const std::vector<double> x{-1, 2}, v{1, 1};
  const auto [value, gradient] = slopewise::gradient(rosenbrock, x);
  const auto along = slopewise::slope(rosenbrock, x, v);
  std::printf("Slopewise %s\nvalue %g, gradient (%g, %g), slope along (1, 1) %g\n", slopewise::version(), value,
              gradient[0], gradient[1], along.slope);

  slopewise::FunctionObjective objective(rosenbrock, 2);
  slopewise::BlackBoxObjective black_box(rosenbrock, 2);
  const slopewise::Parameters<double> theta(x);
  const std::vector<double> directions{1, 0, 1, 1};
  const auto tangents = slopewise::Tangents<double>::dense(objective.layout(), 2, directions);
  const slopewise::Slopes exact = objective.slopes(theta, tangents), differences = black_box.slopes(theta, tangents);
  std::printf("slopes %g and %g, by differences %g and %g\n", exact.slopes[0], exact.slopes[1], differences.slopes[0],
              differences.slopes[1]);

  const bool equal = along.slope == gradient[0] + gradient[1] && exact.slopes[0] == gradient[0] &&
                     exact.slopes[1] == along.slope && std::abs(differences.slopes[1] - along.slope) < 1e-3;
  return equal ? 0 : 1;
}
