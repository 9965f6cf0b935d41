#include "slopewise/estimate/estimator.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/along_tangents.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

std::vector<double> Prediction::mean(const GradientView& gradient) const {
  return {gradient.values().begin(), gradient.values().end()};
}

double Prediction::mean_factor(const GradientView& gradient) const {
  const std::vector<double> expected = mean(gradient);
  return dot(expected.data(), gradient.values().data(), gradient.size()) / gradient.squared_norm();
}

double Prediction::mean_cosine(const GradientView&) const {
  return std::numeric_limits<double>::quiet_NaN();
}

template <class T>
Demand Estimator<T>::demand(Objective<T>& objective) const {
  Demand demand;
  if (slopes() > 0) {
    const std::vector<TangentForm> dense(objective.layout().segments.size(), TangentForm::kDense);
    demand += objective.slopes_demand(dense, slopes());
    demand.bytes += slopes() * objective.size() * static_cast<Index>(sizeof(T));
  }
  if (losses() > 0) {
    Demand loss = objective.loss_demand();
    loss.flops *= static_cast<double>(losses());
    demand += loss;
  }
  for (const StatePart& part : state()) demand.bytes += part.bytes();
  return demand;
}

template <class T>
std::shared_ptr<const Prediction> Estimator<T>::prediction(Objective<T>&, const Parameters<T>&) {
  return {std::shared_ptr<const Prediction>(), this};  // owns nothing
}

template <class T>
void Estimator<T>::restore(const std::vector<StatePart>& state) {
  if (!state.empty())
    throw ArgumentError(fmt::format("{}: state: expected none, as nothing is learned, found some", name()));
}

void EstimatorTarget::require_sites(std::string_view estimator) const {
  if (!program)
    throw ArgumentError(fmt::format("{}: expected a program with hidden activities, found a function", estimator));
  if (sites.logits < 0) throw ArgumentError(fmt::format("{}: expected a program that says its logits", estimator));
}

namespace detail {

double mean_cosine(const Probe& probe, Index tangents, bool projected) {
  if (!std::isfinite(probe.slope_kurtosis())) return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(probe.layout().size);
  const auto k = static_cast<double>(tangents);
  const double dimensions = probe.orthogonal() || projected ? n : n + k - 1;
  // The mean of √Beta(a, b) is Γ(a + ½) Γ(a + b) / (Γ(a) Γ(a + b + ½)).
  return cosine_mean_abs(dimensions) / (tangents == 1 ? 1 : cosine_mean_abs(k));
}

}  // namespace detail

template class Estimator<float>;
template class Estimator<double>;

}  // namespace slopewise
