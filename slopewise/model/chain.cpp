#include "slopewise/model/chain.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// One layer up to and with its ReLU; its weights start at `gain` times He's.
using Layer = std::function<Node(const Node& x, double gain)>;

Layer dense(Index width) {
  return [width](const Node& x, double gain) { return relu(linear(x, width, true, gain)); };
}

Layer convolution(const NetworkSpec::Convolution& what) {
  return [what](const Node& x, double gain) {
    const Node y = relu(conv2d(x, what.channels, 3, {.padding = what.padded ? 1 : 0}, gain));
    return what.pool ? max_pool2d(y, 2) : y;
  };
}

Layer flattened(Layer layer) {
  return [layer = std::move(layer)](const Node& x, double gain) {
    return layer(x.shape().rank() > 1 ? flatten(x) : x, gain);
  };
}

// (height, width, channels) -> (patches, patch² channels).
Node patches(const Node& image, Index side) {
  const Shape shape = image.shape();  // a copy: nodes that are made move those there are
  if (shape[0] % side != 0 || shape[1] % side != 0) {
    throw ArgumentError(
        fmt::format("mixer: expected a patch that divides the image {}, found {}", shape.to_string(), side));
  }
  const Index rows = shape[0] / side, columns = shape[1] / side;
  const Node cut = transpose(reshape(image, {rows, side, columns, side, shape[2]}), {0, 2, 1, 3, 4});
  return reshape(cut, {rows * columns, side * side * shape[2]});
}

std::vector<Layer> layers_of(const NetworkSpec& spec) {
  std::vector<Layer> layers;
  if (spec.family == "mixer") {
    layers.push_back([spec](const Node& x, double gain) {
      return relu(linear(patches(x, spec.patch), spec.hidden.empty() ? 0 : spec.hidden[0], true, gain));
    });
    for (const Index width : spec.hidden) {
      layers.push_back([width](const Node& x, double gain) { return relu(linear(normalize(x), width, true, gain)); });
      layers.push_back([](const Node& x, double gain) {
        const Node across = transpose(normalize(x), {1, 0});
        return transpose(relu(linear(across, across.shape()[1], true, gain)), {1, 0});
      });
    }
    return layers;
  }
  if (spec.family == "cnn") {
    for (const auto& what : spec.convolutions) layers.push_back(convolution(what));
  }
  if (spec.family != "logistic") {
    for (const Index width : spec.hidden) layers.push_back(flattened(dense(width)));
  }
  return layers;
}

// Whether each layer adds to what it reads.
std::vector<bool> residual_layers(const NetworkSpec& spec, const std::vector<Layer>& layers, const Shape& image) {
  std::vector<bool> adds;
  Builder build;
  Node h = build.input("image", image);
  for (const Layer& layer : layers) {
    const Node made = layer(h, 1);
    adds.push_back(spec.residual && made.shape() == h.shape());
    h = made;
  }
  return adds;
}

void check(const NetworkSpec& spec, const NetworkTarget& target) {
  const auto& families = network_families();
  if (std::find(families.begin(), families.end(), spec.family) == families.end())
    throw ArgumentError(fmt::format("model '{}': expected one of {}", spec.family, fmt::join(families, ", ")));
  if (!target.numbers && target.size < 2)
    throw ArgumentError(fmt::format("model: expected at least 2 classes, found {}", target.size));
  if (target.numbers && target.size < 1) throw ArgumentError("model: expected at least 1 number to predict, found 0");
  if (target.numbers && spec.label_smoothing > 0)
    throw ArgumentError("label-smoothing: expected classes, found numbers to predict");
  for (const Index width : spec.hidden) {
    if (width < 1)
      throw ArgumentError(fmt::format("model: expected hidden layers of at least 1 unit, found {}", width));
  }
  if (spec.family == "cnn" && spec.convolutions.empty())
    throw ArgumentError("model: cnn: expected at least one convolution");
  if (spec.family == "mixer" && spec.hidden.empty()) throw ArgumentError("model: mixer: expected at least one width");
  if (spec.block_layers < 0 || spec.groups < 1) {
    throw ArgumentError(fmt::format("model: expected at least 0 layers to a block and 1 group, found {} and {}",
                                    spec.block_layers, spec.groups));
  }
}

