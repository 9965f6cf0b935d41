// Draws whose tangents are those of another draw, entries multiplied by scales: v = D z with D diagonal.
#pragma once

#include <memory>
#include <vector>

#include "slopewise/probe/probe.hpp"

namespace slopewise {

// One scale for each block of the layout; the tangents keep their forms. Throws ShapeError for another number of
// scales.
std::shared_ptr<const Draw> scaled_by_block(std::shared_ptr<const Draw> draw, std::vector<double> scales);
// One scale for each entry (n); the tangents are dense. Throws ShapeError for another number of scales.
std::shared_ptr<const Draw> scaled_by_entry(std::shared_ptr<const Draw> draw,
                                            std::shared_ptr<const std::vector<double>> scales);

}  // namespace slopewise
