// Normalisations: those of one example as they are, batch norm with the statistics it was trained to.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "slopewise/onnx/broadcast.hpp"
#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// Input 0, (batch, channels, …), with the channels as its last axis, as the program has them.
struct Channels {
  Placed value;
  std::vector<Index> axes;
  Node node;
};
Channels by_channels(ImportStep& step, std::size_t least) {
  const Placed x = step.placed(0);
  if (x.dims.size() < least) step.refuse(fmt::format("expected (batch, channels, …), found {}", to_string(x.dims)));
  step.require_one_example(x.dims, 1);
  std::vector<Index> axes;
  for (const Index axis : all_axes(x.dims)) {
    if (axis != 1) axes.push_back(axis);
  }
  axes.push_back(1);
  return {x, axes, arrange(x, axes)};
}
void give(ImportStep& step, const Channels& like, const Node& node) {
  step.give(Placed{node, like.value.dims, like.axes});
}
// Input i, one number a channel.
Node a_channel(ImportStep& step, std::size_t i, Role role) {
  if (step.dims(i).size() != 1)
    step.refuse(fmt::format("input {}: expected one number a channel, found {}", i + 1, to_string(step.dims(i))));
  return arrange(step.weight(i, {0}, role), {0});
}

void batch_norm_rule(ImportStep& step) {
  // Before operator set 14 what is trained gives the batch's own statistics too.
  bool training = step.integer("training_mode", 0) != 0;
  for (std::size_t output = 1; output < 5; ++output) training = training || step.wants(output);
  if (training) {
    step.refuse(
        "training mode would mix examples; export the model in evaluation mode, where running statistics are used");
  }
  const Channels x = by_channels(step, 2);
  give(step, x,
       batch_norm(x.node, a_channel(step, 1, Role::kNorm), a_channel(step, 2, Role::kNorm),
                  a_channel(step, 3, Role::kState), a_channel(step, 4, Role::kState), step.number("epsilon", 1e-5F)));
}

// Over each example's own entries: normalise the last axes [from, rank) together, as one vector.
Placed normalized(ImportStep& step, const Placed& x, Index from, double epsilon) {
  for (Index axis = from; axis < static_cast<Index>(x.dims.size()); ++axis) step.require_one_example(x.dims, axis);
  if (from == static_cast<Index>(x.dims.size()) - 1) {
    std::vector<Index> axes;
    for (const Index axis : x.axes) {
      if (axis != from) axes.push_back(axis);
    }
    axes.push_back(from);
    return {normalize(arrange(x, axes), epsilon), x.dims, axes};
  }
  const Node whole = arrange(x);
  const Index inner = count_of({x.dims.begin() + from, x.dims.end()});
  return seen_as(normalize(reshape(whole, {whole.shape().size() / std::max<Index>(inner, 1), inner}), epsilon), x.dims);
}

Placed scaled(ImportStep& step, Placed x, std::size_t gain, std::size_t bias, Role role) {
  const auto read = [&](std::size_t i) {
    std::vector<Index> order(step.dims(i).size());
    std::iota(order.begin(), order.end(), 0);
    return step.weight(i, order, role);
  };
  if (step.has(gain) && step.has(bias)) {
    const Broadcast all = broadcast(step, {x, read(gain), read(bias)});
    return all.result(scale_shift(all.nodes[0], all.nodes[1], all.nodes[2]));
  }
  if (step.has(gain)) x = broadcast(step, x, read(gain), mul);
  if (step.has(bias)) x = broadcast(step, x, read(bias), add);
  return x;
}

void layer_norm_rule(ImportStep& step) {
  const Placed x = step.placed(0);
  const Index axis = step.axis("axis", -1, x.dims.size());
  if (step.wants(1) || step.wants(2)) {
    const Node whole = arrange(x);
    const Index inner = count_of({x.dims.begin() + axis, x.dims.end()});
    const Node rows = reshape(whole, {whole.shape().size() / std::max<Index>(inner, 1), inner});
    const Node middle = mean(rows, {1}, true);
    const Node variance = mean(square(sub(rows, middle)), {1}, true);
    const Node epsilon = step.builder().constant({}, std::vector<double>{step.number("epsilon", 1e-5F)});
    Extents dims = x.dims;
    std::fill(dims.begin() + axis, dims.end(), Extent{1});
    step.give(seen_as(middle, dims), 1);
    step.give(seen_as(reciprocal(sqrt(add(variance, epsilon))), dims), 2);
  }
  step.give(scaled(step, normalized(step, x, axis, step.number("epsilon", 1e-5F)), 1, 2, Role::kNorm));
}

