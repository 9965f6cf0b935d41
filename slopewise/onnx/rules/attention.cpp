// Attention, as the operator of ONNX has it and as a fusion has found it in products around a softmax, and the rotary
// positions of its queries and keys.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "slopewise/onnx/broadcast.hpp"
#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

// The parts of softmax(q kᵀ · scale + mask) v. The axis before the last two, of heads, may have fewer entries in k and
// v, a divisor, each of which consecutive heads of q share.
struct AttentionParts {
  Placed q, turned, v;  // turned: kᵀ
  double scale = 1;
  std::optional<Placed> mask, hidden;  // what is added to scores; where they are −∞
  bool causal = false;                 // query i sees the keys up to i
  double softcap = 0;                  // c, not 0: c tanh(s / c) in the place of a score s

  std::size_t rank() const { return q.dims.size(); }
  // Heads of q to one of k and v.
  Index group() const {
    return rank() < 3 || turned.dims.size() != rank() ? 1 : q.dims[rank() - 3].count / turned.dims[rank() - 3].count;
  }
};

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
  const std::size_t rank = parts.rank();
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
// Whether k and v have as many heads as q, or a divisor.
bool heads_fit(const AttentionParts& parts) {
  const std::size_t rank = parts.rank();
  if (rank < 2 || parts.turned.dims.size() != rank || parts.v.dims.size() != rank) return false;
  for (std::size_t axis = 0; axis + 2 < rank; ++axis) {
    const Extent &q = parts.q.dims[axis], &k = parts.turned.dims[axis];
    const bool shared = axis + 3 == rank && !q.batch && !k.batch && k.count > 0 && q.count % k.count == 0;
    if (k != parts.v.dims[axis] || (q != k && !shared)) return false;
  }
  return true;
}
// Whether one operation takes it: none of the products is along the examples.
bool fits(const AttentionParts& parts) {
  if (parts.softcap != 0 || !heads_fit(parts)) return false;
  for (const Placed* operand : {&parts.q, &parts.turned, &parts.v}) {
    if (operand->dims[parts.rank() - 1].batch || operand->dims[parts.rank() - 2].batch) return false;
  }
  return fits(parts, parts.mask) && fits(parts, parts.hidden);
}

// As the nodes of a graph would have it, where q, k and v have the same heads, or some that broadcast.
Placed products(ImportStep& step, const AttentionParts& parts) {
  Placed scores = product(step, parts.q, parts.turned);
  scores.node = scale(scores.node, parts.scale);
  if (parts.softcap != 0) scores.node = scale(tanh(scale(scores.node, 1 / parts.softcap)), parts.softcap);
  const auto shift = [&](const Placed& mask) {
    const Broadcast both = broadcast(step, {scores, mask});
    scores = both.result(add(both.nodes[0], both.nodes[1]));
  };
  if (parts.mask) shift(*parts.mask);
  if (parts.hidden) {
    const Placed none = place(step.builder().constant({}, std::vector<double>{kHidden}), {});
    const Broadcast all = broadcast(step, {*parts.hidden, none, scores});
    scores = all.result(where(all.nodes[0], all.nodes[1], all.nodes[2]));
  }
  const Index last = static_cast<Index>(scores.dims.size()) - 1;
  step.require_one_example(scores.dims, last);
  if (parts.causal) {
    step.require_one_example(scores.dims, last - 1);
    const Extents dims{scores.dims[number_of(last - 1)], scores.dims[number_of(last)]};
    std::vector<double> later;
    for (Index i = 0; i < dims[0].count; ++i) {
      for (Index j = 0; j < dims[1].count; ++j) later.push_back(j > i ? kHidden : 0);
    }
    shift(place(step.builder().constant({dims[0].count, dims[1].count}, std::move(later)), dims));
  }
  std::vector<Index> axes;
  for (const Index axis : scores.axes) {
    if (axis != last) axes.push_back(axis);
  }
  axes.push_back(last);
  return product(step, {softmax(arrange(scores, axes)), scores.dims, axes}, parts.v);
}

// The same of any heads that fit: those of q lie beside the one that they share.
Placed attention_in_parts(ImportStep& step, AttentionParts parts) {
  if (!heads_fit(parts) || parts.group() == 1) return products(step, parts);
  const auto apart = [&](Placed& value, Index group) {
    Extents dims = padded(value, parts.rank()).dims;
    const auto heads = dims.end() - 3;
    if (heads->count % group != 0) group = 1;  // of a mask that is the same for all
    heads->count /= group;
    dims.insert(heads + 1, {group});
    value = std::get<Placed>(reshaped(step, value, dims));
  };
  const Index group = parts.group();
  const std::size_t heads = parts.rank() - 3;
  for (std::optional<Placed>* mask : {&parts.mask, &parts.hidden}) {
    if (*mask) apart(**mask, group);
  }
  apart(parts.turned, 1);
  apart(parts.v, 1);
  apart(parts.q, group);
  const Placed mixed = products(step, parts);
  Extents dims = mixed.dims;
  dims[heads].count *= group;
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(heads) + 1);
  return std::get<Placed>(reshaped(step, mixed, dims));
}

