// What is to be expected of steps down a gradient or an estimate of one.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace slopewise {

// Of the highest stable rate 2/λ_max: it moves while a network trains.
inline constexpr double kStableShare = 0.75;

// Steps θ −= η g, as the mean and curvature of g decide them: on a quadratic one lowers the loss by
// η signal − ½ η² bend on average.
struct StepOutlook {
  double signal = 0;  // E[g·∇]
  double bend = 0;    // E[gᵀHg]

  // The largest η with expected descent; half of it descends fastest. Infinite where bend is not positive.
  double highest_rate() const { return bend > 0 ? 2 * signal / bend : std::numeric_limits<double>::infinity(); }
  // The η that descends fastest and, with the largest curvature λ_max given, is at most kStableShare of 2/λ_max, beyond
  // which steps diverge whatever one of them gains. 0 where nothing bounds it or nothing is gained.
  double best_rate(double largest_curvature = 0) const {
    if (!(signal > 0)) return 0;
    double rate = highest_rate() / 2;
    if (largest_curvature > 0) rate = std::min(rate, kStableShare * 2 / largest_curvature);
    return std::isfinite(rate) ? rate : 0;
  }
  double decrease(double rate) const { return rate * (signal - rate * bend / 2); }
};

}  // namespace slopewise
