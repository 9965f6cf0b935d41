// A gradient estimate and its error bar.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

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

// g = a m + Σ_k coefficients[k] v_k, or a dense vector: a gradient that is not written out unless someone asks.
class GradientEstimate : public Gradient {
 public:
  // Implicit: coefficients on the tangents of a draw, and a prior if there is one. `block_slopes`: see below.
  GradientEstimate(double loss, std::vector<double> slopes, std::vector<double> coefficients,
                   std::shared_ptr<const Draw> draw, NoiseEstimate noise, PriorTerm prior = {},
                   std::vector<double> block_slopes = {});
  // Dense: an exact gradient.
  GradientEstimate(double loss, std::vector<double> gradient);

  double loss() const { return loss_; }
  // The slopes ∇·v_k it was made from; empty if dense.
  const std::vector<double>& slopes() const { return slopes_; }
  const PriorTerm& prior() const { return prior_; }
  // Where the estimator takes them, one slope for each block of the layout, along a tangent that is zero elsewhere: the
  // square is an unbiased estimate of the block's ‖∇_b‖².
  const std::vector<double>& block_slopes() const { return block_slopes_; }
  const NoiseEstimate& noise() const { return noise_; }
  Index size() const override;
  bool finite() const override;

  // θ += factor g: what a plain step needs. g is never written out, and packed matrices are changed as they are. Throws
  // ShapeError for a θ of another size.
  void add_to(Parameters<float>& theta, double factor) const override;
  void add_to(Parameters<double>& theta, double factor) const override;
  // The same for numbers that are not parameters of a program.
  void add_to(std::span<float> numbers, double factor) const;
  void add_to(std::span<double> numbers, double factor) const;
  // Writes g to `out` (n).
  void materialize(std::span<float> out) const override;
  void materialize(std::span<double> out) const override;
  // g_i for one entry, without the others. Throws ArgumentError for an entry there is not.
  double entry(Index i) const;
  // ‖g‖².
  double squared_norm() const override;
  // Multiplies the coefficient of tangent k, and nothing of the prior, by factors[k], as clipping does
  // (optimize/clip.hpp). Slopes and noise stay those of the measurement. Throws ShapeError unless there is a factor for
  // each tangent; a dense gradient has none.
  void scale_coefficients(std::span<const double> factors);

 private:
  void require_size(std::size_t size) const;
  std::vector<double> scaled(double factor) const;
  template <class T>
  void add_prior(std::span<T> numbers, double factor) const;
  template <class T>
  void add(std::span<T> numbers, double factor) const;
  template <class T>
  void add(Parameters<T>& theta, double factor) const;

  double loss_;
  std::vector<double> slopes_;
  std::vector<double> coefficients_;
  std::shared_ptr<const Draw> draw_;  // null if dense
  PriorTerm prior_;                   // the gradient itself if dense
  std::vector<double> block_slopes_;
  NoiseEstimate noise_;
};

// The noise estimate of K slopes along a law's tangents. Gaussian tangents: K mean(s²) / ‖∇‖² ~ χ²(K), exactly.
// Orthogonal ones: Σ s² / (n ‖∇‖²) ~ Beta(K/2, (n − K)/2), exactly. Other laws: the χ² of the same mean and of the
// largest variance that the law's slopes can have, 2 K / (κ − 1) degrees, κ their kurtosis: cautious for rank-one
// tangents (κ ≤ 9), and for coordinates, whose slopes say nothing certain of ‖∇‖, the interval is [0, ∞).
NoiseEstimate estimate_noise(const Probe& probe, std::span<const double> slopes);

}  // namespace slopewise
