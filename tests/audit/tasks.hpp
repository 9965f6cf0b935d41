// Small tasks to audit.
#pragma once

#include "slopewise/audit/methods.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/train/evaluation.hpp"

namespace slopewise {

// The built-in digits, and the reference examples in the test set's place.
inline DataSplit audited_digits(Index batch, Index count = 512) {
  DataSplit data = builtin_digits(count, 1, 3);
  data.test = reference_set(data.train, batch, 1);
  return data;
}

inline NetworkSpec perceptron(std::vector<Index> hidden) {
  return {.family = "mlp", .hidden = std::move(hidden)};
}

inline AuditTask audited(const DataSplit& data, const NetworkSpec& spec, Index batch) {
  return {.data = data, .network = make_network(spec, data.train.image_shape, target_of(data.train)), .batch = batch};
}

// θ with all segments 0 but those for which `keep` holds.
inline void keep_only(AuditTask& task, std::function<bool(const Segment&)> keep) {
  task.network.initial = [initial = task.network.initial, keep, program = task.network.training.front().program](
                             std::size_t block, std::uint64_t seed) {
    Parameters<float> theta = initial(block, seed);
    for (const Segment& segment : program->layout().segments) {
      if (!keep(segment)) std::ranges::fill(theta.edit(segment.offset, segment.size()), 0.0F);
    }
    return theta;
  };
}

}  // namespace slopewise
