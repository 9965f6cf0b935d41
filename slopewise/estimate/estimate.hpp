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
  double squared_norm = 0;                             // unbiased estimate of ‖∇‖²: the mean of s_k²
  double squared_norm_low = 0, squared_norm_high = 0;  // its interval
  double confidence = 0;                               // coverage of that interval
  // ‖∇‖² / E‖g − E g‖², from the law and K; a range where it depends on how ∇ is spread over the layers. Infinite for
  // an exact gradient.
  double snr_low = 0, snr_high = 0;
};

// The confidence of the intervals an estimate carries.
inline constexpr double kNoiseConfidence = 0.95;

// g = Σ_k coefficients[k] v_k, or a dense vector: a gradient that is not written out unless someone asks.
class GradientEstimate : public Gradient {
 public:
  // Implicit: coefficients on the tangents of a draw.
  GradientEstimate(double loss, std::vector<double> slopes, std::vector<double> coefficients,
                   std::shared_ptr<const Draw> draw, NoiseEstimate noise);
  // Dense: an exact gradient.
  GradientEstimate(double loss, std::vector<double> gradient);

  double loss() const { return loss_; }
  // The slopes ∇·v_k it was made from; empty if dense.
  const std::vector<double>& slopes() const { return slopes_; }
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
  // Multiplies the coefficient of tangent k by factors[k], as clipping does (optimize/clip.hpp). Slopes and noise stay
  // those of the measurement. Throws ShapeError unless there is a factor for each tangent; a dense gradient has none.
  void scale_coefficients(std::span<const double> factors);

 private:
  void require_size(std::size_t size) const;
  std::vector<double> scaled(double factor) const;
  template <class T>
  void add(std::span<T> numbers, double factor) const;

  double loss_;
  std::vector<double> slopes_;
  std::vector<double> coefficients_;
  std::shared_ptr<const Draw> draw_;  // null if dense
  std::vector<double> dense_;
  NoiseEstimate noise_;
};

// The noise estimate of K slopes along a law's tangents. Gaussian tangents: K mean(s²) / ‖∇‖² ~ χ²(K), exactly.
// Orthogonal ones: Σ s² / (n ‖∇‖²) ~ Beta(K/2, (n − K)/2), exactly. Other laws: the χ² of the same mean and of the
// largest variance that the law's slopes can have, 2 K / (κ − 1) degrees, κ their kurtosis: cautious for rank-one
// tangents (κ ≤ 9), and for coordinates, whose slopes say nothing certain of ‖∇‖, the interval is [0, ∞).
NoiseEstimate estimate_noise(const Probe& probe, std::span<const double> slopes);

}  // namespace slopewise
