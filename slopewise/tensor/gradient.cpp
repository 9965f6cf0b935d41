#include "slopewise/tensor/gradient.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {

template <class T>
bool DenseGradient<T>::finite() const {
  return std::all_of(values_.begin(), values_.end(), [](T value) { return std::isfinite(value); });
}

template <class T>
double DenseGradient<T>::squared_norm() const {
  double sum = 0;
  for (const T value : values_) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

template <class T>
double DenseGradient<T>::entry(Index i) const {
  if (i < 0 || i >= size())
    throw ArgumentError(fmt::format("dense gradient: entry {}: expected 0 to {}", i, size() - 1));
  return static_cast<double>(values_[i]);
}

template <class T>
template <class U>
void DenseGradient<T>::require_size(std::span<U> numbers) const {
  if (numbers.size() != values_.size())
    throw ShapeError(fmt::format("dense gradient: expected {} numbers, found {}", values_.size(), numbers.size()));
}

template <class T>
template <class U>
void DenseGradient<T>::add(std::span<U> numbers, double factor) const {
  require_size(numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] += static_cast<U>(factor * static_cast<double>(values_[i]));
}

template <class T>
void DenseGradient<T>::add_to(std::span<float> numbers, double factor) const {
  add(numbers, factor);
}
template <class T>
void DenseGradient<T>::add_to(std::span<double> numbers, double factor) const {
  add(numbers, factor);
}

namespace {

// θ[first + i] += factor values[i].
template <class U, class T>
void add_entries(Parameters<U>& theta, Index first, double factor, std::span<const T> values) {
  if (first + static_cast<Index>(values.size()) > theta.size()) {
    throw ShapeError(fmt::format("dense gradient: expected {} parameters from entry {} on, found {}", values.size(),
                                 first, theta.size() - first));
  }
  theta.add(first, static_cast<Index>(values.size()), static_cast<U>(factor), [&](Index at, Index count, U* scratch) {
    const T* from = values.data() + at - first;
    if constexpr (std::is_same_v<T, U>) return from;
    std::transform(from, from + count, scratch, [](T value) { return static_cast<U>(value); });
    return static_cast<const U*>(scratch);
  });
}

}  // namespace

template <class T>
void DenseGradient<T>::add_to(Parameters<float>& theta, Index first, double factor) const {
  add_entries<float, T>(theta, first, factor, values_);
}
template <class T>
void DenseGradient<T>::add_to(Parameters<double>& theta, Index first, double factor) const {
  add_entries<double, T>(theta, first, factor, values_);
}
template <class T>
void DenseGradient<T>::add_to(Parameters<float>& theta, double factor) const {
  if (theta.size() != size()) require_size(theta.edit());
  add_to(theta, 0, factor);
}
template <class T>
void DenseGradient<T>::add_to(Parameters<double>& theta, double factor) const {
  if (theta.size() != size()) require_size(theta.edit());
  add_to(theta, 0, factor);
}
template <class T>
void DenseGradient<T>::materialize(std::span<float> out) const {
  require_size(out);
  std::transform(values_.begin(), values_.end(), out.begin(), [](T value) { return static_cast<float>(value); });
}
template <class T>
void DenseGradient<T>::materialize(std::span<double> out) const {
  require_size(out);
  std::copy(values_.begin(), values_.end(), out.begin());
}
template <class T>
std::span<const float> DenseGradient<T>::held_floats() const {
  if constexpr (std::is_same_v<T, float>) return values_;
  return {};
}
template <class T>
std::span<const double> DenseGradient<T>::held_doubles() const {
  if constexpr (std::is_same_v<T, double>) return values_;
  return {};
}

template class DenseGradient<float>;
template class DenseGradient<double>;

}  // namespace slopewise
