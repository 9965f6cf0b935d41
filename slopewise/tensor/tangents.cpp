#include "slopewise/tensor/tangents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {

template <class T>
Tangents<T>::Tangents(const ParameterLayout& layout, Index count, std::vector<TangentForm> forms)
    : layout_(layout), count_(count), forms_(std::move(forms)) {
  if (count < 1) throw ArgumentError(fmt::format("tangents: expected at least 1, found {}", count));
  if (forms_.size() != layout_.segments.size()) {
    throw ArgumentError(fmt::format("tangents: expected a form for each of {} segments, found {}",
                                    layout_.segments.size(), forms_.size()));
  }
  Index entries = 0;
  for (std::size_t i = 0; i < forms_.size(); ++i) {
    const Index number = static_cast<Index>(i);
    offsets_.push_back(entries);
    if (forms_[i] == TangentForm::kDense) entries += count_ * layout_.segments[i].size();
    if (forms_[i] == TangentForm::kRankOne) {
      if (block(number).weight != number) {
        throw ArgumentError(
            fmt::format("tangents: segment '{}' is no matrix and has no rank-one form", layout_.segments[i].name));
      }
      entries += count_ * (block(number).rows + block(number).columns);
    }
  }
  storage_.resize(static_cast<std::size_t>(entries));
}

template <class T>
Tangents<T> Tangents<T>::dense(const ParameterLayout& layout, Index count, std::span<const T> values) {
  Tangents tangents(layout, count, std::vector<TangentForm>(layout.segments.size(), TangentForm::kDense));
  if (static_cast<Index>(values.size()) != count * layout.size) {
    throw ArgumentError(fmt::format("tangents: expected {} × {} entries, found {}", count, layout.size, values.size()));
  }
  for (std::size_t i = 0; i < layout.segments.size(); ++i) {
    const Segment& segment = layout.segments[i];
    for (Index k = 0; k < count; ++k) {
      std::copy_n(values.data() + k * layout.size + segment.offset, segment.size(),
                  tangents.dense(static_cast<Index>(i)) + k * segment.size());
    }
  }
  return tangents;
}

template <class T>
T* Tangents<T>::dense(Index number) {
  const auto i = static_cast<std::size_t>(number);
  return forms_[i] == TangentForm::kDense ? storage_.data() + offsets_[i] : nullptr;
}

template <class T>
const T* Tangents<T>::dense(Index number) const {
  const auto i = static_cast<std::size_t>(number);
  return forms_[i] == TangentForm::kDense ? storage_.data() + offsets_[i] : nullptr;
}

template <class T>
std::span<T> Tangents<T>::left(Index number, Index k) {
  const Index rows = block(number).rows;
  return {storage_.data() + offsets_[number] + k * rows, static_cast<std::size_t>(rows)};
}

template <class T>
std::span<T> Tangents<T>::right(Index number, Index k) {
  const Block& matrix = block(number);
  return {storage_.data() + offsets_[number] + count_ * matrix.rows + k * matrix.columns,
          static_cast<std::size_t>(matrix.columns)};
}

template <class T>
RankOne<T> Tangents<T>::rank_one(Index number) const {
  const auto i = static_cast<std::size_t>(number);
  if (forms_[i] != TangentForm::kRankOne) return {};
  const T* left = storage_.data() + offsets_[i];
  return {.left = left, .right = left + count_ * block(number).rows};
}

template <class T>
Drawn<T> Tangents<T>::drawn(Index number) const {
  if (forms_[number] != TangentForm::kDrawn) return {};
  return {.fill = &fill_, .offset = segment(number).offset};
}

template <class T>
void Tangents<T>::expand(Index number, Index k, std::span<T> out) const {
  const Segment& part = segment(number);
  switch (forms_[number]) {
    case TangentForm::kNone:
      std::fill(out.begin(), out.end(), T{0});
      break;
    case TangentForm::kDense:
      std::copy_n(dense(number) + k * part.size(), part.size(), out.begin());
      break;
    case TangentForm::kDrawn:
      fill_(k, part.offset, out.first(static_cast<std::size_t>(part.size())));
      break;
    case TangentForm::kRankOne: {
      const Block& matrix = block(number);
      const RankOne<T> factors = rank_one(number);
      const T* left = factors.left + k * matrix.rows;
      const T* right = factors.right + k * matrix.columns;
      for (Index i = 0; i < matrix.rows; ++i) {
        for (Index j = 0; j < matrix.columns; ++j) out[i * matrix.columns + j] = left[i] * right[j];
      }
      break;
    }
  }
}

template <class T>
void Tangents<T>::expand(Index k, std::span<T> out) const {
  for (std::size_t i = 0; i < layout_.segments.size(); ++i) {
    const Segment& part = layout_.segments[i];
    expand(static_cast<Index>(i), k,
           out.subspan(static_cast<std::size_t>(part.offset), static_cast<std::size_t>(part.size())));
  }
}

template <class T>
bool Tangents<T>::finite() const {
  return std::all_of(storage_.begin(), storage_.end(), [](T value) { return std::isfinite(value); });
}

template class Tangents<float>;
template class Tangents<double>;

}  // namespace slopewise
