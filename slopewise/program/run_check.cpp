#include "slopewise/program/run_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {
namespace {

// Examples or tangents of one run: their product and a few times it fit an Index.
constexpr Index kLargestSize = Index{1} << 30;

void check_node(const Program& program, Index i, std::string_view role) {
  const bool known = i >= 0 && i < static_cast<Index>(program.nodes().size());
  if (!known || program.node(i).shared || program.node(i).kind == GraphNode::Kind::kIndices || !program.used(i)) {
    throw ArgumentError(
        fmt::format("{} node {}: expected a node with one row an example that the loss depends on", role, i));
  }
}

void check_stream(const Program& program, const Workload& workload) {
  if (workload.mode != Workload::Mode::kGiven || workload.error < 0 || workload.tangents > 0 || workload.spare)
    throw ArgumentError("ahead: expected a node whose cotangent goes to the cuts, and nobody who gives others");
  Index before = -1;
  for (const Index cut : workload.cuts) {
    if (cut <= before) throw ArgumentError("ahead: expected cuts in order");
    before = cut;
    if (program.node(cut).shape.size() != program.node(workload.error).shape.size()) {
      throw ShapeError(fmt::format("ahead: expected cuts of the size of '{}', {}, found '{}' of {}",
                                   program.node(workload.error).name, program.node(workload.error).shape.to_string(),
                                   program.node(cut).name, program.node(cut).shape.to_string()));
    }
  }
}

}  // namespace

void check_workload(const Program& program, const Workload& workload) {
  const bool given = workload.mode == Workload::Mode::kGiven;
  if (workload.batch < 1)
    throw ArgumentError(fmt::format("batch: expected at least 1 example, found {}", workload.batch));
  if (workload.tangents < 0)
    throw ArgumentError(fmt::format("tangents: expected at least 0, found {}", workload.tangents));
  for (const Index size : {workload.batch, workload.tangents}) {
    if (size > kLargestSize)
      throw ArgumentError(fmt::format("batch, tangents: expected at most {}, found {}", kLargestSize, size));
  }
  if (workload.order != 1 && workload.order != 2)
    throw ArgumentError(fmt::format("order: expected 1 or 2, found {}", workload.order));
  if (workload.backward() && !given && (workload.tangents > 0 || !workload.perturbed.empty())) {
    throw ArgumentError("pullback: expected no tangents; the exact gradient and the slopes are two runs");
  }
  if (workload.checkpointed && (!workload.backward() || given)) {
    throw ArgumentError("checkpointed: expected an exact gradient; slopes keep no activations");
  }
  if (workload.micro_batch < 0 || (workload.micro_batch > 0 && (!workload.backward() || given))) {
    throw ArgumentError(fmt::format("micro-batch: expected an exact gradient and at least 1 example, or 0, found {}",
                                    workload.micro_batch));
  }
  if (workload.precision != Precision::kFloat32 && !has_bfloat16()) {
    throw ArgumentError("precision bfloat16: this processor does not multiply it (AVX512_BF16); use float32");
  }
  if (!workload.forms.empty() && workload.forms.size() != program.layout().segments.size()) {
    throw ArgumentError(fmt::format("tangent forms: expected one for each of {} segments, found {}",
                                    program.layout().segments.size(), workload.forms.size()));
  }
  if (!given && (!workload.cuts.empty() || workload.error >= 0)) {
    throw ArgumentError("cuts: expected none but where cotangents are given");
  }
  if (workload.gradient_first != 0 &&
      (!given || workload.gradient_first < 0 || workload.gradient_first > program.size())) {
    throw ArgumentError(
        fmt::format("gradient: expected it whole, or from an entry up to {} on where cotangents are "
                    "given, found entry {}",
                    program.size(), workload.gradient_first));
  }
  if (workload.order == 2 && workload.backward()) throw ArgumentError("order: expected 1 in a pullback, found 2");
  for (const Index i : workload.perturbed) check_node(program, i, "perturbed");
  for (const Index i : workload.outputs) check_node(program, i, "output");
  for (const Index i : workload.cuts) {
    check_node(program, i, "cut");
    if (workload.error >= 0 && i >= workload.error)
      throw ArgumentError(fmt::format("cut node {}: expected one before node {}", i, workload.error));
  }
  if (workload.error >= 0) check_node(program, workload.error, "error");
  if (workload.ahead >= 0) check_stream(program, workload);
}

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
