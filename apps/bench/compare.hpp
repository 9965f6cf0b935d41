// One model at one batch size and number of threads: every step's time, memory and error.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/bench/measure.hpp"
#include "apps/bench/onnxruntime.hpp"
#include "apps/bench/pytorch_kernels.hpp"
#include "apps/bench/report.hpp"

namespace slopewise {

struct ComparisonOptions {
  std::vector<StepKind> kinds;                    // Slopewise's own steps
  std::string python;                             // with PyTorch, to be compared with; empty: none
  std::vector<PyTorchKernels> pytorch_kernels;    // then, for every batch size and number of threads
  std::optional<OnnxRuntime::Place> onnxruntime;  // to be compared with
  Rounds rounds;
  bool memory = true;
};

// `advance` is told the share of the work done since it was last called. Throws Interrupted, and Error where a peer
// or a process that measures memory fails.
Comparison compare(const ComparisonOptions& options, const BenchModel& model, Index batch, int threads,
                   const std::function<void(double share)>& advance);

}  // namespace slopewise
