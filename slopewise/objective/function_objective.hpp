// Any C++ function of a vector as an objective: a generic callable, whose slopes are exact (dual/derivatives.hpp), or a
// black box that only gives values.
#pragma once

#include <cmath>
#include <functional>
#include <string>

#include "slopewise/dual/derivatives.hpp"
#include "slopewise/objective/objective.hpp"

namespace slopewise {
namespace detail {

// Throws ShapeError unless θ has n entries.
void check_point(std::string_view what, Index n, Index found);
// Returns the number; throws NumericError, saying what it is, if it is NaN or infinite.
double checked_finite(std::string_view what, double number);
// The tangents as a row-major (K, n) array.
std::vector<double> expand_all(const Tangents<double>& tangents);

}  // namespace detail

// `F` takes std::span<const S> and returns S, for S = double and for Dual.
template <class F>
class FunctionObjective final : public Objective<double> {
 public:
  FunctionObjective(F function, Index n) : function_(std::move(function)), layout_(ParameterLayout::vector(n)) {
    detail::Generic<F>();
  }

  const ParameterLayout& layout() const override { return layout_; }
  double loss(const Parameters<double>& parameters) override {
    detail::check_point("function", layout_.size, parameters.size());
    return detail::checked_finite("the function's value", function_(parameters.values()));
  }
  Slopes slopes(const Parameters<double>& parameters, const Tangents<double>& tangents) override {
    detail::check_point("function", layout_.size, parameters.size());
    detail::check_point("function's tangents", layout_.size, tangents.layout().size);
    ValueAndSlopes found = slopewise::slopes(function_, parameters.values(), detail::expand_all(tangents));
    for (const double slope : found.slopes) detail::checked_finite("the function's slope", slope);
    return {.loss = detail::checked_finite("the function's value", found.value), .slopes = std::move(found.slopes)};
  }
  double gradient(const Parameters<double>& parameters, std::span<double> out) override {
    detail::check_point("function", layout_.size, parameters.size());
    detail::check_point("function's gradient", layout_.size, static_cast<Index>(out.size()));
    const ValueAndGradient found = slopewise::gradient(function_, parameters.values());
    for (const double entry : found.gradient) detail::checked_finite("an entry of the function's gradient", entry);
    std::copy(found.gradient.begin(), found.gradient.end(), out.begin());
    return detail::checked_finite("the function's value", found.value);
  }

 private:
  F function_;
  ParameterLayout layout_;
};

// Values only; slopes are central differences of step `epsilon`, and there is no exact gradient.
class BlackBoxObjective final : public Objective<double> {
 public:
  BlackBoxObjective(std::function<double(std::span<const double>)> function, Index n, double epsilon = 1e-5);

  const ParameterLayout& layout() const override { return layout_; }
  double loss(const Parameters<double>& parameters) override;
  Slopes slopes(const Parameters<double>& parameters, const Tangents<double>& tangents) override;
  double gradient(const Parameters<double>& parameters, std::span<double> out) override;
  bool has_gradient() const override { return false; }

 private:
  std::function<double(std::span<const double>)> function_;
  ParameterLayout layout_;
  double epsilon_;
};

}  // namespace slopewise
