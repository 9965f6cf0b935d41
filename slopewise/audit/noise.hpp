// How noisy gradients are at θ: what mini-batches and what tangents add, block by block.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slopewise/audit/subject.hpp"
#include "slopewise/statistics/jackknife.hpp"

namespace slopewise {

struct BlockNoise {
  std::string name;  // of the block's first segment
  Index parameters = 0;
  double batch_squared_norm = 0;  // E‖∇_B‖² of the block
  double squared_norm = 0;        // ‖∇‖² of the block; NaN without exact gradients
  // ‖∇‖² over the variance of a forward gradient there, of a mini-batch along one normal tangent of all weights; NaN
  // likewise. Along K tangents about K times that.
  double snr = 0;
};

struct AuditNoise {
  Reference reference = Reference::kPullback;
  Measured squared_norm;        // ‖∇‖², of the reference's mean
  Measured batch_squared_norm;  // E‖∇_B‖²
  Measured batch_factor;        // their ratio: 1 where one mini-batch is all there is
  // Slopes of mini-batches along normal tangents: normal of themselves but for what mini-batches differ by, and for
  // kinks. NaN for fewer than 4.
  Index slopes = 0;
  double kurtosis = 0, largest_slope = 0;  // the latter over their root mean square
  std::vector<BlockNoise> blocks;
  std::vector<float> gradient;  // ∇ (n), the mean over the mini-batches; empty without exact gradients
};

// `tangents`: along how many there are slopes, each on two mini-batches. Throws NumericError where the gradient is 0 or
// a slope is not finite.
AuditNoise measure_audit_noise(AuditSubject& subject, Index tangents, std::uint64_t seed);

}  // namespace slopewise
