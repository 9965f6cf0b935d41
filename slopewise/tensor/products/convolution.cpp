#include "slopewise/tensor/products/convolution.hpp"

#include <algorithm>

#include "slopewise/tensor/transpose.hpp"

namespace slopewise {

void arrange_filters(const float* matrix, Index rows, Index columns, Index block, float* filters) {
  for (Index first = 0; first < rows; first += block) {
    const Index now = std::min(block, rows - first);
    float* const to = filters + first * columns;
    if (now < block) std::fill_n(to, columns * block, 0.0f);
    transpose(matrix + first * columns, columns, now, columns, to, block,
              [](const auto&, const auto& value) { return value; });
  }
}

}  // namespace slopewise
