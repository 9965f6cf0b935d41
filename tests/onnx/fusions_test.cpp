// Patterns of nodes that become one operation: each is found, computes what its parts compute, and is left alone where
// somebody else reads a part.
#include "slopewise/onnx/fusions.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "slopewise/onnx/loss.hpp"
#include "tests/data/support.hpp"
#include "tests/onnx/models.hpp"

namespace slopewise {
namespace {

struct Pattern {
  std::string name, op, body;  // from x to y, both (N, 3, 4)
  friend void PrintTo(const Pattern& pattern, std::ostream* out) { *out << pattern.body; }
};

const std::string kMean = "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) ";
const std::string kRoot = "q = Pow(x, two) v = ReduceMean<axes = [-1]>(q) e = Add(v, small) s = Sqrt(e) ";
const std::string kScores = "k = MatMul(x, other) t = Transpose<perm = [0, 2, 1]>(k) p = MatMul(x, t) ";

std::vector<Pattern> patterns() {
  return {
      {"Linear", "Linear", "h = MatMul(x, matrix) y = Add(h, bias)"},
      {"LinearBiasFirst", "Linear", "h = MatMul(x, matrix) y = Add(bias, h)"},
      {"LayerNorm", "LayerNorm",
       kMean + "q = Pow(d, two) v = ReduceMean<axes = [-1]>(q) e = Add(v, small) s = Sqrt(e) n = Div(d, s) "
               "g = Mul(n, gain) y = Add(g, bias)"},
      {"LayerNormOfProducts", "LayerNorm",
       kMean + "q = Mul(d, d) v = ReduceMean<axes = [-1]>(q) e = Add(small, v) s = Sqrt(e) n = Div(d, s) "
               "g = Mul(gain, n) y = Add(bias, g)"},
      {"LayerNormAlone", "LayerNorm",
       kMean + "q = Pow(d, two) v = ReduceMean<axes = [-1]>(q) e = Add(v, small) s = Sqrt(e) y = Div(d, s)"},
      {"RmsNorm", "RmsNorm", kRoot + "n = Div(x, s) y = Mul(n, gain)"},
      {"RmsNormByQuotient", "RmsNorm", kRoot + "r = Div(one, s) n = Mul(x, r) y = Mul(gain, n)"},
      {"RmsNormByReciprocal", "RmsNorm", kRoot + "r = Reciprocal(s) n = Mul(x, r) y = Mul(n, gain)"},
      {"Silu", "Silu", "g = Sigmoid(x) y = Mul(x, g)"},
      {"GeluHalfLast", "Gelu", "a = Div(x, root2) f = Erf(a) p = Add(f, one) b = Mul(x, p) y = Mul(b, half)"},
      {"GeluHalfFirst", "Gelu", "h = Mul(x, half) a = Mul(x, inverse2) f = Erf(a) p = Add(one, f) y = Mul(h, p)"},
      {"GeluTanhByPower", "Gelu",
       "c = Pow(x, three) k = Mul(cubic, c) a = Add(x, k) i = Mul(inside, a) f = Tanh(i) p = Add(one, f) "
       "h = Mul(half, x) y = Mul(h, p)"},
      {"GeluTanhByProducts", "Gelu",
       "h = Mul(x, half) j = Mul(x, cubic) l = Mul(j, x) k = Mul(l, x) a = Add(x, k) i = Mul(a, inside) f = Tanh(i) "
       "p = Add(f, one) y = Mul(h, p)"},
      {"Attention", "Attention", kScores + "c = Mul(p, half) w = Softmax<axis = -1>(c) y = MatMul(w, x)"},
      {"AttentionUnscaled", "Attention", kScores + "w = Softmax<axis = -1>(p) y = MatMul(w, x)"},
      {"AttentionMasked", "Attention",
       kScores + "c = Div(p, two) a = Add(c, mask) w = Softmax<axis = -1>(a) y = MatMul(w, x)"},
      {"AttentionMaskFirst", "Attention",
       kScores + "c = Mul(p, half) a = Add(mask, c) w = Softmax<axis = -1>(a) y = MatMul(w, x)"},
      {"AttentionToOneKey", "Attention",
       kScores + "c = Mul(p, half) a = Add(c, column) w = Softmax<axis = -1>(a) y = MatMul(w, x)"},
      {"AttentionOfOtherRanks", "Attention",
       "first = Constant<value = int64[1] {0}>() u = Unsqueeze(x, first) k = MatMul(x, other) "
       "t = Transpose<perm = [0, 2, 1]>(k) p = MatMul(u, t) w = Softmax<axis = -1>(p) y = MatMul(w, x)"},
      {"AttentionHidden", "Attention",
       kScores + "hidden = Greater(mask, tenth) c = Mul(p, half) "
                 "a = Where(hidden, lowest, c) w = Softmax<axis = -1>(a) y = MatMul(w, x)"},
  };
}

// The numbers are Constant nodes, as exporters write them.
onnx::ModelProto model_with(const std::string& body) {
  onnx::ModelProto model = graph_of("g (float[N, 3, 4] x) => (float[N, 3, 4] y) { " + body + " }");
  for (const auto& [name, value] :
       std::map<std::string, double>{{"half", 0.5},
                                     {"one", 1},
                                     {"two", 2},
                                     {"three", 3},
                                     {"small", 1e-5},
                                     {"root2", std::sqrt(2.0)},
                                     {"inverse2", std::sqrt(0.5)},
                                     {"cubic", 0.044715},
                                     {"inside", std::sqrt(2 / std::numbers::pi)},
                                     {"tenth", 0.1},
                                     {"lowest", -std::numeric_limits<double>::infinity()}}) {
    onnx::NodeProto& node = *model.mutable_graph()->add_node();
    node.set_op_type("Constant");
    node.add_output(name);
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name("value_float");
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(static_cast<float>(value));
  }
  add_weight(model, "column", {3, 1}, {0.1F, -2, 1});
  add_weight(model, "matrix", {4, 4}, random_vector<float>(16, 1));
  add_weight(model, "other", {4, 4}, random_vector<float>(16, 2));
  add_weight(model, "gain", {4}, random_vector<float>(4, 3));
  add_weight(model, "bias", {4}, random_vector<float>(4, 4));
  // Above 0.1 in every row's last entry alone, so that no row is hidden whole.
  add_weight(model, "mask", {3, 3}, {-0.5F, 0, 0.3F, 0.05F, -1, 0.2F, 0, 0.1F, 0.7F});
  return model;
}

class OnnxFusions : public FileTest, public testing::WithParamInterface<Pattern> {
 protected:
  // Output, and loss, slopes, second-order terms and gradient of its mean square.
  std::vector<double> computed(const std::filesystem::path& path, bool fused) const {
    const OnnxModel model = load_onnx(path, {.train = "gain|bias|matrix|other", .fuse = fused});
    const auto x = random_vector<double>(2 * 12, 5);
    const std::vector<double> target(24);
    std::vector<double> all =
        output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}});
    if (model.layout().size == 0) return all;
    const Program program = onnx_program(model, {OnnxLoss::kSquared}).program;
    const Batch<double> batch{.rows = 2, .inputs = {std::span(x), std::span(target)}};
    std::vector<double> v;  // by names, as fused and unfused parameters may come in another order
    for (const Segment& segment : model.layout().segments) {
      const auto own = random_vector<double>(segment.size(), std::hash<std::string>()(segment.name));
      v.insert(v.end(), own.begin(), own.end());
    }
    const auto tangents = Tangents<double>::dense(program.layout(), 1, v);
    const auto result =
        Runner<double>(program, {.batch = 2, .tangents = 1, .order = 2}).run(model.initial<double>(), batch, &tangents);
    all.insert(all.end(), {result.loss, result.slopes[0], result.curvatures[0]});
    std::vector<double> gradient(v.size());
    Runner<double>(program, {.mode = Workload::Mode::kPullback, .batch = 2})
        .gradient(model.initial<double>(), batch, gradient);
    double pulled = 0;
    for (std::size_t i = 0; i < v.size(); ++i) pulled += gradient[i] * v[i];
    all.push_back(pulled);
    return all;
  }
  void expect_the_same(const std::filesystem::path& path) const {
    const auto fused = computed(path, true), parts = computed(path, false);
    ASSERT_EQ(fused.size(), parts.size());
    for (std::size_t i = 0; i < fused.size(); ++i)
      EXPECT_NEAR(fused[i], parts[i], 2e-7 * (1 + std::fabs(parts[i]))) << i;
  }
  std::filesystem::path write(const onnx::ModelProto& model) const {
    write_model(model, directory_ / "model.onnx");
    return directory_ / "model.onnx";
  }
};
INSTANTIATE_TEST_SUITE_P(Each, OnnxFusions, testing::ValuesIn(patterns()),
                         [](const auto& each) { return each.param.name; });

