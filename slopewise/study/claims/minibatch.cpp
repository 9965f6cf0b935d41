// With mini-batches the total variance is (n + κ − 1)(‖∇‖² + tr C) − ‖∇‖²: C, the covariance of the mini-batch
// gradient, is multiplied by the number of parameters like the gradient itself, and so is the number of steps by about
// E‖∇_B‖²/‖∇‖².
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/study/curvature.hpp"
#include "slopewise/study/descent.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr Index kFullSet = 256;
constexpr Index kMiniBatch = 16;
// Runs to half the loss, of which the median counts.
constexpr Index kRuns = 3;

// Shares of the initial loss at which, besides the start, the mini-batches' factor is looked at, and the most steps of
// descent to the last.
constexpr double kShares[] = {0.5, 0.1, 0.02};
constexpr int kMostDescentSteps = 500;

// How one example's gradient, drawn uniformly from the set, spreads at θ.
struct Spread {
  double squared_mean;  // ‖∇‖²
  double covariance;    // its trace: mean ‖∇_e‖² − ‖∇‖²

  // E‖∇_B‖² / ‖∇‖² of mini-batches drawn with replacement: their covariance is that of one example over their size.
  double factor() const { return 1 + covariance / static_cast<double>(kMiniBatch) / squared_mean; }
};

double squared_gradient_norm(ProgramObjective<float> objective, const Parameters<float>& theta) {
  std::vector<float> gradient(static_cast<std::size_t>(theta.size()));
  objective.gradient(theta, gradient);
  double total = 0;
  for (const float g : gradient) total += double{g} * g;
  return total;
}

Spread measure_spread(const StudyContext& context, const Subject& full, const Parameters<float>& theta,
                      std::span<const Index> indices) {
  std::vector<double> squares(indices.size());
  full.objective().loss(theta);  // packs the weights before threads read them
  const double squared_mean = squared_gradient_norm(full.objective(), theta);
  parallel_for(static_cast<Index>(indices.size()), [&](Index e) {
    check_interrupted("measuring example gradients");
    const ImageBatch<float> one(context.train(), indices.subspan(static_cast<std::size_t>(e), 1));
    squares[static_cast<std::size_t>(e)] = squared_gradient_norm({full.program(), one.batch()}, theta);
  });
  double mean = 0;
  for (const double square : squares) mean += square / static_cast<double>(squares.size());
  return {.squared_mean = squared_mean, .covariance = mean - squared_mean};
}

// The factor on the way down, from what it is at the start: descent on the full set, at half the highest rate there.
Series factors(const StudyContext& context, const Subject& full, std::span<const Index> indices, const Spread& start) {
  const double rate = measure_curvature(full, 8, context.seed("minibatch descent")).highest_exact_rate() / 2;
  Series series{
      .name = "training", .columns = {"loss / initial loss", "E|grad_B|^2 / |grad|^2"}, .rows = {{1, start.factor()}}};
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
    series.rows.push_back({loss / full.loss(), measure_spread(context, full, theta, indices).factor()});
  }
  return series;
}

// Steps of forward gradients to half the loss over those of exact ones, each at its best rate, beside (tr H + 2λ)/λ, on
// a network small enough for many runs. Mini-batches multiply that by about E‖∇_B‖²/‖∇‖², here its mean over the two
// ends of the way. A row for the full batch, one for mini-batches; none where exact steps do not come to half.
Series slowdowns(const StudyContext& context, std::span<const Index> indices) {
  const Index hidden = 16;
  const Subject full(mlp(context.train().image_shape.size(), {&hidden, 1}, context.train().classes), context.train(),
                     indices, context.seed("weights"));
  const std::uint64_t seed = context.seed("minibatch slowdown");
  const Curvature curvature = measure_curvature(full, 128, seed);
  const double most = 20'000;
  const TunedDescent exact =
      tune_descent(full, curvature.highest_exact_rate() / 2, 500, 1, [&](Index) { return exact_descent(full); });
  Series series{.name = "slowdown", .columns = {"measured", "predicted"}, .rows = {}};
  if (!std::isfinite(exact.steps)) return series;
  Parameters<float> halfway = full.parameters();
  const DescentStep down = exact_descent(full);
  for (std::uint32_t step = 0; step < exact.steps; ++step) {
    check_interrupted("descending");
    down(halfway, step, exact.rate);
  }
  const double factor = (measure_spread(context, full, full.parameters(), indices).factor() +
                         measure_spread(context, full, halfway, indices).factor()) /
                        2;
  const auto run_seed = [&](Index run) { return derive_seed(seed, static_cast<std::uint64_t>(run)); };
  const double rate = curvature.highest_rate() / 2;
  const auto add = [&](const std::string& label, const TunedDescent& found, double expected) {
    if (!std::isfinite(found.steps)) return;
    series.rows.push_back({found.steps / exact.steps, expected});
    series.labels.push_back(label);
  };
  add("full batch",
      tune_descent(full, rate, most, kRuns, [&](Index run) { return forward_descent(full, run_seed(run)); }),
      curvature.slowdown());
  if (context.options().quick) return series;  // some ten thousand steps
  add(fmt::format("mini-batches of {}", kMiniBatch),
      tune_descent(
          full, rate / factor, most, kRuns,
          [&](Index run) { return minibatch_descent(full, context.train(), indices, kMiniBatch, run_seed(run)); }),
      factor * curvature.slowdown());
  return series;
}

