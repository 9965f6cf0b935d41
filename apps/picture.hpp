// Images in a terminal.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "slopewise/data/dataset.hpp"

namespace slopewise {

// The images at `indices` side by side, as many to a row as `width` columns hold, each under its label. A character
// stands for one column and two rows of pixels, or of blocks of pixels where an image is wider than 32 or the screen or
// higher than 64: a half block in 24-bit colours or, without colour, one of ten ASCII characters, lighter for more. Of
// three channels or more the first three are red, green and blue; of fewer the first is grey.
std::string picture(const Dataset& dataset, std::span<const std::int64_t> indices, int width, bool colour);

}  // namespace slopewise
