// Numbers that a program carries with it: tables, masks, weights that do not train.
#pragma once

#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {

// Row-major, in the width they were given in. Safe to read from several threads, also the first time.
class Constant {
 public:
  using Values = std::variant<std::vector<float>, std::vector<double>>;
  // Throws ShapeError unless there are as many values as entries in the shape.
  Constant(Shape shape, Values values);

  const Shape& shape() const { return shape_; }
  Index size() const { return shape_.size(); }
  // Whether an entry is infinite, as a mask's may be.
  bool infinite() const { return infinite_; }
  // The values in the width T; where they were given in the other one, converted the first time they are asked for.
  template <class T>
  const std::vector<T>& values() const;
  // The matrix (rows, columns) as products read it, made the first time it is asked for; `bfloat16`: with its copy of
  // half the width.
  const WeightProduct& packed(Index rows, Index columns, bool bfloat16) const;

 private:
  Shape shape_;
  Values values_;
  bool infinite_;
  mutable std::mutex making_;
  mutable std::unique_ptr<const Values> converted_;
  mutable std::unique_ptr<WeightProduct> packed_;
};

}  // namespace slopewise