ClaimResult measure_minibatch(StudyContext& context) {
  const std::vector<Index> indices = context.examples(std::min(kFullSet, context.train().count()));
  const Subject full(mlp(context.train().image_shape.size(), context.options().hidden, context.train().classes),
                     context.train(), indices, context.seed("weights"));
  const double square = full.gradient().squared_norm();
  const auto n = static_cast<double>(full.size());
  const Spread start = measure_spread(context, full, full.parameters(), indices);
  const double covariance = start.covariance / static_cast<double>(kMiniBatch);

  const auto probe = make_probe("gaussian", full.layout(), context.seed("minibatch"));
  const std::uint64_t batch_seed = context.seed("minibatch examples");
  const Index count = context.samples(4000);
  std::vector<double> norms(static_cast<std::size_t>(count));
  struct Worker {
    Worker(const Subject& subject, const Probe& law)
        : objective(subject.objective()), tangents(law.layout(), 1, law.forms()) {}
    ProgramObjective<float> objective;
    Tangents<float> tangents;
  };
  PerThread<Worker> workers;
  parallel_for(count, [&](Index j) {
    check_interrupted("drawing mini-batches");
    Worker& worker = workers.own(full, *probe);
    const ImageBatch<float> batch(context.train(),
                                  draw_examples(indices, kMiniBatch, batch_seed, static_cast<std::uint64_t>(j)));
    worker.objective.bind(batch.batch());
    const auto draw = probe->draw(static_cast<std::uint32_t>(j), 1);
    draw->write(worker.tangents);
    const double slope = worker.objective.slopes(full.parameters(), worker.tangents).slopes[0];
    norms[static_cast<std::size_t>(j)] = slope * slope * squared_norm(*draw, worker.tangents, 0);
  });

  const double full_batch = (n + 1) * square;
  for (double& norm : norms) norm = (norm - square) / full_batch;
  ClaimResult result = judge("total variance / that of the full batch",
                             ((n + 2) * (square + covariance) - square) / full_batch, mean_of(norms));
  result.series.push_back(factors(context, full, indices, start));
  result.series.push_back(slowdowns(context, indices));
  const std::vector<std::vector<double>>& rows = result.series[0].rows;
  result.condition = fmt::format(
      "mini-batches of {} from {}; tr C / ‖∇‖² = {:.3f}; what multiplies the slowdown, E‖∇_B‖²/‖∇‖², goes from {:.2f} "
      "to {:.2f} as the loss falls to {:.2f} of its initial value",
      kMiniBatch, indices.size(), covariance / square, rows.front()[1], rows.back()[1], rows.back()[0]);
  const Series& slower = result.series[1];
  for (std::size_t i = 0; i < slower.rows.size(); ++i) {
    result.condition += fmt::format("{} {} {:.0f} times the steps of exact gradients ({:.0f} predicted)",
                                    i == 0 ? "; to half the loss a network of 16 units takes, in" : ", in",
                                    slower.labels[i], slower.rows[i][0], slower.rows[i][1]);
  }
  return result;
}

}  // namespace

Claim minibatch_claim() {
  return {.id = "minibatch",
          .statement = "Mini-batches make it worse: the variance of the mini-batch gradient is multiplied by n as well",
          .equation = "",
          .weight = 7,
          .run = measure_minibatch};
}

}  // namespace slopewise
