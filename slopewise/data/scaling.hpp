// How stored numbers are brought to where networks learn: near 0, about 1 wide.
#pragma once

#include <optional>

#include "slopewise/data/dataset.hpp"

namespace slopewise {

// The scaling for sets like `train`. Without a `rule`: a table's columns by their means and deviations; images of bytes
// by 255; images of other numbers as they are where all lie in [−1, 1], by 255 where they lie in [0, 255] and pass 127,
// else by mean and deviation of each channel. Looks at every number of the set, but for images of bytes. Throws
// FileError, naming `where` and the example, for a number that is not finite.
Scaling choose_scaling(const Dataset& train, bool bytes, std::optional<Scaling::Rule> rule, const std::string& where);

// What numbers of this mean and deviation are divided by: the deviation, or 1 where it is no more than rounding makes.
double scale_of(double mean, double deviation);

// Throws FileError, naming `where` and the example, for a number that is not finite.
void require_finite(const Dataset& set, const std::string& where);
void require_finite_others(const Dataset& set, const std::string& where);  // of the inputs but the first
// The same for a number that is not whole, or takes more than 32 bits, of an input that is integers.
void require_whole(const Dataset& set, const std::string& where);

}  // namespace slopewise
