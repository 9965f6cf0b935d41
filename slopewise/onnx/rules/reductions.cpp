// Sums, extremes and softmaxes over axes.
#include <fmt/format.h>

#include <algorithm>

#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// Applies function(node, axes of its shape), which takes the axes away.
template <class F>
void reduce(ImportStep& step, F function) {
  const Placed x = step.placed(0);
  auto axes = step.axes(1, x.dims.size());
  const bool keep = step.integer("keepdims", 1) != 0;
  if (!axes || axes->empty()) {
    if (step.integer("noop_with_empty_axes", 0) != 0) return step.give(x);
    axes.emplace();
    for (std::size_t i = 0; i < x.dims.size(); ++i) axes->push_back(static_cast<Index>(i));
  }
  for (const Index axis : *axes) step.require_one_example(x.dims, axis);
  const auto goes = [&](Index axis) { return std::find(axes->begin(), axes->end(), axis) != axes->end(); };
  std::vector<Index> own, left;
  for (std::size_t j = 0; j < x.axes.size(); ++j) {
    if (goes(x.axes[j])) {
      own.push_back(static_cast<Index>(j));
    } else {
      left.push_back(x.axes[j]);
    }
  }
  if (axes->empty()) return step.give(x);  // of a single number
  // An axis of one entry that the node lacks is none to reduce, but functions of a single entry act on it all the same.
  Placed whole = x;
  if (own.empty()) {
    whole.axes = left;
    whole.axes.push_back((*axes)[0]);
    whole.node = arrange(x, whole.axes);
    own = {static_cast<Index>(left.size())};
  }
  const Node reduced = function(whole.node, own);
  Extents dims;
  std::vector<Index> renamed(x.dims.size());
  for (std::size_t i = 0; i < x.dims.size(); ++i) {
    renamed[i] = static_cast<Index>(dims.size());
    if (!goes(static_cast<Index>(i))) {
      dims.push_back(x.dims[i]);
    } else if (keep) {
      dims.push_back({1});
    }
  }
  for (Index& axis : left) axis = renamed[number_of(axis)];
  step.give(Placed{reduced, dims, left});
}

template <class F>
void arg(ImportStep& step, F function) {
  const Placed x = step.placed(0);
  const Index axis = step.axis("axis", 0, x.dims.size());
  step.require_one_example(x.dims, axis);
  Placed moved = x;
  const auto found = std::find(x.axes.begin(), x.axes.end(), axis);
  if (found == x.axes.end()) {
    moved.axes.push_back(axis);
    moved.node = arrange(x, moved.axes);
  }
  const Index at = std::find(moved.axes.begin(), moved.axes.end(), axis) - moved.axes.begin();
  const Node best = function(moved.node, at, step.integer("select_last_index", 0) != 0);
  std::vector<Index> left = moved.axes;
  left.erase(left.begin() + at);
  Extents dims = x.dims;
  if (step.integer("keepdims", 1) != 0) {
    dims[number_of(axis)] = {1};
  } else {
    dims.erase(dims.begin() + axis);
    for (Index& each : left) each -= each > axis ? 1 : 0;
  }
  step.give(Placed{best, dims, left});
}

// Over one axis; before operator set 13 over all axes from it on together.
template <class F>
void along(ImportStep& step, F function, bool flattens = true) {
  const Placed x = step.placed(0);
  flattens = flattens && step.opset() < 13;
  const Index axis = step.axis("axis", flattens ? 1 : -1, x.dims.size());
  const auto rank = static_cast<Index>(x.dims.size());
  if (flattens && axis != rank - 1) {
    for (Index i = axis; i < rank; ++i) step.require_one_example(x.dims, i);
    const Node whole = arrange(x);
    const Index inner = count_of({x.dims.begin() + axis, x.dims.end()});
    const Node rows = reshape(whole, {inner == 0 ? 0 : whole.shape().size() / inner, inner});
    return step.give(seen_as(function(rows, Index{1}), x.dims));
  }
  step.require_one_example(x.dims, axis);
  Placed own = x;
  if (std::find(own.axes.begin(), own.axes.end(), axis) == own.axes.end()) {
    own.axes.push_back(axis);
    own.node = arrange(x, own.axes);
  }
  const Index at = std::find(own.axes.begin(), own.axes.end(), axis) - own.axes.begin();
  step.give(Placed{function(own.node, at), x.dims, own.axes});
}

void cumsum_rule(ImportStep& step) {
  const Placed x = step.placed(0);
  const Index axis = axis_of(static_cast<Index>(step.number(1, "axis")), x.dims.size());
  if (axis < 0) step.refuse(fmt::format("axis: expected one of {}", to_string(x.dims)));
  step.require_one_example(x.dims, axis);
  const Node whole = arrange(x);
  const std::vector<Index> axes = all_axes(x.dims);
  const Index at = std::find(axes.begin(), axes.end(), axis) - axes.begin();
  step.give(place(cumsum(whole, at, step.integer("exclusive", 0) != 0, step.integer("reverse", 0) != 0), x.dims));
}

// x / ‖x‖ along an axis, p = 1 or 2; 0 where the norm is.
void lp_normalization_rule(ImportStep& step) {
  const Index p = step.integer("p", 2);
  if (p != 1 && p != 2) step.refuse(fmt::format("p = {}: expected 1 or 2", p));
  along(
      step,
      [&](const Node& x, Index axis) {
        std::vector<Index> extents = x.shape().extents();
        extents[number_of(axis)] = 1;
        const Node norm = reshape(p == 1 ? reduce_l1(x, {axis}) : reduce_l2(x, {axis}), Shape(extents));
        const Node zero = equal(norm, step.builder().constant({}, std::vector<double>{0}));
        return div(x, add(norm, zero));
      },
      false);
}

constexpr OnnxRule kReductions[] = {
    {"ArgMax", [](ImportStep& step) { arg(step, argmax); }, "as a number without slope"},
    {"ArgMin", [](ImportStep& step) { arg(step, argmin); }, "as a number without slope"},
    {"CumSum", cumsum_rule},
    {"Hardmax", [](ImportStep& step) { along(step, [](const Node& x, Index axis) { return hardmax(x, axis); }); }},
    {"LogSoftmax",
     [](ImportStep& step) { along(step, [](const Node& x, Index axis) { return log_softmax(x, axis); }); }},
    {"LpNormalization", lp_normalization_rule},
    {"ReduceL1",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return reduce_l1(x, axes); }); }},
    {"ReduceL2",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return reduce_l2(x, axes); }); }},
    {"ReduceLogSum",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return log(sum(x, axes)); }); }},
    {"ReduceLogSumExp",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return log_sum_exp(x, axes); }); }},
    {"ReduceMax",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return reduce_max(x, axes); }); }},
    {"ReduceMean",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return mean(x, axes); }); }},
    {"ReduceMin",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return reduce_min(x, axes); }); }},
    {"ReduceProd",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return reduce_prod(x, axes); }); }},
    {"ReduceSum", [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return sum(x, axes); }); }},
    {"ReduceSumSquare",
     [](ImportStep& step) { reduce(step, [](const Node& x, const auto& axes) { return sum(square(x), axes); }); }},
    {"Softmax", [](ImportStep& step) { along(step, [](const Node& x, Index axis) { return softmax(x, axis); }); }}};

}  // namespace

std::span<const OnnxRule> reduction_rules() {
  return kReductions;
}

}  // namespace slopewise
