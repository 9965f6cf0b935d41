// The estimators one by one; make_estimator (estimator.hpp) picks one by name.
#pragma once

#include "slopewise/estimate/along_tangents.hpp"
#include "slopewise/estimate/estimator.hpp"

namespace slopewise {

EstimatorFamily forward_family();
EstimatorFamily shrunk_family();
EstimatorFamily projection_family();
EstimatorFamily frame_family();
EstimatorFamily central_family();
EstimatorFamily one_sided_family();
EstimatorFamily blocks_family();
EstimatorFamily momentum_family();
EstimatorFamily momentum_fitted_family();
EstimatorFamily momentum_tangent_family();
EstimatorFamily block_scales_family();
EstimatorFamily entry_scales_family();
EstimatorFamily guided_family();
EstimatorFamily input_span_family();
EstimatorFamily activities_family();
EstimatorFamily exact_family();

}  // namespace slopewise
