// The operator RotaryEmbedding of operator set 23, against its definition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "slopewise/onnx/loss.hpp"
#include "tests/onnx/model_case.hpp"

namespace slopewise {
namespace {

using ::testing::HasSubstr;

constexpr Index kExamples = 2, kHeads = 3, kSteps = 4, kWidth = 6, kPositions = 9;

struct Case {
  std::string name;
  bool flat;          // (T, heads d) in place of (heads, T, d)
  bool neighbours;    // pairs
  Index rotated;      // entries of a head that turn
  std::string where;  // "table": by positions that are an input; "known": by constant ones; "input": angles are one
  friend void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string where : {"table", "known", "input"}) {
    for (const bool flat : {false, true}) {
      for (const bool neighbours : {false, true}) {
        for (const Index rotated : {kWidth, Index{4}}) {
          all.push_back({where + (flat ? "Flat" : "") + (neighbours ? "Neighbours" : "Halves") +
                             (rotated < kWidth ? "Partly" : ""),
                         flat, neighbours, rotated, where});
        }
      }
    }
  }
  return all;
}

double angle(Index position, Index pair) {
  return 0.7 * static_cast<double>(position) / static_cast<double>(1 + pair);
}
Index position(const std::string& where, Index example, Index step) {
  return where == "known" ? step : (5 * example + 2 * step) % kPositions;
}

class OnnxRotary : public OnnxModelTest, public ::testing::WithParamInterface<Case> {};

TEST_P(OnnxRotary, IsItsDefinition) {
  const Case& of = GetParam();
  const Index pairs = of.rotated / 2;
  const std::string extents = of.flat ? "[N, 4, 18]" : "[N, 3, 4, 6]", cut = std::to_string(pairs);
  std::string inputs, nodes, call = "(x, cosines, sines";
  if (of.where == "input") {
    inputs = ", float[N, 4, " + cut + "] cosines, float[N, 4, " + cut + "] sines";
  } else {
    if (of.where == "table") inputs = ", int64[N, 4] positions";
    if (of.where == "known") nodes = "positions = Constant<value = int64[1, 4] {0, 1, 2, 3}>() ";
    call += ", positions";
  }
  onnx::ModelProto graph =
      graph_of("g (float" + extents + " x" + inputs + ") => (float" + extents + " y) { " + nodes +
                   "y = RotaryEmbedding<num_heads = 3, interleaved = " + (of.neighbours ? "1" : "0") +
                   (of.rotated < kWidth ? ", rotary_embedding_dim = 4" : "") + ">" + call + ") }",
               23);
  std::vector<float> cosines, sines;
  for (Index p = 0; p < kPositions; ++p) {
    for (Index pair = 0; pair < pairs; ++pair) {
      cosines.push_back(static_cast<float>(std::cos(angle(p, pair))));
      sines.push_back(static_cast<float>(std::sin(angle(p, pair))));
    }
  }
  if (of.where != "input") {
    add_weight(graph, "cosines", {kPositions, pairs}, cosines);
    add_weight(graph, "sines", {kPositions, pairs}, sines);
  }
  const OnnxModel model = load_onnx(write(graph));
  EXPECT_EQ(model.layout().size, 0) << "tables of angles do not train";
  std::vector<double> x;
  for (Index i = 0; i < kExamples * kHeads * kSteps * kWidth; ++i) x.push_back(std::sin(1.3 * static_cast<double>(i)));
  std::vector<std::int32_t> positions;
  std::vector<double> own_cosines, own_sines;
  for (Index example = 0; example < kExamples; ++example) {
    for (Index step = 0; step < kSteps; ++step) {
      positions.push_back(static_cast<std::int32_t>(position(of.where, example, step)));
      for (Index pair = 0; pair < pairs; ++pair) {
        own_cosines.push_back(std::cos(angle(position(of.where, example, step), pair)));
        own_sines.push_back(std::sin(angle(position(of.where, example, step), pair)));
      }
    }
  }
  Batch<double> batch{.rows = kExamples, .inputs = {}};
  for (const auto& input : model.inputs()) {
    if (input.name == "positions") {
      batch.inputs.emplace_back(std::span<const std::int32_t>(positions));
    } else {
      const auto& values = input.name == "x" ? x : input.name == "cosines" ? own_cosines : own_sines;
      batch.inputs.emplace_back(std::span<const double>(values));
    }
  }
  const std::vector<double> found = output_of(model, model.initial<double>(), batch);
  ASSERT_EQ(found.size(), x.size());
  const auto at = [&](Index example, Index head, Index step, Index entry) {
    return number_of(of.flat ? ((example * kSteps + step) * kHeads + head) * kWidth + entry
                             : ((example * kHeads + head) * kSteps + step) * kWidth + entry);
  };
  const double rounding = of.where == "input" ? 1e-12 : 1e-6;  // tables are in float
  for (Index example = 0; example < kExamples; ++example) {
    for (Index head = 0; head < kHeads; ++head) {
      for (Index step = 0; step < kSteps; ++step) {
        for (Index pair = 0; pair < pairs; ++pair) {
          const Index first = of.neighbours ? 2 * pair : pair, second = of.neighbours ? 2 * pair + 1 : pairs + pair;
          const double a = x[at(example, head, step, first)], b = x[at(example, head, step, second)];
          const double turn = angle(position(of.where, example, step), pair);
          EXPECT_NEAR(found[at(example, head, step, first)], a * std::cos(turn) - b * std::sin(turn), rounding);
          EXPECT_NEAR(found[at(example, head, step, second)], a * std::sin(turn) + b * std::cos(turn), rounding);
        }
        for (Index entry = of.rotated; entry < kWidth; ++entry)
          EXPECT_EQ(found[at(example, head, step, entry)], x[at(example, head, step, entry)]);
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Cases, OnnxRotary, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

// Not by what is in them: scaled ones are no longer cosines and sines of anything.
TEST_F(OnnxModelTest, TablesOfAnglesNeverTrain) {
  for (const std::string& nodes :
       {std::string("y = RotaryEmbedding(x, c, s, p)"),
        std::string("q = Constant<value = int64[1, 2] {1, 0}>() y = RotaryEmbedding(x, c, s, q)"),
        std::string("y = RotaryEmbedding(x, d, d)")}) {
    onnx::ModelProto graph =
        graph_of("g (float[N, 1, 2, 4] x, int64[N, 2] p) => (float[N, 1, 2, 4] y) { " + nodes + " }", 23);
    add_weight(graph, "c", {2, 2}, {1, 2, 3, 4});
    add_weight(graph, "s", {2, 2}, {5, 6, 7, 8});
    add_weight(graph, "d", {1, 2, 2}, {1, 2, 3, 4});
    EXPECT_EQ(load_onnx(write(graph)).layout().size, 0) << nodes;
  }
  onnx::ModelProto one = graph_of(
      "g (float[N, 1, 1, 4] x) => (float[N, 1, 1, 4] y) { q = Constant<value = int64[1, 1] {1}>() y = "
      "RotaryEmbedding(x, "
      "c, s, q) }",
      23);
  add_weight(one, "c", {2, 2}, {1, 2, 3, 4});
  add_weight(one, "s", {2, 2}, {5, 6, 7, 8});
  EXPECT_EQ(load_onnx(write(one)).layout().size, 0);
}

TEST_F(OnnxModelTest, RefusesWhatRotaryEmbeddingDoesNotTake) {
  const auto refused = [&](const std::string& call) {
    return refusal(
        graph_of("g (float[N, 4, 6] x, float[N, 4, 3] c, float[N, 4, 2] d, int64[N] p) => (float[N, 4, 6] y) "
                 "{ y = RotaryEmbedding" +
                     call + " }",
                 23));
  };
  EXPECT_EQ(refused("<num_heads = 1>(x, c, c)"), "");
  EXPECT_THAT(refused("(x, c, c)"), HasSubstr("num_heads = 0"));
  EXPECT_THAT(refused("<num_heads = 4>(x, c, c)"), HasSubstr("num_heads = 4"));
  EXPECT_THAT(refused("<num_heads = 1>(x, c, d)"), HasSubstr("input 3: expected (batch, T, pairs) of 3 pairs"));
  EXPECT_THAT(refused("<num_heads = 2>(x, c, c)"),
              HasSubstr("rotary_embedding_dim = 0: expected an even number up to"));
  EXPECT_THAT(refused("<num_heads = 1, rotary_embedding_dim = 8>(x, c, c)"), HasSubstr("rotary_embedding_dim = 8"));
  EXPECT_THAT(refused("<num_heads = 1>(x, c, c, p)"), HasSubstr("(positions, pairs)"));
}

}  // namespace
}  // namespace slopewise
