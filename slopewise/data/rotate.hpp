// Turned images: a shift of the data that a trained network can be asked to follow.
#pragma once

#include "slopewise/data/dataset.hpp"

namespace slopewise {

// Turns every image counterclockwise about its centre by `degrees`, with bilinear interpolation; what comes from
// outside is 0. The turned images are held in memory, bytes as bytes. Throws ArgumentError for rows of a table.
void rotate_images(Dataset& dataset, double degrees);

}  // namespace slopewise
