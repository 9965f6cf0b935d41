// Programs of every structure that a run tells apart, with random examples, parameters and tangents for them.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <variant>
#include <vector>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/runner.hpp"
#include "tests/support.hpp"

namespace slopewise {

// Labels and tokens of all programs are below this.
inline constexpr Index kClasses = 5;

inline Node labelled(const Node& logits) {
  return cross_entropy(logits, Builder(logits).indices("label", {}));
}

// A multilayer perceptron of `depth` hidden layers.
inline Program perceptron(Index inputs, Index width, Index depth) {
  Node h = Builder().input("x", {inputs});
  for (Index i = 0; i < depth; ++i) h = relu(linear(h, width));
  return Program(labelled(linear(h, kClasses)));
}

struct SampleProgram {
  std::string name;
  Program (*make)();
};

// Weights of more than 16 rows are read packed where linear and conv2d alone read them; widths here fill no panel.
inline const std::vector<SampleProgram>& sample_programs() {
  static const std::vector<SampleProgram> programs{
      {"Perceptron",
       [] {
         const Node h = relu(linear(Builder().input("x", {37}), 70));
         return Program(labelled(linear(tanh(linear(h, 130)), kClasses)));
       }},
      {"Convolutions",
       [] {
         const Node h = relu(conv2d(Builder().input("x", {9, 7, 3}), 20, 3, {.stride = 2, .padding = 1}));
         const Node pooled = max_pool2d(conv2d(h, 17, 3, {.padding = 1}), 2);
         return Program(labelled(linear(gelu(linear(flatten(pooled), 33)), kClasses)));
       }},
      {"Residual",
       [] {
         Node h = linear(Builder().input("x", {24}), 40);
         for (int i = 0; i < 2; ++i) h = h + relu(linear(h, 40));
         return Program(labelled(linear(layer_norm(h), kClasses)));
       }},
      {"TiedWeights",
       [] {
         Builder build;
         const Node x = build.input("x", {30});
         const Node weight = build.parameter("weight", {30, 30}, {}, 30);
         const Node bias = build.bias("bias", weight);
         return Program(labelled(linear(tanh(linear(tanh(linear(x, weight, bias)), weight, bias)), kClasses)));
       }},
      // A matrix of several panels that another op reads as well: its rank-one tangents are expanded.
      {"DecayedWeights",
       [] {
         Builder build;
         const Node x = build.input("x", {20});
         const Node weight = build.parameter("weight", {150, 20}, {}, 150);
         return Program(labelled(linear(tanh(linear(x, weight)), kClasses)) + 0.01 * mean(square(weight)));
       }},
      {"TiedEmbedding",
       [] {
         Builder build;
         const Node table = build.parameter("table", {19, 18}, {}, 19);
         const Node h = relu(linear(mean(embedding(build.indices("tokens", {4}), table), {0}), 18));
         return Program(labelled(linear(h, table)));
       }},
      {"Attention",
       [] {
         const Node x = embedding(Builder().indices("tokens", {6}), 23, 20);
         const Node query = linear(x, 20, false);
         const Node key = linear(x, 20, false);
         const Node scores = softmax(scale(matmul(query, transpose(key, {1, 0})), 0.2));
         return Program(labelled(linear(mean(layer_norm(x + matmul(scores, linear(x, 20))), {0}), kClasses)));
       }},
      {"SharedNodes",
       [] {  // weights made of parameters, and a loss with terms of its own in them
         Builder build;
         const Node x = build.input("x", {20});
         const Node gated = tanh(build.parameter("gate", {18, 20}, {}, 18));
         const Node weight = build.parameter("weight", {21, 18}, {}, 21);
         const Node logits = linear(relu(linear(sigmoid(linear(x, gated)), weight)), kClasses);
         return Program(labelled(logits) + scale(sum(square(weight)), 0.01) + mean(exp(gated)));
       }},
      // Frozen weights, read packed and flat, and reshapes that lie where they read.
      {"Frozen",
       [] {
         Builder build;
         const Node x = build.input("x", {4, 6});
         const Node frozen = build.constant({24, 24}, random_vector<float>(24 * 24, 11, -0.3, 0.3));
         const Node table = build.constant({4, 6}, random_vector<double>(24, 12, -1, 1));
         const Node h = reshape(tanh(linear(reshape(mul(x, table), {24}), frozen)), {4, 6});
         return Program(labelled(linear(flatten(relu(linear(h, 20))), kClasses)));
       }},
  };
  return programs;
}

// Random rows for each input of a program; those of float are those of double, rounded.
template <class T>
class Examples {
 public:
  Examples(const Program& program, Index rows, std::uint64_t seed = 3) : rows_(rows) {
    RandomStream random(seed);
    for (const Index number : program.inputs()) {
      const GraphNode& input = program.node(number);
      const auto entries = static_cast<std::size_t>(rows * input.shape.size());
      if (input.kind == GraphNode::Kind::kInput) {
        auto& values = std::get<0>(inputs_.emplace_back(std::vector<T>(entries)));
        for (T& value : values) value = static_cast<T>(random.uniform(-1, 1));
      } else {
        auto& values = std::get<1>(inputs_.emplace_back(std::vector<std::int32_t>(entries)));
        for (std::int32_t& value : values) value = static_cast<std::int32_t>(random.below(kClasses));
      }
    }
  }
  // Valid as long as this object.
  Batch<T> batch() const {
    Batch<T> batch{.rows = rows_};
    for (const auto& input : inputs_) {
      std::visit([&](const auto& values) { batch.inputs.emplace_back(std::span(values)); }, input);
    }
    return batch;
  }
  // The numbers of an input that holds numbers.
  std::vector<T>& numbers(std::size_t input) { return std::get<0>(inputs_[input]); }

