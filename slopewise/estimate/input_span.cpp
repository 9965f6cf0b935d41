// Tangents in the span of what layers read: V = u x̂ᵀ for the weights of each linear layer, u of independent entries and
// x̂ = √q x/‖x‖ with x one of the layer's q inputs at θ, of an example and a place drawn for each tangent; after AGZO
// (Lin et al. 2026, arXiv 2601.17261), which draws in the span of leading inputs instead. The gradient of such a layer
// is a sum of outer products with its inputs, so that tangents along others are wasted. Biases, and what is read by no
// linear layer, get the law's own entries.
//
// g = (1/K) Σ_k s_k v_k is biased: E[g] = G C for each of those matrices, C = E[x̂x̂ᵀ], tr C = q, and ∇ elsewhere. With b
// the example, s = Σ_l s_l over the blocks, α = G x̂ + w β (β the bias's gradient, w its tangent's factor), κ the
// kurtosis of an entry, and S_l(b) = E[s_l² | b], that is E‖G x̂‖² + ‖β‖² or ‖∇_l‖²:
//   E[g_ij²] = E_b[E[(‖α‖² + (κ − 1) α_i²) x̂_j² | b] + Σ_{l′≠l} S_l′(b) E[x̂_j² | b]]  of a weight,
//   E[g_i²] = E_b[E[(‖α‖² + (κ − 1) α_i²) w² | b] + Σ_{l′≠l} S_l′(b)]  of its bias,
// and elsewhere what the law says with E s² in place of ‖∇‖². Tangents have the length √n, are nearly orthogonal, and
// E s² = E[g]·∇, so that cos(g, ∇) is √(Σ s_k²)/(√n ‖∇‖), as if slopes were normal E[s²]^½ √(2/n)
// Γ((K+1)/2)/Γ(K/2)/‖∇‖: for equal K that of dense tangents times √(E s²)/‖∇‖.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/estimate/families.hpp"
#include "slopewise/probe/entries.hpp"
#include "slopewise/probe/factors.hpp"
#include "slopewise/statistics/distributions.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kExamples = 0x78737061;

// A linear layer whose weights are a block of θ.
struct SpannedLayer {
  Index block, input;  // the block; the node that the layer reads
};

std::vector<SpannedLayer> spanned_layers(const Program& program, const ParameterLayout& layout) {
  std::vector<SpannedLayer> layers;
  std::vector<bool> found(layout.blocks.size());
  for (Index i = 0; i < static_cast<Index>(program.nodes().size()); ++i) {
    const GraphNode& node = program.node(i);
    if (!node.op || node.op->name() != "linear" || !program.used(i) || program.node(node.inputs[0]).shared) continue;
    const GraphNode& weight = program.node(node.inputs[1]);
    if (weight.kind != GraphNode::Kind::kParameter || weight.slot >= static_cast<Index>(layout.segments.size()))
      continue;
    const Segment& segment = layout.segments[weight.slot];
    const Block& block = layout.blocks[segment.block];
    const Index inputs = program.node(node.inputs[0]).shape[-1];
    if (block.weight != weight.slot || block.columns != inputs || found[segment.block]) continue;
    found[segment.block] = true;  // of weights that several layers share, the first one's
    layers.push_back({.block = segment.block, .input = node.inputs[0]});
  }
  return layers;
}

// x̂ = √q x/‖x‖; 0 where x is.
template <class T>
std::vector<T> at_length(std::span<const T> x) {
  const auto size = static_cast<Index>(x.size());
  const double square = dot(x.data(), x.data(), size);
  std::vector<T> scaled(x.begin(), x.end());
  const double factor = square > 0 ? std::sqrt(static_cast<double>(size) / square) : 0;
  for (T& entry : scaled) entry = static_cast<T>(factor * static_cast<double>(entry));
  return scaled;
}

