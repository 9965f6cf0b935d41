// Examples of a data set as a program reads them.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "slopewise/data/dataset.hpp"
#include "slopewise/program/given.hpp"

namespace slopewise {

// Inputs with their labels or targets as a batch that owns its numbers.
template <class T>
class ExampleBatch {
 public:
  ExampleBatch() = default;
  ExampleBatch(const Dataset& dataset, std::span<const Index> indices) { gather(dataset, indices); }

  // Takes other examples, in the same memory where they fit. Throws as gather_inputs does.
  void gather(const Dataset& dataset, std::span<const Index> indices);
  // Bytes of so many examples.
  static Index bytes(const Dataset& dataset, Index rows);

  // The inputs in the data set's order, then `noise`, one number an example, if any, then labels or targets, if there
  // are any. Valid until the next gather.
  Batch<T> batch(std::span<const std::int32_t> noise = {}) const;
  // The same with `made`, what a block has made of the inputs, in their place.
  Batch<T> batch_of(std::span<const T> made, std::span<const std::int32_t> noise = {}) const;

  // The first input's numbers; empty where it is integers.
  std::span<const T> images() const;
  std::span<const std::int32_t> labels() const { return labels_; }
  std::span<const T> targets() const { return targets_; }

 private:
  using Numbers = std::variant<std::vector<T>, std::vector<std::int32_t>>;
  void finish(Batch<T>& batch, std::span<const std::int32_t> noise) const;

  Index rows_ = 0;
  std::vector<Numbers> inputs_;       // (rows, …) each, the first scaled
  std::vector<std::int32_t> labels_;  // (rows, places), or
  std::vector<T> targets_;            // (rows, outputs), or neither
};

}  // namespace slopewise
