// Draw's functions of two widths from one template of the derived class.
#pragma once

#include <span>

#include "slopewise/probe/probe.hpp"

namespace slopewise {

// Derived has `template <class T> void entries(Index k, Index first, std::span<T> out) const`.
template <class Derived>
class DrawOf : public Draw {
 public:
  using Draw::Draw;
  void fill(Index k, Index first, std::span<float> out) const final { self().entries(k, first, out); }
  void fill(Index k, Index first, std::span<double> out) const final { self().entries(k, first, out); }

 protected:
  const Derived& self() const { return static_cast<const Derived&>(*this); }
};

// And `template <class Weight, class T> void add(coefficients, block, Weight&& weight, T* bias) const`, `weight` a
// pointer to the weight's entries or a WeightProduct.
template <class Derived>
class DrawOfBlocks : public DrawOf<Derived> {
 public:
  using DrawOf<Derived>::DrawOf;
  void add_block(std::span<const double> coefficients, const Block& block, float* weight, float* bias) const final {
    this->self().add(coefficients, block, weight, bias);
  }
  void add_block(std::span<const double> coefficients, const Block& block, double* weight, double* bias) const final {
    this->self().add(coefficients, block, weight, bias);
  }
  void add_block(std::span<const double> coefficients, const Block& block, WeightProduct& weight,
                 float* bias) const final {
    this->self().add(coefficients, block, weight, bias);
  }
};

}  // namespace slopewise