// What is known at a θ, of the inputs of all examples.
template <class T>
class InputSpanPrediction final : public Prediction {
 public:
  InputSpanPrediction(std::shared_ptr<const Probe> law, double kurtosis, Index count, std::vector<SpannedLayer> layers,
                      std::vector<std::vector<T>> inputs, Index examples)
      : law_(std::move(law)),
        kurtosis_(kurtosis),
        count_(count),
        layers_(std::move(layers)),
        inputs_(std::move(inputs)),
        examples_(examples) {}

  std::vector<double> mean(const GradientView& gradient) const override { return moments(gradient).mean; }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    const Moments found = moments(gradient);
    std::vector<double> variances = found.squares;
    for (std::size_t i = 0; i < variances.size(); ++i)
      variances[i] = (variances[i] - found.mean[i] * found.mean[i]) / static_cast<double>(count_);
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    double total = 0;
    for (const double variance : entry_variances(gradient)) total += variance;
    return total;
  }
  double mean_cosine(const GradientView& gradient) const override {
    const std::vector<double> expected = mean(gradient);
    const double square = dot(expected.data(), gradient.values().data(), gradient.size());
    const auto n = static_cast<double>(gradient.size()), k = static_cast<double>(count_);
    return std::sqrt(2 * square / (n * gradient.squared_norm())) *
           std::exp(std::lgamma((k + 1) / 2) - std::lgamma(k / 2));
  }

 private:
  // E[g], and E[g_i²] of one tangent.
  struct Moments {
    std::vector<double> mean, squares;
  };
  // One layer's part of E s², by example, and E[x̂_j² | b] (examples, q).
  struct Layer {
    std::vector<double> slope_squares, input_squares;
  };

  Moments moments(const GradientView& gradient) const {
    const ParameterLayout& layout = gradient.layout();
    Moments found{.mean = {gradient.values().begin(), gradient.values().end()},
                  .squares = std::vector<double>(static_cast<std::size_t>(gradient.size()))};
    const auto examples = static_cast<std::size_t>(examples_);
    std::vector<double> all(examples);  // E[s² | b]
    std::vector<Layer> parts;
    std::vector<bool> spanned(layout.blocks.size());
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      spanned[layers_[l].block] = true;
      parts.push_back(own_part(gradient, l, found));
      for (std::size_t b = 0; b < examples; ++b) all[b] += parts.back().slope_squares[b];
    }
    double rest = 0;
    for (std::size_t block = 0; block < spanned.size(); ++block) {
      if (!spanned[block]) rest += gradient.block_squared_norm(static_cast<Index>(block));
    }
    double mean_square = 0;
    for (double& square : all) mean_square += (square += rest) / static_cast<double>(examples_);

    for (std::size_t l = 0; l < layers_.size(); ++l) add_others(gradient, l, parts[l], all, found);
    for (const Segment& segment : layout.segments) {
      if (spanned[segment.block]) continue;
      for (Index i = segment.offset; i < segment.offset + segment.size(); ++i) {
        found.squares[i] =
            law_->entry_variance(gradient, i, 1) - gradient.squared_norm() + gradient[i] * gradient[i] + mean_square;
      }
    }
    return found;
  }

  static Index bias_at(const ParameterLayout& layout, const Block& block) {
    return block.bias < 0 ? -1 : layout.segments[block.bias].offset;
  }

  // Writes G C, and the terms of the layer's own slope to E[g²] of its entries.
  Layer own_part(const GradientView& gradient, std::size_t l, Moments& found) const {
    const ParameterLayout& layout = gradient.layout();
    const Block& block = layout.blocks[layers_[l].block];
    const Index rows = block.rows, columns = block.columns, bias = bias_at(layout, block);
    const Index offset = layout.segments[block.weight].offset;
    const auto places = static_cast<Index>(inputs_[l].size()) / columns;
    const Index each = places / examples_;
    const double share = 1 / static_cast<double>(places);
    double bias_square = 0;
    for (Index i = 0; bias >= 0 && i < rows; ++i) bias_square += gradient[bias + i] * gradient[bias + i];

    Layer part{.slope_squares = std::vector<double>(static_cast<std::size_t>(examples_)),
               .input_squares = std::vector<double>(static_cast<std::size_t>(examples_ * columns))};
    std::vector<double> product(static_cast<std::size_t>(rows));
    std::fill_n(found.mean.begin() + offset, rows * columns, 0.0);
    for (Index place = 0; place < places; ++place) {
      const auto b = static_cast<std::size_t>(place / each);
      const std::vector<T> scaled =
          at_length(std::span<const T>(inputs_[l].data() + place * columns, static_cast<std::size_t>(columns)));
      const std::vector<double> x(scaled.begin(), scaled.end());
      double length = 0;
      for (Index i = 0; i < rows; ++i) {
        double& entry = product[i];
        entry = dot(gradient.values().data() + offset + i * columns, x.data(), columns);
        length += entry * entry;
      }
      part.slope_squares[b] += (length + bias_square) / static_cast<double>(each);
      for (Index j = 0; j < columns; ++j)
        part.input_squares[b * static_cast<std::size_t>(columns) + static_cast<std::size_t>(j)] +=
            x[j] * x[j] / static_cast<double>(each);
      for (Index i = 0; i < rows; ++i) {
        const double a = product[i], beta = bias >= 0 ? gradient[bias + i] : 0;
        // E over the factor w of the bias: w² has the mean 1 and w⁴ the law's kurtosis.
        const double of_weight = length + bias_square + (kurtosis_ - 1) * (a * a + beta * beta);
        for (Index j = 0; j < columns; ++j) {
          const auto at = static_cast<std::size_t>(offset + i * columns + j);
          const double entry = x[j];
          found.mean[at] += share * a * entry;
          found.squares[at] += share * of_weight * entry * entry;
        }
        if (bias < 0) continue;
        found.squares[bias + i] +=
            share * (length + kurtosis_ * bias_square + (kurtosis_ - 1) * (a * a + kurtosis_ * beta * beta));
      }
    }
    return part;
  }

  // The terms of the slopes of all other blocks. `all`: E[s² | b].
  void add_others(const GradientView& gradient, std::size_t l, const Layer& part, const std::vector<double>& all,
                  Moments& found) const {
    const ParameterLayout& layout = gradient.layout();
    const Block& block = layout.blocks[layers_[l].block];
    const Index offset = layout.segments[block.weight].offset, bias = bias_at(layout, block);
    std::vector<double> of_column(static_cast<std::size_t>(block.columns));
    double of_bias = 0;
    for (std::size_t b = 0; b < all.size(); ++b) {
      const double others = (all[b] - part.slope_squares[b]) / static_cast<double>(examples_);
      of_bias += others;
      for (std::size_t j = 0; j < of_column.size(); ++j)
        of_column[j] += others * part.input_squares[b * of_column.size() + j];
    }
    for (Index i = 0; i < block.rows; ++i) {
      for (Index j = 0; j < block.columns; ++j) found.squares[offset + i * block.columns + j] += of_column[j];
      if (bias >= 0) found.squares[bias + i] += of_bias;
    }
  }

  std::shared_ptr<const Probe> law_;
  double kurtosis_;
  Index count_;
  std::vector<SpannedLayer> layers_;
  std::vector<std::vector<T>> inputs_;  // one a layer: (examples · places, q)
  Index examples_;
};

