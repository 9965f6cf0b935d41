// exp of many numbers at once, by the widest instructions the processor has.
#pragma once

#include "slopewise/base/shape.hpp"

namespace slopewise {

// x[i] = exp(x[i] + shift) for i < n, to two units in the last place; returns their sum, made in an order that depends
// on the instruction set alone. −inf gives 0, NaN NaN; x[i] + shift must be at most 0.
float exp_shifted(float* x, Index n, float shift);
double exp_shifted(double* x, Index n, double shift);

}  // namespace slopewise
