// A draw whose tangents are held whole.
#pragma once

#include <memory>

#include "slopewise/probe/probe.hpp"

namespace slopewise {

// The tangents as they are held, matrices by their factors. Throws ArgumentError for tangents that are drawn.
std::shared_ptr<const Draw> factor_draw(Tangents<float> tangents);

}  // namespace slopewise