template <class T>
class InputSpan final : public Estimator<T> {
 public:
  InputSpan(const EstimatorTarget& target, const EstimatorOptions& options)
      : source_(target.layout, options), seed_(derive_seed(options.seed, kExamples)) {
    if (options.law == "rank-one") {
      kurtosis_ = entries_kurtosis(Entries::kRademacher);
    } else if (options.law == "rank-one-gaussian") {
      kurtosis_ = entries_kurtosis(Entries::kGaussian);
    } else {
      throw ArgumentError(
          fmt::format("input-span: expected the law rank-one or rank-one-gaussian, found '{}'", options.law));
    }
    if (!target.program) throw ArgumentError("input-span: expected a program with linear layers, found a function");
    layers_ = spanned_layers(*target.program, target.layout);
    if (layers_.empty()) throw ArgumentError("input-span: expected linear layers whose weights train, found none");
    for (const SpannedLayer& layer : layers_) {
      nodes_.push_back(layer.input);
      places_.push_back(target.program->node(layer.input).shape.size() / target.layout.blocks[layer.block].columns);
    }
  }
  std::string_view name() const override { return "input-span"; }
  Index slopes() const override { return source_.count(); }
  // Nothing follows from ∇ alone.
  std::vector<double> mean(const GradientView& gradient) const override { return unknown(gradient); }
  std::vector<double> entry_variances(const GradientView& gradient) const override { return unknown(gradient); }
  double total_variance(const GradientView&) const override { return kNaN; }

