#include "slopewise/study/activities.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"

namespace slopewise {
namespace {

// Entries of a vector like θ that belong to the segment.
template <class U>
std::span<const U> entries(const ParameterLayout& layout, Index segment, std::span<const U> vector) {
  const Segment& of = layout.segments[segment];
  return vector.subspan(static_cast<std::size_t>(of.offset), static_cast<std::size_t>(of.size()));
}

}  // namespace

std::string why_unpredicted(const Subject& subject, const EstimatorOptions& options) {
  if (subject.sites().nodes.empty()) return "it perturbs hidden layers, of which there are none before which it trains";
  std::vector<double> variances;
  try {
    variances = layer_variances(subject, *activity_estimator(subject, options));
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return std::ranges::none_of(variances, [](double variance) { return std::isnan(variance); })
             ? ""
             : "its variance is known where all that trains are linear layers that read vectors, one after the other";
}

std::unique_ptr<ActivityEstimator<float>> activity_estimator(const Subject& subject, const EstimatorOptions& options) {
  return std::make_unique<ActivityEstimator<float>>(EstimatorTarget(subject.program(), subject.sites()), options);
}

std::vector<double> layer_variances(const Subject& subject, ActivityEstimator<float>& estimator) {
  ProgramObjective<float> objective = subject.objective();
  const std::vector<double> variances =
      estimator.prediction(objective, subject.parameters())->entry_variances(subject.gradient());
  std::vector<double> layers;
  for (const Block& block : subject.layout().blocks) {
    layers.push_back(0);
    for (const Index segment : {block.weight, block.bias}) {
      if (segment < 0) continue;
      const auto part = entries<double>(subject.layout(), segment, variances);
      layers.back() = std::accumulate(part.begin(), part.end(), layers.back());
    }
  }
  return layers;
}

std::vector<double> squared_residuals(const Subject& subject, ActivityEstimator<float>& estimator) {
  ProgramObjective<float> objective = subject.objective();
  std::vector<double> squares;
  for (const std::vector<float>& missed : estimator.missed(objective, subject.parameters())) {
    double sum = 0;
    for (const float d : missed) sum += double{d} * d;
    squares.push_back(sum / static_cast<double>(subject.examples()));
  }
  return squares;
}

std::vector<std::vector<double>> squared_errors(const Subject& subject, const MakeActivityEstimator& make,
                                                std::uint32_t first, Index count, const SeeEstimate& see) {
  struct Worker {
    Worker(const Subject& of, const MakeActivityEstimator& made) : objective(of.objective()), estimator(made()) {}
    ProgramObjective<float> objective;
    std::unique_ptr<ActivityEstimator<float>> estimator;
  };
  const ParameterLayout& layout = subject.layout();
  std::vector<std::vector<double>> errors(layout.blocks.size(), std::vector<double>(static_cast<std::size_t>(count)));
  subject.objective().loss(subject.parameters());  // packs the weights before threads read them
  PerThread<Worker> workers;
  parallel_for(count, [&](Index j) {
    check_interrupted("perturbing activities");
    Worker& worker = workers.own(subject, make);
    const GradientEstimate estimate =
        worker.estimator->estimate(worker.objective, subject.parameters(), first + static_cast<std::uint32_t>(j));
    const std::span<const float> whole = estimate.held<float>();
    for (std::size_t layer = 0; layer < errors.size(); ++layer) {
      double& error = errors[layer][j];
      for (const Index segment : {layout.blocks[layer].weight, layout.blocks[layer].bias}) {
        if (segment < 0) continue;
        const auto found = entries(layout, segment, whole);
        const auto exact = entries(layout, segment, subject.gradient().values());
        for (std::size_t i = 0; i < found.size(); ++i) {
          const double off = double{found[i]} - exact[i];
          error += off * off;
        }
      }
    }
    see(static_cast<std::size_t>(j), estimate);
  });
  return errors;
}

}  // namespace slopewise
