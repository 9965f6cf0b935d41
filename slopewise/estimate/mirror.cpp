// The weight mirror: C → Wᵀ from pairs (x, W x) of random x, and from the changes of W between passes.
#include "slopewise/estimate/mirror.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/random.hpp"

namespace slopewise {
namespace {

// Pairs of one pass: an eighth of the work of a batch of 128. With λ = (√inputs + √pairs)², about the largest
// eigenvalue of XᵀX, an error of C shrinks by 1 − pairs/λ a pass.
constexpr Index kPairs = 16;

template <class T>
class Mirror final : public ActivityPrior<T> {
 public:
  Mirror(const Program& program, const ActivitySites& sites, std::uint64_t seed)
      : gain_(static_cast<T>(sites.gain)), seed_(derive_seed(seed, 0x6D697272)) {
    if (!sites.rectified) throw ArgumentError("prior 'mirror': expected rectified activities (ReLU)");
    for (const Index site : sites.nodes) {
      const Segment& weight = weight_after(program, site);
      const Layer layer{.offset = weight.offset, .outputs = weight.shape[0], .inputs = weight.shape[1]};
      if (layer.inputs != program.node(site).shape.size())
        throw ArgumentError("prior 'mirror': expected a linear layer over all of a site");
      if (!layers_.empty() && layers_.back().outputs != layer.inputs)
        throw ArgumentError("prior 'mirror': expected sites that each feed the next one's layer");
      layers_.push_back(layer);
      this->memory_.push_back({fmt::format("mirror{}", layers_.size()), zeros(layer)});
      this->memory_.push_back({fmt::format("seen{}", layers_.size()), zeros(layer)});
    }
    if (!layers_.empty() && layers_.back().outputs != program.node(sites.logits).shape.size())
      throw ArgumentError("prior 'mirror': expected the last site to feed the logits");
  }
  std::string_view name() const override { return "mirror"; }

  void begin(const Parameters<T>& theta) override {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Layer& layer = layers_[l];
      follow(l, theta.values(layer.offset, layer.inputs * layer.outputs).data());
    }
  }
  void learn(std::span<const double>, std::uint32_t step) override {
    for (std::size_t l = 0; l < layers_.size(); ++l) learn_pairs(l, step);
    ++this->steps_;
  }

  void predict(const ActivityRows<T>& seen, std::span<const std::span<T>> out) const override {
    std::vector<T> above(seen.error.begin(), seen.error.end());  // the gradient of the outputs of the layer above
    for (std::size_t l = layers_.size(); l-- > 0;) {
      const Layer& layer = layers_[l];
      constexpr Index kRows = 16;
      parallel_for((seen.rows + kRows - 1) / kRows, [&](Index piece) {
        const Index first = piece * kRows;
        matmul<T>(std::min(kRows, seen.rows - first), layer.inputs, layer.outputs, T{1},
                  {above.data() + first * layer.outputs, layer.outputs}, {mirror(l).data(), layer.outputs, true}, T{0},
                  out[l].data() + first * layer.inputs, layer.inputs);
      });
      const std::span<const T>& value = seen.values[l];
      above.resize(out[l].size());
      for (std::size_t i = 0; i < out[l].size(); ++i) {
        out[l][i] = value[i] != T{0} ? out[l][i] : T{0};
        above[i] = gain_ * out[l][i];
      }
    }
  }

 private:
  struct Layer {
    Index offset, outputs, inputs;
  };
  static std::vector<T> zeros(const Layer& layer) {
    return std::vector<T>(static_cast<std::size_t>(layer.inputs * layer.outputs));
  }
  // C (inputs, outputs), and W (outputs, inputs) when it was last looked at.
  const std::vector<T>& mirror(std::size_t l) const { return this->memory_[2 * l].values; }
  std::vector<T>& mirror(std::size_t l) { return this->memory_[2 * l].values; }
  std::vector<T>& seen(std::size_t l) { return this->memory_[2 * l + 1].values; }

  // The weight of the linear layer that reads the site.
  static const Segment& weight_after(const Program& program, Index site) {
    const GraphNode* consumer = nullptr;
    for (const GraphNode& node : program.nodes()) {
      if (std::find(node.inputs.begin(), node.inputs.end(), site) == node.inputs.end()) continue;
      if (consumer || !node.op || node.op->name() != "linear" || node.inputs[0] != site)
        throw ArgumentError("prior 'mirror': expected sites that each feed one linear layer");
      consumer = &node;
    }
    const GraphNode& weight = program.node(consumer->inputs[1]);
    if (weight.kind != GraphNode::Kind::kParameter)
      throw ArgumentError("prior 'mirror': expected linear layers with parameters for weights");
    return program.layout().segments[weight.slot];
  }

  // C += (W − W seen)ᵀ. The first W seen is no change: C then knows nothing of it.
  void follow(std::size_t l, const T* weight) {
    const Layer& layer = layers_[l];
    constexpr Index kUnits = 64;
    parallel_for((layer.inputs + kUnits - 1) / kUnits, [&](Index piece) {
      const Index end = std::min(layer.inputs, (piece + 1) * kUnits);
      for (Index o = 0; o < layer.outputs; ++o) {
        for (Index i = piece * kUnits; i < end; ++i) {
          T& before = seen(l)[o * layer.inputs + i];
          const T now = weight[o * layer.inputs + i];
          if (this->steps_ > 0) mirror(l)[i * layer.outputs + o] += now - before;
          before = now;
        }
      }
    });
  }

  // C += Xᵀ (X Wᵀ − X C) / λ for rows x of random signs.
  void learn_pairs(std::size_t l, std::uint32_t step) {
    const Layer& layer = layers_[l];
    std::vector<T> x(static_cast<std::size_t>(kPairs * layer.inputs)),
        miss(static_cast<std::size_t>(kPairs * layer.outputs));
    fill_rademacher({.seed = seed_, .step = step, .stream = static_cast<std::uint32_t>(l)}, 0, std::span<T>(x));
    const T root = std::sqrt(static_cast<T>(layer.inputs)) + std::sqrt(static_cast<T>(kPairs));
    constexpr Index kUnits = 64;
    parallel_for((layer.outputs + kUnits - 1) / kUnits, [&](Index piece) {
      const Index first = piece * kUnits;
      const Index units = std::min(kUnits, layer.outputs - first);
      T* y = miss.data() + first;
      matmul<T>(kPairs, units, layer.inputs, T{1}, {x.data(), layer.inputs},
                {seen(l).data() + first * layer.inputs, layer.inputs, true}, T{0}, y, layer.outputs);
      matmul<T>(kPairs, units, layer.inputs, T{-1}, {x.data(), layer.inputs}, {mirror(l).data() + first, layer.outputs},
                T{1}, y, layer.outputs);
      matmul<T>(layer.inputs, units, kPairs, T{1} / (root * root), {x.data(), layer.inputs, true}, {y, layer.outputs},
                T{1}, mirror(l).data() + first, layer.outputs);
    });
  }

  T gain_;
  std::uint64_t seed_;
  std::vector<Layer> layers_;
};

}  // namespace

template <class T>
std::unique_ptr<ActivityPrior<T>> mirror_prior(const Program& program, const ActivitySites& sites, std::uint64_t seed) {
  return std::make_unique<Mirror<T>>(program, sites, seed);
}

template std::unique_ptr<ActivityPrior<float>> mirror_prior(const Program&, const ActivitySites&, std::uint64_t);
template std::unique_ptr<ActivityPrior<double>> mirror_prior(const Program&, const ActivitySites&, std::uint64_t);

}  // namespace slopewise
