// Weights in files, by the names of their tensors.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "slopewise/data/tensor_file.hpp"
#include "slopewise/tensor/layout.hpp"

namespace slopewise {

// The weights of one block, and where they go.
template <class T>
struct BlockWeights {
  const ParameterLayout* layout;
  std::span<T> theta;
};

// The names of blocks' weights are "block1.linear1.weight", "block2.…", and so on; where there is one block alone,
// "linear1.weight".
std::string weight_prefix(std::size_t block, std::size_t blocks);

// Fills the blocks' weights from a file, for T in {float, double}. A network of one block takes names that start with
// "block1." too. What a checkpoint keeps beside weights, under "state/", is passed over. Throws FileError, naming the
// tensors, where some are missing, left over, of another shape or not finite.
template <class T>
void read_weights(const TensorFile& file, std::span<const BlockWeights<T>> blocks);

}  // namespace slopewise
