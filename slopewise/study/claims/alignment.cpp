// How far a forward gradient points along the gradient, and how far a mini-batch's gradient does.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/data/batches.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "slopewise/statistics/fit.hpp"
#include "slopewise/statistics/histogram.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Mini-batches have the batch's size, of so many times as many examples.
constexpr Index kMiniBatchesInSet = 16;
constexpr Index kCosineBins = 60;

// cos(∇_B, ∇) for the mini-batches B of a larger set, on the subject's network.
struct MiniBatches {
  Index size;
  std::vector<double> cosines;
};

MiniBatches minibatch_cosines(const StudyContext& context, const Subject& subject) {
  const Index batch = context.options().batch;
  const std::vector<Index> full = context.examples(std::min(kMiniBatchesInSet * batch, context.train().count()));
  const Index size = std::min(batch, static_cast<Index>(full.size()) / 2);
  ProgramObjective<float> objective(subject.program(), {}, {.micro_batch = kInFlight});
  const auto gradient_of = [&](std::span<const Index> indices) {
    const ExampleBatch<float> examples(context.train(), indices);
    std::vector<float> gradient(static_cast<std::size_t>(subject.size()));
    objective.bind(examples.batch());
    objective.gradient(subject.parameters(), gradient);
    return std::vector<double>(gradient.begin(), gradient.end());
  };
  const std::vector<double> whole = gradient_of(full);
  const double norm = std::sqrt(dot(whole.data(), whole.data(), subject.size()));
  const Batches batches(static_cast<Index>(full.size()), size, context.seed("alignment"));
  std::vector<double> cosines;
  for (Index step = 0; step < context.samples(160, 32); ++step) {
    check_interrupted("measuring mini-batch gradients");
    std::vector<Index> indices = batches.indices(step);
    for (Index& index : indices) index = full[index];
    const std::vector<double> part = gradient_of(indices);
    cosines.push_back(dot(part.data(), whole.data(), subject.size()) / norm /
                      std::sqrt(dot(part.data(), part.data(), subject.size())));
  }
  return {size, std::move(cosines)};
}

ClaimResult measure_alignment(StudyContext& context) {
  const Subject& subject = context.subject();
  const Samples& pool = context.pool();
  const auto n = static_cast<double>(subject.size());
  const double norm = std::sqrt(subject.gradient().squared_norm());
  // cos(v, ∇), signed; that of g = s v is its absolute value.
  std::vector<double> cosines, sizes;
  for (std::size_t j = 0; j < pool.slopes.size(); ++j) {
    cosines.push_back(pool.slopes[j] / (norm * std::sqrt(pool.squared_norms[j])));
    sizes.push_back(std::abs(cosines.back()));
  }
  ClaimResult result = judge("mean cos(g, ∇)", cosine_mean_abs(n), mean_of(sizes), 2);
  const FitTest fit = kolmogorov_smirnov_test(cosines, [n](double x) { return cosine_cdf(n, x); });
  if (fit.p_value < 1 - share_of_confidence(2)) result.verdict = Verdict::kFails;

  const MiniBatches mini = minibatch_cosines(context, subject);
  const Measured mini_mean = mean_of(mini.cosines);
  result.condition = fmt::format(
      "cos² against Beta(1/2, (n-1)/2): Kolmogorov-Smirnov p = {:.3g}; the gradient of a mini-batch of {} has mean "
      "cosine {:.3f} ± {:.3f}, {:.0f} times as much",
      fit.p_value, mini.size, mini_mean.value, mini_mean.error, mini_mean.value / result.measured);
  const double width = 5 / std::sqrt(n);
  Histogram histogram(-width, width, static_cast<std::size_t>(kCosineBins));
  for (const double cosine : cosines) histogram.add(cosine);
  Series forward{.name = "forward gradient",
                 .columns = {"cosine from", "cosine to", "measured density", "predicted density"},
                 .rows = {}};
  for (std::size_t b = 0; b < histogram.bins(); ++b) {
    const double low = histogram.edge(b), high = histogram.edge(b + 1);
    forward.rows.push_back(
        {low, high, histogram.density(b), (cosine_cdf(n, high) - cosine_cdf(n, low)) / (high - low)});
  }
  Series batches{.name = "mini-batch gradient", .columns = {"cosine"}, .rows = {}};
  for (const double cosine : mini.cosines) batches.rows.push_back({cosine});
  result.series = {std::move(forward), std::move(batches)};
  return result;
}

}  // namespace

Claim alignment_claim() {
  return {.name = "alignment",
          .statement =
              "A forward gradient is nearly orthogonal to the gradient: cos² ~ Beta(1/2, (n-1)/2), far below a "
              "mini-batch gradient's",
          .equation = "",
          .weight = 0.5,
          .run = measure_alignment};
}

}  // namespace slopewise
