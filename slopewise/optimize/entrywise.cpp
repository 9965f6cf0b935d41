#include "slopewise/optimize/entrywise.hpp"

#include <cmath>

#include "slopewise/optimize/clip.hpp"
#include "slopewise/optimize/pieces.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Σ g[i]² in double, in an order that lets lanes be summed beside each other.
template <class T>
double sum_of_squares(const T* g, Index count) {
  constexpr Index kSums = 16;
  double sums[kSums] = {};
  Index i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (Index s = 0; s < kSums; ++s) sums[s] += static_cast<double>(g[i + s]) * static_cast<double>(g[i + s]);
  }
  double total = 0;
  for (; i < count; ++i) total += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

template <class T>
void EntrywiseOptimizer<T>::advance(Parameters<T>& theta, const Gradient& gradient, double rate) {
  std::span<const T> entries_of_g = gradient.held<T>();
  if (entries_of_g.empty()) {
    gradient_.resize(static_cast<std::size_t>(this->size()));
    gradient.materialize(std::span<T>(gradient_));
    entries_of_g = gradient_;
  }
  const T* g = entries_of_g.data();
  // NaN or infinite where any entry is.
  const double squared_norm =
      detail::sum_over_pieces(this->size(), [&](Index first, Index count) { return sum_of_squares(g + first, count); });
  this->require_finite(std::isfinite(squared_norm));
  const auto clip = static_cast<T>(norm_factor(squared_norm, this->options().clip_norm));
  if (const T factor = shrink(rate); factor != T{1}) theta.scale(factor);
  const T* entries = this->flattens() ? theta.edit().data() : nullptr;
  const auto decay = static_cast<T>(this->options().weight_decay);
  theta.add(0, this->size(), T{1}, [&](Index first, Index count, T* step) {
    for (Index i = 0; i < count; ++i) step[i] = clip * g[first + i];
    if (entries) axpy(decay, entries + first, step, count);
    update(first, count, rate, step);
    return static_cast<const T*>(step);
  });
}

template class EntrywiseOptimizer<float>;
template class EntrywiseOptimizer<double>;

}  // namespace slopewise
