#include "slopewise/estimate/estimator.hpp"

#include "slopewise/tensor/vector.hpp"

namespace slopewise {

std::vector<double> Prediction::mean(const GradientView& gradient) const {
  return {gradient.values().begin(), gradient.values().end()};
}

double Prediction::mean_factor(const GradientView& gradient) const {
  const std::vector<double> expected = mean(gradient);
  return dot(expected.data(), gradient.values().data(), gradient.size()) / gradient.squared_norm();
}

}  // namespace slopewise