 private:
  Index rows_;
  std::vector<std::variant<std::vector<T>, std::vector<std::int32_t>>> inputs_;
};

template <class T>
Parameters<T> random_parameters(const Program& program, double scale = 0.3, std::uint64_t seed = 5) {
  return Parameters<T>(random_vector<T>(program.size(), seed, -scale, scale));
}

// K random tangents whose matrices have the form asked for; kDense and kDrawn are the same numbers.
template <class T>
Tangents<T> random_tangents(const Program& program, Index count, TangentForm matrices = TangentForm::kDense,
                            std::uint64_t seed = 9) {
  const ParameterLayout& layout = program.layout();
  const std::vector<T> values = random_vector<T>(count * layout.size, seed);
  std::vector<TangentForm> forms(layout.segments.size(), TangentForm::kDense);
  for (const Block& block : layout.blocks) {
    if (block.columns > 1) forms[static_cast<std::size_t>(block.weight)] = matrices;
  }
  Tangents<T> tangents(layout, count, forms);
  tangents.set_fill([values, n = layout.size](Index k, Index first, std::span<T> out) {
    std::copy_n(values.begin() + k * n + first, out.size(), out.begin());
  });
  for (std::size_t i = 0; i < forms.size(); ++i) {
    const Segment& segment = layout.segments[i];
    const auto number = static_cast<Index>(i);
    for (Index k = 0; k < count; ++k) {
      const T* from = values.data() + k * layout.size + segment.offset;
      if (forms[i] == TangentForm::kDense)
        std::copy_n(from, segment.size(), tangents.dense(number) + k * segment.size());
      if (forms[i] != TangentForm::kRankOne) continue;
      std::copy_n(from, tangents.left(number, k).size(), tangents.left(number, k).begin());
      std::copy_n(from + segment.size() - static_cast<Index>(tangents.right(number, k).size()),
                  tangents.right(number, k).size(), tangents.right(number, k).begin());
    }
  }
  return tangents;
}

// Tangent k of all as a vector (n).
template <class T>
std::vector<T> expanded(const Tangents<T>& tangents, Index k) {
  std::vector<T> v(static_cast<std::size_t>(tangents.layout().size));
  tangents.expand(k, v);
  return v;
}

// Tangents [first, first + count), every one written out.
template <class T>
Tangents<T> dense_tangents(const Tangents<T>& tangents, Index first, Index count) {
  std::vector<T> all;
  for (Index k = first; k < first + count; ++k) {
    const std::vector<T> v = expanded(tangents, k);
    all.insert(all.end(), v.begin(), v.end());
  }
  return Tangents<T>::dense(tangents.layout(), count, all);
}

// Everything a run says, in one vector.
template <class T>
std::vector<double> everything(const RunResult<T>& result) {
  std::vector<double> all{result.loss};
  all.insert(all.end(), result.slopes.begin(), result.slopes.end());
  all.insert(all.end(), result.curvatures.begin(), result.curvatures.end());
  all.insert(all.end(), result.losses.begin(), result.losses.end());
  all.insert(all.end(), result.example_slopes.begin(), result.example_slopes.end());
  return all;
}

template <class T>
std::vector<T> exact_gradient(const Program& program, const Parameters<T>& theta, const Batch<T>& batch,
                              bool checkpointed = false) {
  std::vector<T> gradient(static_cast<std::size_t>(program.size()));
  Runner<T>(program, {.mode = Workload::Mode::kPullback, .batch = batch.rows, .checkpointed = checkpointed})
      .gradient(theta, batch, gradient);
  return gradient;
}

template <class T>
std::vector<T> copy_of(std::span<const T> values) {
  return {values.begin(), values.end()};
}

template <class T>
double largest(std::span<const T> values) {
  double most = 0;
  for (const T value : values) most = std::max(most, std::abs(static_cast<double>(value)));
  return most;
}

// One test for each sample program.
class EveryProgram : public testing::TestWithParam<SampleProgram> {
 protected:
  const Program program = GetParam().make();
};
#define SLOPEWISE_FOR_EVERY_PROGRAM(fixture)                                      \
  INSTANTIATE_TEST_SUITE_P(Sample, fixture, testing::ValuesIn(sample_programs()), \
                           [](const auto& chosen) { return chosen.param.name; })

}  // namespace slopewise
