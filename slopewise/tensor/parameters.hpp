// The values of θ: one flat vector to everyone, and matrices in the order that products read, whichever was changed
// last being the truth; the other is made from it when somebody asks.
#pragma once

#include <compare>
#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {

// Entries [first, first + count) of a vector as they are needed, either where they are or written to `scratch`. Called
// from several threads.
template <class T>
using EntrySource = std::function<const T*(Index first, Index count, T* scratch)>;

template <class T>
class Parameters {
 public:
  explicit Parameters(Index size) : values_(static_cast<std::size_t>(size)) {}
  explicit Parameters(std::vector<T> values) : values_(std::move(values)) {}
  Parameters(const Parameters& other)
      : values_(other.values().begin(), other.values().end()), changes_may_wait_(other.changes_may_wait_) {}
  Parameters& operator=(const Parameters& other);
  Parameters(Parameters&&) noexcept = default;
  Parameters& operator=(Parameters&&) noexcept = default;

  Index size() const { return static_cast<Index>(values_.size()); }

  // θ as one vector; what is read through it is up to date until the next change of θ by another way than edit(). Calls
  // of const members from several threads at once must not be the first after a change.
  std::span<const T> values() const { return values(0, size()); }
  // Entries [offset, offset + count) alone: matrices elsewhere stay as they are.
  std::span<const T> values(Index offset, Index count) const;
  // The same to write to.
  std::span<T> edit() { return edit(0, size()); }
  std::span<T> edit(Index offset, Index count);

  // θ += factor x, x the entries [first, first + count) and 0 elsewhere; each is asked for once. Matrices that are
  // packed are changed as they are.
  void add(Index first, Index count, T factor, const EntrySource<T>& x);
  // θ *= factor, likewise.
  void scale(T factor);

  // The matrix (rows, columns) at `offset`, packed; `bfloat16`: with its copy of half the width.
  const WeightProduct& packed(Index offset, Index rows, Index columns,
                              bool bfloat16 = false) const requires std::same_as<T, float>;
  // The same to change in place, after which it is the truth; null where no such matrix is packed and up to date, so
  // that edit() is the way.
  WeightProduct* edit_packed(Index offset, Index rows, Index columns) requires std::same_as<T, float>;
  // Lets rank-one changes of large packed matrices wait as factors (WeightProduct::let_changes_wait): a step along a
  // forward gradient then does not read and write all weights, and a run that goes on from values() does so within
  // rounding, not bit for bit.
  void let_changes_wait() requires std::same_as<T, float>;
  // Packs the matrix, makes that the truth, and gives the memory of its flat entries back until they are asked for.
  void compact(Index offset, Index rows, Index columns) requires std::same_as<T, float>;

 private:
  enum class State { kStale, kEqual, kAhead };  // of a packed matrix beside the flat entries
  struct Place {
    Index offset, rows, columns;
    auto operator<=>(const Place&) const = default;
    bool meets(Index first, Index count) const { return offset < first + count && first < offset + rows * columns; }
  };
  struct Packed {
    std::unique_ptr<WeightProduct> matrix;
    State state = State::kStale;
  };

  // Calls matrix(place, packed) for the packed matrices within [first, first + count) that are up to date, and
  // flat(first, count) for the entries between them.
  template <class Matrix, class Flat>
  void visit(Index first, Index count, Matrix matrix, Flat flat);

  // Two programs may read the same entries by different shapes: of matrices that overlap, at most one is ahead.
  mutable std::vector<T> values_;
  mutable std::map<Place, Packed> packed_;
  bool changes_may_wait_ = false;
};

}  // namespace slopewise
