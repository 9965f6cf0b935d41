// Whether a workload fits a program, and what a run is given both of them.
#pragma once

#include "slopewise/program/runner.hpp"

namespace slopewise {

// Throws ArgumentError for what no run of the program can compute, or not on this processor, naming what was expected
// and found, and ShapeError for a stream whose cuts differ in size.
void check_workload(const Program& program, const Workload& workload);

// Throws ShapeError for parameters, a batch or tangents that do not fit, naming what was expected and found, and
// ArgumentError for a perturbation where the workload has no perturbed nodes, or none where it has.
template <class T>
void check_run(const Program& program, const Workload& workload, const Parameters<T>& parameters, const Batch<T>& batch,
               const Tangents<T>* tangents, const Perturbation<T>& perturbation);

}  // namespace slopewise
