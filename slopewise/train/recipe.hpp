// What turns a log of slopes into weights: where they begin, how the tangents are drawn, and what a step makes of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "slopewise/estimate/estimator.hpp"
#include "slopewise/optimize/optimizer.hpp"
#include "slopewise/train/block_state.hpp"

namespace slopewise {

struct Recipe {
  ParameterLayout layout;
  std::uint64_t initial_seed = 0;
  std::uint32_t initial_checksum = 0;  // of the weights before the first step
  std::string estimator;
  EstimatorOptions options;
  std::string optimizer;
  OptimizerOptions optimizer_options;
  bool step_rate = false;  // the rate follows from the direction: a record has what was found along it (StepRate)
  double average = 0;
  Index examples = 0;                          // of a step's batch
  std::map<std::string, std::string> strings;  // what files of the weights say of them (description.hpp)
};

// CRC-32 of θ's float32 numbers, as zlib has it.
std::uint32_t checksum_of(const Parameters<float>& theta);

// The state before the first step, at θ. `target`: of the recipe's layout.
BlockState begin(const Recipe& recipe, const EstimatorTarget& target, Parameters<float> theta);

// As JSON, the header of a log.
std::string to_text(const Recipe& recipe);
// Throws FileError, in the name of `source`, for another text.
Recipe recipe_from(const std::string& text, const std::string& source);

}  // namespace slopewise
