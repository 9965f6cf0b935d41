// What theory says of activity perturbation's noise at θ, from the exact gradients of examples.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "slopewise/estimate/activity.hpp"
#include "slopewise/program/stream.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// The linear layer whose outputs, rectified or as they are, are a site, or the logits.
struct SiteLayer {
  Index input = -1;  // the node that the layer reads; −1: another kind of layer, of which nothing is predicted
  Index weight = -1, bias = -1;  // segments
};

SiteLayer layer_of(const Program& program, Index node, bool rectified) {
  while (rectified && program.node(node).op && program.node(node).op->name() != "linear") {
    const std::string_view name = program.node(node).op->name();
    if (name != "relu" && name != "dropout") return {};
    node = program.node(node).inputs[0];
  }
  const GraphNode& layer = program.node(node);
  if (!layer.op || layer.op->name() != "linear" || program.node(layer.inputs[0]).shape.rank() != 1) return {};
  for (std::size_t i = 1; i < layer.inputs.size(); ++i) {
    if (program.node(layer.inputs[i]).kind != GraphNode::Kind::kParameter) return {};
  }
  return {.input = layer.inputs[0],
          .weight = program.node(layer.inputs[1]).slot,
          .bias = layer.inputs.size() > 2 ? program.node(layer.inputs[2]).slot : -1};
}

// Whether all that trains up to the node `top` is weights and biases of these layers, each read by one alone.
bool are_all(const std::vector<SiteLayer>& layers, const Program& program, Index top) {
  std::vector<Index> own, read;
  for (const SiteLayer& layer : layers) {
    own.push_back(layer.weight);
    if (layer.bias >= 0) own.push_back(layer.bias);
  }
  const std::vector<bool> below = ancestors(program, top);
  for (std::size_t i = 0; i < below.size(); ++i) {
    if (!below[i]) continue;
    for (const Index input : program.nodes()[i].inputs) {
      if (program.node(input).kind == GraphNode::Kind::kParameter) read.push_back(program.node(input).slot);
    }
  }
  std::ranges::sort(own);
  std::ranges::sort(read);
  return own == read;
}

class ActivityPrediction final : public Prediction {
 public:
  // `short_of`: ∇ − E[g].
  ActivityPrediction(std::vector<double> variances, std::vector<double> short_of)
      : variances_(std::move(variances)), short_of_(std::move(short_of)) {}
  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean = Prediction::mean(gradient);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] -= short_of_[i];
    return mean;
  }
  std::vector<double> entry_variances(const GradientView&) const override { return variances_; }
  double total_variance(const GradientView&) const override {
    return std::accumulate(variances_.begin(), variances_.end(), 0.0);
  }

 private:
  std::vector<double> variances_, short_of_;
};

// Of an estimate without tangents.
class FixedPrediction final : public Prediction {
 public:
  explicit FixedPrediction(std::vector<double> mean) : mean_(std::move(mean)) {}
  std::vector<double> mean(const GradientView&) const override { return mean_; }
  std::vector<double> entry_variances(const GradientView&) const override {
    return std::vector<double>(mean_.size(), 0.0);
  }
  double total_variance(const GradientView&) const override { return 0; }
  double mean_cosine(const GradientView& gradient) const override {
    const auto n = static_cast<Index>(mean_.size());
    return dot(mean_.data(), gradient.values().data(), n) /
           std::sqrt(dot(mean_.data(), mean_.data(), n) * gradient.squared_norm());
  }

 private:
  std::vector<double> mean_;
};

}  // namespace

template <class T>
std::vector<std::vector<T>> ActivityEstimator<T>::missed(Objective<T>& objective, const Parameters<T>& parameters) {
  std::vector<std::vector<T>> missed(sizes_.size());
  std::vector<T> unused(static_cast<std::size_t>(program_.size()));
  const auto run = [&](std::vector<Index> cuts, Index error, const Giver<T>& giver) {
    objective.given({.cuts = std::move(cuts), .error = error, .once = true}, parameters, nullptr, {}, giver, unused);
  };
  for (std::size_t site = 0; site < sizes_.size(); ++site) {
    run({}, site < sites_.nodes.size() ? sites_.nodes[site] : sites_.logits, [&](const GivenView<T>& view) {
      for (const T entry : view.error) missed[site].push_back(entry * static_cast<T>(view.batch));
    });
  }
  prior_->begin(parameters);
  run(sites_.nodes, sites_.logits, [&](const GivenView<T>& view) {
    std::vector<T> error(view.error.begin(), view.error.end());
    for (T& e : error) e *= static_cast<T>(view.batch);
    const Visit visit = predict(view, error);
    for (std::size_t site = 0; site < sizes_.size(); ++site) {
      T* d = missed[site].data() + view.first * sizes_[site];
      for (std::size_t i = 0; i < visit.out[site].size(); ++i)
        d[i] = !masked(site) || visit.seen.values[site][i] != T{0} ? d[i] - visit.out[site][i] : T{0};
    }
  });
  return missed;
}

