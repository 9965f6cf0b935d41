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
std::pair<std::span<const T>, T> EntrywiseOptimizer<T>::clipped(const Gradient& gradient) {
  std::span<const T> entries = gradient.held<T>();
  if (entries.empty()) {
    gradient_.resize(static_cast<std::size_t>(this->size()));
    gradient.materialize(std::span<T>(gradient_));
    entries = gradient_;
  }
  // NaN or infinite where any entry is.
  const double squared_norm = detail::sum_over_pieces(
      this->size(), [&](Index first, Index count) { return sum_of_squares(entries.data() + first, count); });
  this->require_finite(std::isfinite(squared_norm));
  return {entries, static_cast<T>(norm_factor(squared_norm, this->options().clip_norm))};
}

template <class T>
void EntrywiseOptimizer<T>::advance(Parameters<T>& theta, const Gradient& gradient, double rate) {
  const auto [g, clip] = clipped(gradient);
  if (const T factor = shrink(rate); factor != T{1}) theta.scale(factor);
  const T* entries = this->flattens() ? theta.edit().data() : nullptr;
  theta.add(0, this->size(), T{1}, [&](Index first, Index count, T* step) {
    write_step(g.data(), clip, entries, rate, first, count, step);
    return static_cast<const T*>(step);
  });
}

template <class T>
void EntrywiseOptimizer<T>::advance(Parameters<T>& theta, const Gradient& gradient, const RateOf& rate_of) {
  const auto [g, clip] = clipped(gradient);
  const T* entries = this->flattens() ? theta.values().data() : nullptr;
  if (!step_) step_.emplace(this->size());
  detail::for_pieces(this->size(), [&](Index first, Index count) {
    write_step(g.data(), clip, entries, 1, first, count, step_->edit().data() + first);
  });
  const double rate = rate_of({*step_, -1});
  if (const T factor = shrink(rate); factor != T{1}) theta.scale(factor);
  step_->add_to(theta, rate);
}

// Of a step of that rate, what is added to entries [first, first + count) of θ.
template <class T>
void EntrywiseOptimizer<T>::write_step(const T* g, T clip, const T* theta, double rate, Index first, Index count,
                                       T* step) {
  const auto decay = static_cast<T>(this->options().weight_decay);
  for (Index i = 0; i < count; ++i) step[i] = clip * g[first + i];
  if (theta) axpy(decay, theta + first, step, count);
  update(first, count, rate, step);
}

template class EntrywiseOptimizer<float>;
template class EntrywiseOptimizer<double>;

}  // namespace slopewise
