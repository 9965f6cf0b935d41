// A gradient estimate and its error bar.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "slopewise/objective/objective.hpp"
#include "slopewise/probe/probe.hpp"
#include "slopewise/tensor/gradient.hpp"

namespace slopewise {

// What the slopes alone say of the gradient they were taken along: no backward pass is needed for it.
struct NoiseEstimate {
  double squared_norm = 0;  // unbiased estimate of ‖∇‖², the mean of s_k²; NaN where E[s_k²] is another norm of ∇
  double squared_norm_low = 0, squared_norm_high = 0;  // its interval
  double confidence = 0;                               // coverage of that interval
  // Unbiased estimate of ‖∇ − a m‖², what a prior a m leaves for the tangents to find; squared_norm without a prior.
  double residual_squared_norm = 0;
  // ‖∇‖² / E‖g − E g‖², from the law and K; a range where it depends on how ∇ is spread over the layers, [0, ∞] where
  // it depends on how good a prior is. Infinite for an exact gradient.
  double snr_low = 0, snr_high = 0;
};

// The confidence of the intervals an estimate carries.
inline constexpr double kNoiseConfidence = 0.95;

// The part a m of an estimate that was known before its tangents were drawn.
struct PriorTerm {
  std::shared_ptr<const std::vector<double>> vector;  // m (n); null: none
  double scale = 1;                                   // a
  std::vector<double> slopes;                         // K: m·v_k
};

// What the slopes of tangents that enter at activities say, of one example and one site or of sites that share a slope.
struct ActivityNoise {
  double signal = 0;  // mean over examples and tangents of s²: unbiased for E‖∂loss/∂h‖², its sites together
  double residual = 0;  // of (s − u · m)²: unbiased for E‖∂loss/∂h − m‖², m the prior
};

// g = a m + Σ_k coefficients[k] v_k of the first parameters, which is not written out unless someone asks, and a dense
// vector for the rest of them. Either part may be all of it.
class GradientEstimate : public Gradient {
 public:
  // Implicit: coefficients on the tangents of a draw, and a prior if there is one. `block_slopes`: see below.
  GradientEstimate(Slopes found, std::vector<double> coefficients, std::shared_ptr<const Draw> draw,
                   NoiseEstimate noise, PriorTerm prior = {}, std::vector<double> block_slopes = {});
  // Dense: an exact gradient.
  template <class T>
  GradientEstimate(double loss, std::shared_ptr<const DenseGradient<T>> gradient);
  // Dense: an estimate from slopes of activities.
  template <class T>
  GradientEstimate(double loss, std::shared_ptr<const DenseGradient<T>> gradient, NoiseEstimate noise,
                   std::vector<ActivityNoise> activities, double activity_variance);
  // Adds the gradient of the parameters that come after those of this one.
  template <class T>
  void append(std::shared_ptr<const DenseGradient<T>> rest);
  // The same less what was appended.
  GradientEstimate without_rest() const;

  double loss() const { return found_.loss; }
  // The slopes ∇·v_k it was made from; empty if dense.
  const std::vector<double>& slopes() const { return found_.slopes; }
  // All that the objective said along the tangents.
  const Slopes& measured() const { return found_; }
  // Of an estimate from slopes of activities: one for all sites where tangents enter together, else one a site.
  const std::vector<ActivityNoise>& activities() const { return activities_; }
  // Of the same: predicted E‖δ − E δ‖² of one example's estimated activity gradients δ, all sites, from the slopes
  // alone: Σ α² n V / K, which is exact for Rademacher entries but for the share of V that each entry makes itself.
  double activity_variance() const { return activity_variance_; }
  // √(mean s²) of the slopes, or of the activities' signals; nothing where there are none.
  std::optional<double> slope() const;
  // How many slopes count for less than they are, as they were clipped.
  Index clipped() const { return clipped_; }
  const PriorTerm& prior() const { return prior_; }
  // Where the estimator takes them, one slope for each block of the layout, along a tangent that is zero elsewhere: the
  // square is an unbiased estimate of the block's ‖∇_b‖².
  const std::vector<double>& block_slopes() const { return block_slopes_; }
  const NoiseEstimate& noise() const { return noise_; }
  Index size() const override;
  bool finite() const override;
  void add_to(Parameters<float>& theta, double factor) const override;
  void add_to(Parameters<double>& theta, double factor) const override;
  void add_to(std::span<float> numbers, double factor) const override;
  void add_to(std::span<double> numbers, double factor) const override;
  void materialize(std::span<float> out) const override;
  void materialize(std::span<double> out) const override;
  double entry(Index i) const override;
  double squared_norm() const override;
  // Multiplies the coefficient of tangent k, and nothing of the prior, by factors[k], as clipping does
  // (optimize/clip.hpp); factors below 1 count as clipped slopes. Slopes and noise stay those of the measurement.
  // Throws ShapeError unless there is a factor for each tangent; a dense gradient has none.
  void scale_coefficients(std::span<const double> factors);
  // Multiplies the coefficients of all tangents; no prior has to be there. Slopes and noise stay as they are, as the
  // signal-to-noise ratio does.
  void scale(double factor);

 private:
  GradientEstimate() = default;
  void require_size(std::size_t size) const;
  // Entries of the part that is not dense.
  Index implicit_size() const;
  std::span<const float> held_floats() const override;
  std::span<const double> held_doubles() const override;
  std::vector<double> scaled(double factor) const;
  template <class T>
  void add(std::span<T> numbers, double factor) const;
  template <class T>
  void add(Parameters<T>& theta, double factor) const;

  Slopes found_;
  std::vector<double> coefficients_;
  std::shared_ptr<const Draw> draw_;  // null if all is dense
  PriorTerm prior_;
  std::vector<double> block_slopes_;
  std::shared_ptr<const DenseGradient<float>> floats_;  // the dense part, in one of the two
  std::shared_ptr<const DenseGradient<double>> doubles_;
  std::vector<ActivityNoise> activities_;
  double activity_variance_ = 0;
  Index clipped_ = 0;
  NoiseEstimate noise_;
};

// The noise estimate of K slopes along a law's tangents. Gaussian tangents: K mean(s²) / ‖∇‖² ~ χ²(K), exactly.
// Orthogonal ones: Σ s² / (n ‖∇‖²) ~ Beta(K/2, (n − K)/2), exactly. Other laws: the χ² of the same mean and of the
// largest variance that the law's slopes can have, 2 K / (κ − 1) degrees, κ their kurtosis: cautious for rank-one
// tangents (κ ≤ 9), and for coordinates, whose slopes say nothing certain of ‖∇‖, the interval is [0, ∞).
NoiseEstimate estimate_noise(const Probe& probe, std::span<const double> slopes);

}  // namespace slopewise