// Of unit j and input i of a site's layer, V[g_ji] = (dh/dz)² Σ_b V[δ_bj] x_bi² / B², as δ of different examples are
// independent; V[δ_bj] stands in activity.hpp.
template <class T>
std::shared_ptr<const Prediction> ActivityEstimator<T>::prediction(Objective<T>& objective,
                                                                   const Parameters<T>& parameters) {
  if (in_stream()) {  // without tangents it is what it is
    std::vector<T> given(static_cast<std::size_t>(program_.size()));
    objective.given(given_options(together_), parameters, nullptr, {}, {}, given);
    return std::make_shared<FixedPrediction>(std::vector<double>(given.begin(), given.end()));
  }
  std::vector<SiteLayer> layers;
  std::vector<Index> inputs;
  for (std::size_t site = 0; site < sizes_.size(); ++site) {
    const bool hidden = site < sites_.nodes.size();
    layers.push_back(layer_of(program_, hidden ? sites_.nodes[site] : sites_.logits, hidden && sites_.rectified));
    if (layers.back().input < 0) return Estimator<T>::prediction(objective, parameters);
    inputs.push_back(layers.back().input);
  }
  if (!are_all(layers, program_, sizes_.size() > sites_.nodes.size() ? sites_.logits : sites_.nodes.back()))
    return Estimator<T>::prediction(objective, parameters);
  const std::vector<std::vector<T>> missed = this->missed(objective, parameters);
  std::vector<std::vector<T>> read(layers.size());  // what each layer reads: (B, inputs)
  std::vector<std::vector<bool>> active(layers.size());
  std::vector<T> unused(static_cast<std::size_t>(program_.size()));
  Index batch = 0;
  std::vector<Index> cuts = inputs;
  cuts.insert(cuts.end(), sites_.nodes.begin(), sites_.nodes.end());
  const std::size_t count = layers.size();
  objective.given(
      {.cuts = cuts, .error = sites_.logits, .once = true}, parameters, nullptr, {},
      [&](const GivenView<T>& view) {
        batch = view.batch;
        for (const auto& cut : view.cuts) std::fill(cut.cotangent.begin(), cut.cotangent.end(), T{0});
        for (std::size_t site = 0; site < count; ++site) {
          const std::span<const T> x = view.cuts[site].value;
          read[site].insert(read[site].end(), x.begin(), x.end());
          const Index entries = view.rows * sizes_[site];
          for (Index i = 0; i < entries; ++i) {
            active[site].push_back(!masked(site) || view.cuts[count + site].value[i] != T{0});
          }
        }
      },
      unused);

  const auto square = [&](std::size_t site, Index b) {
    const T* d = missed[site].data() + b * sizes_[site];
    return static_cast<double>(dot(d, d, sizes_[site]));
  };
  const double excess = entries_kurtosis(law_) - 2, rows = static_cast<double>(batch);
  std::vector<double> variances(static_cast<std::size_t>(program_.size())), short_of(variances.size());
  for (std::size_t site = 0; site < layers.size(); ++site) {
    const Index units = sizes_[site], width = static_cast<Index>(read[site].size()) / batch;
    const double gain = site < sites_.nodes.size() ? sites_.gain : 1, alpha = gate_of(site);
    const auto offset = [&](Index segment) { return program_.layout().segments[segment].offset; };
    for (Index b = 0; b < batch; ++b) {
      double shared = square(site, b);
      if (together_) {
        shared = 0;
        for (std::size_t other = 0; other < layers.size(); ++other) shared += square(other, b);
      }
      const T* x = read[site].data() + b * width;
      for (Index j = 0; j < units; ++j) {
        if (!active[site][b * units + j]) continue;
        const auto d = static_cast<double>(missed[site][b * units + j]);
        const double off = gain * (1 - alpha) * d / rows;
        const double variance = tangents_ > 0 ? gain * gain * alpha * alpha * (shared + excess * d * d) /
                                                    (static_cast<double>(tangents_) * rows * rows)
                                              : 0;
        const Index row = offset(layers[site].weight) + j * width;
        for (Index i = 0; i < width; ++i) {
          const auto in = static_cast<double>(x[i]);
          variances[row + i] += variance * in * in;
          short_of[row + i] += off * in;
        }
        if (layers[site].bias < 0) continue;
        variances[offset(layers[site].bias) + j] += variance;
        short_of[offset(layers[site].bias) + j] += off;
      }
    }
  }
  return std::make_shared<ActivityPrediction>(std::move(variances), std::move(short_of));
}

template std::vector<std::vector<float>> ActivityEstimator<float>::missed(Objective<float>&, const Parameters<float>&);
template std::vector<std::vector<double>> ActivityEstimator<double>::missed(Objective<double>&,
                                                                            const Parameters<double>&);
template std::shared_ptr<const Prediction> ActivityEstimator<float>::prediction(Objective<float>&,
                                                                                const Parameters<float>&);
template std::shared_ptr<const Prediction> ActivityEstimator<double>::prediction(Objective<double>&,
                                                                                 const Parameters<double>&);

}  // namespace slopewise