// As one operation, which never holds the scores of all pairs.
Placed attention_at_once(ImportStep& step, const AttentionParts& parts) {
  const Index last = static_cast<Index>(parts.rank()) - 1, before = last - 1;
  const std::vector<Index> heads = heads_of(parts.q);
  // (heads that differ, rows, columns)
  const auto operand = [&](const Placed& value, Index rows, Index columns) {
    const Placed own = padded(value, parts.rank());
    std::vector<Index> axes = heads;
    axes.insert(axes.end(), {rows, columns});
    Index count = 1;
    for (const Index axis : heads) count *= own.dims[number_of(axis)].count;
    const Node node = arrange(own, axes);
    const Shape shape{count, own.dims[number_of(rows)].count, own.dims[number_of(columns)].count};
    return node.shape() == shape ? node : reshape(node, shape);
  };
  AttentionOptions options{.causal = parts.causal, .scale = parts.scale};
  if (parts.mask) options.mask = operand(*parts.mask, before, last);
  if (parts.hidden) {
    const Node none = step.builder().constant({}, std::vector<double>{0});
    const Node all = step.builder().constant({}, std::vector<double>{kHidden});
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

Placed attention(ImportStep& step, const AttentionParts& parts) {
  return fits(parts) ? attention_at_once(step, parts) : attention_in_parts(step, parts);
}

// The value with two axes in each other's place.
Placed turned(Placed value, Index one, Index other) {
  std::swap(value.dims[number_of(one)], value.dims[number_of(other)]);
  for (Index& axis : value.axes) axis = axis == one ? other : axis == other ? one : axis;
  return value;
}

// Input i, (examples, T, heads d) or (examples, heads, T, d), as the latter; `counts`: the attribute that counts heads.
Placed by_heads(ImportStep& step, std::size_t i, const std::string& counts) {
  const Placed value = step.placed(i);
  const Extents& dims = value.dims;
  if (dims.size() == 4) return value;
  const Index heads = step.integer(counts, 0);
  if (dims.size() != 3) step.refuse(fmt::format("input {}: expected three or four axes, found {}", i + 1, dims.size()));
  if (heads < 1 || dims[2].batch || dims[2].count % heads != 0)
    step.refuse(fmt::format("{} = {}: expected a number of heads that {} has", counts, heads, to_string(dims)));
  return turned(std::get<Placed>(reshaped(step, value, {dims[0], dims[1], {heads}, {dims[2].count / heads}})), 1, 2);
}

void attention_rule(ImportStep& step) {
  for (const std::size_t i : {4, 5, 6}) {
    if (step.has(i)) step.refuse("keys and values of before, and lengths of examples, are not taken");
  }
  const Extents asked = step.dims(0);
  const Placed q = by_heads(step, 0, "q_num_heads"), k = by_heads(step, 1, "kv_num_heads");
  AttentionParts parts{q, turned(k, 2, 3), by_heads(step, 2, "kv_num_heads")};
  if (!heads_fit(parts) || q.dims[3] != k.dims[3] || k.dims[2] != parts.v.dims[2]) {
    step.refuse(fmt::format("queries {}, keys {} and values {} do not fit", to_string(q.dims), to_string(k.dims),
                            to_string(parts.v.dims)));
  }
  parts.scale = step.number("scale", 1 / std::sqrt(static_cast<double>(q.dims[3].count)));
  parts.causal = step.integer("is_causal", 0) != 0;
  parts.softcap = step.number("softcap", 0);
  if (step.has(3)) {
    Placed mask = step.placed(3);
    if (mask.dims.empty() || mask.dims.size() > 4 || (!mask.dims.back().unit() && mask.dims.back() != k.dims[2]))
      step.refuse(fmt::format("a mask {} of {} keys", to_string(mask.dims), to_string({k.dims[2]})));
    if (step.boolean(3)) {
      mask.node = logical_not(mask.node);
      parts.hidden = mask;
    } else {
      parts.mask = mask;
    }
  }
  Placed mixed = attention(step, parts);
  if (asked.size() == 3) {
    mixed = turned(mixed, 1, 2);
    const Extents& dims = mixed.dims;
    mixed = std::get<Placed>(reshaped(step, mixed, {dims[0], dims[1], {dims[2].count * dims[3].count}}));
  }
  step.give(mixed);
  step.give(k, 1);
  step.give(parts.v, 2);
}

// Input i, a table of cosines or sines, (examples, T, pairs) or, with positions, (positions, pairs), by heads.
Placed angles(ImportStep& step, std::size_t i, Index pairs) {
  const Extents own = step.dims(i);
  const bool by_position = step.has(3);
  if (own.size() != (by_position ? 2 : 3) || own.back().batch || own.back().count != pairs) {
    step.refuse(fmt::format("input {}: expected {} of {} pairs, found {}", i + 1,
                            by_position ? "(positions, pairs)" : "(batch, T, pairs)", pairs, to_string(own)));
  }
  if (by_position && step.dims(3).size() != 2)
    step.refuse(fmt::format("input 4: expected positions (batch, T), found {}", to_string(step.dims(3))));
  std::vector<Index> order(own.size());
  std::iota(order.begin(), order.end(), 0);
  if (step.unread_weight(i)) step.weight(i, order, Role::kState);  // whoever reads it then: it never trains
  const Extents at = by_position ? step.dims(3) : own;
  const OnnxValue by_heads =
      reshaped(step, by_position ? gathered(step, i, 3, 0) : step.value(i), {at[0], {1}, at[1], {pairs}});
  const auto* known = std::get_if<Known>(&by_heads);
  return known ? place(step.builder(), *known) : std::get<Placed>(by_heads);
}

// (a, b) of every pair of entries becomes (a cos − b sin, a sin + b cos); pairs are neighbours, or of two halves.
void rotary_rule(ImportStep& step) {
  const Extents asked = step.dims(0);
  const Placed x = by_heads(step, 0, "num_heads");
  const Index width = x.dims[3].count, stated = step.integer("rotary_embedding_dim", 0),
              turned_width = stated == 0 ? width : stated, pairs = turned_width / 2;
  if (x.dims[3].batch || turned_width < 2 || turned_width % 2 != 0 || turned_width > width) {
    step.refuse(fmt::format("rotary_embedding_dim = {}: expected an even number up to the {} entries of a head", stated,
                            width));
  }
  const auto slice = [&](const OnnxValue& of, Index axis, Index begin, Index end) {
    return std::get<Placed>(sliced(step, of, axis, begin, end));
  };
  const Placed cosine = angles(step, 1, pairs), sine = angles(step, 2, pairs);
  const bool neighbours = step.integer("interleaved", 0) != 0;
  const Placed rotated = slice(x, 3, 0, turned_width);
  const Extents halves{x.dims[0], x.dims[1], x.dims[2], {pairs}};
  Extents by_pair = halves;
  by_pair.push_back({2});
  Extents alone = halves;
  alone.push_back({1});
  const auto part = [&](Index which) {
    if (!neighbours) return slice(rotated, 3, which * pairs, (which + 1) * pairs);
    return std::get<Placed>(reshaped(step, slice(reshaped(step, rotated, by_pair), 4, which, which + 1), halves));
  };
  const Placed a = part(0), b = part(1);
  std::vector<OnnxValue> parts{broadcast(step, broadcast(step, a, cosine, mul), broadcast(step, b, sine, mul), sub),
                               broadcast(step, broadcast(step, a, sine, mul), broadcast(step, b, cosine, mul), add)};
  if (neighbours) {
    for (OnnxValue& each : parts) each = reshaped(step, each, alone);
    parts = {reshaped(step, concatenated(step, parts, 4), rotated.dims)};
  }
  if (turned_width < width) parts.push_back(slice(x, 3, turned_width, width));
  Placed result = std::get<Placed>(parts.size() == 1 ? parts[0] : concatenated(step, parts, 3));
  if (asked.size() == 3) result = std::get<Placed>(reshaped(step, turned(result, 1, 2), asked));
  step.give(result);
}

constexpr OnnxRule kAttention[] = {
    {"Attention", attention_rule, "without keys of before (`past_key`) and lengths (`nonpad_kv_seqlen`)"},
    {"RotaryEmbedding", rotary_rule}};

}  // namespace

void found_attention_rule(ImportStep& step) {
  AttentionParts parts{step.placed(0), step.placed(1), step.placed(2)};
  if (step.has(3)) {
    const double factor = step.number(3, "the scale");
    parts.scale = step.integer("divides", 0) != 0 ? 1 / factor : factor;
  }
  if (step.has(4)) parts.mask = step.placed(4);
  if (step.has(5)) parts.hidden = step.placed(5);
  step.give(attention(step, parts));
}

std::span<const OnnxRule> attention_rules() {
  return kAttention;
}

}  // namespace slopewise
