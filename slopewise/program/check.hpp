// The one checker of derivatives, in float64. It holds a program's rules against each other and against differences:
// the loss's slopes against central differences, the second-order terms against differences of slopes, the pullback
// against the pushforward (⟨w, J v⟩ = ⟨Jᵀ w, v⟩), K tangents at once against one at a time, rank-one tangents against
// the same expanded, and perturbed inputs against moved inputs.
#pragma once

#include <string>
#include <vector>

#include "slopewise/program/registry.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {

// One comparison: the largest |found − expected|, over the largest |expected|, which counts as 1 (where
// differences are compared, as 1e-3) if it is smaller.
struct CheckLine {
  std::string what;
  double error = 0;
  double tolerance = 0;
  bool passed() const { return error <= tolerance; }  // false for NaN
};

struct CheckReport {
  std::vector<CheckLine> lines;
  bool passed() const;
  // One line a comparison, failures marked.
  std::string to_string() const;
};

struct CheckOptions {
  std::uint64_t seed = 1;
  Index batch = 3;
  std::vector<Index> tangents = {1, 3, 8};
  double step = 1e-3;          // of the differences; no kink (of a ReLU, a maximum) may lie within it
  double value = 1e-12;        // one way of computing the same thing against another
  double first_order = 1e-6;   // slopes against differences of losses
  double second_order = 1e-5;  // vᵀHv against differences of slopes
};

// Checks a program at θ on a batch. Numeric inputs are perturbed as well.
CheckReport check_program(const Program& program, const Parameters<double>& parameters, const Batch<double>& batch,
                          const CheckOptions& options = {});

// Checks one use of an op: its output, weighted at random and summed, is the loss.
CheckReport check_op(const OpExample& example, const CheckOptions& options = {});

}  // namespace slopewise
