// Tangents and their sums by pairs: what polarisation needs to find v_iᵀHv_j from second-order terms along single
// directions.
#pragma once

#include <memory>

#include "slopewise/probe/probe.hpp"

namespace slopewise {

// v_1 … v_K and then v_i + v_j for i < j, (1, 2), (1, 3), …: K (K + 1)/2 dense tangents.
std::shared_ptr<const Draw> with_pair_sums(std::shared_ptr<const Draw> draw);

}  // namespace slopewise
