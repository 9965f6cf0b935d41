// What an estimator sees: anything that gives a loss, and slopes along tangents, at θ.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "slopewise/tensor/parameters.hpp"
#include "slopewise/tensor/tangents.hpp"

namespace slopewise {

struct Slopes {
  double loss = 0;
  std::vector<double> slopes;  // K: ∇·v_k
};

template <class T>
class Objective {
 public:
  virtual ~Objective() = default;
  virtual const ParameterLayout& layout() const = 0;
  Index size() const { return layout().size; }

  // All throw ShapeError for a θ or tangents of another size and NumericError for a loss or slope that is NaN or
  // infinite.
  virtual double loss(const Parameters<T>& parameters) = 0;
  virtual Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) = 0;
  // Writes the exact gradient to `out` (n) and returns the loss. Throws ArgumentError where there is none.
  virtual double gradient(const Parameters<T>& parameters, std::span<T> out) = 0;
  virtual bool has_gradient() const { return true; }
};

// Slopes by central differences, (L(θ + ε v) − L(θ − ε v)) / 2ε: 2 K losses, bias of order ε². The loss returned is
// L(θ), one more.
template <class T>
Slopes central_differences(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents,
                           double epsilon);

}  // namespace slopewise
