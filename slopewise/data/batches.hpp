// Mini-batches in an order that depends on the seed alone.
#pragma once

#include <cstdint>
#include <vector>

namespace slopewise {

// Walks epochs over {0, …, count − 1}, each in its own order: a Fisher–Yates shuffle that is a pure function of seed
// and epoch. An epoch is ⌊count / batch⌋ full batches; the indices left over sit that epoch out.
class Batches {
 public:
  // Throws ArgumentError unless 1 ≤ batch ≤ count < 2³².
  Batches(std::int64_t count, std::int64_t batch, std::uint64_t seed);

  // Steps in an epoch.
  std::int64_t per_epoch() const { return count_ / batch_; }
  // The `batch` distinct indices of a step, which counts on over epochs. Any order of steps gives the same batches; the
  // permutation of the last epoch asked for is kept, so one object must not be asked by two threads at once. Throws
  // ArgumentError if step is negative.
  std::vector<std::int64_t> indices(std::int64_t step) const;

 private:
  void shuffle(std::int64_t epoch) const;

  std::int64_t count_;
  std::int64_t batch_;
  std::uint64_t seed_;
  mutable std::int64_t epoch_ = -1;
  mutable std::vector<std::int64_t> order_;
};

}  // namespace slopewise
