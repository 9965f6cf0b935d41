// lstm, gru, rnn: s_t = cell(x_t, R h_{t−1} + b, s_{t−1}), where x_t = W times the input at t is made before, by
// `linear`, and h is the first of the states s. Cells (cells.hpp) state one unit's step; here are the products and the
// way through time, of all examples of a visit together: [h; ḣ_1 … ḣ_K; ḧ_1 …] go through R in one product. Scratch
// holds one step; the states are the result, and the way back makes a step's gates again from them.
#include "slopewise/program/ops/recurrent.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/cells.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Inputs: x (T, G hidden), R (G hidden, hidden), then b (G hidden) and the initial states (S hidden), as there are.
template <class Cell>
class Recurrent final : public OpRules<Recurrent<Cell>> {
 public:
  static constexpr std::string_view kName = Cell::kName;
  static constexpr Index kGates = Cell::kGates, kStates = Cell::kStates;
  Recurrent(Index steps, Index hidden, bool bias, bool initial)
      : steps_(steps), hidden_(hidden), bias_(bias ? 2 : 0), initial_(initial ? (bias ? 3 : 2) : 0) {}

  Shape shape(std::span<const InputInfo>) const override { return {steps_, states()}; }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const double units = static_cast<double>(steps_) * static_cast<double>(gates());
    const double product = 2 * units * static_cast<double>(hidden_);
    return {.value = product + 20 * units,
            .tangent = product * (1 + in[1].active) + 20 * units,
            .pullback = product * (2 + in[1].active) + 30 * units};
  }
  Needs needs() const override { return {.inputs = true, .output = true}; }
  bool curves(std::span<const InputInfo>) const override { return true; }
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize& visit) const override {
    if (visit.pullback) return visit.rows * (3 * hidden_ + 3 * gates() + states());
    return visit.rows * (1 + 2 * visit.tangents) * (2 * hidden_ + gates());
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Index rows = visit.out.rows, tangents = visit.tangents;
    const Index planes = 1 + tangents + (visit.out.second ? tangents : 0);
    T* h = visit.scratch;
    T* reset = h + planes * rows * hidden_;
    T* a = reset + planes * rows * hidden_;
    for (Index t = 0; t < steps_; ++t) {
      for (Index p = 0; p < planes; ++p) {
        for (Index r = 0; r < rows; ++r) {
          T* to = h + (p * rows + r) * hidden_;
          const T* from = state_before(visit, p, r, t);
          from ? std::copy_n(from, hidden_, to) : std::fill_n(to, hidden_, T{0});
        }
      }
      if constexpr (Cell::kResetsFirst) {
        project(visit, planes, h, 0, 2, a);
        each_unit(visit, t, a, [&](const Unit<T>& unit) {
          const Local<T> r = sigmoid_at(unit.x(0, 1) + unit.a(0, 1));
          each_direction(visit, [&](Index dot, Index second) {
            const Number<T> product =
                through(r, unit.input(dot, second, 1)) * h_number(h, rows, unit.row, unit.index, dot, second);
            store_number(reset + unit.row * hidden_ + unit.index, rows * hidden_, dot, second, product);
          });
        });
        project(visit, planes, reset, 2, 1, a);
      } else {
        project(visit, planes, h, 0, kGates, a);
      }
      each_unit(visit, t, a, [&](const Unit<T>& unit) { step(visit, t, unit); });
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Index rows = visit.out.rows;
    for (std::size_t i = 0; i < visit.in.size(); ++i) {
      const Cotangent<T>& target = visit.in_cotangents[i];
      if (target && !target.accumulate) std::fill_n(target.data, visit.in[i].rows * visit.in[i].size, T{0});
    }
    Step<T> step;
    T* at = visit.scratch;
    for (T** part : {&step.h, &step.reset, &step.reset_back}) *part = std::exchange(at, at + rows * hidden_);
    for (T** part : {&step.a, &step.a_back, &step.x_back}) *part = std::exchange(at, at + rows * gates());
    step.carry = at;
    std::fill_n(step.carry, rows * states(), T{0});
    for (Index t = steps_; t-- > 0;) pull_step(visit, t, step);
    if (initial_ == 0) return;
    if (const Cotangent<T>& target = visit.in_cotangents[initial_]) {
      for (Index r = 0; r < rows; ++r)
        axpy(T{1}, step.carry + r * states(), target.data + visit.in[initial_].row(r), states());
    }
  }

 private:
  // One unit of one example at one step, with where its numbers lie: plane 0 holds values, then K tangents, then K
  // second-order terms; a null one is 0.
  template <class T>
  struct Unit {
    const Recurrent& op;
    const Push<T>& visit;
    Index t, row, index;
    const T* gates;  // a: (planes, rows, G hidden)

    T x(Index plane, Index gate) const {
      const T* from = plane_of(visit.in[0], plane, visit.tangents, row);
      return from ? from[(t * kGates + gate) * op.hidden_ + index] : T{0};
    }
    T a(Index plane, Index gate) const {
      return gates[((plane * visit.out.rows + row) * kGates + gate) * op.hidden_ + index];
    }
    T state(Index plane, Index which) const {
      const T* from = op.state_before(visit, plane, row, t);
      return from ? from[which * op.hidden_ + index] : T{0};
    }
    // What a gate is a function of.
    Number<T> input(Index dot, Index second, Index gate) const {
      return number(dot, second, [&](Index plane) { return x(plane, gate) + a(plane, gate); });
    }
    // Planes `dot` and `second` of a number; −1: 0.
    template <class F>
    static Number<T> number(Index dot, Index second, F plane) {
      return {plane(0), dot < 0 ? T{0} : plane(dot), second < 0 ? T{0} : plane(second)};
    }
  };
  // What the way back calculates in, for each example.
  template <class T>
  struct Step {
    T *h, *reset, *reset_back;  // h and r h before the step, and the cotangent of r h
    T *a, *a_back, *x_back;     // gates
    T* carry;                   // cotangents of the states
  };

  Index gates() const { return kGates * hidden_; }
  Index states() const { return kStates * hidden_; }

  // Row r of plane p (value, tangents, second-order terms); null where there is none.
  template <class T>
  static const T* plane_of(const Jet<T>& jet, Index p, Index tangents, Index r) {
    if (p == 0) return jet.value_row(r);
    if (p <= tangents) return jet.tangent ? jet.tangent_row(p - 1, r) : nullptr;
    return jet.second ? jet.second_row(p - 1 - tangents, r) : nullptr;
  }
  // The states before step t.
  template <class Visit>
  auto state_before(const Visit& visit, Index p, Index r, Index t) const {
    Index tangents = 0;
    if constexpr (requires { visit.tangents; }) tangents = visit.tangents;
    using Pointer = decltype(plane_of(visit.out, p, tangents, r));
    if (t > 0) return plane_of(visit.out, p, tangents, r) + (t - 1) * states();
    return initial_ == 0 ? Pointer{nullptr} : plane_of(visit.in[initial_], p, tangents, r);
  }
  template <class T>
  static Number<T> h_number(const T* h, Index rows, Index row, Index unit, Index dot, Index second, Index hidden) {
    return Unit<T>::number(dot, second, [&](Index plane) { return h[(plane * rows + row) * hidden + unit]; });
  }
  template <class T>
  Number<T> h_number(const T* h, Index rows, Index row, Index unit, Index dot, Index second) const {
    return h_number(h, rows, row, unit, dot, second, hidden_);
  }
  // Writes what is new of a number: its value where there is no direction.
  template <class T>
  static void store_number(T* to, Index plane, Index dot, Index second, const Number<T>& number) {
    if (dot < 0) *to = number.value;
    if (dot >= 0) to[dot * plane] = number.dot;
    if (second >= 0) to[second * plane] = number.second;
  }

  template <class T, class F>
  void each_unit(const Push<T>& visit, Index t, const T* a, F body) const {
    for (Index r = 0; r < visit.out.rows; ++r) {
      for (Index i = 0; i < hidden_; ++i) body(Unit<T>{*this, visit, t, r, i, a});
    }
  }
  // Calls body(plane of the tangent, plane of the second-order term) for values alone, then for every direction.
  template <class T, class F>
  static void each_direction(const Push<T>& visit, F body) {
    body(Index{-1}, Index{-1});
    for (Index k = 0; k < visit.tangents; ++k) body(1 + k, visit.out.second ? 1 + visit.tangents + k : Index{-1});
  }

  // a = R h + b of gates [first, first + count), in all planes.
  template <class T>
  void project(const Push<T>& visit, Index planes, const T* h, Index first, Index count, T* a) const {
    const Jet<T>& weight = visit.in[1];
    const Index rows = visit.out.rows, tangents = visit.tangents;
    const Index offset = first * hidden_ * hidden_, width = count * hidden_;
    T* to = a + first * hidden_;
    const auto multiply = [&](Index number, const T* from, const T* matrix, T factor, T beta, T* result) {
      matmul<T>(number, width, hidden_, factor, {from, hidden_}, {matrix + offset, hidden_, true}, beta, result,
                gates());
    };
    multiply(planes * rows, h, weight.value, T{1}, T{0}, to);
    const Index h_plane = rows * hidden_, a_plane = rows * gates();
    for (Index k = 0; k < tangents; ++k) {
      const bool second = planes > 1 + tangents;
      T* to_second = to + (1 + tangents + k) * a_plane;
      if (weight.tangent) {
        multiply(rows, h, weight.tangent_row(k, 0), T{1}, T{1}, to + (1 + k) * a_plane);
        if (second) multiply(rows, h + (1 + k) * h_plane, weight.tangent_row(k, 0), T{2}, T{1}, to_second);
      }
      if (second && weight.second) multiply(rows, h, weight.second_row(k, 0), T{1}, T{1}, to_second);
    }
    for (Index p = 0; bias_ > 0 && p < planes; ++p) {
      const T* bias = plane_of(visit.in[bias_], p, tangents, 0);
      for (Index r = 0; bias && r < rows; ++r)
        axpy(T{1}, bias + first * hidden_, to + p * a_plane + r * gates(), width);
    }
  }

  // The states of one unit after step t.
  template <class T>
  void step(const Push<T>& visit, Index t, const Unit<T>& unit) const {
    std::array<T, kGates> x_value, a_value;
    std::array<T, kStates> state_value;
    for (Index g = 0; g < kGates; ++g) {
      x_value[g] = unit.x(0, g);
      a_value[g] = unit.a(0, g);
    }
    for (Index s = 0; s < kStates; ++s) state_value[s] = unit.state(0, s);
    const auto at = cell_.at(x_value.data(), a_value.data(), state_value.data());
    each_direction(visit, [&](Index dot, Index second) {
      std::array<Number<T>, kGates> x, a;
      std::array<Number<T>, kStates> state, next;
      for (Index g = 0; g < kGates; ++g) {
        const auto i = static_cast<std::size_t>(g);
        x[i] = Unit<T>::number(dot, second, [&](Index plane) { return unit.x(plane, g); });
        a[i] = Unit<T>::number(dot, second, [&](Index plane) { return unit.a(plane, g); });
      }
      for (Index s = 0; s < kStates; ++s) {
        state[s] = Unit<T>::number(dot, second, [&](Index plane) { return unit.state(plane, s); });
      }
      cell_.next(at, x.data(), a.data(), state.data(), next.data());
      for (Index s = 0; s < kStates; ++s) {
        const Index to = t * states() + s * hidden_ + unit.index;
        const Number<T>& made = next[s];
        if (dot < 0) visit.out.value_row(unit.row)[to] = made.value;
        if (dot >= 0) visit.out.tangent_row(dot - 1, unit.row)[to] = made.dot;
        if (second >= 0) visit.out.second_row(dot - 1, unit.row)[to] = made.second;
      }
    });
  }

  // Takes the cotangents of the states back through step t.
  template <class T>
  void pull_step(const Pull<T>& visit, Index t, const Step<T>& step) const {
    const Index rows = visit.out.rows;
    const T* matrix = visit.in[1].value;
    for (Index r = 0; r < rows; ++r) {
      const T* from = state_before(visit, 0, r, t);
      from ? std::copy_n(from, hidden_, step.h + r * hidden_) : std::fill_n(step.h + r * hidden_, hidden_, T{0});
    }
    const auto remake = [&](const T* h, Index first, Index count) {
      matmul<T>(rows, count * hidden_, hidden_, T{1}, {h, hidden_}, {matrix + first * hidden_ * hidden_, hidden_, true},
                T{0}, step.a + first * hidden_, gates());
      for (Index r = 0; bias_ > 0 && r < rows; ++r)
        axpy(T{1}, visit.in[bias_].value + first * hidden_, step.a + r * gates() + first * hidden_, count * hidden_);
    };
    // Where the products R h and R (r h) are taken back to their right sides and to R, of gates [first, first + count).
    const auto pull_product = [&](const T* h, Index first, Index count, T* to, Index stride) {
      const Index offset = first * hidden_ * hidden_, width = count * hidden_;
      const T* a_back = step.a_back + first * hidden_;
      matmul<T>(rows, hidden_, width, T{1}, {a_back, gates()}, {matrix + offset, hidden_}, T{1}, to, stride);
      if (const Cotangent<T>& target = visit.in_cotangents[1]) {
        matmul<T>(width, hidden_, rows, T{1}, {a_back, gates(), true}, {h, hidden_}, T{1}, target.data + offset,
                  hidden_);
      }
    };
    const auto r_gate = [&](Index r, Index i) {
      return sigmoid_at(visit.in[0].value_row(r)[(t * kGates + 1) * hidden_ + i] + step.a[r * gates() + hidden_ + i]);
    };
    if constexpr (Cell::kResetsFirst) {
      remake(step.h, 0, 2);
      for (Index r = 0; r < rows; ++r) {
        for (Index i = 0; i < hidden_; ++i) step.reset[r * hidden_ + i] = r_gate(r, i).value * step.h[r * hidden_ + i];
      }
      remake(step.reset, 2, 1);
    } else {
      remake(step.h, 0, kGates);
    }
    for (Index r = 0; r < rows; ++r) {
      for (Index i = 0; i < hidden_; ++i) pull_unit(visit, t, step, r, i);
    }
    if constexpr (Cell::kResetsFirst) {
      std::fill_n(step.reset_back, rows * hidden_, T{0});
      pull_product(step.reset, 2, 1, step.reset_back, hidden_);
      for (Index r = 0; r < rows; ++r) {
        for (Index i = 0; i < hidden_; ++i) {
          const Local<T> reset = r_gate(r, i);
          const T back = step.reset_back[r * hidden_ + i];
          step.carry[r * states() + i] += back * reset.value;
          step.x_back[r * gates() + hidden_ + i] = back * step.h[r * hidden_ + i] * reset.slope;
          step.a_back[r * gates() + hidden_ + i] = step.x_back[r * gates() + hidden_ + i];
        }
      }
      pull_product(step.h, 0, 2, step.carry, states());
    } else {
      pull_product(step.h, 0, kGates, step.carry, states());
    }
    if (const Cotangent<T>& target = visit.in_cotangents[0]) {
      for (Index r = 0; r < rows; ++r)
        axpy(T{1}, step.x_back + r * gates(), target.data + visit.in[0].row(r) + t * gates(), gates());
    }
    if (bias_ > 0 && visit.in_cotangents[bias_]) {
      for (Index r = 0; r < rows; ++r) axpy(T{1}, step.a_back + r * gates(), visit.in_cotangents[bias_].data, gates());
    }
  }

  // One unit of one example: from the cotangents of its next states to those of its gates and its states.
  template <class T>
  void pull_unit(const Pull<T>& visit, Index t, const Step<T>& step, Index r, Index i) const {
    std::array<T, kGates> x, a, x_back, a_back;
    std::array<T, kStates> state, from, to;
    for (Index g = 0; g < kGates; ++g) {
      x[g] = visit.in[0].value_row(r)[(t * kGates + g) * hidden_ + i];
      a[g] = step.a[r * gates() + g * hidden_ + i];
    }
    const T* before = state_before(visit, 0, r, t);
    for (Index s = 0; s < kStates; ++s) {
      const Index at = s * hidden_ + i;
      state[s] = before ? before[at] : T{0};
      from[s] = step.carry[r * states() + at] + visit.cotangent[r * visit.out.size + t * states() + at];
    }
    cell_.back(cell_.at(x.data(), a.data(), state.data()), a.data(), state.data(), from.data(), x_back.data(),
               a_back.data(), to.data());
    for (Index g = 0; g < kGates; ++g) {
      step.x_back[r * gates() + g * hidden_ + i] = x_back[g];
      step.a_back[r * gates() + g * hidden_ + i] = a_back[g];
    }
    for (Index s = 0; s < kStates; ++s) step.carry[r * states() + s * hidden_ + i] = to[s];
  }

  Index steps_, hidden_;
  std::size_t bias_, initial_;  // which input; 0: none
  Cell cell_;
};

