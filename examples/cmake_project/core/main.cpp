// Rosenbrock's function at (-1, 2): its exact gradient, and the slope along a direction of it.
#include <cstdio>
#include <vector>

#include "slopewise/base/version.hpp"
#include "slopewise/dual/derivatives.hpp"

int main() {
  const auto rosenbrock = []<class S>(std::span<const S> x) {
    return (1.0 - x[0]) * (1.0 - x[0]) + 100.0 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]);
  };
  const std::vector<double> x{-1, 2}, v{1, 1};
  const auto [value, gradient] = slopewise::gradient(rosenbrock, x);
  const auto along = slopewise::slope(rosenbrock, x, v);
  std::printf("Slopewise %s\nvalue %g, gradient (%g, %g), slope along (1, 1) %g\n", slopewise::version(), value, gradient[0],
              gradient[1], along.slope);
  return along.slope == gradient[0] + gradient[1] ? 0 : 1;
}