  Demand demand(Objective<T>& objective) const override {
    Demand demand = source_.demand(objective);
    demand.bytes += source_.probe().draw_bytes() * source_.count();  // the draw they are made from
    demand += objective.values_demand(nodes_, source_.count());
    return demand;
  }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    RandomStream random(seed_, step);
    std::vector<Index> examples;
    for (Index k = 0; k < source_.count(); ++k)
      examples.push_back(static_cast<Index>(random.below(static_cast<std::uint32_t>(objective.examples()))));
    const std::vector<std::vector<T>> inputs = objective.values(parameters, nodes_, examples);

    const ParameterLayout& layout = source_.probe().layout();
    Tangents<float> factors(layout, source_.count(), source_.probe().forms());
    source_.probe().draw(step, source_.count())->write(factors);
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Block& block = layout.blocks[layers_[l].block];
      for (Index k = 0; k < source_.count(); ++k) {
        const Index place = k * places_[l] + static_cast<Index>(random.below(static_cast<std::uint32_t>(places_[l])));
        const std::vector<T> x = at_length(
            std::span<const T>(inputs[l].data() + place * block.columns, static_cast<std::size_t>(block.columns)));
        std::transform(x.begin(), x.end(), factors.right(block.weight, k).begin(),
                       [](T entry) { return static_cast<float>(entry); });
      }
    }
    const auto [draw, tangents] = source_.hold(factor_draw(std::move(factors)));
    Slopes found = objective.slopes(parameters, tangents);
    std::vector<double> coefficients = found.slopes;
    for (double& coefficient : coefficients) coefficient /= static_cast<double>(source_.count());
    const NoiseEstimate noise = noise_of(found.slopes);
    return {std::move(found), std::move(coefficients), draw, noise};
  }

  std::shared_ptr<const Prediction> prediction(Objective<T>& objective, const Parameters<T>& parameters) override {
    std::vector<Index> all(static_cast<std::size_t>(objective.examples()));
    for (std::size_t b = 0; b < all.size(); ++b) all[b] = static_cast<Index>(b);
    return std::make_shared<InputSpanPrediction<T>>(make_probe(source_.probe().name(), source_.probe().layout(), 1),
                                                    kurtosis_, source_.count(), layers_,
                                                    objective.values(parameters, nodes_, all), objective.examples());
  }

 private:
  static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  static std::vector<double> unknown(const GradientView& gradient) {
    return std::vector<double>(static_cast<std::size_t>(gradient.size()), kNaN);
  }
  // Slopes have the mean square E[g]·∇, of which ‖∇‖² cannot be told.
  static NoiseEstimate noise_of(std::span<const double> slopes) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return {.squared_norm = kNaN,
            .squared_norm_high = kInfinity,
            .confidence = 1,
            .residual_squared_norm = dot(slopes.data(), slopes.data(), static_cast<Index>(slopes.size())) /
                                     static_cast<double>(slopes.size()),
            .snr_low = 0,
            .snr_high = kInfinity};
  }

  detail::TangentSource<T> source_;
  std::uint64_t seed_;
  double kurtosis_ = 1;
  std::vector<SpannedLayer> layers_;
  std::vector<Index> nodes_, places_;  // one a layer: the node it reads, and how many of its inputs an example has
};

}  // namespace

EstimatorFamily input_span_family() {
  return estimator_family<InputSpan>(
      "input-span", "forward gradient along u x^T, x an input of the layer at an example of the batch (biased)");
}

}  // namespace slopewise
