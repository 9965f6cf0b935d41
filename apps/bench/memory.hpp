// What a step needs at its peak, measured in a process that runs nothing else.
#pragma once

#include <string>
#include <string_view>

#include "apps/bench/steps.hpp"

namespace slopewise {

// Throws FileError where the system does not tell of peaks.
void require_peak_of_memory();

// Bytes resident at the step's peak beyond those that this process holds with parameters and batch made and the code
// touched (a step of a small network has run before). Means something only in a fresh process.
Index peak_above_parameters(const BenchModel& model, Index batch, const StepKind& kind);

// The same from a fresh process: this program again, with the hidden option that asks for it. Throws Error if it fails.
Index peak_of_fresh_process(const BenchModel& model, Index batch, int threads, const StepKind& kind);

}  // namespace slopewise
