// What theory says of activity perturbation's noise on a subject, layer by layer, and what is measured.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "slopewise/estimate/activity.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {

// Why theory says nothing of an estimator of these options on the subject: it has no hidden layers, or layers of
// another kind than are known; "" where it does.
std::string why_unpredicted(const Subject& subject, const EstimatorOptions& options);
// An estimator at the subject's hidden layers.
std::unique_ptr<ActivityEstimator<float>> activity_estimator(const Subject& subject, const EstimatorOptions& options);

// tr V of each layer's part of the estimator's gradient, as predicted.
std::vector<double> layer_variances(const Subject& subject, ActivityEstimator<float>& estimator);
// Mean over the batch's examples of ‖∂loss/∂h − m‖² at each site where tangents enter, from exact gradients.
std::vector<double> squared_residuals(const Subject& subject, ActivityEstimator<float>& estimator);

// Makes the estimator of one thread; all it makes are equal.
using MakeActivityEstimator = std::function<std::unique_ptr<ActivityEstimator<float>>()>;
// Told the j-th estimate, from several threads.
using SeeEstimate = std::function<void(std::size_t j, const GradientEstimate& estimate)>;

// ‖g_l − ∇_l‖² of each layer's part of `count` estimates, with the tangents of steps from `first` on: one column a
// layer.
std::vector<std::vector<double>> squared_errors(
    const Subject& subject, const MakeActivityEstimator& make, std::uint32_t first, Index count,
    const SeeEstimate& see = [](std::size_t, const GradientEstimate&) {});

}  // namespace slopewise
