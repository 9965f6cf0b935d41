// Adds an op from outside the library: one rule gives its value, K tangents at once, second-order terms and pullback;
// the checker proves them against each other; then it is used like any other.
#include <cmath>
#include <cstdio>
#include <vector>

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/program/check.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/elementwise.hpp"

namespace sw = slopewise;

// sine: y = sin(ω x).  y′ = ω cos(ω x),  y″ = −ω² y.  The unit of SIREN (Sitzmann et al. 2020, arXiv 2006.09661).
struct Sine {
  static constexpr std::string_view kName = "sine";
  double frequency;
  template <class V>
  sw::Local<V> local(V x) const {
    const V omega = static_cast<V>(frequency);
    const V y = std::sin(omega * x);
    return {.value = y, .slope = omega * std::cos(omega * x), .curvature = -omega * omega * y};
  }
};

sw::Node sine(const sw::Node& x, double frequency) {
  return sw::unary(x, Sine{frequency});
}

// Registered, the op is one of those that `op_registry` lists, each with programs that exercise it.
bool register_and_check() {
  sw::register_op(
      {.name = "sine",
       .examples = {
           {.description = "vector", .input = {7}, .build = [](const sw::Node& x) { return sine(x, 1); }},
           {.description = "faster", .input = {2, 3}, .build = [](const sw::Node& x) { return sine(x, 2.5); }}}});
  bool passed = true;
  for (const sw::OpExample& example : sw::op_registry().back().examples) {
    const sw::CheckReport report = sw::check_op(example);
    std::printf("sine, %s: %zu comparisons\n%s", example.description.c_str(), report.lines.size(),
                report.passed() ? "" : report.to_string().c_str());
    passed = passed && report.passed();
  }
  return passed;
}

int main() {
  const bool passed = register_and_check();

  // A network of sines learns one period of a triangle wave.
  sw::Builder build;
  const sw::Node x = build.input("x", {1});
  const sw::Node target = build.input("target", {1});
  const sw::Program program(mean_squared_error(linear(sine(linear(x, 16), 2), 1), target));

  constexpr sw::Index kPoints = 64;
  std::vector<double> xs, ys;
  for (sw::Index i = 0; i < kPoints; ++i) {
    xs.push_back(-1 + 2.0 * static_cast<double>(i) / kPoints);
    ys.push_back(2 * std::abs(xs.back()) - 1);
  }
  sw::ProgramObjective<double> objective(
      program, {.rows = kPoints, .inputs = {std::span<const double>(xs), std::span<const double>(ys)}});
  sw::Parameters<double> theta = sw::initialize<double>(program.layout(), 1);
  const auto estimator = sw::make_estimator<double>("forward", program.layout(), {.law = "rademacher", .tangents = 4});
  const double before = objective.loss(theta);
  for (std::uint32_t step = 0; step < 2000; ++step) estimator->estimate(objective, theta, step).add_to(theta, -5e-3);
  const double after = objective.loss(theta);
  std::printf("loss %.3g, after 2000 forward gradients %.3g\n", before, after);
  return passed && after < before / 20 ? 0 : 1;
}
