// What fusions.hpp puts in the place of several nodes.
#include <limits>

#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// Each is an operator of ONNX under its own name.
template <std::size_t N>
void as(ImportStep& step, const char (&name)[N]) {
  find_rule({.op = name})->apply(step);
}

// softmax(q kᵀ · scale + mask) v, without the scores of all pairs at once.
void attention_rule(ImportStep& step) {
  const Placed q = step.placed(0), turned = step.placed(1), v = step.placed(2);
  const std::size_t rank = q.dims.size();
  if (rank < 2 || turned.dims.size() != rank || v.dims.size() != rank)
    step.refuse("operands of different numbers of axes");
  const Index last = static_cast<Index>(rank) - 1, before = last - 1;
  std::vector<Index> heads;
  for (Index axis = 0; axis < before; ++axis) {
    const Extent extent = q.dims[number_of(axis)];
    if (extent != turned.dims[number_of(axis)] || extent != v.dims[number_of(axis)])
      step.refuse("queries, keys and values for different heads");
    if (extent.count != 1) heads.push_back(axis);
  }
  for (const Placed* operand : {&q, &turned, &v}) {
    step.require_one_example(operand->dims, last);
    step.require_one_example(operand->dims, before);
  }
  Index count = 1;
  for (const Index axis : heads) count *= q.dims[number_of(axis)].count;
  // (heads, rows, columns)
  const auto operand = [&](const Placed& value, Index rows, Index columns) {
    std::vector<Index> axes = heads;
    axes.insert(axes.end(), {rows, columns});
    const Node node = arrange(value, axes);
    const Shape shape{count, value.dims[number_of(rows)].count, value.dims[number_of(columns)].count};
    return node.shape() == shape ? node : reshape(node, shape);
  };
  AttentionOptions options{.scale = 1.0};
  if (step.has(3)) {
    const double factor = step.number(3, "the scale");
    options.scale = step.integer("divides", 0) != 0 ? 1 / factor : factor;
  }
  // (heads or 1, queries or 1, keys)
  const auto mask = [&](const Placed& given) {
    if (given.dims.size() > rank) step.refuse("a mask of more axes than the queries");
    const Placed own = padded(given, rank);
    step.require_one_example(own.dims, before);
    step.require_one_example(own.dims, last);
    for (Index axis = 0; axis < before; ++axis) {
      if (!own.dims[number_of(axis)].unit() && own.dims[number_of(axis)] != q.dims[number_of(axis)])
        step.refuse("a mask for other heads");
    }
    if (own.dims[number_of(last)] != turned.dims[number_of(last)]) step.refuse("a mask for other keys");
    std::vector<Index> axes;
    Index different = 1;
    for (const Index axis : heads) {
      different *= own.dims[number_of(axis)].count;
      axes.push_back(axis);
    }
    if (different != 1 && different != count) step.refuse("a mask for some of the heads");
    axes.insert(axes.end(), {before, last});
    return reshape(arrange(own, axes), {different, own.dims[number_of(before)].count, own.dims[number_of(last)].count});
  };
  if (step.has(4)) options.mask = mask(step.placed(4));
  if (step.has(5)) {
    const Node hidden = mask(step.placed(5));
    const Node none = step.builder().constant({}, std::vector<double>{0});
    const Node all = step.builder().constant({}, std::vector<double>{-std::numeric_limits<double>::infinity()});
    options.mask = where(hidden, all, none);
  }
  const Node mixed = scaled_dot_product_attention(operand(q, before, last), operand(turned, last, before),
                                                  operand(v, before, last), options);
  Extents dims = q.dims;
  dims[number_of(last)] = v.dims[number_of(last)];
  std::vector<Index> axes = heads, extents;
  axes.insert(axes.end(), {before, last});
  for (const Index axis : axes) extents.push_back(dims[number_of(axis)].count);
  step.give(Placed{mixed.shape() == Shape(extents) ? mixed : reshape(mixed, Shape(extents)), dims, axes});
}

constexpr OnnxRule kFused[] = {{"Attention", attention_rule},
                               {"Gelu", [](ImportStep& step) { as(step, "Gelu"); }},
                               {"LayerNorm", [](ImportStep& step) { as(step, "LayerNormalization"); }},
                               {"Linear", linear_rule},
                               {"RmsNorm", [](ImportStep& step) { as(step, "RMSNormalization"); }},
                               {"Silu", [](ImportStep& step) {
                                  const Placed x = step.placed(0);
                                  step.give(Placed{silu(x.node), x.dims, x.axes});
                                }}};

}  // namespace

std::span<const OnnxRule> fused_rules() {
  return kFused;
}

}  // namespace slopewise
