#include "slopewise/tensor/products/bfloat16.hpp"

namespace slopewise {

void to_bfloat16(const float* from, Bfloat16* to, Index count) {
  for (Index i = 0; i < count; ++i) to[i] = static_cast<Bfloat16>(detail::round_up_half(from[i]) >> 16);
}

}  // namespace slopewise
