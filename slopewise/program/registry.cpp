#include "slopewise/program/registry.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

using Function = Node (*)(const Node&);

OpEntry elementwise(std::string name, Function function, double low = -2, double high = 2) {
  const std::function<Node(const Node&)> build = function;
  return {std::move(name),
          {{.description = "vector", .input = {7}, .build = build, .low = low, .high = high},
           {.description = "longer than one piece", .input = {3, 211}, .build = build, .low = low, .high = high},
           {.description = "empty", .input = {0}, .build = build, .low = low, .high = high},
           {.description = "scalar", .input = {}, .build = build, .low = low, .high = high}}};
}

// x as parameters see it: shared by all examples.
Node weights(const Node& like, std::string name, Shape shape, Index rows) {
  return Builder(like).parameter(std::move(name), std::move(shape), {}, rows);
}

std::vector<OpEntry> built_in() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"linear",
       {{"with bias", {5}, [](const Node& x) { return linear(x, 4); }},
        {"without bias, several rows an example", {2, 3, 5}, [](const Node& x) { return linear(x, 7, false); }},
        {"wide", {33}, [](const Node& x) { return linear(tanh(linear(x, 70)), 65); }},
        {"weights cut another way for structured tangents",
         {6},
         [](const Node& x) {
           return linear(x, weights(x, "w", {4, 6}, 3));
         }},
        {"weights computed from weights", {4}, [](const Node& x) {
           return linear(x, transpose(tanh(weights(x, "w", {4, 3}, 4)), {1, 0}), square(weights(x, "b", {3}, 3)));
         }}}});
  ops.push_back({"matmul",
                 {{"both one an example",
                   {6},
                   [](const Node& x) {
                     return matmul(reshape(x, {2, 3}), reshape(square(x), {3, 2}));
                   }},
                  {"shared right side",
                   {2, 3},
                   [](const Node& x) {
                     return matmul(x, weights(x, "b", {3, 4}, 3));
                   }},
                  {"shared left side",
                   {3, 2},
                   [](const Node& x) {
                     return matmul(weights(x, "a", {4, 3}, 4), square(x));
                   }},
                  {"both shared", {2}, [](const Node& x) {
                     return mul(matmul(weights(x, "a", {3, 3}, 3), weights(x, "b", {3, 2}, 3)), x);
                   }}}});
  ops.push_back(
      {"conv2d",
       {{"3 by 3", {5, 6, 2}, [](const Node& x) { return conv2d(x, 3, 3); }},
        {"stride 2, padding 1", {5, 5, 1}, [](const Node& x) { return conv2d(x, 2, 3, {.stride = 2, .padding = 1}); }},
        {"two layers", {6, 6, 1}, [](const Node& x) { return conv2d(tanh(conv2d(x, 18, 3)), 2, 2, {.padding = 2}); }},
        {"weights computed from weights", {4, 4, 1}, [](const Node& x) {
           return conv2d(x, square(weights(x, "w", {2, 2, 2, 1}, 2)), square(weights(x, "b", {2}, 2)));
         }}}});
  ops.push_back(
      {"embedding",
       {{"new table",
         {2, 3},
         [](const Node& x) { return mul(x, embedding(Builder(x).indices("token", {2}), 5, 3)); },
         -2,
         2,
         5},
        {"table computed from weights",
         {3},
         [](const Node& x) {
           return mul(x, reshape(embedding(Builder(x).indices("token", {1}), square(weights(x, "t", {4, 3}, 4))), {3}));
         },
         -2,
         2,
         4}}});
  ops.push_back({"add",
                 {{"same shape", {2, 3}, [](const Node& x) { return square(x) + x; }},
                  {"shorter, shared", {2, 3}, [](const Node& x) { return x + weights(x, "b", {3}, 3); }},
                  {"shared first", {3}, [](const Node& x) { return square(weights(x, "a", {3}, 3)) + x; }},
                  {"itself", {3}, [](const Node& x) { return x + x; }}}});
  ops.push_back({"sub",
                 {{"same shape", {2, 3}, [](const Node& x) { return square(x) - x; }},
                  {"shorter, shared", {2, 3}, [](const Node& x) { return x - square(weights(x, "b", {3}, 3)); }},
                  {"shared first", {3}, [](const Node& x) { return weights(x, "a", {3}, 3) - square(x); }}}});
  ops.push_back({"mul",
                 {{"same shape", {2, 3}, [](const Node& x) { return square(x) * x; }},
                  {"shorter, shared", {2, 3}, [](const Node& x) { return x * weights(x, "b", {3}, 3); }},
                  {"shared first", {3}, [](const Node& x) { return square(weights(x, "a", {3}, 3)) * square(x); }},
                  {"itself", {3}, [](const Node& x) { return x * x; }},
                  {"empty", {0}, [](const Node& x) { return x * x; }}}});
  ops.push_back({"scale", {{"by −1.5", {4}, [](const Node& x) { return scale(x, -1.5); }}}});
  ops.push_back(elementwise("relu", relu, 0.1, 2));
  ops.back().examples.push_back({"negative", {5}, relu, -2, -0.1});
  ops.push_back(elementwise(
      "leaky_relu", [](const Node& x) { return leaky_relu(x); }, 0.1, 2));
  ops.back().examples.push_back({"negative", {5}, [](const Node& x) { return leaky_relu(x, 0.3); }, -2, -0.1});
  ops.push_back(elementwise("gelu", gelu));
  ops.push_back(elementwise("gelu_tanh", gelu_tanh));
  ops.push_back(elementwise("tanh", tanh));
  ops.push_back(elementwise("sigmoid", sigmoid));
  ops.push_back(elementwise("softplus", softplus));
  ops.push_back(elementwise("exp", exp));
  ops.push_back(elementwise("log", log, 0.5, 3));
  ops.push_back(elementwise("sqrt", sqrt, 0.5, 3));
  ops.push_back(elementwise("square", square));
  ops.push_back({"dropout",
                 {{"of squares",
                   {70},
                   [](const Node& x) { return dropout(square(x), Builder(x).indices("noise", {}), 0.4); },
                   -2,
                   2,
                   1000},
                  {"empty", {0}, [](const Node& x) { return dropout(x, Builder(x).indices("noise", {}), 0.4); }}}});
  ops.push_back({"softmax",
                 {{"vector", {6}, [](const Node& x) { return softmax(x); }},
                  {"of squares, rows", {2, 5}, [](const Node& x) { return softmax(square(x)); }},
                  {"one entry", {1}, [](const Node& x) { return softmax(x); }}}});
  ops.push_back({"log_softmax",
                 {{"vector", {6}, [](const Node& x) { return log_softmax(x); }},
                  {"of squares, rows", {2, 5}, [](const Node& x) { return log_softmax(square(x)); }}}});
  ops.push_back(
      {"cross_entropy",
       {{"logits", {5}, [](const Node& x) { return cross_entropy(x, Builder(x).indices("label", {})); }, -2, 2, 5},
        {"smoothed",
         {5},
         [](const Node& x) { return cross_entropy(x, Builder(x).indices("label", {}), 0.1); },
         -2,
         2,
         5},
        {"of squares",
         {4},
         [](const Node& x) { return cross_entropy(square(x), Builder(x).indices("label", {}), 0.2); },
         -2,
         2,
         4},
        {"shared logits",
         {},
         [](const Node& x) { return x * cross_entropy(weights(x, "logits", {3}, 3), Builder(x).indices("label", {})); },
         -2,
         2,
         3}}});
  ops.push_back({"normalize",
                 {{"vector", {6}, [](const Node& x) { return normalize(x); }},
                  {"of squares, rows", {2, 4}, [](const Node& x) { return normalize(square(x)); }},
                  {"layer norm", {5}, [](const Node& x) { return layer_norm(linear(x, 4)); }}}});
  ops.push_back({"sum",
                 {{"all", {2, 3}, [](const Node& x) { return sum(square(x)); }},
                  {"one axis", {2, 3, 2}, [](const Node& x) { return sum(square(x), {1}); }},
                  {"empty axis", {2, 0}, [](const Node& x) { return sum(x, {1}); }}}});
  ops.push_back({"mean",
                 {{"all", {2, 3}, [](const Node& x) { return mean(square(x)); }},
                  {"two axes",
                   {2, 3, 2},
                   [](const Node& x) {
                     return mean(x, {0, -1});
                   }},
                  {"squared error", {4}, [](const Node& x) { return mean_squared_error(x, square(x)); }}}});
  ops.push_back({"max_pool",
                 {{"2 by 2", {4, 4, 2}, [](const Node& x) { return max_pool(square(x), 2); }},
                  {"overlapping", {5, 4, 1}, [](const Node& x) { return max_pool(x, 3, 1); }}}});
  ops.push_back({"average_pool",
                 {{"2 by 2", {4, 4, 2}, [](const Node& x) { return average_pool(square(x), 2); }},
                  {"overlapping", {5, 4, 1}, [](const Node& x) { return average_pool(x, 3, 1); }}}});
  ops.push_back({"reshape",
                 {{"to rows",
                   {2, 6},
                   [](const Node& x) {
                     return reshape(square(x), {3, 4});
                   }},
                  {"flatten", {2, 2, 2}, [](const Node& x) { return flatten(x); }}}});
  ops.push_back({"transpose", {{"three axes", {2, 3, 4}, [](const Node& x) {
                                  return transpose(square(x), {2, 0, 1});
                                }}}});
  ops.push_back({"concatenate",
                 {{"middle axis",
                   {2, 3, 2},
                   [](const Node& x) {
                     return concatenate({x, square(x), slice(x, 1, 0, 1)}, 1);
                   }},
                  {"with shared", {2, 2}, [](const Node& x) {
                     return concatenate({x, weights(x, "w", {1, 2}, 1)}, 0);
                   }}}});
  ops.push_back({"slice",
                 {{"last axis", {2, 5}, [](const Node& x) { return slice(square(x), -1, 1, 4); }},
                  {"nothing", {3}, [](const Node& x) { return slice(x, 0, 1, 1); }}}});
  return ops;
}

std::vector<OpEntry>& entries() {
  static std::vector<OpEntry> all = built_in();
  return all;
}

}  // namespace

const std::vector<OpEntry>& op_registry() {
  return entries();
}

void register_op(OpEntry entry) {
  if (entry.examples.empty())
    throw ArgumentError(fmt::format("register_op: op '{}' has no example to be checked on", entry.name));
  const auto same = [&](const OpEntry& other) { return other.name == entry.name; };
  if (std::any_of(entries().begin(), entries().end(), same))
    throw ArgumentError(fmt::format("register_op: op '{}' is registered already", entry.name));
  entries().push_back(std::move(entry));
}

}  // namespace slopewise
