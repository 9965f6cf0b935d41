// Whether what a run is given fits the program and the workload it was planned for.
#pragma once

#include "slopewise/program/runner.hpp"

namespace slopewise {

// Throws ShapeError for parameters, a batch or tangents that do not fit, naming what was expected and found, and
// ArgumentError for a perturbation where the workload has no perturbed nodes, or none where it has.
template <class T>
void check_run(const Program& program, const Workload& workload, const Parameters<T>& parameters, const Batch<T>& batch,
               const Tangents<T>* tangents, const Perturbation<T>& perturbation);

}  // namespace slopewise
