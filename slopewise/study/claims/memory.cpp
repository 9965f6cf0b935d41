// The memory of a step: a forward gradient's does not grow with depth, backprop's does. Of perceptrons of growing
// depth; of one network, whose depth is given, what a forward step takes over a loss alone, which keeps no activations
// either.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/statistics/fit.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr Index kWidth = 256;
constexpr Index kDepths[] = {4, 8, 16, 32, 64};
constexpr Index kBatches[] = {16, 64, 256};
constexpr Index kLargestBatch = kBatches[std::size(kBatches) - 1];

// What a run on one thread allocates, from its plan, so there is nothing to average over.
MemoryReport forward_memory(const Program& program, Index batch) {
  const std::vector<TangentForm> forms = make_probe("rank-one", program.layout(), 1)->forms();
  return ForwardPass<float>(program, {.tangents = 1, .forms = forms}).memory(batch, 1);
}
MemoryReport exact_memory(const Program& program, Index batch) {
  return ExactPass<float>(program).memory(batch, 1);
}

ClaimResult memory_over_depth(const StudyContext& context) {
  Series series{.name = "steps",
                .columns = {"hidden layers", "batch", "forward gradient (bytes)", "backprop (bytes)"},
                .rows = {}};
  std::vector<double> depth, forward, exact;  // logarithms, at the largest batch
  for (const Index batch : kBatches) {
    for (const Index layers : kDepths) {
      const ChainBlock network = context.perceptron_block(std::vector<Index>(static_cast<std::size_t>(layers), kWidth));
      // Beside θ, the gradient or the tangents' factors: values, tangents, cotangents, scratch.
      const auto slope = static_cast<double>(forward_memory(*network.program, batch).working());
      const auto gradient = static_cast<double>(exact_memory(*network.program, batch).working());
      series.rows.push_back({static_cast<double>(layers), static_cast<double>(batch), slope, gradient});
      if (batch != kLargestBatch) continue;
      depth.push_back(std::log(static_cast<double>(layers)));
      forward.push_back(std::log(slope));
      exact.push_back(std::log(gradient));
    }
  }
  const double forward_exponent = fit_line(depth, forward).slope;
  const double exact_exponent = fit_line(depth, exact).slope;
  const std::vector<double>& deepest = series.rows.back();
  return {.predicted = {0, 0},
          .measured = forward_exponent,
          .low = forward_exponent,
          .high = forward_exponent,
          .quantity = "exponent of a forward step's bytes over depth",
          .verdict = forward_exponent == 0 && exact_exponent > 0 ? Verdict::kHolds : Verdict::kFails,
          .condition =
              fmt::format("backprop's exponent: {:.2f}; at {} layers of {} and batch {}: {:.0f} KiB against {:.0f} KiB",
                          exact_exponent, deepest[0], kWidth, deepest[1], deepest[2] / 1024, deepest[3] / 1024),
          .series = {std::move(series)}};
}

ClaimResult memory_over_loss(const StudyContext& context) {
  // Each value with its tangent, and no more values than a loss alone has at a time.
  constexpr double kMost = 2;
  const Program& program = context.subject().program();
  Series series{.name = "batches",
                .columns = {"batch", "loss alone (bytes)", "forward gradient (bytes)", "backprop (bytes)"},
                .rows = {}};
  double most = 0;
  for (const Index batch : kBatches) {
    const auto loss = static_cast<double>(ForwardPass<float>(program).memory(batch, 1).activations);
    const auto slope = static_cast<double>(forward_memory(program, batch).activations);
    const auto gradient = static_cast<double>(exact_memory(program, batch).activations);
    series.rows.push_back({static_cast<double>(batch), loss, slope, gradient});
    most = std::max(most, slope / loss);
  }
  const std::vector<double>& last = series.rows.back();
  return {
      .predicted = {0, kMost},
      .measured = most,
      .low = most,
      .high = most,
      .quantity = "bytes of a forward step's activations and their tangents / of a loss's activations",
      .verdict = most <= kMost ? Verdict::kHolds : Verdict::kFails,
      .condition = fmt::format("the largest of batches from {} to {}; at the last {:.0f} KiB against {:.0f} KiB, and "
                               "{:.0f} KiB with backprop",
                               kBatches[0], kLargestBatch, last[2] / 1024, last[1] / 1024, last[3] / 1024),
      .series = {std::move(series)}};
}

ClaimResult measure_memory(StudyContext& context) {
  return context.has_perceptrons() ? memory_over_depth(context) : memory_over_loss(context);
}

}  // namespace

Claim memory_claim() {
  return {.name = "memory",
          .statement = "A forward gradient needs no memory for the activations of earlier layers",
          .equation = "",
          .weight = 0.1,
          .run = measure_memory};
}

}  // namespace slopewise
