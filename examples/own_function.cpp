// Fits the parameters of a simulator with forward gradients, and says at each step how far the gradient can be trusted.
//
// The simulator is ordinary C++, written once for any number type S. Called with doubles it simulates; called with dual
// numbers it also carries the slope of every intermediate along a direction, exactly and with no backward pass.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/objective/function_objective.hpp"

namespace sw = slopewise;

// The angle of a damped pendulum, angle″ = −stiffness sin(angle) − damping angle′, every 0.1 s for 5 s (semi-implicit
// Euler). Parameters: stiffness, damping, angle and speed at the start.
template <class S>
std::vector<S> simulate(std::span<const S> parameters) {
  using std::sin;  // for doubles; duals bring their own
  constexpr double kStep = 0.02;
  S angle = parameters[2];
  S speed = parameters[3];
  std::vector<S> seen;
  for (int step = 1; step <= 250; ++step) {
    speed -= kStep * (parameters[0] * sin(angle) + parameters[1] * speed);
    angle += kStep * speed;
    if (step % 5 == 0) seen.push_back(angle);
  }
  return seen;
}

int main() {
  const std::vector<double> truth{4.0, 0.3, 1.2, -0.5};
  const std::vector<double> observed = simulate<double>(truth);
  const auto misfit = [&observed]<class S>(std::span<const S> parameters) {
    const std::vector<S> predicted = simulate(parameters);
    S sum = 0.0;
    for (std::size_t i = 0; i < observed.size(); ++i) {
      const S error = predicted[i] - observed[i];
      sum += error * error;
    }
    return sum / static_cast<double>(observed.size());
  };

  sw::FunctionObjective objective(misfit, 4);
  sw::Parameters<double> theta({3.0, 0.6, 0.8, 0.0});
  const auto estimator = sw::make_estimator<double>("forward", objective.layout(), {.law = "gaussian", .tangents = 2});

  constexpr int kSteps = 2000;
  constexpr double kRate = 0.1;
  int covered = 0;
  std::vector<double> exact(truth.size());
  std::puts("step  loss       |gradient|  95 % interval         SNR");
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    const sw::GradientEstimate gradient = estimator->estimate(objective, theta, step);

    // The error bar comes from the slopes alone; the exact gradient, cheap here, shows whether it keeps its word.
    const sw::NoiseEstimate& noise = gradient.noise();
    objective.gradient(theta, exact);
    double squared_norm = 0;
    for (const double entry : exact) squared_norm += entry * entry;
    covered += noise.squared_norm_low <= squared_norm && squared_norm <= noise.squared_norm_high;

    if (step % 200 == 0) {
      std::printf("%4u  %-9.3g  %-10.3g  [%-7.2g, %-7.2g]    %.2f\n", step, gradient.loss(),
                  std::sqrt(noise.squared_norm), std::sqrt(noise.squared_norm_low), std::sqrt(noise.squared_norm_high),
                  noise.snr_low);
    }
    gradient.add_to(theta, -kRate);
  }

  double error = 0;
  std::puts("\nparameter  found     truth");
  for (std::size_t i = 0; i < truth.size(); ++i) {
    std::printf("%-9zu  %-8.4f  %.4f\n", i, theta.values()[i], truth[i]);
    error = std::max(error, std::abs(theta.values()[i] - truth[i]));
  }
  const double coverage = static_cast<double>(covered) / kSteps;
  std::printf("the interval held the exact |gradient| in %.1f %% of %d steps\n", 100 * coverage, kSteps);

  // A function known only by its values: the same tangents, slopes by central differences.
  sw::BlackBoxObjective black_box([&](std::span<const double> parameters) { return misfit(parameters); }, 4);
  sw::Parameters<double> start({3.0, 0.6, 0.8, 0.0});
  const double slope = estimator->estimate(objective, start, 0).slopes()[0];
  const double by_differences = estimator->estimate(black_box, start, 0).slopes()[0];
  std::printf("slope along one tangent: %.9f exact, %.9f from values alone\n", slope, by_differences);

  // 0.025 is five standard deviations of the coverage of 2000 intervals.
  const bool holds = error < 1e-2 && std::abs(coverage - 0.95) < 0.025 && std::abs(slope - by_differences) < 1e-7;
  return holds ? 0 : 1;
}
