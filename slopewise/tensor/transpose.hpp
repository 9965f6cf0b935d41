// Transposition in 8 × 8 tiles, held in registers.
#pragma once

#include <algorithm>

#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace detail {

inline void transpose_8x8(Lanes<float> (&r)[8]) {
  Lanes<float> pairs[8], quads[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    quads[i] = __builtin_shufflevector(pairs[i], pairs[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    quads[i + 1] = __builtin_shufflevector(pairs[i], pairs[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    quads[i + 2] = __builtin_shufflevector(pairs[i + 1], pairs[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    quads[i + 3] = __builtin_shufflevector(pairs[i + 1], pairs[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = __builtin_shufflevector(quads[i], quads[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    r[i + 4] = __builtin_shufflevector(quads[i], quads[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

}  // namespace detail

// to[j * to_stride + i] = combine(what is there, from[i * from_stride + j]) for every entry of `from` (rows, columns);
// combine gets eight entries at a time where there are eight.
template <class Combine>
void transpose(const float* from, Index from_stride, Index rows, Index columns, float* to, Index to_stride,
               Combine combine) {
  using V = Lanes<float>;
  const Index whole_rows = rows / 8 * 8;
  const Index whole_columns = columns / 8 * 8;
  // Two tiles side by side read whole cache lines: rows whose stride is a power of two push each other out of the
  // first-level cache before they would be read again.
  for (Index pair = 0; pair < whole_columns; pair += 16) {
    for (Index i = 0; i < whole_rows; i += 8) {
      for (Index j = pair; j < std::min(pair + 16, whole_columns); j += 8) {
        V tile[8];
        for (Index l = 0; l < 8; ++l) tile[l] = load<V>(from + (i + l) * from_stride + j);
        detail::transpose_8x8(tile);
        for (Index l = 0; l < 8; ++l) {
          float* at = to + (j + l) * to_stride + i;
          store(combine(load<V>(at), tile[l]), at);
        }
      }
    }
  }
  for (Index i = 0; i < rows; ++i) {
    for (Index j = i < whole_rows ? whole_columns : 0; j < columns; ++j)
      to[j * to_stride + i] = combine(to[j * to_stride + i], from[i * from_stride + j]);
  }
}

}  // namespace slopewise
