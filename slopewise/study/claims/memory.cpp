// The memory of a step: a forward gradient's does not grow with depth, backprop's does.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/statistics/fit.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr Index kWidth = 256;
constexpr Index kDepths[] = {4, 8, 16, 32, 64};
constexpr Index kBatches[] = {16, 64, 256};

ClaimResult measure_memory(StudyContext& context) {
  Series series{.name = "steps",
                .columns = {"hidden layers", "batch", "forward gradient (bytes)", "backprop (bytes)"},
                .rows = {}};
  std::vector<double> depth, forward, exact;  // logarithms, at the largest batch
  for (const Index batch : kBatches) {
    for (const Index layers : kDepths) {
      const Model model = mlp(context.train().image_shape.size(),
                              std::vector<Index>(static_cast<std::size_t>(layers), kWidth), context.train().classes);
      const std::vector<TangentForm> forms = make_probe("rank-one", model.program.layout(), 1)->forms();
      // What a run on one thread allocates beside θ, the gradient or the tangents' factors: values, tangents,
      // cotangents, scratch.
      const auto bytes = [&](const auto& pass) {
        const MemoryReport memory = pass.memory(batch, 1);
        return static_cast<double>(memory.activations + memory.shared + memory.scratch);
      };
      const double slope = bytes(ForwardPass<float>(model.program, {.tangents = 1, .forms = forms}));
      const double gradient = bytes(ExactPass<float>(model.program));
      series.rows.push_back({static_cast<double>(layers), static_cast<double>(batch), slope, gradient});
      if (batch != kBatches[std::size(kBatches) - 1]) continue;
      depth.push_back(std::log(static_cast<double>(layers)));
      forward.push_back(std::log(slope));
      exact.push_back(std::log(gradient));
    }
  }
  const double forward_exponent = fit_line(depth, forward).slope;
  const double exact_exponent = fit_line(depth, exact).slope;
  const std::vector<double>& deepest = series.rows.back();
  // Counted from the plan that a run allocates, so there is nothing to average over.
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

}  // namespace

Claim memory_claim() {
  return {.name = "memory",
          .statement = "A forward gradient needs no memory for the activations of earlier layers",
          .equation = "",
          .weight = 0.1,
          .run = measure_memory};
}

}  // namespace slopewise
