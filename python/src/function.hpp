// A Python callable as an objective: values only, slopes by central differences.
#pragma once

#include "python/src/arrays.hpp"
#include "slopewise/objective/objective.hpp"

namespace slopewise {

class PythonFunction final : public Objective<double> {
 public:
  // f(θ) takes an array (n) and returns a number; vectorised, f(points) takes (m, n) and returns (m), and the 2K + 1
  // points of K slopes are one call. Throws ArgumentError unless epsilon > 0.
  PythonFunction(py::function function, Index n, bool vectorised, double epsilon);
  ~PythonFunction() override;

  const ParameterLayout& layout() const override { return layout_; }
  double loss(const Parameters<double>& parameters) override;
  Slopes slopes(const Parameters<double>& parameters, const Tangents<double>& tangents) override;
  double gradient(const Parameters<double>& parameters, std::span<double> out) override;
  bool has_gradient() const override { return false; }

 private:
  // Values at `points` (m, n).
  std::vector<double> values(std::span<const double> points);

  py::function function_;
  ParameterLayout layout_;
  bool vectorised_;
  double epsilon_;
};

}  // namespace slopewise
