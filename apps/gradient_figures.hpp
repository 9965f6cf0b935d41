// What the samples of a gradient estimate show, with what theory says beside it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/statistics/intervals.hpp"
#include "slopewise/statistics/moments.hpp"

namespace slopewise {

// N estimates g of one gradient ∇, in memory O(n + N K).
struct EstimateSamples {
  explicit EstimateSamples(Index size) : entries(static_cast<std::size_t>(size)) {}
  // One more estimate, written out as `dense` (n); E[g] = `mean` (n).
  template <class T>
  void add(const GradientEstimate& estimate, std::span<const T> dense, const GradientView& gradient,
           std::span<const double> mean);

  MomentsArray entries;         // of g
  std::vector<double> slopes;   // (N, K); empty for an exact gradient
  std::vector<double> cosines;  // (N), of g with ∇; 0 where g is 0
  std::vector<double> losses;   // (N)
  Moments cosine;               // of the cosines
  Moments component;            // g·∇ / ‖∇‖²
  Moments squared_error;        // ‖g − E g‖²
  Moments squared_slope;        // the mean of a sample's s_k², an unbiased estimate of ‖∇‖²
};

// One line of the summary; NaN where there is nothing to say.
struct Figure {
  std::string key;    // in JSON
  std::string label;  // in the table
  double expected;
  double measured;
  std::optional<Interval> interval;  // of what was measured
  double confidence;
};

// The error of slopes computed at a lower precision, beside those of the same tangents at full precision.
class SlopeError {
 public:
  void add(std::span<const double> slopes, std::span<const double> full);
  // Its root mean square over that of the slopes.
  Figure figure() const;

 private:
  double squared_error_ = 0, squared_slope_ = 0;
};

// The exact ‖∇‖ beside that of the slopes; g's component along ∇, total variance, ratio of signal to noise and cosine
// with ∇ as predicted and as measured. `slopes_each`: the slopes that one estimate is made of, 0 for an exact gradient.
std::vector<Figure> gradient_figures(const EstimateSamples& samples, const GradientView& gradient,
                                     const Prediction& prediction, Index slopes_each);

}  // namespace slopewise
