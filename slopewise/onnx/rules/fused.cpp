// What fusions.hpp puts in the place of several nodes.
#include <limits>
#include <optional>

#include "slopewise/onnx/broadcast.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// Each is an operator of ONNX under its own name.
template <std::size_t N>
void as(ImportStep& step, const char (&name)[N]) {
  find_rule({.op = name})->apply(step);
}

// The parts of softmax(q kᵀ · scale + mask) v.
struct AttentionParts {
  Placed q, turned, v;  // turned: kᵀ
  double scale = 1;
  std::optional<Placed> mask, hidden;  // what is added to scores; where they are −∞
};

AttentionParts attention_parts(ImportStep& step) {
  AttentionParts parts{step.placed(0), step.placed(1), step.placed(2)};
  if (step.has(3)) {
    const double factor = step.number(3, "the scale");
    parts.scale = step.integer("divides", 0) != 0 ? 1 / factor : factor;
  }
  if (step.has(4)) parts.mask = step.placed(4);
  if (step.has(5)) parts.hidden = step.placed(5);
  return parts;
}

// Heads: the axes before the last two of more than one entry.
std::vector<Index> heads_of(const Placed& q) {
  std::vector<Index> heads;
  for (std::size_t axis = 0; axis + 2 < q.dims.size(); ++axis) {
    if (q.dims[axis].count != 1) heads.push_back(static_cast<Index>(axis));
  }
  return heads;
}

// Whether a mask is one for all heads or one for each, and names every key.
bool fits(const AttentionParts& parts, const std::optional<Placed>& mask) {
  if (!mask) return true;
  const std::size_t rank = parts.q.dims.size();
  if (mask->dims.size() > rank) return false;
  const Extents dims = padded(*mask, rank).dims;
  Index different = 1, heads = 1;
  for (std::size_t axis = 0; axis + 2 < rank; ++axis) {
    if (!dims[axis].unit() && dims[axis] != parts.q.dims[axis]) return false;
    different *= dims[axis].count;
    heads *= parts.q.dims[axis].count;
  }
  return (different == 1 || different == heads) && !dims[rank - 2].batch &&
         dims[rank - 1] == parts.turned.dims[rank - 1];
}
// Whether one operation takes it: heads of one number in all three, none of the products along the examples.
bool fits(const AttentionParts& parts) {
  const std::size_t rank = parts.q.dims.size();
  if (rank < 2 || parts.turned.dims.size() != rank || parts.v.dims.size() != rank) return false;
  for (std::size_t axis = 0; axis + 2 < rank; ++axis) {
    if (parts.q.dims[axis] != parts.turned.dims[axis] || parts.q.dims[axis] != parts.v.dims[axis]) return false;
  }
  for (const Placed* operand : {&parts.q, &parts.turned, &parts.v}) {
    if (operand->dims[rank - 1].batch || operand->dims[rank - 2].batch) return false;
  }
  return fits(parts, parts.mask) && fits(parts, parts.hidden);
}

// As the nodes of the graph have it.
Placed attention_in_parts(ImportStep& step, const AttentionParts& parts) {
  Placed scores = product(step, parts.q, parts.turned);
  scores.node = scale(scores.node, parts.scale);
  if (parts.mask) {
    const Broadcast both = broadcast(step, {scores, *parts.mask});
    scores = both.result(add(both.nodes[0], both.nodes[1]));
  }
  if (parts.hidden) {
    const double lowest = -std::numeric_limits<double>::infinity();
    const Placed none = place(step.builder().constant({}, std::vector<double>{lowest}), {});
    const Broadcast all = broadcast(step, {*parts.hidden, none, scores});
    scores = all.result(where(all.nodes[0], all.nodes[1], all.nodes[2]));
  }
  const Index last = static_cast<Index>(scores.dims.size()) - 1;
  step.require_one_example(scores.dims, last);
  std::vector<Index> axes;
  for (const Index axis : scores.axes) {
    if (axis != last) axes.push_back(axis);
  }
  axes.push_back(last);
  return product(step, {softmax(arrange(scores, axes)), scores.dims, axes}, parts.v);
}

// As one operation, which never holds the scores of all pairs.
Placed attention_at_once(ImportStep& step, const AttentionParts& parts) {
  const Index last = static_cast<Index>(parts.q.dims.size()) - 1, before = last - 1;
  const std::vector<Index> heads = heads_of(parts.q);
  // (heads that differ, rows, columns)
  const auto operand = [&](const Placed& value, Index rows, Index columns) {
    const Placed own = padded(value, parts.q.dims.size());
    std::vector<Index> axes = heads;
    axes.insert(axes.end(), {rows, columns});
    Index count = 1;
    for (const Index axis : heads) count *= own.dims[number_of(axis)].count;
    const Node node = arrange(own, axes);
    const Shape shape{count, own.dims[number_of(rows)].count, own.dims[number_of(columns)].count};
    return node.shape() == shape ? node : reshape(node, shape);
  };
  AttentionOptions options{.scale = parts.scale};
  if (parts.mask) options.mask = operand(*parts.mask, before, last);
  if (parts.hidden) {
    const Node none = step.builder().constant({}, std::vector<double>{0});
    const Node all = step.builder().constant({}, std::vector<double>{-std::numeric_limits<double>::infinity()});
    options.mask = where(operand(*parts.hidden, before, last), all, none);
  }
  const Node mixed = scaled_dot_product_attention(operand(parts.q, before, last), operand(parts.turned, last, before),
                                                  operand(parts.v, before, last), options);
  Extents dims = parts.q.dims;
  dims[number_of(last)] = parts.v.dims[number_of(last)];
  std::vector<Index> axes = heads, extents;
  axes.insert(axes.end(), {before, last});
  for (const Index axis : axes) extents.push_back(dims[number_of(axis)].count);
  return {mixed.shape() == Shape(extents) ? mixed : reshape(mixed, Shape(extents)), dims, axes};
}

void attention_rule(ImportStep& step) {
  const AttentionParts parts = attention_parts(step);
  step.give(fits(parts) ? attention_at_once(step, parts) : attention_in_parts(step, parts));
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
