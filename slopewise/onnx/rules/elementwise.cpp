// Operators that act entry by entry.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "slopewise/onnx/broadcast.hpp"
#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

template <class F>
void map(ImportStep& step, F function) {
  const Placed x = step.placed(0);
  step.give(Placed{function(x.node), x.dims, x.axes});
}
template <Node (*kFunction)(const Node&)>
void unary(ImportStep& step) {
  map(step, [](const Node& x) { return kFunction(x); });
}

template <Node (*kFunction)(const Node&, const Node&)>
void binary(ImportStep& step) {
  step.give(broadcast(step, step.placed(0), step.placed(1), kFunction));
}
// Operators of any number of inputs, folded from the left.
template <Node (*kFunction)(const Node&, const Node&)>
void variadic(ImportStep& step) {
  Placed result = step.placed(0);
  for (std::size_t i = 1; i < step.inputs(); ++i) result = broadcast(step, result, step.placed(i), kFunction);
  step.give(std::move(result));
}

void mean_rule(ImportStep& step) {
  Placed result = step.placed(0);
  for (std::size_t i = 1; i < step.inputs(); ++i) result = broadcast(step, result, step.placed(i), add);
  step.give(Placed{scale(result.node, 1.0 / static_cast<double>(step.inputs())), result.dims, result.axes});
}

// The number that input i is; none where it is more than one number or depends on the input.
std::optional<double> factor_of(const ImportStep& step, std::size_t i) {
  if (!step.is_known(i)) return std::nullopt;
  const Known known = step.known(i);
  const bool one =
      std::all_of(known.dims.begin(), known.dims.end(), [](const Extent& extent) { return extent.unit(); });
  if (known.numbers.size() != 1 || known.counts_batch(0) || !one) return std::nullopt;
  return known.numbers[0];
}
// Whether input i gives the result its shape.
bool shapes(const ImportStep& step, std::size_t i) {
  return step.dims(i).size() >= step.dims(1 - i).size();
}

void mul_rule(ImportStep& step) {
  for (const std::size_t i : {1, 0}) {
    const std::optional<double> factor = factor_of(step, i);
    if (!factor || !shapes(step, 1 - i)) continue;
    const Placed x = step.placed(1 - i);
    return step.give(Placed{scale(x.node, *factor), x.dims, x.axes});
  }
  binary<mul>(step);
}

void div_rule(ImportStep& step) {
  const std::optional<double> above = factor_of(step, 0);
  if (above && *above == 1.0 && shapes(step, 1)) {
    const Placed x = step.placed(1);
    return step.give(Placed{reciprocal(x.node), x.dims, x.axes});
  }
  binary<div>(step);
}

// a − b ⌊a/b⌋, or, with fmod, a − b times a/b cut towards zero.
void mod_rule(ImportStep& step) {
  const Placed a = step.placed(0), b = step.placed(1);
  Placed parts = broadcast(step, a, b, div);
  parts.node = step.integer("fmod", 0) != 0 ? whole_part(parts.node) : floor(parts.node);
  step.give(broadcast(step, a, broadcast(step, b, parts, mul), sub));
}

void pow_rule(ImportStep& step) {
  const std::optional<double> exponent = factor_of(step, 1);
  if (exponent && shapes(step, 0)) {
    const Placed x = step.placed(0);
    const auto give = [&](Node node) { step.give(Placed{std::move(node), x.dims, x.axes}); };
    if (*exponent == 1) return give(x.node);
    if (*exponent == 2) return give(square(x.node));
    if (*exponent == 3) return give(mul(square(x.node), x.node));
    if (*exponent == 0.5) return give(sqrt(x.node));
    if (*exponent == -1) return give(reciprocal(x.node));
  }
  binary<pow>(step);
}

void where_rule(ImportStep& step) {
  const Broadcast three = broadcast(step, {step.placed(0), step.placed(1), step.placed(2)});
  step.give(three.result(where(three.nodes[0], three.nodes[1], three.nodes[2])));
}

