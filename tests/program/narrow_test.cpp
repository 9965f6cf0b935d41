#include "slopewise/program/narrow.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "slopewise/program/registry.hpp"
#include "tests/program/evaluate.hpp"

namespace slopewise {
namespace {

bool reads_integers(const Node& y) {
  return std::ranges::any_of(y.graph()->nodes,
                             [](const GraphNode& node) { return node.kind == GraphNode::Kind::kIndices; });
}

// Every op that says how part of its output is made, along every axis, in every example of the registry.
TEST(Narrowed, EveryOpMakesThePartItMakesOfTheWhole) {
  std::set<std::string> ops;
  for (const OpEntry& op : op_registry()) {
    for (const OpExample& example : op.examples) {
      const Node whole = example.build(Builder().input("x", example.input));
      if (reads_integers(whole)) continue;
      for (Index axis = 0; axis < whole.shape().rank(); ++axis) {
        const Index extent = whole.shape()[axis], begin = extent / 2;
        if (extent < 2) continue;
        const Expression part = [&](const std::vector<Node>& in) {
          return slice(example.build(in[0]), axis, begin, begin + 1);
        };
        const Expression narrow = [&](const std::vector<Node>& in) { return narrowed(part(in)); };
        const Node x = Builder().input("x", example.input);
        if (narrowed(part({x})).name().starts_with("slice")) continue;
        SCOPED_TRACE(op.name + ", " + example.description + ", axis " + std::to_string(axis));
        ops.insert(op.name);
        expect_same(narrow, part, {example.input}, 1e-11, example.low, example.high);
      }
    }
  }
  for (const char* name : {"linear", "add", "mul", "normalize", "rms_normalize", "gelu", "relu", "transpose",
                           "scaled_dot_product_attention"})
    EXPECT_TRUE(ops.contains(name)) << name;
}

Node block(const Node& h) {
  const Index length = h.shape()[0], width = h.shape()[1], each = width / 2;
  const auto heads = [&](const Node& y) { return transpose(reshape(y, {length, 2, each}), {1, 0, 2}); };
  const Node x = layer_norm(h);
  const Node read = scaled_dot_product_attention(heads(linear(x, width)), heads(linear(x, width)),
                                                 heads(linear(x, width)), {.causal = true});
  const Node y = h + linear(reshape(transpose(read, {1, 0, 2}), {length, width}), width);
  return y + linear(gelu(linear(layer_norm(y), 3 * width)), width);
}

double flops(const Node& output) {
  return Program(sum(output)).cost({}).value_flops;
}

// The last block of a transformer makes keys and values of all positions, everything else of one.
TEST(Narrowed, ATransformerWhoseOutputIsThatOfOnePosition) {
  constexpr Index kLength = 40;
  const auto model = [](const Node& x, int blocks) {
    Node h = linear(x, 8);
    for (int i = 0; i < blocks; ++i) h = block(h);
    const Node picked = reshape(slice(layer_norm(h), 0, kLength - 1, kLength), {8});
    return linear(picked, 3);
  };
  const Expression wide = [&](const std::vector<Node>& in) { return model(in[0], 2); };
  const Expression narrow = [&](const std::vector<Node>& in) { return narrowed(model(in[0], 2)); };
  expect_same(narrow, wide, {{kLength, 5}}, 1e-10);

  const auto input = [] { return Builder().input("x", {kLength, 5}); };
  const double stem = flops(linear(input(), 8)), all = flops(model(input(), 2)) - stem;
  const double less = flops(narrowed(model(input(), 2))) - stem;
  EXPECT_LT(less, 0.62 * all);
  // Of one block keys and values stay: two of the twelve products with weights.
  EXPECT_LT(flops(narrowed(model(input(), 1))) - stem, 0.25 * all);
}

TEST(Narrowed, LeavesWhatOthersRead) {
  const auto same = [](const Node& output) { return narrowed(output).number() == output.number(); };
  const Node x = Builder().input("x", {4, 3});
  EXPECT_TRUE(same(linear(flatten(x), 2)));                  // nothing is picked
  EXPECT_TRUE(same(linear(flatten(slice(x, 0, 0, 1)), 2)));  // of the input itself
  const Node h = tanh(linear(x, 3));
  EXPECT_TRUE(same(sum(h) + sum(slice(h, 0, 0, 1))));  // all of it is read as well
  const Node mean = softmax(transpose(linear(x, 3), {1, 0}));
  EXPECT_TRUE(same(linear(flatten(slice(mean, 1, 0, 1)), 2)));  // an op that mixes positions
}

}  // namespace
}  // namespace slopewise
