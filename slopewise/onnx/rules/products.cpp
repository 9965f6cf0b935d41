// Matrix products: with weights they become linear maps on packed matrices, others products of two activations.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "slopewise/onnx/broadcast.hpp"
#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// The axes of x with `last` at the end.
std::vector<Index> ending_in(const Placed& x, Index last) {
  std::vector<Index> axes;
  for (const Index axis : x.axes) {
    if (axis != last) axes.push_back(axis);
  }
  axes.push_back(last);
  return axes;
}

void require_equal(const ImportStep& step, const Placed& a, const Placed& b, const Extent& inner, const Extent& other) {
  if (inner.batch) {
    step.refuse(fmt::format("the product of {} and {} would mix examples", to_string(a.dims), to_string(b.dims)));
  }
  if (inner != other) step.refuse(fmt::format("the product of {} and {}", to_string(a.dims), to_string(b.dims)));
}

// x W over the last axis of x, W (inputs, units) or, `transposed`, (units, inputs), as input `weight` of the step; plus
// a vector, input `bias` where that is not −1.
Placed by_weight(ImportStep& step, const Placed& x, std::size_t weight, bool transposed, Index bias) {
  Weight* fresh = step.unread_weight(weight);
  const std::vector<Index> order = transposed ? std::vector<Index>{0, 1} : std::vector<Index>{1, 0};
  const Placed w = step.weight(weight, order, Role::kMatrix);
  if (x.dims.empty()) step.refuse("expected a vector or more, found a number");
  const Index last = static_cast<Index>(x.dims.size()) - 1;
  require_equal(step, x, w, x.dims[number_of(last)], w.dims[number_of(order[1])]);
  const std::vector<Index> axes = ending_in(x, last);
  const Node matrix = arrange(w, order);
  std::optional<Node> vector;
  if (bias >= 0) {
    Weight* own = step.unread_weight(number_of(bias));
    const Placed b = own ? step.importer().bias(*own, matrix) : step.placed(number_of(bias));
    vector = seen_as(arrange(b), {{matrix.shape()[0]}}).node;
  }
  Extents dims = x.dims;
  dims[number_of(last)] = {matrix.shape()[0]};
  return {step.importer().linear_map(arrange(x, axes), matrix, vector ? &*vector : nullptr, fresh, order), dims, axes};
}

bool is_table(const ImportStep& step, std::size_t i) {
  const auto* placed = std::get_if<Placed>(&step.value(i));
  return step.dims(i).size() == 2 && batch_axis(step.dims(i)) < 0 && (!placed || placed->shared());
}

}  // namespace

Placed product(ImportStep& step, const Placed& left, const Placed& right) {
  const std::size_t rank = std::max(left.dims.size(), right.dims.size());
  const Placed a = padded(left, rank), b = padded(right, rank);
  const Index m = static_cast<Index>(rank) - 2, n = m + 1;
  require_equal(step, left, right, a.dims[number_of(n)], b.dims[number_of(m)]);
  Extents dims;
  std::vector<Index> lead;
  for (Index axis = 0; axis < m; ++axis) {
    const Extent one = a.dims[number_of(axis)], two = b.dims[number_of(axis)];
    if (!one.unit() && !two.unit() && one != two)
      step.refuse(fmt::format("the product of {} and {}", to_string(left.dims), to_string(right.dims)));
    dims.push_back(one.unit() ? two : one);
    if (dims.back().count != 1) lead.push_back(axis);
  }
  dims.push_back(a.dims[number_of(m)]);
  dims.push_back(b.dims[number_of(n)]);
  if (dims[number_of(m)].batch && !b.shared())
    step.refuse(
        fmt::format("the product of {} and {} would mix examples", to_string(left.dims), to_string(right.dims)));
  // A matrix that lies transposed is read so.
  const auto lies_transposed = [&](const Placed& value) {
    const auto first = std::find(value.axes.begin(), value.axes.end(), m),
               second = std::find(value.axes.begin(), value.axes.end(), n);
    return first != value.axes.end() && second < first;
  };
  const bool transpose_a = lies_transposed(a), transpose_b = lies_transposed(b);
  const auto operand = [&](const Placed& value, bool transposed) {
    std::vector<Index> axes;
    // Leading axes of one entry are left to the product's own broadcasting.
    for (const Index axis : lead) {
      if (!axes.empty() || value.dims[number_of(axis)].count != 1) axes.push_back(axis);
    }
    axes.push_back(transposed ? n : m);
    axes.push_back(transposed ? m : n);
    return arrange(value, axes);
  };
  // A row for each example where the batch axis is that of the rows.
  const Node node = matmul(operand(a, transpose_a), operand(b, transpose_b),
                           {.transpose_a = transpose_a, .transpose_b = transpose_b});
  std::vector<Index> axes = lead;
  axes.push_back(m);
  axes.push_back(n);
  return {node, dims, axes};
}

