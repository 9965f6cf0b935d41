// In what precision the products with weights are made.
#pragma once

namespace slopewise {

// Which factors of the products with packed weights are rounded to bfloat16: none, those of the products that carry
// tangents, or also those that carry values. Sums are always in float, and so are the weights that a step changes, the
// pullback, and second-order terms. kBfloat16Tangents and kBfloat16 need float parameters and a processor with
// has_bfloat16(); a factor's relative error is 2⁻⁸, far below a forward gradient's noise.
enum class Precision { kFloat32, kBfloat16Tangents, kBfloat16 };

// The precision of a pass without tangents beside one of precision p.
constexpr Precision of_values(Precision p) {
  return p == Precision::kBfloat16 ? p : Precision::kFloat32;
}

}  // namespace slopewise
