#include "slopewise/tensor/parameters.hpp"

#include <algorithm>
#include <type_traits>

#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Entries that one thread changes at a time.
constexpr Index kPiece = 8192;

// Calls body(first, count) for the pieces of [first, first + count), which are the same in every step and come to the
// same threads.
template <class Body>
void for_pieces(Index first, Index count, Body body) {
  parallel_for((count + kPiece - 1) / kPiece,
               [&](Index p) { body(first + p * kPiece, std::min(kPiece, count - p * kPiece)); }, LoopSchedule::kStatic);
}

}  // namespace

template <class T>
Parameters<T>& Parameters<T>::operator=(const Parameters& other) {
  if (this == &other) return *this;
  const std::span<const T> values = other.values();
  if (other.size() != size()) packed_.clear();
  values_.assign(values.begin(), values.end());
  for (auto& [place, entry] : packed_) entry.state = State::kStale;
  return *this;
}

template <class T>
std::span<const T> Parameters<T>::values(Index offset, Index count) const {
  if constexpr (std::is_same_v<T, float>) {
    for (auto& [place, entry] : packed_) {
      if (entry.state != State::kAhead || !place.meets(offset, count)) continue;
      entry.matrix->unpack(values_.data() + place.offset);
      entry.state = State::kEqual;
    }
  }
  return std::span<const T>(values_).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(count));
}

template <class T>
std::span<T> Parameters<T>::edit(Index offset, Index count) {
  values(offset, count);
  for (auto& [place, entry] : packed_) {
    if (place.meets(offset, count)) entry.state = State::kStale;
  }
  return std::span<T>(values_).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(count));
}

template <class T>
template <class Matrix, class Flat>
void Parameters<T>::visit(Index first, Index count, Matrix matrix, Flat flat) {
  Index at = first;
  if constexpr (std::is_same_v<T, float>) {
    for (auto& [place, entry] : packed_) {
      const Index size = place.rows * place.columns;
      if (entry.state == State::kStale || place.offset < at || place.offset + size > first + count) continue;
      if (place.offset > at) flat(at, place.offset - at);
      matrix(place, *edit_packed(place.offset, place.rows, place.columns));
      at = place.offset + size;
    }
  }
  if (at < first + count) flat(at, first + count - at);
}

template <class T>
void Parameters<T>::add(Index first, Index count, T factor, const EntrySource<T>& x) {
  visit(
      first, count,
      [&](const Place& place, auto& matrix) {
        const float factors[] = {static_cast<float>(factor)};
        matrix.add(factors, [&](Index, Index row, Index rows, auto* scratch) {
          return x(place.offset + row * place.columns, rows * place.columns, scratch);
        });
      },
      [&](Index from, Index entries) {
        T* theta = edit(from, entries).data() - from;
        for_pieces(from, entries, [&](Index begin, Index size) {
          thread_local std::vector<T> scratch(kPiece);
          axpy(factor, x(begin, size, scratch.data()), theta + begin, size);
        });
      });
}

template <class T>
void Parameters<T>::scale(T factor) {
  visit(
      0, size(), [&](const Place&, auto& matrix) { matrix.scale(static_cast<float>(factor)); },
      [&](Index from, Index entries) {
        T* theta = edit(from, entries).data() - from;
        for_pieces(from, entries, [&](Index begin, Index size) {
          for (Index i = begin; i < begin + size; ++i) theta[i] *= factor;
        });
      });
}

template <class T>
WeightProduct* Parameters<T>::edit_packed(Index offset, Index rows, Index columns) requires std::same_as<T, float> {
  const auto found = packed_.find(Place{offset, rows, columns});
  if (found == packed_.end() || found->second.state == State::kStale) return nullptr;
  for (auto& [place, entry] : packed_) {
    if (place.meets(offset, rows * columns)) entry.state = State::kStale;
  }
  found->second.state = State::kAhead;
  return found->second.matrix.get();
}

template <class T>
void Parameters<T>::let_changes_wait() requires std::same_as<T, float> {
  changes_may_wait_ = true;
  for (auto& [place, entry] : packed_) entry.matrix->let_changes_wait();
}

template class Parameters<float>;
template class Parameters<double>;

}  // namespace slopewise
