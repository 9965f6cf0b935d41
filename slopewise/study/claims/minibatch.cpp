// With mini-batches the total variance is (n + κ − 1)(‖∇‖² + tr C) − ‖∇‖²: C, the covariance of the mini-batch
// gradient, is multiplied by the number of parameters like the gradient itself.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/study/descent.hpp"
#include "slopewise/tensor/vector.hpp"
#include "slopewise/train/spread.hpp"

namespace slopewise {
namespace {

constexpr Index kFullSet = 256;
constexpr Index kMiniBatch = 16;

// Shares of the initial loss at which, besides the start, the mini-batches' factor is looked at, and the most steps of
// descent to the last.
constexpr double kShares[] = {0.5, 0.1, 0.02};
constexpr int kMostDescentSteps = 500;

// The factor on the way down, from what it is at the start: descent on the full set, at half the highest rate there.
Series factors(const StudyContext& context, const Subject& full, std::span<const Index> indices, const Spread& start) {
  const double rate = full.curvature(8, context.seed("minibatch descent")).highest_exact_rate() / 2;
  Series series{.name = "training",
                .columns = {"loss / initial loss", "E|grad_B|^2 / |grad|^2"},
                .rows = {{1, start.factor(kMiniBatch)}}};
  ProgramObjective<float> objective = full.objective();
  Parameters<float> theta = full.parameters();
  double loss = full.loss();
  int step = 0;
  for (const double share : kShares) {
    for (; loss > share * full.loss() && step < kMostDescentSteps; ++step) {
      check_interrupted("descending");
      objective.descend(theta, rate);
      loss = objective.loss(theta);
    }
    series.rows.push_back(
        {loss / full.loss(), measure_spread(context.train(), full.program(), theta, indices).factor(kMiniBatch)});
  }
  return series;
}

ClaimResult measure_minibatch(StudyContext& context) {
  const std::vector<Index> indices = context.examples(std::min(kFullSet, context.train().count()));
  const Subject full = context.subject_on(indices);
  const double square = full.gradient().squared_norm();
  const auto n = static_cast<double>(full.size());
  const Spread start = measure_spread(context.train(), full.program(), full.parameters(), indices);
  const double covariance = start.covariance / static_cast<double>(kMiniBatch);

  const auto probe = make_probe("gaussian", full.layout(), context.seed("minibatch"));
  const std::uint64_t batch_seed = context.seed("minibatch examples");
  const Index count = context.samples(4000, 1000);
  std::vector<double> norms(static_cast<std::size_t>(count));
  struct Worker {
    Worker(const Subject& subject, const Probe& law)
        : objective(subject.objective()), tangents(law.layout(), 1, law.forms()) {}
    ProgramObjective<float> objective;
    Tangents<float> tangents;
  };
  full.objective().loss(full.parameters());  // packs the weights before threads read them
  PerThread<Worker> workers;
  parallel_for(count, [&](Index j) {
    check_interrupted("drawing mini-batches");
    Worker& worker = workers.own(full, *probe);
    const ExampleBatch<float> batch(context.train(),
                                    draw_examples(indices, kMiniBatch, batch_seed, static_cast<std::uint64_t>(j)));
    worker.objective.bind(batch.batch());
    const auto draw = probe->draw(static_cast<std::uint32_t>(j), 1);
    draw->write(worker.tangents);
    const double slope = worker.objective.slopes(full.parameters(), worker.tangents).slopes[0];
    norms[j] = slope * slope * squared_norm(*draw, worker.tangents, 0);
  });

  const double full_batch = (n + 1) * square;
  for (double& norm : norms) norm = (norm - square) / full_batch;
  ClaimResult result = judge("total variance / that of the full batch",
                             ((n + 2) * (square + covariance) - square) / full_batch, mean_of(norms));
  result.condition = fmt::format(
      "mini-batches of {} from {}; tr C / ‖∇‖² = {:.3f}; what multiplies the slowdown, E‖∇ₘ‖²/‖∇‖² with ∇ₘ the "
      "gradient of a mini-batch, ",
      kMiniBatch, indices.size(), covariance / square);
  if (context.has_perceptrons()) {
    result.series.push_back(factors(context, full, indices, start));
    const std::vector<std::vector<double>>& rows = result.series[0].rows;
    result.condition += fmt::format("goes from {:.2f} to {:.2f} as the loss falls to {:.2f} of its initial value",
                                    rows.front()[1], rows.back()[1], rows.back()[0]);
  } else {
    result.condition += fmt::format("is {:.2f}", start.factor(kMiniBatch));
  }
  return result;
}

}  // namespace

Claim minibatch_claim() {
  return {.name = "minibatch",
          .statement = "Mini-batches make it worse: the variance of the mini-batch gradient is multiplied by n as well",
          .equation = "",
          .weight = 3,
          .run = measure_minibatch};
}

}  // namespace slopewise
