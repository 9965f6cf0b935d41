// The proof of eq. 7 drops the covariances of the terms ∇_j v_j v_i and ∇_k v_k v_i. Here the terms are summed a layer,
// or, of a deep network, several layers that follow one another: t_l = s_l v_i with s_l the slope along the layer's
// part of v, measured by a forward pass with the other layers' tangents structurally zero.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

constexpr Index kEntriesALayer = 8;
// Of more blocks those that follow one another are taken together.
constexpr std::size_t kMostLayers = 4;

// The blocks of each layer, of those that have a gradient.
std::vector<std::vector<Index>> layers_of(const Subject& subject) {
  std::vector<Index> blocks;
  for (Index block = 0; block < std::ssize(subject.layout().blocks); ++block) {
    if (subject.gradient().block_squared_norm(block) > 0) blocks.push_back(block);
  }
  std::vector<std::vector<Index>> layers(std::min(blocks.size(), kMostLayers));
  for (std::size_t b = 0; b < blocks.size(); ++b) layers[b * layers.size() / blocks.size()].push_back(blocks[b]);
  return layers;
}

// The forms with which only these blocks move.
std::vector<TangentForm> only(const ParameterLayout& layout, const std::vector<Index>& blocks) {
  std::vector<TangentForm> forms;
  for (const Segment& segment : layout.segments) {
    const bool moves = std::ranges::find(blocks, segment.block) != blocks.end();
    forms.push_back(moves ? TangentForm::kDense : TangentForm::kNone);
  }
  return forms;
}

struct LayerWorker {
  LayerWorker(const Subject& subject, const std::vector<std::vector<Index>>& layers) : objective(subject.objective()) {
    for (const std::vector<Index>& blocks : layers)
      tangents.emplace_back(subject.layout(), 1, only(subject.layout(), blocks));
  }
  ProgramObjective<float> objective;
  std::vector<Tangents<float>> tangents;
};

ClaimResult measure_uncorrelated_terms(StudyContext& context) {
  const Subject& subject = context.subject();
  const ParameterLayout& layout = subject.layout();
  const std::vector<std::vector<Index>> parts = layers_of(subject);
  const std::size_t layers = parts.size();
  const auto pairs = static_cast<Index>(layers * (layers - 1) / 2);
  const auto count =
      static_cast<std::size_t>(context.samples(1500, 200, static_cast<double>(layers) * slope_flops(subject)));
  const auto probe = make_probe("gaussian", layout, context.seed("uncorrelated-terms"));
  // Entries i spread over the layers' weights.
  std::vector<Index> chosen;
  for (const std::vector<Index>& blocks : parts) {
    const Index largest = *std::ranges::max_element(
        blocks, {}, [&](Index block) { return layout.segments[layout.blocks[block].weight].size(); });
    const Segment& weight = layout.segments[layout.blocks[largest].weight];
    for (Index e = 0; e < kEntriesALayer; ++e) chosen.push_back(weight.offset + weight.size() * e / kEntriesALayer);
  }
  std::vector<std::vector<double>> slopes(layers, std::vector<double>(count));
  std::vector<double> squares(count);  // mean of v_i² over the chosen entries
  subject.objective().loss(subject.parameters());
  PerThread<LayerWorker> workers;
  parallel_for(static_cast<Index>(count), [&](Index j) {
    check_interrupted("measuring covariances");
    LayerWorker& worker = workers.own(subject, parts);
    const auto draw = probe->draw(static_cast<std::uint32_t>(j), 1);
    for (std::size_t l = 0; l < layers; ++l) {
      for (std::size_t s = 0; s < layout.segments.size(); ++s) {
        const Segment& segment = layout.segments[s];
        float* to = worker.tangents[l].dense(static_cast<Index>(s));
        if (to) draw->fill(0, segment.offset, std::span(to, static_cast<std::size_t>(segment.size())));
      }
      slopes[l][j] = worker.objective.slopes(subject.parameters(), worker.tangents[l]).slopes[0];
    }
    for (const Index i : chosen) {
      double v = 0;
      draw->fill(0, i, std::span(&v, 1));
      squares[j] += v * v / static_cast<double>(chosen.size());
    }
  });

  // Correlation of t_l and t_m, over the chosen entries: E[s_l s_m v²] / √(E[s_l² v²] E[s_m² v²]).
  ClaimResult result;
  double furthest = -1;
  bool all = true;
  Series series{.name = "pairs", .columns = {"layer", "other layer", "correlation", "standard error"}, .rows = {}};
  for (std::size_t l = 0; l < layers; ++l) {
    for (std::size_t m = l + 1; m < layers; ++m) {
      std::vector<std::vector<double>> columns(3, std::vector<double>(count));
      for (std::size_t j = 0; j < count; ++j) {
        columns[0][j] = slopes[l][j] * slopes[m][j] * squares[j];
        columns[1][j] = slopes[l][j] * slopes[l][j] * squares[j];
        columns[2][j] = slopes[m][j] * slopes[m][j] * squares[j];
      }
      Measured correlation = function_of_means(
          columns, [](std::span<const double> mean) { return mean[0] / std::sqrt(mean[1] * mean[2]); });
      correlation.skewness = 0;  // with the sign of one layer's tangents the correlation's turns: its law is symmetric
      series.rows.push_back({static_cast<double>(l), static_cast<double>(m), correlation.value, correlation.error});
      ClaimResult judged = judge("correlation of two layers' terms, the one furthest off", 0, correlation, pairs);
      all = all && judged.verdict == Verdict::kHolds;
      if (std::abs(correlation.value / correlation.error) <= furthest) continue;
      furthest = std::abs(correlation.value / correlation.error);
      result = std::move(judged);
    }
  }
  result.verdict = all ? Verdict::kHolds : Verdict::kFails;
  result.condition = fmt::format("{} pairs of layers, {} entries, {} tangents", pairs, chosen.size(), count);
  result.series.push_back(std::move(series));
  return result;
}

}  // namespace

Claim uncorrelated_terms_claim() {
  return {.name = "uncorrelated-terms",
          .statement = "The terms ∇ⱼ vⱼ vᵢ of one entry are uncorrelated, so their variances add",
          .equation = "6",
          .weight = 2,
          .refusal = [](const StudyContext& context) -> std::string {
            return layers_of(context.subject()).size() > 1 ? "" : "it compares layers, of which one trains";
          },
          .run = measure_uncorrelated_terms};
}

}  // namespace slopewise
