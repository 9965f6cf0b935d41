// Networks for tests of the study.
#pragma once

#include <numeric>

#include "slopewise/model/initialize.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {

// A network of a family at the weights of the seed, on the first examples.
inline Subject subject_of(const NetworkSpec& spec, const Dataset& data, Index examples, std::uint64_t seed) {
  std::vector<Index> indices(static_cast<std::size_t>(examples));
  std::iota(indices.begin(), indices.end(), 0);
  ChainBlock block = make_chain(spec, {data.image_shape.size()}, data.classes, false).front();
  Parameters<float> start = initialize<float>(block.program->layout(), seed);
  return {std::move(block), std::move(start), data, indices};
}

}  // namespace slopewise