TEST_P(OnnxFusions, IsFoundAndComputesWhatItsPartsCompute) {
  const auto path = write(model_with(GetParam().body));
  const OnnxModel model = load_onnx(path);
  EXPECT_EQ(model.fusions().count(GetParam().op), 1U);
  EXPECT_EQ(model.graph().nodes.back().op, GetParam().op);
  EXPECT_EQ(model.graph().nodes.back().domain, "slopewise");
  expect_the_same(path);
}

// What the last node reads of the pattern is read a second time.
TEST_P(OnnxFusions, IsLeftAloneWhereAPartIsReadElsewhere) {
  onnx::ModelProto model = model_with(GetParam().body);
  std::map<std::string, const onnx::NodeProto*> makers;
  for (const onnx::NodeProto& node : model.graph().node()) {
    if (node.op_type() != "Constant") makers[node.output(0)] = &node;
  }
  const onnx::NodeProto& last = *makers.at("y");
  const std::string part = makers.contains(last.input(0)) ? last.input(0) : last.input(1);
  onnx::NodeProto& reduced = *model.mutable_graph()->add_node();
  reduced.set_op_type("ReduceMax");
  reduced.add_input(part);
  reduced.add_output("z");
  onnx::AttributeProto& axes = *reduced.add_attribute();
  axes.set_name("axes");
  axes.set_type(onnx::AttributeProto::INTS);
  axes.add_ints(-1);
  axes.add_ints(-2);
  onnx::NodeProto& sum = *model.mutable_graph()->add_node();
  sum.set_op_type("Add");
  sum.add_input("y");
  sum.add_input("z");
  sum.add_output("both");
  model.mutable_graph()->mutable_output(0)->set_name("both");
  const auto path = write(model);
  OnnxGraph graph = read_onnx(path);
  EXPECT_EQ(fuse(graph).count(GetParam().op), 0U);
  expect_the_same(path);  // other patterns may be among its parts
}

}  // namespace
}  // namespace slopewise
