// Recurrent layers, in one direction or both.
#include <fmt/format.h>

#include <algorithm>

#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

struct Cell {
  Index gates;
  std::vector<std::string> activations;
  bool has_cell;  // states are h, then c
  Node (*apply)(const Node&, const Node&, const Node&, const std::optional<Node>&, const RecurrentOptions&);
};

// The rows of x (T, width) from the last to the first.
Node reversed(const Node& x) {
  const Index rows = x.shape()[0], width = x.shape().size() / std::max<Index>(rows, 1);
  std::vector<Index> index;
  for (Index t = rows; t-- > 0;) {
    for (Index i = 0; i < width; ++i) index.push_back(t * width + i);
  }
  return rearrange(x, x.shape(), index);
}

// Part `direction` of an input whose first axis counts directions, with the axes after it that are named.
Node part(ImportStep& step, std::size_t input, Index direction, const std::vector<Index>& axes) {
  const Extents dims = step.dims(input);
  // One direction's weights are read as they lie.
  if (dims[0].count == 1) return arrange(step.weight(input, axes, axes.size() > 1 ? Role::kMatrix : Role::kBias), axes);
  const Placed own = std::get<Placed>(sliced(step, step.placed(input), 0, direction, direction + 1));
  return arrange(own, axes);
}

// A state that a direction starts with; none where it is 0.
std::optional<Node> initial(ImportStep& step, std::size_t input, Index direction, bool batch_first) {
  if (!step.has(input)) return std::nullopt;
  if (step.is_known(input)) {
    const Known known = step.known(input);
    if (std::all_of(known.numbers.begin(), known.numbers.end(), [](double x) { return x == 0; })) return std::nullopt;
  }
  const Index directions = batch_first ? 1 : 0;
  const OnnxValue own = sliced(step, step.placed(input), directions, direction, direction + 1);
  return arrange(std::get<Placed>(own), {2});
}

void recurrent(ImportStep& step, const Cell& cell) {
  const bool batch_first = step.integer("layout", 0) != 0;
  const Index time = batch_first ? 1 : 0, examples = 1 - time;
  const Placed x = step.placed(0);
  if (x.dims.size() != 3) step.refuse(fmt::format("expected (time, batch, inputs), found {}", to_string(x.dims)));
  step.require_one_example(x.dims, time);
  step.require_one_example(x.dims, 2);
  if (x.dims[number_of(examples)].count != 1) step.refuse("an axis of more than the examples");
  const std::string direction = step.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    step.refuse(fmt::format("direction '{}'", direction));
  const Index directions = direction == "bidirectional" ? 2 : 1;
  const Extents weight = step.dims(1), recurrent = step.dims(2);
  if (weight.size() != 3 || recurrent.size() != 3 || weight[0].count != directions || recurrent[0].count != directions)
    step.refuse(
        fmt::format("weights {} and {} for {} directions", to_string(weight), to_string(recurrent), directions));
  const Index hidden = recurrent[2].count;
  if (weight[1].count != cell.gates * hidden)
    step.refuse(fmt::format("weights {} of {} units", to_string(weight), hidden));
  if (step.has_attribute("clip")) step.refuse("clipped cells are not supported");
  if (step.has(4)) {
    const Known lengths = step.known(4, "lengths of sequences");
    if (std::any_of(lengths.numbers.begin(), lengths.numbers.end(),
                    [&](double length) { return length != static_cast<double>(x.dims[number_of(time)].count); }))
      step.refuse("sequences of different lengths");
  }
  if (cell.has_cell && step.has(7)) step.refuse("peepholes are not supported");
  if (step.integer("input_forget", 0) != 0) step.refuse("coupled gates are not supported");
  for (const std::size_t state : {std::size_t{5}, std::size_t{6}}) {
    if (step.has(state) && step.dims(state).size() != 3) step.refuse("expected initial states of three axes");
  }
  RecurrentOptions options{.linear_before_reset = step.integer("linear_before_reset", 0) != 0};
  if (const auto found = step.node().attributes.find("activations"); found != step.node().attributes.end()) {
    const auto* names = std::get_if<std::vector<std::string>>(&found->second);
    std::vector<std::string> expected;
    for (Index d = 0; d < directions; ++d)
      expected.insert(expected.end(), cell.activations.begin(), cell.activations.end());
    const bool relu = cell.gates == 1 && names && *names == std::vector<std::string>(number_of(directions), "Relu");
    options.relu = relu;
    if (!relu && (!names || *names != expected)) step.refuse("activations other than the usual ones");
  }

  const Node rows = arrange(x, {time, 2});
  const Index steps = rows.shape()[0];
  std::vector<Node> states, last_hidden, last_cell;
  for (Index d = 0; d < directions; ++d) {
    const bool backwards = direction == "reverse" || d == 1;
    options.initial_hidden = initial(step, 5, d, batch_first);
    if (cell.has_cell) options.initial_cell = initial(step, 6, d, batch_first);
    std::optional<Node> bias;
    if (step.has(3)) bias = part(step, 3, d, {1});
    const Node both = cell.apply(backwards ? reversed(rows) : rows, part(step, 1, d, {1, 2}), part(step, 2, d, {1, 2}),
                                 bias, options);
    const Node h = cell.has_cell ? slice(both, 1, 0, hidden) : both;
    last_hidden.push_back(slice(h, 0, steps - 1, steps));
    if (cell.has_cell && step.wants(2)) {
      last_cell.push_back(slice(slice(both, 1, hidden, 2 * hidden), 0, steps - 1, steps));
    }
    states.push_back(reshape(backwards ? reversed(h) : h, {steps, 1, hidden}));
  }
  const Extent batch = x.dims[number_of(examples)], many{directions}, units{hidden}, times{steps};
  const auto joined = [&](const std::vector<Node>& parts, Index axis) {
    return parts.size() == 1 ? parts[0] : concatenate(parts, axis);
  };
  if (batch_first) {
    step.give(Placed{joined(states, 1), {batch, times, many, units}, {1, 2, 3}}, 0);
  } else {
    step.give(Placed{joined(states, 1), {times, many, batch, units}, {0, 1, 3}}, 0);
  }
  const auto last = [&](const std::vector<Node>& parts) {
    return batch_first ? Placed{joined(parts, 0), {batch, many, units}, {1, 2}}
                       : Placed{joined(parts, 0), {many, batch, units}, {0, 2}};
  };
  if (step.wants(1)) step.give(last(last_hidden), 1);
  if (!last_cell.empty()) step.give(last(last_cell), 2);
}

void lstm_rule(ImportStep& step) {
  recurrent(step, {4, {"Sigmoid", "Tanh", "Tanh"}, true, lstm});
}
void gru_rule(ImportStep& step) {
  recurrent(step, {3, {"Sigmoid", "Tanh"}, false, gru});
}
void rnn_rule(ImportStep& step) {
  recurrent(step, {1, {"Tanh"}, false, rnn});
}

constexpr OnnxRule kRecurrent[] = {
    {"GRU", gru_rule, "the usual activations, no clipping, sequences of one length"},
    {"LSTM", lstm_rule, "the usual activations, no clipping, peepholes or coupled gates, sequences of one length"},
    {"RNN", rnn_rule, "Tanh or Relu, no clipping, sequences of one length"}};

}  // namespace

std::span<const OnnxRule> recurrent_rules() {
  return kRecurrent;
}

}  // namespace slopewise