void prelu_rule(ImportStep& step) {
  const Broadcast both = broadcast(step, {step.placed(0), step.placed(1)});
  step.give(both.result(prelu(both.nodes[0], both.nodes[1])));
}

void clip_rule(ImportStep& step) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double low = step.number("min", -kInfinity), high = step.number("max", kInfinity);
  if (step.opset() >= 11) {
    if (step.has(1)) low = step.number(1, "min");
    if (step.has(2)) high = step.number(2, "max");
  }
  map(step, [&](const Node& x) { return clip(x, std::min(low, high), high); });
}

// A cast to integers cuts towards zero; to Booleans it asks for what is not 0. Between widths of floating point
// everything is calculated in the run's own.
void cast_rule(ImportStep& step) {
  const Index to = !step.node().is("CastLike") ? step.integer("to", 1) : step.whole(1) ? 7 : 1;
  constexpr Index kFloat = 1, kBoolean = 9, kHalf = 10, kDouble = 11, kBfloat16 = 16, kString = 8;
  if (to == kString) step.refuse("a cast to text");
  const auto* held = std::get_if<Placed>(&step.value(0));
  const bool floating = to == kFloat || to == kHalf || to == kDouble || to == kBfloat16;
  if (held && held->integer && !floating && to != kBoolean) return step.give(*held);
  if (floating) return step.give(step.placed(0));
  map(step, [&](const Node& x) {
    if (to == kBoolean) return logical_not(logical_not(x));
    return whole_part(x);
  });
}

// Input i, of scales or zero points, for each entry of an x of these extents: one number, one for each entry of an
// axis, or one for each block of so many entries of it.
Known spread(ImportStep& step, std::size_t i, const Extents& x, Index axis, Index block) {
  const Known own = step.known(i, "how it is quantized");
  const auto along = number_of(axis);
  Extents blocks = x;
  if (block > 0 && along < x.size()) blocks[along].count = (x[along].count + block - 1) / block;
  const bool one = own.numbers.size() == 1 && own.dims.size() <= 1;
  const bool each = own.dims.size() == 1 && along < x.size() && own.dims[0] == x[along];
  if (!one && !each && (block <= 0 || own.dims != blocks)) {
    step.refuse(
        fmt::format("numbers {} of {}, along axis {} in blocks of {}", to_string(own.dims), to_string(x), axis, block));
  }
  const Move move = make_move(x, [&](std::vector<Index> at) {
    if (one) return Index{0};
    if (each) return at[along];
    at[along] /= block;
    return flat(blocks, at);
  });
  return std::get<Known>(moved(step, own, move));
}

// (x − zero point) · scale.
void dequantize_rule(ImportStep& step) {
  const Extents dims = step.dims(0);
  const Index axis = dims.size() < 2 ? 0 : step.axis("axis", 1, dims.size()), block = step.integer("block_size", 0);
  const Known scales = spread(step, 1, dims, axis, block);
  std::vector<double> zeros(scales.numbers.size());
  if (step.has(2)) zeros = spread(step, 2, dims, axis, block).numbers;
  if (step.is_known(0)) {  // weights: constants from here on
    Known x = step.known(0);
    x.type = OnnxType::kFloat;
    for (std::size_t i = 0; i < x.numbers.size(); ++i) x.numbers[i] = (x.numbers[i] - zeros[i]) * scales.numbers[i];
    return step.give(x);
  }
  Placed x = step.placed(0);
  x = {arrange(x), x.dims, all_axes(x.dims)};
  const auto constant = [&](const std::vector<double>& numbers) {
    return step.builder().constant(x.node.shape(), numbers);
  };
  step.give(Placed{mul(sub(x.node, constant(zeros)), constant(scales.numbers)), x.dims, x.axes});
}

void hard_swish_rule(ImportStep& step) {
  map(step, [](const Node& x) { return hard_swish(x); });
}