template <class Cell>
Node recur(const Node& x, const Node& weight, const Node& recurrent, const std::optional<Node>& bias,
           const std::vector<std::optional<Node>>& initial) {
  const Shape r = recurrent.shape();  // ops made below move where nodes are
  const Index hidden = r.rank() == 2 ? r[1] : 0;
  if (x.shape().rank() != 2 || hidden < 1 || r[0] != Cell::kGates * hidden || !recurrent.shared() ||
      weight.shape() != Shape{r[0], x.shape()[1]}) {
    throw ShapeError(fmt::format(
        "{}: expected x (T, in), a weight ({} hidden, in) and a recurrent weight ({} hidden, "
        "hidden) shared by all examples, found {}, {} and {}",
        Cell::kName, Cell::kGates, Cell::kGates, x.shape().to_string(), weight.shape().to_string(), r.to_string()));
  }
  if (bias && (bias->shape() != Shape{2 * r[0]} || !bias->shared())) {
    throw ShapeError(fmt::format("{}: expected a bias ({}) shared by all examples, found {}", Cell::kName, 2 * r[0],
                                 bias->shape().to_string()));
  }
  std::vector<Node> inputs{bias ? linear(x, weight, slice(*bias, 0, 0, r[0])) : linear(x, weight), recurrent};
  if (bias) inputs.push_back(slice(*bias, 0, r[0], 2 * r[0]));
  const bool starts = std::any_of(initial.begin(), initial.end(), [](const auto& node) { return node.has_value(); });
  if (starts) {
    std::vector<Node> states;
    for (const std::optional<Node>& state : initial) {
      if (state && state->shape() != Shape{hidden}) {
        throw ShapeError(fmt::format("{}: expected an initial state ({}), found {}", Cell::kName, hidden,
                                     state->shape().to_string()));
      }
      const std::vector<double> zeros(static_cast<std::size_t>(hidden));
      states.push_back(state ? *state : Builder(x).constant({hidden}, zeros));
    }
    inputs.push_back(states.size() == 1 ? states[0] : concatenate(states, 0));
  }
  return Builder(x).apply(std::make_shared<Recurrent<Cell>>(x.shape()[0], hidden, bias.has_value(), starts),
                          std::move(inputs));
}

}  // namespace