void rms_norm_rule(ImportStep& step) {
  const Placed x = step.placed(0);
  const Index axis = step.axis("axis", -1, x.dims.size());
  const double epsilon = step.number("epsilon", 1e-5F);
  for (Index i = axis; i < static_cast<Index>(x.dims.size()); ++i) step.require_one_example(x.dims, i);
  const Node whole = arrange(x);
  const Index inner = count_of({x.dims.begin() + axis, x.dims.end()});
  const Node rows = reshape(whole, {whole.shape().size() / std::max<Index>(inner, 1), inner});
  step.give(scaled(step, seen_as(rms_normalize(rows, epsilon), x.dims), 1, 2, Role::kNorm));
}

// Images: the batch axis alone comes before the channels.
Channels image_channels(ImportStep& step) {
  Channels x = by_channels(step, 3);
  for (std::size_t axis = 2; axis < x.value.dims.size(); ++axis)
    step.require_one_example(x.value.dims, static_cast<Index>(axis));
  if (x.value.dims[0].count != 1)
    step.refuse(fmt::format("the first axis of {} is more than the examples", to_string(x.value.dims)));
  return x;
}

void instance_norm_rule(ImportStep& step) {
  const Channels x = image_channels(step);
  give(step, x,
       instance_norm(x.node, a_channel(step, 1, Role::kNorm), a_channel(step, 2, Role::kNorm),
                     step.number("epsilon", 1e-5F)));
}

void group_norm_rule(ImportStep& step) {
  const Channels x = image_channels(step);
  const Index groups = step.integer("num_groups", 0), channels = x.value.dims[1].count;
  if (groups < 1 || channels % groups != 0) step.refuse(fmt::format("{} groups of {} channels", groups, channels));
  // Before operator set 21 gain and bias have an entry a group.
  const auto vector = [&](std::size_t i) {
    const Node own = a_channel(step, i, Role::kNorm);
    if (own.shape()[0] == channels) return own;
    const Index each = channels / groups;
    const std::vector<double> ones(number_of(each), 1.0);
    return reshape(mul(reshape(own, {own.shape()[0], 1}), step.builder().constant({each}, ones)),
                   {own.shape()[0] * each});
  };
  give(step, x, group_norm(x.node, groups, vector(1), vector(2), step.number("epsilon", 1e-5F)));
}

// (x − mean) / √variance over the axes given.
void mean_variance_rule(ImportStep& step) {
  const Placed x = step.placed(0);
  const auto axes = step.axes(99, x.dims.size()).value_or(std::vector<Index>{0, 2, 3});
  std::vector<Index> order, own;
  for (const Index axis : axes) {
    if (axis >= static_cast<Index>(x.dims.size())) step.refuse(fmt::format("axis {} of {}", axis, to_string(x.dims)));
    step.require_one_example(x.dims, axis);
  }
  for (const Index axis : all_axes(x.dims)) {
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) order.push_back(axis);
  }
  Index inner = 1;
  for (const Index axis : axes) {
    order.push_back(axis);
    inner *= x.dims[number_of(axis)].count;
  }
  const Node whole = arrange(x, order);
  const Node rows = normalize(reshape(whole, {whole.shape().size() / std::max<Index>(inner, 1), inner}), 1e-9);
  step.give(Placed{reshape(rows, whole.shape()), x.dims, order});
}

constexpr OnnxRule kNormalizations[] = {
    {"BatchNormalization", batch_norm_rule, "inference: by the running statistics, which do not train"},
    {"GroupNormalization", group_norm_rule},
    {"InstanceNormalization", instance_norm_rule},
    {"LayerNormalization", layer_norm_rule},
    {"MeanVarianceNormalization", mean_variance_rule, "within an example"},
    {"RMSNormalization", rms_norm_rule}};

}  // namespace

std::span<const OnnxRule> normalization_rules() {
  return kNormalizations;
}

}  // namespace slopewise
