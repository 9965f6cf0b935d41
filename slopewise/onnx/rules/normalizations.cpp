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

// Input i, a vector along axis 1 of the images of `dims`: (channels, 1, …).
Placed along_channels(ImportStep& step, std::size_t i, const Extents& dims, Role role) {
  Placed vector = step.weight(i, {0}, role);
  if (vector.dims.size() != 1 || vector.dims[0] != dims[1])
    step.refuse(fmt::format("input {}: expected one number a channel of {}, found {}", i + 1, to_string(dims),
                            to_string(vector.dims)));
  for (std::size_t axis = 2; axis < dims.size(); ++axis) vector.dims.push_back({1});
  return vector;
}

Placed apply(ImportStep& step, const Placed& a, const Placed& b, Node (*function)(const Node&, const Node&)) {
  const Broadcast both = broadcast(step, {a, b});
  return both.result(function(both.nodes[0], both.nodes[1]));
}

// (x − mean) / √(variance + ε) · scale + bias, all one number a channel: an entrywise map x · a + b, where a and b are
// calculated once for all examples.
void batch_norm_rule(ImportStep& step) {
  if (step.integer("training_mode", 0) != 0) {
    step.refuse(
        "training mode would mix examples; export the model in evaluation mode, where running statistics are used");
  }
  const Placed x = step.placed(0);
  if (x.dims.size() < 2) step.refuse(fmt::format("expected (batch, channels, …), found {}", to_string(x.dims)));
  const Placed gain = along_channels(step, 1, x.dims, Role::kNorm), bias = along_channels(step, 2, x.dims, Role::kNorm),
               mean = along_channels(step, 3, x.dims, Role::kState),
               variance = along_channels(step, 4, x.dims, Role::kState);
  const double epsilon = step.number("epsilon", 1e-5F);
  Placed deviation = variance;
  deviation.node = sqrt(add(variance.node, step.builder().constant({}, std::vector<double>{epsilon})));
  const Placed slope = apply(step, gain, deviation, div);
  const Placed shift = apply(step, bias, apply(step, mean, slope, mul), sub);
  step.give(apply(step, apply(step, x, slope, mul), shift, add));
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
  if (step.has(gain)) x = apply(step, x, read(gain), mul);
  if (step.has(bias)) x = apply(step, x, read(bias), add);
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

// Each channel of each example by itself.
void instance_norm_rule(ImportStep& step) {
  const Placed x = step.placed(0);
  if (x.dims.size() < 3)
    step.refuse(fmt::format("expected (batch, channels, spatial axes), found {}", to_string(x.dims)));
  const Placed made = normalized(step, x, 2, step.number("epsilon", 1e-5F));
  const Placed gained = apply(step, made, along_channels(step, 1, x.dims, Role::kNorm), mul);
  step.give(apply(step, gained, along_channels(step, 2, x.dims, Role::kNorm), add));
}

void group_norm_rule(ImportStep& step) {
  const Placed x = step.placed(0);
  const Index groups = step.integer("num_groups", 0);
  if (x.dims.size() < 3 || groups < 1 || x.dims[1].batch || x.dims[1].count % groups != 0)
    step.refuse(fmt::format("{} groups of the channels of {}", groups, to_string(x.dims)));
  Extents grouped{x.dims[0], {groups}, {x.dims[1].count / groups}};
  grouped.insert(grouped.end(), x.dims.begin() + 2, x.dims.end());
  const Placed parted = std::get<Placed>(reshaped(step, x, grouped));
  const Placed made =
      std::get<Placed>(reshaped(step, normalized(step, parted, 2, step.number("epsilon", 1e-5F)), x.dims));
  // Before operator set 21 gain and bias have an entry a group.
  const auto vector = [&](std::size_t i) {
    if (step.dims(i).size() == 1 && step.dims(i)[0].count == x.dims[1].count)
      return along_channels(step, i, x.dims, Role::kNorm);
    const Placed own = step.weight(i, {0}, Role::kNorm);
    if (own.dims.size() != 1 || own.dims[0].count != groups)
      step.refuse(fmt::format("input {}: expected a number a channel or a group", i + 1));
    const Index each = x.dims[1].count / groups;
    const Node repeated =
        mul(reshape(arrange(own), {groups, 1}),
            step.builder().constant({groups, each}, std::vector<double>(number_of(groups * each), 1.0)));
    Extents dims{x.dims[1]};
    dims.insert(dims.end(), x.dims.size() - 2, Extent{1});
    return seen_as(repeated, dims);
  };
  const Placed gain = vector(1), bias = vector(2);
  step.give(apply(step, apply(step, made, gain, mul), bias, add));
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
