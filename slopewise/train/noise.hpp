// How noisy a training gradient is, measured while training and without a backward pass: from a few estimates at the
// same θ, on different batches and along different tangents.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// Of estimates g of one step, unbiased each (∇ is what their mean is: the gradient where the estimator is unbiased).
struct GradientNoise {
  double squared_norm = 0;        // of ‖∇‖²: the mean of g·g′ over pairs of different batches and tangents
  double squared_norm_error = 0;  // its standard error, by the jackknife over batches
  double variance = 0;            // of tr V = E‖g − ∇‖²
  double tangent_variance = 0;    // of its part that tangents make: ½ E‖g − g′‖² on the same batch
  double cosine = 0;              // mean cosine of g with the exact gradient of its batch, where that was asked for
};

// `estimate(batch, draw)`: the gradient (n) of batch number `batch` along tangents number `draw`; valid until the next
// call. `exact(batch)`: the exact one, or null. Needs at least 2 batches.
GradientNoise measure_noise(Index batches,
                            const std::function<std::span<const float>(Index batch, Index draw)>& estimate,
                            const std::function<std::span<const float>(Index batch)>& exact);

}  // namespace slopewise
