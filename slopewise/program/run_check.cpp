#include "slopewise/program/run_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {

template <class T>
void check_run(const Program& program, const Workload& workload, const Parameters<T>& parameters, const Batch<T>& batch,
               const Tangents<T>* tangents, const Perturbation<T>& perturbation) {
  if (parameters.size() != program.size()) {
    throw ShapeError(fmt::format("run: the program has {} parameters, found {}", program.size(), parameters.size()));
  }
  if (batch.rows < 1 || batch.rows > workload.batch) {
    throw ShapeError(fmt::format("run: expected 1 to {} examples, found {}", workload.batch, batch.rows));
  }
  if (batch.inputs.size() != program.inputs().size()) {
    throw ShapeError(
        fmt::format("run: the program has {} inputs, found {}", program.inputs().size(), batch.inputs.size()));
  }
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
    const GraphNode& input = program.node(program.inputs()[i]);
    const bool integer = std::holds_alternative<std::span<const std::int32_t>>(batch.inputs[i]);
    const std::size_t found = std::visit([](const auto& values) { return values.size(); }, batch.inputs[i]);
    if (integer != (input.kind == GraphNode::Kind::kIndices)) {
      throw ShapeError(fmt::format("run: input '{}': expected {}", input.name,
                                   integer ? "numbers, found integers" : "integers, found numbers"));
    }
    if (static_cast<Index>(found) != batch.rows * input.shape.size()) {
      throw ShapeError(fmt::format("run: input '{}': expected {} rows of shape {}, {} entries, found {}", input.name,
                                   batch.rows, input.shape.to_string(), batch.rows * input.shape.size(), found));
    }
  }
  const bool weights = std::any_of(workload.forms.begin(), workload.forms.end(),
                                   [](TangentForm form) { return form != TangentForm::kNone; });
  if (workload.tangents > 0 && weights) {
    // They may be those of the first segments alone, where the others have none.
    const auto fit = [&] {
      const auto count = static_cast<Index>(tangents->forms().size());
      return tangents->count() == workload.tangents && count <= static_cast<Index>(workload.forms.size()) &&
             std::equal(tangents->forms().begin(), tangents->forms().end(), workload.forms.begin()) &&
             std::all_of(workload.forms.begin() + count, workload.forms.end(),
                         [](TangentForm form) { return form == TangentForm::kNone; }) &&
             tangents->layout().same_shapes(program.layout().first(count));
    };
    if (!tangents || !fit()) {
      throw ShapeError(
          fmt::format("run: expected {} tangents of the program's layout, {} entries, in the workload's forms",
                      workload.tangents, program.size()));
    }
  }
  if (workload.tangents > 0 && workload.perturbed.empty() == static_cast<bool>(perturbation)) {
    throw ArgumentError("run: expected a perturbation exactly where the workload has perturbed nodes");
  }
}

template void check_run<float>(const Program&, const Workload&, const Parameters<float>&, const Batch<float>&,
                               const Tangents<float>*, const Perturbation<float>&);
template void check_run<double>(const Program&, const Workload&, const Parameters<double>&, const Batch<double>&,
                                const Tangents<double>*, const Perturbation<double>&);

}  // namespace slopewise
