// A gradient, or an estimate of one, that need not be written out: what steps on θ are made of.
#pragma once

#include <span>
#include <type_traits>
#include <vector>

#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

class Gradient {
 public:
  virtual ~Gradient() = default;
  virtual Index size() const = 0;
  // Whether no entry is NaN or infinite.
  virtual bool finite() const = 0;
  // ‖g‖².
  virtual double squared_norm() const = 0;
  // g_i for one entry, without the others. Throws ArgumentError for an entry there is not.
  virtual double entry(Index i) const = 0;
  // θ += factor g; packed matrices are changed as they are. Throws ShapeError for a θ of another size.
  virtual void add_to(Parameters<float>& theta, double factor) const = 0;
  virtual void add_to(Parameters<double>& theta, double factor) const = 0;
  // The same for numbers that are not parameters of a program.
  virtual void add_to(std::span<float> numbers, double factor) const = 0;
  virtual void add_to(std::span<double> numbers, double factor) const = 0;
  // Writes g to `out` (n).
  virtual void materialize(std::span<float> out) const = 0;
  virtual void materialize(std::span<double> out) const = 0;
  // The entries where they are held as T already; else nothing. Valid until the gradient's next change.
  template <class T>
  std::span<const T> held() const {
    if constexpr (std::is_same_v<T, float>) return held_floats();
    if constexpr (std::is_same_v<T, double>) return held_doubles();
  }

 private:
  virtual std::span<const float> held_floats() const { return {}; }
  virtual std::span<const double> held_doubles() const { return {}; }
};

// A gradient written out.
template <class T>
class DenseGradient final : public Gradient {
 public:
  explicit DenseGradient(Index size) : values_(static_cast<std::size_t>(size)) {}
  explicit DenseGradient(std::vector<T> values) : values_(std::move(values)) {}
  std::span<const T> values() const { return values_; }
  std::span<T> edit() { return values_; }

  Index size() const override { return static_cast<Index>(values_.size()); }
  bool finite() const override;
  double squared_norm() const override;
  double entry(Index i) const override;
  void add_to(Parameters<float>& theta, double factor) const override;
  void add_to(Parameters<double>& theta, double factor) const override;
  void add_to(std::span<float> numbers, double factor) const override;
  void add_to(std::span<double> numbers, double factor) const override;
  // Adds to the entries of θ from `first` on. Throws ShapeError where there are too few.
  void add_to(Parameters<float>& theta, Index first, double factor) const;
  void add_to(Parameters<double>& theta, Index first, double factor) const;
  void materialize(std::span<float> out) const override;
  void materialize(std::span<double> out) const override;

 private:
  template <class U>
  void require_size(std::span<U> numbers) const;
  template <class U>
  void add(std::span<U> numbers, double factor) const;
  std::span<const float> held_floats() const override;
  std::span<const double> held_doubles() const override;

  std::vector<T> values_;
};

}  // namespace slopewise
