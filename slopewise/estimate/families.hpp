// The estimators one by one; make_estimator (estimator.hpp) picks one by name.
#pragma once

#include "slopewise/estimate/along_tangents.hpp"
#include "slopewise/estimate/estimator.hpp"

namespace slopewise {

template <class T>
std::unique_ptr<Estimator<T>> forward_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> frame_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> central_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> projection_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> exact_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> shrunk_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> blocks_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> momentum_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> momentum_fitted_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> momentum_tangent_estimator(const ParameterLayout& layout,
                                                         const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> block_scales_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> entry_scales_estimator(const ParameterLayout& layout, const EstimatorOptions& options);
template <class T>
std::unique_ptr<Estimator<T>> guided_estimator(const ParameterLayout& layout, const EstimatorOptions& options);

}  // namespace slopewise
