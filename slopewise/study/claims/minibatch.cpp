// With mini-batches the total variance is (n + κ − 1)(‖∇‖² + tr C) − ‖∇‖²: C, the covariance of the mini-batch
// gradient, is multiplied by the number of parameters like the gradient itself.
#include <fmt/format.h>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr Index kFullSet = 256;
constexpr Index kMiniBatch = 16;

// tr of the covariance of one example's gradient, drawn uniformly from the set: mean ‖∇_e‖² − ‖∇‖².
double example_covariance(const StudyContext& context, const Subject& full, std::span<const Index> indices) {
  std::vector<double> squares(indices.size());
  full.objective().loss(full.parameters());
  parallel_for(static_cast<Index>(indices.size()), [&](Index e) {
    check_interrupted("measuring example gradients");
    const ImageBatch<float> one(context.train(), indices.subspan(static_cast<std::size_t>(e), 1));
    std::vector<float> gradient(static_cast<std::size_t>(full.size()));
    ProgramObjective<float>(full.program(), one.batch()).gradient(full.parameters(), gradient);
    double total = 0;
    for (const float g : gradient) total += double{g} * g;
    squares[static_cast<std::size_t>(e)] = total;
  });
  double mean = 0;
  for (const double square : squares) mean += square / static_cast<double>(squares.size());
  return mean - full.gradient().squared_norm();
}

ClaimResult run(StudyContext& context) {
  const std::vector<Index> indices = context.examples(std::min(kFullSet, context.train().count()));
  const Subject full(mlp(context.train().image_shape.size(), context.options().hidden, context.train().classes),
                     context.train(), indices, context.seed("weights"));
  const double square = full.gradient().squared_norm();
  const auto n = static_cast<double>(full.size());
  // A batch of b drawn with replacement has the covariance of one example over b.
  const double covariance = example_covariance(context, full, indices) / static_cast<double>(kMiniBatch);

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
    RandomStream random(batch_seed, static_cast<std::uint64_t>(j));
    std::vector<Index> picked;
    for (Index b = 0; b < kMiniBatch; ++b)
      picked.push_back(indices[random.below(static_cast<std::uint32_t>(indices.size()))]);
    const ImageBatch<float> batch(context.train(), picked);
    worker.objective.bind(batch.batch());
    const auto draw = probe->draw(static_cast<std::uint32_t>(j), 1);
    draw->write(worker.tangents);
    const double slope = worker.objective.slopes(full.parameters(), worker.tangents).slopes[0];
    norms[static_cast<std::size_t>(j)] = slope * slope * draw->squared_norm(0);
  });

  const double full_batch = (n + 1) * square;
  for (double& norm : norms) norm = (norm - square) / full_batch;
  ClaimResult result = judge("total variance / that of the full batch",
                             ((n + 2) * (square + covariance) - square) / full_batch, mean_of(norms));
  result.condition = fmt::format("mini-batches of {} from {}; tr C / ‖∇‖² = {:.3f}", kMiniBatch, indices.size(),
                                 covariance / square);
  return result;
}

}  // namespace

Claim minibatch_claim() {
  return {.id = "minibatch",
          .statement = "Mini-batches make it worse: the variance of the mini-batch gradient is multiplied by n as well",
          .equation = "",
          .weight = 2,
          .run = run};
}

}  // namespace slopewise