constexpr OnnxRule kElementwise[] = {
    {"Abs", unary<abs>},
    {"Acos", unary<acos>},
    {"Acosh", unary<acosh>},
    {"Add", binary<add>},
    {"And", binary<logical_and>},
    {"Asin", unary<asin>},
    {"Asinh", unary<asinh>},
    {"Atan", unary<atan>},
    {"Atanh", unary<atanh>},
    {"Cast", cast_rule, "numbers and Booleans; every width of floating point is the run's own"},
    {"CastLike", cast_rule, "numbers"},
    {"Ceil", unary<ceil>},
    {"Celu", [](ImportStep& step) { map(step, [&](const Node& x) { return celu(x, step.number("alpha", 1.0)); }); }},
    {"Clip", clip_rule, "bounds known beforehand"},
    {"Cos", unary<cos>},
    {"Cosh", unary<cosh>},
    {"DequantizeLinear", dequantize_rule, "scales and zero points known beforehand"},
    {"Div", div_rule},
    {"Elu", [](ImportStep& step) { map(step, [&](const Node& x) { return elu(x, step.number("alpha", 1.0)); }); }},
    {"Equal", binary<equal>},
    {"Erf", unary<erf>},
    {"Exp", unary<exp>},
    {"Floor", unary<floor>},
    {"Gelu",
     [](ImportStep& step) {
       const std::string kind = step.text("approximate", "none");
       if (kind != "none" && kind != "tanh") step.refuse(fmt::format("approximate '{}': expected none or tanh", kind));
       map(step, [&](const Node& x) { return kind == "tanh" ? gelu_tanh(x) : gelu(x); });
     }},
    {"Greater", binary<greater>},
    {"GreaterOrEqual", binary<greater_equal>},
    {"HardSigmoid",
     [](ImportStep& step) {
       map(step, [&](const Node& x) { return hard_sigmoid(x, step.number("alpha", 0.2F), step.number("beta", 0.5)); });
     }},
    {"HardSwish", hard_swish_rule},
    {"LeakyRelu",
     [](ImportStep& step) { map(step, [&](const Node& x) { return leaky_relu(x, step.number("alpha", 0.01F)); }); }},
    {"Less", binary<less>},
    {"LessOrEqual", binary<less_equal>},
    {"Log", unary<log>},
    {"Max", variadic<maximum>},
    {"Mean", mean_rule},
    {"Min", variadic<minimum>},
    {"Mish", unary<mish>},
    {"Mod", mod_rule},
    {"Mul", mul_rule},
    {"Neg", unary<neg>},
    {"Not", unary<logical_not>},
    {"Or", binary<logical_or>},
    {"PRelu", prelu_rule},
    {"Pow", pow_rule},
    {"Reciprocal", unary<reciprocal>},
    {"Relu", unary<relu>},
    {"Round", unary<round>},
    {"Selu",
     [](ImportStep& step) {
       const double alpha = step.number("alpha", 1.67326319217681884765625),
                    gamma = step.number("gamma", 1.05070102214813232421875);
       map(step, [&](const Node& x) { return selu(x, alpha, gamma); });
     }},
    {"Shrink",
     [](ImportStep& step) {
       map(step, [&](const Node& x) { return shrink(x, step.number("lambd", 0.5), step.number("bias", 0.0)); });
     }},
    {"Sigmoid", unary<sigmoid>},
    {"Sign", unary<sign>},
    {"Sin", unary<sin>},
    {"Sinh", unary<sinh>},
    {"Softplus", unary<softplus>},
    {"Softsign", unary<softsign>},
    {"Sqrt", unary<sqrt>},
    {"Sub", binary<sub>},
    {"Sum", variadic<add>},
    {"Tan", unary<tan>},
    {"Tanh", unary<tanh>},
    {"ThresholdedRelu",
     [](ImportStep& step) {
       map(step, [&](const Node& x) { return thresholded_relu(x, step.number("alpha", 1.0)); });
     }},
    {"Where", where_rule},
    {"Xor", binary<logical_xor>}};

}  // namespace

std::span<const OnnxRule> elementwise_rules() {
  return kElementwise;
}

}  // namespace slopewise
