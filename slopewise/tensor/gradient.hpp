// A gradient, or an estimate of one, that need not be written out: what steps on θ are made of.
#pragma once

#include <span>

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
  // θ += factor g. Throws ShapeError for a θ of another size.
  virtual void add_to(Parameters<float>& theta, double factor) const = 0;
  virtual void add_to(Parameters<double>& theta, double factor) const = 0;
  // Writes g to `out` (n).
  virtual void materialize(std::span<float> out) const = 0;
  virtual void materialize(std::span<double> out) const = 0;
};

}  // namespace slopewise