namespace {

void matmul_rule(ImportStep& step) {
  const Extents left = step.dims(0), right = step.dims(1);
  if (left.empty() || right.empty()) step.refuse("expected matrices or vectors, found a number");
  if (is_table(step, 1) && left.size() >= 2) return step.give(by_weight(step, step.placed(0), 1, false, -1));
  if (is_table(step, 0) && right.size() >= 2 && !is_table(step, 1)) {
    // A x = (xᵀ Aᵀ)ᵀ: the product's rows are the columns of x.
    const Placed x = step.placed(1);
    const Placed w = step.weight(0, {0, 1}, Role::kMatrix);
    const Index rows = static_cast<Index>(right.size()) - 2;
    require_equal(step, w, x, w.dims[1], x.dims[number_of(rows)]);
    const std::vector<Index> axes = ending_in(x, rows);
    Extents dims = x.dims;
    dims[number_of(rows)] = w.dims[0];
    return step.give(
        Placed{step.importer().linear_map(arrange(x, axes), arrange(w, {0, 1}), nullptr, nullptr, {}), dims, axes});
  }
  Placed a = step.placed(0), b = step.placed(1);
  if (left.size() == 1) a = padded(a, 2);
  if (right.size() == 1) {
    b.dims.push_back({1});
  }
  Placed result = product(step, a, b);
  // The axis that a vector was given goes again.
  const auto drop = [&](Index axis) {
    std::vector<Index> kept, renamed;
    for (const Index own : result.axes) {
      if (own == axis) continue;
      kept.push_back(own);
      renamed.push_back(own > axis ? own - 1 : own);
    }
    const Node node = arrange(result, kept);
    result.dims.erase(result.dims.begin() + axis);
    result = {node, result.dims, renamed};
  };
  if (right.size() == 1) drop(static_cast<Index>(result.dims.size()) - 1);
  if (left.size() == 1) drop(static_cast<Index>(result.dims.size()) - (right.size() == 1 ? 1 : 2));
  step.give(std::move(result));
}

void gemm_rule(ImportStep& step) {
  const double alpha = step.number("alpha", 1.0), beta = step.number("beta", 1.0);
  const bool transpose_a = step.integer("transA", 0) != 0, transpose_b = step.integer("transB", 0) != 0;
  Placed a = step.placed(0);
  if (a.dims.size() != 2 || step.dims(1).size() != 2) step.refuse("expected two matrices");
  const auto turned = [](const Placed& value) {
    Placed other{value.node, {value.dims[1], value.dims[0]}, value.axes};
    for (Index& axis : other.axes) axis = 1 - axis;
    return other;
  };
  if (transpose_a) a = turned(a);
  const bool vector = step.has(2) && alpha == 1 && beta == 1 && is_table(step, 1) && step.dims(2).size() == 1 &&
                      step.dims(2)[0].count == step.dims(1)[transpose_b ? 0 : 1].count && !step.dims(2)[0].batch;
  Placed result = [&] {
    if (is_table(step, 1)) return by_weight(step, a, 1, transpose_b, vector ? 2 : -1);
    const Placed b = step.placed(1);
    return product(step, a, transpose_b ? turned(b) : b);
  }();
  if (alpha != 1) result.node = scale(result.node, alpha);
  if (step.has(2) && !vector && beta != 0) {
    Placed c = step.placed(2);
    if (beta != 1) c.node = scale(c.node, beta);
    const Broadcast both = broadcast(step, {result, c});
    result = both.result(add(both.nodes[0], both.nodes[1]));
  }
  step.give(std::move(result));
}

// One operand: axes that are summed over, and others in another order.
void einsum_of_one(ImportStep& step, const std::string& equation) {
  const std::size_t arrow = equation.find("->");
  const std::string in = equation.substr(0, arrow), out = equation.substr(arrow + 2);
  const Placed x = step.placed(0);
  if (in.size() != x.dims.size() || std::set<char>(in.begin(), in.end()).size() != in.size())
    step.refuse(fmt::format("equation '{}' of {}", equation, to_string(x.dims)));
  for (std::size_t axis = 0; axis < in.size(); ++axis) {
    if (out.find(in[axis]) == std::string::npos) step.require_one_example(x.dims, static_cast<Index>(axis));
  }
  if (std::set<char>(out.begin(), out.end()).size() != out.size())
    step.refuse(fmt::format("equation '{}': a label comes twice", equation));
  Extents dims;
  std::vector<Index> axes, summed;
  for (const char label : out) {
    const std::size_t axis = in.find(label);
    if (axis == std::string::npos)
      step.refuse(fmt::format("equation '{}': '{}' is no label of the operand", equation, label));
    dims.push_back(x.dims[axis]);
  }
  Node node = x.node;
  for (std::size_t j = 0; j < x.axes.size(); ++j) {
    const char label = in[number_of(x.axes[j])];
    const std::size_t place = out.find(label);
    if (place == std::string::npos) {
      summed.push_back(static_cast<Index>(j));
    } else {
      axes.push_back(static_cast<Index>(place));
    }
  }
  if (!summed.empty()) node = sum(node, summed);
  step.give(Placed{node, dims, axes});
}

// Two operands, every label once in each: a product over the labels that only they have.
void einsum_rule(ImportStep& step) {
  std::string equation = step.text("equation", "");
  std::erase(equation, ' ');
  if (equation.find('.') != std::string::npos)
    step.refuse(fmt::format("equation '{}': an ellipsis is not supported", equation));
  // Without a result, those labels in order that come once.
  if (equation.find("->") == std::string::npos) {
    std::map<char, int> times;
    for (const char label : equation) times[label] += label != ',';
    equation += "->";
    for (const auto& [label, count] : times) {
      if (count == 1) equation += label;
    }
  }
  if (step.inputs() == 1) return einsum_of_one(step, equation);
  const std::size_t arrow = equation.find("->"), comma = equation.find(',');
  if (comma == std::string::npos || step.inputs() != 2)
    step.refuse(fmt::format("equation '{}': expected one or two operands", equation));
  const std::string left = equation.substr(0, comma), right = equation.substr(comma + 1, arrow - comma - 1),
                    out = equation.substr(arrow + 2);
  for (const std::string& labels : {left, right, out}) {
    if (std::set<char>(labels.begin(), labels.end()).size() != labels.size())
      step.refuse(fmt::format("equation '{}': a label comes twice in '{}'", equation, labels));
  }
  const Placed a = step.placed(0), b = step.placed(1);
  if (a.dims.size() != left.size() || b.dims.size() != right.size())
    step.refuse(fmt::format("equation '{}' of {} and {}", equation, to_string(a.dims), to_string(b.dims)));
  const auto in = [](const std::string& labels, char label) { return labels.find(label) != std::string::npos; };
  std::string lead, rows, columns, inner;
  for (const char label : left) {
    if (in(right, label)) {
      (in(out, label) ? lead : inner) += label;
    } else if (in(out, label)) {
      rows += label;
    } else {
      step.refuse(fmt::format("equation '{}': '{}' is summed over in one operand alone", equation, label));
    }
  }
  for (const char label : right) {
    if (in(left, label)) continue;
    if (!in(out, label))
      step.refuse(fmt::format("equation '{}': '{}' is summed over in one operand alone", equation, label));
    columns += label;
  }
  for (const char label : out) {
    if (!in(left, label) && !in(right, label))
      step.refuse(fmt::format("equation '{}': no operand has '{}'", equation, label));
  }
  const auto extent = [&](char label) {
    return in(left, label) ? a.dims[left.find(label)] : b.dims[right.find(label)];
  };
  for (const char label : lead + inner) {
    if (a.dims[left.find(label)] != b.dims[right.find(label)])
      step.refuse(fmt::format("equation '{}' of {} and {}", equation, to_string(a.dims), to_string(b.dims)));
  }
  for (const char label : inner) {
    if (extent(label).batch) step.refuse(fmt::format("equation '{}' would mix examples", equation));
  }
  const auto axes = [&](const std::string& labels, const std::string& of) {
    std::vector<Index> named;
    for (const char label : labels) {
      const auto axis = of.find(label);
      if (extent(label) != Extent{1, true}) named.push_back(static_cast<Index>(axis));
    }
    return named;
  };
  const auto count = [&](const std::string& labels) {
    Index product = 1;
    for (const char label : labels) product *= extent(label).count;
    return product;
  };
  std::vector<Index> leading;
  for (const char label : lead) {
    if (extent(label) != Extent{1, true}) leading.push_back(extent(label).count);
  }
  const auto matrix = [&](const Placed& value, const std::string& of, const std::string& first,
                          const std::string& second) {
    std::vector<Index> extents = leading;
    extents.push_back(count(first));
    extents.push_back(count(second));
    return reshape(arrange(value, axes(lead + first + second, of)), Shape(extents));
  };
  const Node node = matmul(matrix(a, left, rows, inner), matrix(b, right, inner, columns));
  std::vector<Index> extents, named;
  Extents dims;
  for (const char label : out) dims.push_back(extent(label));
  for (const char label : lead + rows + columns) {
    if (extent(label) == Extent{1, true}) continue;
    extents.push_back(extent(label).count);
    named.push_back(static_cast<Index>(out.find(label)));
  }
  step.give(Placed{reshape(node, Shape(extents)), dims, named});
}

constexpr OnnxRule kProducts[] = {{"Einsum", einsum_rule, "one or two operands, no label twice in one, no ellipsis"},
                                  {"Gemm", gemm_rule},
                                  {"MatMul", matmul_rule}};

}  // namespace

void linear_rule(ImportStep& step) {
  step.give(by_weight(step, step.placed(0), 1, false, 2));
}

std::span<const OnnxRule> product_rules() {
  return kProducts;
}

}  // namespace slopewise
