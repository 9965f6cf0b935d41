// The operator Attention of operator set 23, against its definition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "slopewise/onnx/loss.hpp"
#include "tests/onnx/model_case.hpp"

namespace slopewise {
namespace {

using ::testing::HasSubstr;

constexpr Index kExamples = 2, kHeads = 4, kQueries = 3, kKeys = 5, kWidth = 4, kOut = 2;
constexpr double kHidden = -std::numeric_limits<double>::infinity();

struct Case {
  std::string name;
  Index shared_heads;      // of k and v
  bool flat;               // (T, heads d) in place of (heads, T, d)
  std::string attributes;  // beside the numbers of heads
  std::string mask;        // its input, "" for none
  double scale = 0.5, softcap = 0;
  std::function<double(Index example, Index head, Index query, Index key)> shift = [](Index, Index, Index, Index) {
    return 0.0;
  };
  friend void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }
};

// Masks as the model reads them: sine and cosine of a count, Booleans where that is positive.
double mask_entry(Index i) {
  return 2 * std::cos(static_cast<double>(i));
}
bool shown(Index i) {
  return mask_entry(i) > -0.5;
}

std::vector<Case> cases() {
  const auto later = [](Index, Index, Index query, Index key) { return key > query ? kHidden : 0.0; };
  const auto added = [](Index example, Index, Index query, Index key) {
    return mask_entry((example * kQueries + query) * kKeys + key);
  };
  return {
      {"Plain", kHeads, false, "", ""},
      {"Scaled", kHeads, false, "scale = 0.3,", "", 0.3F},
      {"Grouped", 2, false, "", ""},
      {"OneKeyHead", 1, false, "", ""},
      {"Flat", kHeads, true, "", ""},
      {"FlatGrouped", 2, true, "", ""},
      {"Causal", kHeads, false, "is_causal = 1,", "", 0.5, 0, later},
      {"FlatCausalGrouped", 2, true, "is_causal = 1,", "", 0.5, 0, later},
      {"Added", kHeads, false, "", "float[N, 1, 3, 5]", 0.5, 0, added},
      {"AddedToGroups", 2, true, "", "float[N, 1, 3, 5]", 0.5, 0, added},
      {"ByHeads", 2, false, "", "float[N, 4, 1, 5]", 0.5, 0,
       [](Index example, Index head, Index, Index key) { return mask_entry((example * kHeads + head) * kKeys + key); }},
      {"Shown", kHeads, false, "", "bool[N, 1, 1, 5]", 0.5, 0,
       [](Index example, Index, Index, Index key) { return shown(example * kKeys + key) ? 0.0 : kHidden; }},
      {"ShownCausal", 2, true, "is_causal = 1,", "bool[N, 1, 3, 5]", 0.5, 0,
       [](Index example, Index, Index query, Index key) {
         return key <= query && (key == 0 || shown((example * kQueries + query) * kKeys + key)) ? 0.0 : kHidden;
       }},
      {"Capped", kHeads, false, "softcap = 0.5,", "", 0.5, 0.5},
      {"CappedCausalGrouped", 2, true, "softcap = 0.5, is_causal = 1,", "", 0.5, 0.5, later},
      {"CappedByHeads", 2, false, "softcap = 0.5,", "float[N, 4, 1, 5]", 0.5, 0.5,
       [](Index example, Index head, Index, Index key) { return mask_entry((example * kHeads + head) * kKeys + key); }},
  };
}

std::vector<double> entries(Index count, double phase) {
  std::vector<double> values;
  for (Index i = 0; i < count; ++i) values.push_back(1.5 * std::sin(1.3 * static_cast<double>(i) + phase));
  return values;
}

// Where entry (head, row, column) of an example is.
Index at(bool flat, Index heads, Index rows, Index columns, Index head, Index row, Index column) {
  return flat ? (row * heads + head) * columns + column : (head * rows + row) * columns + column;
}

std::vector<double> definition(const Case& of, const std::vector<double>& q, const std::vector<double>& k,
                               const std::vector<double>& v) {
  std::vector<double> result(static_cast<std::size_t>(kExamples * kHeads * kQueries * kOut));
  const Index group = kHeads / of.shared_heads;
  const auto entry = [&](const std::vector<double>& x, Index example, Index heads, Index rows, Index columns,
                         Index head, Index row, Index column) {
    return x[number_of(example * heads * rows * columns + at(of.flat, heads, rows, columns, head, row, column))];
  };
  for (Index example = 0; example < kExamples; ++example) {
    for (Index head = 0; head < kHeads; ++head) {
      for (Index query = 0; query < kQueries; ++query) {
        std::vector<double> weights;
        for (Index key = 0; key < kKeys; ++key) {
          double score = 0;
          for (Index c = 0; c < kWidth; ++c) {
            score += entry(q, example, kHeads, kQueries, kWidth, head, query, c) *
                     entry(k, example, of.shared_heads, kKeys, kWidth, head / group, key, c);
          }
          score *= of.scale;
          if (of.softcap != 0) score = of.softcap * std::tanh(score / of.softcap);
          weights.push_back(std::exp(score + of.shift(example, head, query, key)));
        }
        double total = 0;
        for (const double weight : weights) total += weight;
        for (Index c = 0; c < kOut; ++c) {
          double mixed = 0;
          for (Index key = 0; key < kKeys; ++key)
            mixed += weights[number_of(key)] * entry(v, example, of.shared_heads, kKeys, kOut, head / group, key, c);
          result[number_of(example * kHeads * kQueries * kOut + at(of.flat, kHeads, kQueries, kOut, head, query, c))] =
              mixed / total;
        }
      }
    }
  }
  return result;
}

std::string extents(const Case& of, Index heads, Index rows, Index columns) {
  const std::string row = std::to_string(rows);
  return of.flat ? "[N, " + row + ", " + std::to_string(heads * columns) + "]"
                 : "[N, " + std::to_string(heads) + ", " + row + ", " + std::to_string(columns) + "]";
}

onnx::ModelProto model_of_case(const Case& of) {
  const std::string heads = of.flat ? "q_num_heads = 4, kv_num_heads = " + std::to_string(of.shared_heads) + ", " : "";
  std::string attributes = heads + of.attributes;
  while (!attributes.empty() && (attributes.back() == ' ' || attributes.back() == ',')) attributes.pop_back();
  return graph_of(
      "g (float" + extents(of, kHeads, kQueries, kWidth) + " q, float" + extents(of, of.shared_heads, kKeys, kWidth) +
          " k, float" + extents(of, of.shared_heads, kKeys, kOut) + " v" +
          (of.mask.empty() ? "" : ", " + of.mask + " m") + ") => (float" + extents(of, kHeads, kQueries, kOut) +
          " y) { y = Attention" + (attributes.empty() ? "" : "<" + attributes + ">") + "(q, k, v" +
          (of.mask.empty() ? "" : ", m") + ") }",
      23);
}

class OnnxAttention : public OnnxModelTest, public ::testing::WithParamInterface<Case> {};

TEST_P(OnnxAttention, IsItsDefinition) {
  const Case& of = GetParam();
  const OnnxModel model = load_onnx(write(model_of_case(of)));
  const std::vector<double> q = entries(kExamples * kHeads * kQueries * kWidth, 0),
                            k = entries(kExamples * of.shared_heads * kKeys * kWidth, 1),
                            v = entries(kExamples * of.shared_heads * kKeys * kOut, 2);
  Batch<double> batch{.rows = kExamples, .inputs = {std::span(q), std::span(k), std::span(v)}};
  std::vector<double> numbers;
  std::vector<std::int32_t> booleans;
  if (!of.mask.empty()) {
    const Index size = kExamples * model.inputs().back().shape.size();
    for (Index i = 0; i < size; ++i) {
      numbers.push_back(mask_entry(i));
      booleans.push_back(shown(i) || (of.name == "ShownCausal" && i % kKeys == 0) ? 1 : 0);
    }
    if (of.mask.starts_with("bool")) {
      batch.inputs.emplace_back(std::span<const std::int32_t>(booleans));
    } else {
      batch.inputs.emplace_back(std::span<const double>(numbers));
    }
  }
  const std::vector<double> found = output_of(model, model.initial<double>(), batch),
                            expected = definition(of, q, k, v);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-12) << i;
}
INSTANTIATE_TEST_SUITE_P(Cases, OnnxAttention, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

// Keys and values that it passes on are (heads, T, d).
TEST_F(OnnxModelTest, AttentionGivesItsKeysAndValuesByHeads) {
  for (const bool keys : {true, false}) {
    const OnnxModel model = load_onnx(write(graph_of(
        "g (float[N, 2, 4] q, float[N, 2, 4] k, float[N, 2, 4] v) => (float[N, 2, 2, 2] y) { z, keys, values = "
        "Attention<q_num_heads = 2, kv_num_heads = 2>(q, k, v) y = Identity(" +
            std::string(keys ? "keys" : "values") + ") }",
        23)));
    const std::vector<double> q(8, 100.0), k{1, 2, 3, 4, 5, 6, 7, 8}, v{10, 20, 30, 40, 50, 60, 70, 80};
    std::vector<std::span<const double>> read{std::span(q), std::span(k), std::span(v)};
    Batch<double> batch{.rows = 1, .inputs = {}};
    for (const auto& input : model.inputs())
      batch.inputs.emplace_back(read[input.name == "q" ? 0 : input.name == "k" ? 1 : 2]);
    const double by = keys ? 1 : 10;
    EXPECT_THAT(output_of(model, model.initial<double>(), batch),
                ::testing::ElementsAre(by, 2 * by, 5 * by, 6 * by, 3 * by, 4 * by, 7 * by, 8 * by));
  }
}

// A mask is of Booleans wherever these come from, and of numbers where they are cast to numbers.
TEST_F(OnnxModelTest, AttentionKnowsBooleans) {
  const std::vector<double> x{1, 2, 3, 4}, m{1, 0};  // two steps of two, of which the first is seen
  const auto values = [&](const std::string& nodes) {
    const OnnxModel model =
        load_onnx(write(graph_of("g (float[N, 1, 2, 2] x, float[N, 2] m) => (float[N, 1, 2, 2] y) { axes = "
                                 "Constant<value = int64[2] {1, 2}>() " +
                                     nodes + " mask = Unsqueeze(own, axes) y = Attention<scale = 0.0>(x, x, x, mask) }",
                                 23)));
    return output_of(model, model.initial<double>(), Batch<double>{.rows = 1, .inputs = {std::span(x), std::span(m)}});
  };
  const auto first = ::testing::ElementsAre(1, 2, 1, 2);
  EXPECT_THAT(values("own = Cast<to = 9>(m)"), first);
  EXPECT_THAT(values("b = Cast<to = 9>(m) n = Not(b) own = Not(n)"), first);
  EXPECT_THAT(values("half = Constant<value = float {0.5}>() own = Greater(m, half)"), first);
  const double e = std::exp(1.0);  // added: weights e and 1
  EXPECT_THAT(values("b = Cast<to = 9>(m) own = Cast<to = 1>(b)"),
              ::testing::Pointwise(::testing::DoubleNear(1e-12), {(e + 3) / (e + 1), (2 * e + 4) / (e + 1),
                                                                  (e + 3) / (e + 1), (2 * e + 4) / (e + 1)}));
}

TEST_F(OnnxModelTest, RefusesWhatAttentionDoesNotTake) {
  const auto refused = [&](const std::string& call) {
    return refusal(graph_of(
        "g (float[N, 3, 8] x, float[N, 2, 3, 4] z, float[N, 2] m) => (float[N, 3, 8] y) { y = " + call + " }", 23));
  };
  EXPECT_THAT(refused("Attention(x, x, x)"), HasSubstr("q_num_heads = 0"));
  EXPECT_THAT(refused("Attention<q_num_heads = 3, kv_num_heads = 3>(x, x, x)"), HasSubstr("q_num_heads = 3"));
  EXPECT_THAT(refused("Attention<q_num_heads = 2, kv_num_heads = 4>(x, x, x)"), HasSubstr("do not fit"));
  EXPECT_THAT(refused("Attention<q_num_heads = 2, kv_num_heads = 2>(x, x, x, , z, z)"), HasSubstr("of before"));
  EXPECT_THAT(refused("Attention<q_num_heads = 2, kv_num_heads = 2>(x, x, x, m)"), HasSubstr("a mask (batch, 2)"));
  EXPECT_THAT(refused("Attention(m, m, m)"), HasSubstr("three or four axes"));
}

}  // namespace
}  // namespace slopewise