Node lstm(const Node& x, const Node& weight, const Node& recurrent, const std::optional<Node>& bias,
          const RecurrentOptions& options) {
  return recur<LstmCell>(x, weight, recurrent, bias, {options.initial_hidden, options.initial_cell});
}
Node gru(const Node& x, const Node& weight, const Node& recurrent, const std::optional<Node>& bias,
         const RecurrentOptions& options) {
  const auto make = options.linear_before_reset ? recur<GruCell<true>> : recur<GruCell<false>>;
  return make(x, weight, recurrent, bias, {options.initial_hidden});
}
Node rnn(const Node& x, const Node& weight, const Node& recurrent, const std::optional<Node>& bias,
         const RecurrentOptions& options) {
  const auto make = options.relu ? recur<RnnCell<true>> : recur<RnnCell<false>>;
  return make(x, weight, recurrent, bias, {options.initial_hidden});
}

std::vector<OpEntry> recurrent_examples() {
  using Recur = Node (*)(const Node&, const Node&, const Node&, const std::optional<Node>&, const RecurrentOptions&);
  const auto entry = [](Recur op, const char* name, Index gates, const RecurrentOptions& options) {
    const auto weights = [gates](const Node& x, Index hidden) {
      return std::pair(shared(x, "w", {gates * hidden, x.shape()[1]}, gates * hidden),
                       shared(x, "r", {gates * hidden, hidden}, gates * hidden));
    };
    return OpEntry{name,
                   {{"several steps",
                     {4, 2},
                     [=](const Node& x) {
                       const auto [w, r] = weights(x, 3);
                       return op(square(x), w, r, {}, options);
                     }},
                    {"with bias, weights computed from weights",
                     {3, 2},
                     [=](const Node& x) {
                       const auto [w, r] = weights(x, 2);
                       return op(x, tanh(w), square(r), shared(x, "b", {4 * gates}, 4 * gates), options);
                     }},
                    {"states to start from, of each example",
                     {3, 2},
                     [=](const Node& x) {
                       const auto [w, r] = weights(x, 2);
                       RecurrentOptions from = options;
                       from.initial_hidden = reshape(slice(square(x), 0, 0, 1), {2});
                       from.initial_cell = reshape(slice(x, 0, 1, 2), {2});
                       return op(x, w, r, shared(x, "b", {4 * gates}, 4 * gates), from);
                     }},
                    {"a shared state to start from", {1, 1}, [=](const Node& x) {
                       const auto [w, r] = weights(x, 2);
                       RecurrentOptions from = options;
                       from.initial_hidden = shared(x, "h", {2}, 2);
                       return op(x, w, r, {}, from);
                     }}}};
  };
  std::vector<OpEntry> ops{entry(lstm, "lstm", 4, {}), entry(gru, "gru", 3, {}), entry(rnn, "rnn", 1, {})};
  const auto more = entry(gru, "gru", 3, {.linear_before_reset = true}).examples;
  ops[1].examples.insert(ops[1].examples.end(), more.begin(), more.end());
  return ops;
}

}  // namespace slopewise
