// K tangents over a parameter layout, each segment's either dense or, for a weight matrix, rank-one and never expanded.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "slopewise/tensor/layout.hpp"

namespace slopewise {

// V_k = left_k right_kᵀ for k in [0, K); row-major.
template <class T>
struct RankOne {
  const T* left = nullptr;   // (K, rows)
  const T* right = nullptr;  // (K, columns)
};

// Writes entries [first, first + out.size()) of tangent k, in the order of θ; called from several threads, so it must
// be a pure function of its arguments.
template <class T>
using TangentFill = std::function<void(Index k, Index first, std::span<T> out)>;

// Dense tangents that are a function instead of numbers in memory, made again wherever they are needed.
template <class T>
struct Drawn {
  const TangentFill<T>* fill = nullptr;
  Index offset = 0;  // of the segment's first entry
};

// How a segment's tangents are held; kNone is a structural zero.
enum class TangentForm { kNone, kDense, kDrawn, kRankOne };

template <class T>
class Tangents {
 public:
  // K zero tangents; `forms` has one entry a segment. Throws ArgumentError unless K ≥ 1 and the forms fit the layout.
  Tangents(const ParameterLayout& layout, Index count, std::vector<TangentForm> forms);
  // What gives the entries of segments of the form kDrawn.
  void set_fill(TangentFill<T> fill) { fill_ = std::move(fill); }
  // K dense tangents given as a (K, n) array.
  static Tangents dense(const ParameterLayout& layout, Index count, std::span<const T> values);

  Index count() const { return count_; }
  const std::vector<TangentForm>& forms() const { return forms_; }
  const ParameterLayout& layout() const { return layout_; }

  // The segment's K tangents, (K, size); null unless the form is kDense.
  T* dense(Index segment);
  const T* dense(Index segment) const;
  // The factors of tangent k; only for kRankOne. left: (rows), right: (columns).
  std::span<T> left(Index segment, Index k);
  std::span<T> right(Index segment, Index k);
  // The K factor pairs; null pointers unless the form is kRankOne.
  RankOne<T> rank_one(Index segment) const;
  // The segment's tangents as a function; null unless the form is kDrawn.
  Drawn<T> drawn(Index segment) const;

  // Writes the segment's tangent k, expanded, to `out` (size of the segment).
  void expand(Index segment, Index k, std::span<T> out) const;
  // Writes the whole tangent k, expanded, in the order of θ (n).
  void expand(Index k, std::span<T> out) const;
  // Whether no entry or factor in memory is a NaN or an infinity.
  bool finite() const;
  // Bytes held.
  Index bytes() const { return static_cast<Index>(storage_.size() * sizeof(T)); }

 private:
  const Segment& segment(Index number) const { return layout_.segments[number]; }
  const Block& block(Index number) const { return layout_.blocks[segment(number).block]; }

  ParameterLayout layout_;
  Index count_;
  std::vector<TangentForm> forms_;
  std::vector<Index> offsets_;  // into storage_, one a segment
  std::vector<T> storage_;
  TangentFill<T> fill_;
};

}  // namespace slopewise
