// Recurrent networks against the same steps in single ops.
#include "slopewise/base/error.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

constexpr Index kSteps = 4, kIn = 3, kHidden = 2;

// Gate g of n of W x_t + Wb, or of R h + Rb.
Node gate(const Node& all, Index g) {
  return slice(all, 0, g * kHidden, (g + 1) * kHidden);
}
Node input_of(const std::vector<Node>& p, Index t) {
  const Index width = p[1].shape()[0];
  return linear(reshape(slice(p[0], 0, t, t + 1), {kIn}), p[1], slice(p[3], 0, 0, width));
}
Node hidden_of(const std::vector<Node>& p, const Node& h) {
  const Index width = p[2].shape()[0];
  return linear(h, p[2], slice(p[3], 0, width, 2 * width));
}
Node rows(const std::vector<Node>& states) {
  std::vector<Node> all;
  for (const Node& state : states) all.push_back(reshape(state, {1, state.shape()[0]}));
  return concatenate(all, 0);
}

// x, W, R, b, h0, c0.
std::vector<Shape> shapes(Index gates) {
  return {{kSteps, kIn}, {gates * kHidden, kIn}, {gates * kHidden, kHidden}, {2 * gates * kHidden}, {kHidden},
          {kHidden}};
}

TEST(Recurrent, LstmIsItsSteps) {
  expect_same(
      [](const auto& p) { return lstm(p[0], p[1], p[2], p[3], {.initial_hidden = p[4], .initial_cell = p[5]}); },
      [](const auto& p) {
        Node h = p[4], c = p[5];
        std::vector<Node> states;
        for (Index t = 0; t < kSteps; ++t) {
          const Node all = input_of(p, t) + hidden_of(p, h);
          c = sigmoid(gate(all, 2)) * c + sigmoid(gate(all, 0)) * tanh(gate(all, 3));
          h = sigmoid(gate(all, 1)) * tanh(c);
          states.push_back(concatenate({h, c}, 0));
        }
        return rows(states);
      },
      shapes(4));
}

TEST(Recurrent, GruIsItsSteps) {
  for (const bool linear_first : {false, true}) {
    expect_same(
        [=](const auto& p) {
          return gru(p[0], p[1], p[2], p[3], {.initial_hidden = p[4], .linear_before_reset = linear_first}) +
                 scale(sum(p[5]), 0);
        },
        [=](const auto& p) {
          Node h = p[4];
          std::vector<Node> states;
          for (Index t = 0; t < kSteps; ++t) {
            const Node x = input_of(p, t), a = hidden_of(p, h);
            const Node z = sigmoid(gate(x, 0) + gate(a, 0)), r = sigmoid(gate(x, 1) + gate(a, 1));
            const Node inner = linear_first ? r * gate(a, 2) : gate(hidden_of(p, r * h), 2);
            const Node made = tanh(gate(x, 2) + inner);
            h = made - z * made + z * h;
            states.push_back(h);
          }
          return rows(states) + scale(sum(p[5]), 0);
        },
        shapes(3));
  }
}

TEST(Recurrent, RnnIsItsSteps) {
  for (const bool rectified : {false, true}) {
    expect_same(
        [=](const auto& p) {
          return rnn(p[0], p[1], p[2], p[3], {.initial_hidden = p[4], .relu = rectified}) + scale(sum(p[5]), 0);
        },
        [=](const auto& p) {
          Node h = p[4];
          std::vector<Node> states;
          for (Index t = 0; t < kSteps; ++t) {
            const Node a = input_of(p, t) + hidden_of(p, h);
            h = rectified ? relu(a) : tanh(a);
            states.push_back(h);
          }
          return rows(states) + scale(sum(p[5]), 0);
        },
        shapes(1));
  }
}

// What a step needs is there once, however many there are.
TEST(Recurrent, ScratchDoesNotGrowWithTime) {
  const auto scratch = [](Index steps) {
    Builder build;
    const Node x = build.input("x", {steps, 3}), w = build.parameter("w", {32, 3}, {}, 32);
    const Node y = lstm(x, w, build.parameter("r", {32, 8}, {}, 32));
    return y.graph()->nodes.back().op->scratch({}, y.shape(), {.rows = 4, .tangents = 4});
  };
  EXPECT_EQ(scratch(10), scratch(1000));
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  Builder build;
  const Node x = build.input("x", {5, 3}), w = build.parameter("w", {8, 3}, {}, 8),
             r = build.parameter("r", {8, 2}, {}, 8);
  EXPECT_EQ(lstm(x, w, r).shape(), (Shape{5, 4}));
  EXPECT_THROW(gru(x, w, r), ShapeError);
  EXPECT_THROW(lstm(x, r, r), ShapeError);
  EXPECT_THROW(lstm(x, w, build.input("moving", {8, 2})), ShapeError);
  EXPECT_THROW(lstm(x, w, r, build.parameter("b", {8}, {}, 8)), ShapeError);
  EXPECT_THROW(lstm(x, w, r, {}, {.initial_cell = build.input("c", {3})}), ShapeError);
}

}  // namespace
}  // namespace slopewise
