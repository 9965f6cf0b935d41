// Objectives that optimisers are tried on, as generic callables for derivatives.hpp. Each states its domain and its
// minimum; each throws ArgumentError if the point has the wrong number of entries.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "slopewise/dual/functions.hpp"

namespace slopewise {
namespace detail {

// Throw ArgumentError unless a point's size is, or is at least, what the function takes.
void check_dimension(std::string_view function, std::size_t size, std::size_t expected);
void check_least_dimension(std::string_view function, std::size_t size, std::size_t least);

}  // namespace detail

// Beale (1958): (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)² on [−4.5, 4.5]²; its only minimum there is 0
// at (3, 1/2).
struct Beale {
  static constexpr std::string_view name = "beale";
  std::vector<double> minimum() const { return {3.0, 0.5}; }

  template <class S>
  S operator()(std::span<const S> point) const {
    detail::check_dimension(name, point.size(), 2);
    const S& x = point[0];
    const S& y = point[1];
    const S a = 1.5 - x + x * y;
    const S b = 2.25 - x + x * y * y;
    const S c = 2.625 - x + x * y * y * y;
    return a * a + b * b + c * c;
  }
};

// Rosenbrock (1960) in n ≥ 2 dimensions: Σᵢ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)² over i = 1…n−1, on all of Rⁿ. The global
// minimum is 0 at (1, …, 1); for n ≥ 4 there is a second, local one near (−1, 1, …, 1).
struct Rosenbrock {
  static constexpr std::string_view name = "rosenbrock";
  std::vector<double> minimum(std::size_t n) const { return std::vector<double>(n, 1.0); }

  template <class S>
  S operator()(std::span<const S> x) const {
    detail::check_least_dimension(name, x.size(), 2);
    S sum = 0;
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      const S valley = x[i + 1] - x[i] * x[i];
      const S along = 1 - x[i];
      sum += 100 * (valley * valley) + along * along;
    }
    return sum;
  }
};

// Styblinski and Tang (1990) in n ≥ 1 dimensions: ½ Σᵢ xᵢ⁴ − 16 xᵢ² + 5 xᵢ on [−5, 5]ⁿ. Its minimum is n ·
// kMinimumPerEntry with every entry kMinimumEntry, the lowest root of 4x³ − 32x + 5.
struct StyblinskiTang {
  static constexpr std::string_view name = "styblinski-tang";
  static constexpr double kMinimumEntry = -2.9035340277711771;
  static constexpr double kMinimumPerEntry = -39.166165703771419;
  std::vector<double> minimum(std::size_t n) const { return std::vector<double>(n, kMinimumEntry); }

  template <class S>
  S operator()(std::span<const S> x) const {
    detail::check_least_dimension(name, x.size(), 1);
    S sum = 0;
    for (const S& entry : x) {
      const S square = entry * entry;
      sum += square * square - 16 * square + 5 * entry;
    }
    return 0.5 * sum;
  }
};

// The fit of a damped pendulum, φ″ = −p₀ sin φ − p₁ φ′, to the angles it was seen at: the mean squared error, in rad²,
// of the angles that parameters p give. p₀ is the squared frequency g/ℓ in 1/s², p₁ the damping in 1/s, both ≥ 0.
// Fourth-order Runge–Kutta steps; the observations come from the same integrator at the true parameters, so the minimum
// is 0 there.
class PendulumFit {
 public:
  static constexpr std::string_view name = "pendulum";
  static constexpr double kStartAngle = 2.0;  // rad, far from the small-angle regime; released at rest
  static constexpr double kStep = 0.05;       // s
  static constexpr int kSteps = 200;
  static constexpr int kStepsPerObservation = 4;

  explicit PendulumFit(double squared_frequency = 4.0, double damping = 0.3)
      : truth_{squared_frequency, damping}, observed_(angles<double>(truth_)) {}

  const std::vector<double>& minimum() const { return truth_; }
  const std::vector<double>& observed() const { return observed_; }

  template <class S>
  S operator()(std::span<const S> parameters) const {
    detail::check_dimension(name, parameters.size(), 2);
    const std::vector<S> predicted = angles(parameters);
    S sum = 0;
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      const S error = predicted[i] - observed_[i];
      sum += error * error;
    }
    return sum / static_cast<double>(predicted.size());
  }

 private:
  template <class S>
  struct State {
    S angle;
    S speed;
    State moved(const State& rate, double time) const { return {angle + rate.angle * time, speed + rate.speed * time}; }
  };

  // The angles at every kStepsPerObservation-th step.
  template <class S>
  static std::vector<S> angles(std::span<const S> parameters) {
    using std::sin;
    const auto rate = [&](const State<S>& at) {
      return State<S>{at.speed, -parameters[0] * sin(at.angle) - parameters[1] * at.speed};
    };
    std::vector<S> seen;
    State<S> now{kStartAngle, 0.0};
    for (int step = 1; step <= kSteps; ++step) {
      const State<S> k1 = rate(now);
      const State<S> k2 = rate(now.moved(k1, kStep / 2));
      const State<S> k3 = rate(now.moved(k2, kStep / 2));
      const State<S> k4 = rate(now.moved(k3, kStep));
      now = now.moved(k1, kStep / 6).moved(k2, kStep / 3).moved(k3, kStep / 3).moved(k4, kStep / 6);
      if (step % kStepsPerObservation == 0) seen.push_back(now.angle);
    }
    return seen;
  }

  std::vector<double> truth_;
  std::vector<double> observed_;
};

}  // namespace slopewise
