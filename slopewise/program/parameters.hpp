// The values of θ: one flat vector to everyone, and beside it the forms that kernels read.
#pragma once

#include <array>
#include <map>
#include <span>
#include <vector>

#include "slopewise/tensor/matmul.hpp"

namespace slopewise {

template <class T>
class Parameters {
 public:
  explicit Parameters(Index size) : values_(static_cast<std::size_t>(size)) {}
  explicit Parameters(std::vector<T> values) : values_(std::move(values)) {}
  Parameters(const Parameters& other) : values_(other.values_) {}
  Parameters& operator=(const Parameters& other) {
    values_ = other.values_;
    stale();
    return *this;
  }
  Parameters(Parameters&&) noexcept = default;
  Parameters& operator=(Parameters&&) noexcept = default;

  Index size() const { return static_cast<Index>(values_.size()); }
  std::span<const T> values() const { return values_; }
  // θ to write to; whatever was derived from it is made again when next asked for.
  std::span<T> edit() {
    stale();
    return values_;
  }

  // The matrix (rows, columns) at `offset` as products read it, packed at most once after each edit. The first call
  // after an edit must not meet another; later ones may come from several threads at once.
  const PackedMatrix<T>& packed(Index offset, Index rows, Index columns) const {
    const Place key{offset, rows, columns};
    auto place = packed_.find(key);
    if (place == packed_.end()) place = packed_.emplace(key, Packed{PackedMatrix<T>(rows, columns), false}).first;
    Packed& entry = place->second;
    if (!entry.fresh) entry.matrix.pack(values_.data() + offset);
    entry.fresh = true;
    return entry.matrix;
  }

 private:
  using Place = std::array<Index, 3>;  // offset, rows, columns
  struct Packed {
    PackedMatrix<T> matrix;
    bool fresh;
  };
  void stale() {
    for (auto& [place, entry] : packed_) entry.fresh = false;
  }

  std::vector<T> values_;
  mutable std::map<Place, Packed> packed_;
};

}  // namespace slopewise
