// How the gradients of single examples, and so of mini-batches, spread about their mean.
#pragma once

#include <span>

#include "slopewise/data/dataset.hpp"
#include "slopewise/program/program.hpp"
#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

// Of one example's gradient, drawn uniformly from a set, at some θ.
struct Spread {
  double squared_mean;  // ‖∇‖²
  double covariance;    // its trace: mean ‖∇_e‖² − ‖∇‖²

  // E‖∇_B‖² / ‖∇‖² of mini-batches of `size`, drawn with replacement: their covariance is that of one example over it.
  double factor(Index size) const { return 1 + covariance / static_cast<double>(size) / squared_mean; }
};

// Of the program's loss over the examples of the given numbers.
Spread measure_spread(const Dataset& data, const Program& program, const Parameters<float>& theta,
                      std::span<const Index> examples);

}  // namespace slopewise
