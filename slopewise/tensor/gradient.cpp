#include "slopewise/tensor/gradient.hpp"

#include <fmt/format.h>

#include <algorithm>
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
void DenseGradient<T>::add_to(Parameters<float>& theta, double factor) const {
  add(theta.edit(), factor);
}
template <class T>
void DenseGradient<T>::add_to(Parameters<double>& theta, double factor) const {
  add(theta.edit(), factor);
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
