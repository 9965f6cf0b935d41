// A small program with examples, on which estimators are tried.
#pragma once

#include <vector>

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/program/ops.hpp"
#include "tests/support.hpp"

namespace slopewise {

// A multilayer perceptron 3-4-3 with tanh and n = 31 parameters, bound to five examples.
template <class T>
class SmallProblem {
 public:
  SmallProblem()
      : program_(make()),
        x_(random_vector<T>(5 * 3, 3)),
        objective_(program_, batch()),
        theta_(initialize<T>(program_.layout(), 2)) {}
  SmallProblem(const SmallProblem&) = delete;
  SmallProblem& operator=(const SmallProblem&) = delete;

  ProgramObjective<T>& objective() { return objective_; }
  const Parameters<T>& theta() const { return theta_; }
  const ParameterLayout& layout() const { return program_.layout(); }
  std::vector<double> gradient() {
    std::vector<T> found(static_cast<std::size_t>(program_.size()));
    objective_.gradient(theta_, found);
    return {found.begin(), found.end()};
  }

 private:
  static Program make() {
    const Node h = tanh(linear(Builder().input("x", {3}), 4));
    return Program(cross_entropy(linear(h, 3), Builder(h).indices("label", {})));
  }
  Batch<T> batch() const {
    return {.rows = 5, .inputs = {std::span<const T>(x_), std::span<const std::int32_t>(labels_)}};
  }

  Program program_;
  std::vector<T> x_;
  std::vector<std::int32_t> labels_{0, 1, 2, 2, 0};
  ProgramObjective<T> objective_;
  Parameters<T> theta_;
};

// A loss with the small problem's gradient everywhere: all that the law of an estimate depends on, for a fraction of
// the time that a run of the program takes.
class LinearProblem final : public Objective<double> {
 public:
  explicit LinearProblem(SmallProblem<double>& problem)
      : layout_(problem.layout()), gradient_(problem.gradient()), tangent_(gradient_.size()) {}
  const ParameterLayout& layout() const override { return layout_; }
  double loss(const Parameters<double>& theta) override { return inner_product<double>(theta.values(), gradient_); }
  Slopes slopes(const Parameters<double>& theta, const Tangents<double>& tangents) override {
    Slopes found{.loss = loss(theta)};
    for (Index k = 0; k < tangents.count(); ++k) {
      tangents.expand(k, std::span(tangent_));
      found.slopes.push_back(inner_product<double>(tangent_, gradient_));
    }
    return found;
  }
  double gradient(const Parameters<double>& theta, std::span<double> out) override {
    std::copy(gradient_.begin(), gradient_.end(), out.begin());
    return loss(theta);
  }

 private:
  ParameterLayout layout_;
  std::vector<double> gradient_, tangent_;
};

// Has an estimator learn from some of its own estimates.
template <class T>
void learn_some(Estimator<T>& estimator, SmallProblem<T>& problem) {
  for (std::uint32_t step = 0; step < 12; ++step)
    estimator.learn(estimator.estimate(problem.objective(), problem.theta(), 1'000'000 + step));
}

}  // namespace slopewise
