#include "slopewise/study/activities.hpp"

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

Batch<float> example(const Subject& subject, Index b) {
  const ImageBatch<float>& batch = subject.batch();
  const std::size_t size = batch.images().size() / batch.labels().size();
  return {.rows = 1,
          .inputs = {batch.images().subspan(static_cast<std::size_t>(b) * size, size),
                     batch.labels().subspan(static_cast<std::size_t>(b), 1)}};
}

double squares(std::span<const float> values) {
  double total = 0;
  for (const float value : values) total += double{value} * value;
  return total;
}

// Entries of a vector like θ that belong to the segment.
template <class U>
std::span<const U> entries(const ParameterLayout& layout, Index segment, std::span<const U> vector) {
  const Segment& of = layout.segments[static_cast<std::size_t>(segment)];
  return vector.subspan(static_cast<std::size_t>(of.offset), static_cast<std::size_t>(of.size()));
}

}  // namespace

ActivitySites hidden_sites(const Subject& subject) {
  ActivitySites sites{.logits = subject.logits()};
  const std::vector<GraphNode>& nodes = subject.program().nodes();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op && nodes[i].op->name() == "relu") sites.nodes.push_back(static_cast<Index>(i));
  }
  if (sites.nodes.empty()) throw NumericError("a network of one layer has no hidden activities to perturb");
  return sites;
}

double ActivityResiduals::Part::squared_norm() const {
  return dot(gradient.data(), gradient.data(), static_cast<Index>(gradient.size()));
}

ActivityResiduals::ActivityResiduals(const Subject& subject) : examples_(subject.batch().labels().size()) {
  const ActivitySites sites = hidden_sites(subject);
  const auto batch = static_cast<Index>(examples_.size());
  Runner<float> values(subject.program(), {.batch = batch, .outputs = sites.nodes});
  values.run(subject.parameters(), subject.batch().batch());
  ProgramObjective<float> objective = subject.objective();
  std::vector<float> gradient(static_cast<std::size_t>(subject.size()));
  for (Index b = 0; b < batch; ++b) {
    const Batch<float> one = example(subject, b);
    objective.bind(one);
    objective.gradient(subject.parameters(), gradient);
    std::span<const float> input = std::get<0>(one.inputs[0]);
    for (std::size_t layer = 0; layer < subject.layout().blocks.size(); ++layer) {
      // The gradient of a layer's bias is ∂loss/∂z.
      const auto bias =
          entries<float>(subject.layout(), subject.layout().blocks[layer].bias, std::span<const float>(gradient));
      Part part{.squared_input = 1 + squares(input),
                .active = static_cast<Index>(bias.size()),
                .gradient = {bias.begin(), bias.end()}};
      if (layer < sites.nodes.size()) {
        input = values.output(layer).subspan(static_cast<std::size_t>(b) * bias.size(), bias.size());
        part.active = part.active - std::count(input.begin(), input.end(), 0.0F);
      }
      examples_[static_cast<std::size_t>(b)].push_back(std::move(part));
    }
  }
}

ActivityResiduals ActivityResiduals::after(const Subject& subject, ActivityEstimator<float>& prior_alone) const {
  ActivityResiduals left = *this;
  for (std::size_t b = 0; b < examples_.size(); ++b) {
    const ActivityGradient<float>& made =
        prior_alone.estimate(subject.parameters(), example(subject, static_cast<Index>(b)), 0, std::nullopt);
    for (std::size_t layer = 0; layer + 1 < left.examples_[b].size(); ++layer) {
      const auto prior = entries(subject.layout(), subject.layout().blocks[layer].bias, made.values());
      std::vector<double>& gradient = left.examples_[b][layer].gradient;
      for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] -= double{prior[i]};
    }
  }
  return left;
}

double ActivityResiduals::squared_norm(std::size_t layer) const {
  double total = 0;
  for (const std::vector<Part>& layers : examples_) total += layers[layer].squared_norm();
  return total / static_cast<double>(examples_.size());
}

std::vector<double> ActivityResiduals::variances(std::size_t layers, double kurtosis, Index tangents,
                                                 bool together) const {
  std::vector<double> found(layers, 0.0);
  const double scale = static_cast<double>(tangents) * static_cast<double>(examples_.size() * examples_.size());
  for (const std::vector<Part>& example : examples_) {
    double sum = 0;
    for (std::size_t layer = 0; layer < layers; ++layer) sum += example[layer].squared_norm();
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const Part& part = example[layer];
      const double own = part.squared_norm();
      const double shared = static_cast<double>(part.active) * (together ? sum : own);
      found[layer] += part.squared_input * (shared + (kurtosis - 2) * own) / scale;
    }
  }
  return found;
}

std::vector<std::vector<double>> squared_errors(const Subject& subject, const MakeActivityEstimator& make,
                                                std::uint32_t first, Index count, const SeeEstimate& see) {
  struct Worker {
    explicit Worker(const MakeActivityEstimator& made) : estimator(made()) {}
    std::unique_ptr<ActivityEstimator<float>> estimator;
  };
  const ParameterLayout& layout = subject.layout();
  std::vector<std::vector<double>> errors(layout.blocks.size(), std::vector<double>(static_cast<std::size_t>(count)));
  subject.objective().loss(subject.parameters());  // packs the weights before threads read them
  PerThread<Worker> workers;
  parallel_for(count, [&](Index j) {
    check_interrupted("perturbing activities");
    const ActivityGradient<float>& estimate = workers.own(make).estimator->estimate(
        subject.parameters(), subject.batch().batch(), first + static_cast<std::uint32_t>(j), std::nullopt);
    for (std::size_t layer = 0; layer < errors.size(); ++layer) {
      double& error = errors[layer][static_cast<std::size_t>(j)];
      for (const Index segment : {layout.blocks[layer].weight, layout.blocks[layer].bias}) {
        const auto found = entries(layout, segment, estimate.values());
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
