// Linear regression on four examples: a forward gradient with its error bar, and the exact gradient beside it.
#include <cmath>
#include <cstdio>
#include <vector>

#include "slopewise/base/version.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/program/ops.hpp"

namespace sw = slopewise;

int main() {
  sw::Builder build;
  const sw::Node x = build.input("x", {2});
  const sw::Node y = build.input("y", {1});
  const sw::Program program(mean_squared_error(linear(x, 1), y));

  const std::vector<double> xs{0, 0, 0, 1, 1, 0, 1, 1};
  const std::vector<double> ys{1, 3, 4, 6};
  sw::ProgramObjective<double> objective(
      program, {.rows = 4, .inputs = {std::span<const double>(xs), std::span<const double>(ys)}});
  const sw::Parameters<double> theta({0.5, -0.5, 0.25});

  std::vector<double> exact(3);
  const double loss = objective.gradient(theta, exact);
  std::printf("Slopewise %s\nloss %g\nexact gradient             %8.4f %8.4f %8.4f\n", sw::version(), loss, exact[0],
              exact[1], exact[2]);

  double distance = 0;
  for (const sw::Index tangents : {1, 3}) {
    const auto estimator = sw::make_estimator<double>("frame", program.layout(), {.tangents = tangents});
    const sw::GradientEstimate estimate = estimator->estimate(objective, theta, 0);
    std::vector<double> forward(3);
    estimate.materialize(forward);
    std::printf("along %d of 3 directions    %8.4f %8.4f %8.4f   SNR %g\n", static_cast<int>(tangents), forward[0],
                forward[1], forward[2], estimate.noise().snr_low);
    distance = std::hypot(forward[0] - exact[0], forward[1] - exact[1], forward[2] - exact[2]);
  }
  return distance < 1e-12 ? 0 : 1;  // three orthogonal slopes in three dimensions leave nothing to chance
}