// The mean of a convolution's map over windows that leave about 4×4 of it: enough for a local head to see where.
Node for_head(const Node& h) {
  if (h.shape().rank() != 3) return h.shape().rank() > 1 ? flatten(h) : h;
  const Index window = std::max<Index>(1, std::min(h.shape()[0], h.shape()[1]) / 4);
  return flatten(window > 1 ? average_pool2d(h, window) : h);
}

// The outputs of each group's share of the units, one after the other, and the sum of their losses.
struct Head {
  Node logits, loss;
};
Head head(const Node& features, const Node& label, const NetworkTarget& target, Index groups, double smoothing) {
  const Index units = features.shape()[0];
  if (units < groups)
    throw ArgumentError(fmt::format("model: expected at most as many groups as units, found {} and {}", groups, units));
  const auto loss_of = [&](const Node& outputs) {
    return target.numbers ? mean_squared_error(outputs, label) : cross_entropy(outputs, label, smoothing);
  };
  if (groups == 1) {
    const Node logits = linear(features, target.size);
    return {logits, loss_of(logits)};
  }
  std::vector<Node> parts;
  for (Index g = 0; g < groups; ++g)
    parts.push_back(linear(slice(features, 0, units * g / groups, units * (g + 1) / groups), target.size));
  const Node logits = concatenate(parts, 0);
  Node loss = loss_of(slice(logits, 0, 0, target.size));
  for (Index g = 1; g < groups; ++g) loss = loss + loss_of(slice(logits, 0, g * target.size, (g + 1) * target.size));
  return {logits, loss};
}

}  // namespace

const std::vector<std::string>& network_families() {
  static const std::vector<std::string> families{"logistic", "mlp", "cnn", "mixer"};
  return families;
}

std::vector<ChainBlock> make_chain(const NetworkSpec& spec, const Shape& image, NetworkTarget target, bool training) {
  check(spec, target);
  if ((spec.family == "cnn" || spec.family == "mixer") && image.rank() != 3) {
    throw ShapeError(
        fmt::format("model: {}: expected images (height, width, channels), found rows of {}; mlp and "
                    "logistic take those",
                    spec.family, image.to_string()));
  }
  const std::vector<Layer> layers = layers_of(spec);
  const std::vector<bool> adds = residual_layers(spec, layers, image);
  const double residual_gain = 1 / std::sqrt(static_cast<double>(std::ranges::count(adds, true)));
  const auto count = static_cast<Index>(layers.size());
  const Index per_block = spec.block_layers > 0 ? spec.block_layers : std::max<Index>(count, 1);
  std::vector<ChainBlock> blocks;
  Shape shape = image;
  for (Index first = 0; first == 0 || first < count; first += per_block) {
    const Index end = std::min(count, first + per_block);
    const bool last = end == count;
    Builder build;
    Node h = build.input("image", shape);
    const double entering = training && first == 0 ? spec.input_dropout : 0;
    const double between = training ? spec.dropout : 0;
    const bool noisy = entering > 0 || (between > 0 && end > first);
    const Node noise = noisy ? build.indices("noise", {}) : h;
    const Node label = target.numbers ? build.input("target", {target.size}) : build.indices("label", {});
    if (entering > 0) h = dropout(h, noise, entering);
    ActivitySites sites{.gain = between > 0 ? 1 / (1 - between) : 1};
    for (Index i = first; i < end; ++i) {
      const auto layer = static_cast<std::size_t>(i);
      Node made = layers[layer](h, adds[layer] ? residual_gain : 1);
      if (between > 0) made = dropout(made, noise, between);
      sites.nodes.push_back(made.number());
      h = adds[layer] ? h + made : made;
    }
    const Head top =
        last ? head(h.shape().rank() > 1 ? flatten(h) : h, label, target, 1, training ? spec.label_smoothing : 0)
             : head(for_head(h), label, target, spec.groups, training ? spec.label_smoothing : 0);
    sites.logits = top.logits.number();
    auto program = std::make_shared<const Program>(top.loss);
    if (!last && !blocks.empty() && blocks.back().program->to_string() == program->to_string())
      program = blocks.back().program;
    blocks.push_back({.program = std::move(program),
                      .sites = sites,
                      .output = last ? top.logits.number() : h.number(),
                      .noisy = noisy});
    shape = h.shape();
  }
  return blocks;
}

}  // namespace slopewise
