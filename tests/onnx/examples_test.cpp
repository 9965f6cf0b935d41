// The axis of a graph that counts examples: followed, found, kept apart.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/onnx/model_case.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Shapes calculated from the batch, as exporters write them.
TEST_F(OnnxModelTest, FollowsShapesThatCountExamples) {
  const auto path = write(graph_of(R"(g (float[N, 6] x) => (float[N, 3, 2] y) {
    s = Shape(x)
    zero = Constant<value = int64 {0}>()
    batch = Gather(s, zero)
    axes = Constant<value = int64[1] {0}>()
    b = Unsqueeze(batch, axes)
    two = Constant<value = int64[1] {2}>()
    open = Constant<value = int64[1] {-1}>()
    target = Concat<axis = 0>(b, two, open)
    r = Reshape(x, target)
    y = Transpose<perm = [0, 2, 1]>(r)
  })"));
  const OnnxModel model = load_onnx(path);
  EXPECT_EQ(to_string(model.output_extents()), "(batch, 3, 2)");
  const std::vector<double> x{1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16};
  EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}}),
              ElementsAre(1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16));
}

// A file for a fixed number of examples serves any number.
TEST_F(OnnxModelTest, TakesAFixedBatchForAnyBatch) {
  for (const int fixed : {1, 4}) {
    const auto path = write(graph_of(fmt::format(R"(g (float[{0}, 6] x) => (float[{1}, 2] y) {{
      target = Constant<value = int64[2] {{{1}, 2}}>()
      y = Reshape(x, target)
    }})",
                                                 fixed, 3 * fixed)));
    const OnnxModel model = load_onnx(path);
    EXPECT_EQ(to_string(model.output_extents()), "(3·batch, 2)");
    const std::vector<double> x{1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16};
    EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}}),
                testing::ElementsAreArray(x));
  }
}

// Time first, one example in the file: where the axis of examples goes as others are seen as one, or taken apart.
TEST_F(OnnxModelTest, FindsTheExamplesOfAFileOfOne) {
  const auto extents = [&](const std::string& target, const std::string& out) {
    const auto path = write(graph_of(fmt::format(R"(g (float[1, 4, 6] x) => (float[{0}] y) {{
      t = Transpose<perm = [1, 0, 2]>(x)
      target = Constant<value = int64[{2}] {{{1}}}>()
      y = Reshape(t, target)
    }})",
                                                 out, target, 1 + std::ranges::count(target, ','))));
    return to_string(load_onnx(path).output_extents());
  };
  EXPECT_EQ(extents("4, 6", "4, 6"), "(4·batch, 6)");  // a product by a matrix of features follows
  EXPECT_EQ(extents("-1, 6", "4, 6"), "(4·batch, 6)");
  EXPECT_EQ(extents("4, 1, 6", "4, 1, 6"), "(4, batch, 6)");
  EXPECT_EQ(extents("4, 2, 3", "4, 2, 3"), "(4, 2·batch, 3)");  // heads, merged with the examples
  EXPECT_EQ(extents("4, 1, 2, 3", "4, 1, 2, 3"), "(4, batch, 2, 3)");
  EXPECT_EQ(extents("24", "24"), "(24·batch)");
}

// What comes of it for several: time first through a layer, and back.
TEST_F(OnnxModelTest, AFileOfOneExampleWithTimeFirstServesAny) {
  onnx::ModelProto proto = graph_of(R"(g (float[1, 3, 2] x) => (float[1, 3, 2] y) {
    t = Transpose<perm = [1, 0, 2]>(x)
    flat = Constant<value = int64[2] {3, 2}>()
    rows = Reshape(t, flat)
    made = MatMul(rows, w)
    parted = Constant<value = int64[3] {3, 1, 2}>()
    again = Reshape(made, parted)
    y = Transpose<perm = [1, 0, 2]>(again)
  })");
  add_weight(proto, "w", {2, 2}, {1, 10, 2, 20});
  const OnnxModel model = load_onnx(write(proto));
  EXPECT_EQ(to_string(model.output_extents()), "(batch, 3, 2)");
  const std::vector<double> x{1, 0, 0, 1, 1, 1, 2, 0, 0, 2, 2, 2};
  EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}}),
              ElementsAre(1, 10, 2, 20, 3, 30, 2, 20, 4, 40, 6, 60));
}

// Before operator set 14 an output of the batch's statistics says that it is calculated with them.
TEST_F(OnnxModelTest, RefusesBatchNormsThatTrain) {
  const auto in = [&](const std::string& outputs, const std::string& attributes, int opset) {
    onnx::ModelProto proto = graph_of(
        fmt::format("g (float[N, 2, 3] x) => (float[N, 2, 3] y) {{ {} = BatchNormalization{}(x, s, b, m, v) }}",
                    outputs, attributes),
        opset);
    for (const char* name : {"s", "b", "m", "v"}) add_weight(proto, name, {2}, {1, 2});
    return refusal(proto);
  };
  EXPECT_THAT(in("y", "", 9), testing::IsEmpty());
  EXPECT_THAT(in("y, m2, v2, m3, v3", "", 9), HasSubstr("training mode would mix examples"));
  EXPECT_THAT(in("y, m2, v2", "<training_mode = 1>", 14), HasSubstr("training mode would mix examples"));
}

TEST_F(OnnxModelTest, RefusesWhatWouldMixExamples) {
  const auto in = [&](const std::string& body, const std::string& out = "float[M] y") {
    return refusal(graph_of("g (float[N, 4] x) => (" + out + ") { " + body + " }"));
  };
  EXPECT_THAT(in("y = ReduceMean<axes = [0], keepdims = 0>(x)"), HasSubstr("mix examples"));
  EXPECT_THAT(in("y = Softmax<axis = 0>(x)"), HasSubstr("mix examples"));
  EXPECT_THAT(in("s = Constant<value = int64[1] {-1}>() y = Reshape(x, s) z = Identity(y)"), testing::IsEmpty());
  EXPECT_THAT(in("i = Constant<value = int64 {0}>() y = Gather(x, i)"), HasSubstr("mix examples"));
  EXPECT_THAT(in("t = Transpose(x) y = MatMul(t, x)"), HasSubstr("mix examples"));
  EXPECT_THAT(in("s = Constant<value = int64[2] {2, -1}>() y = Reshape(x, s)", "float[2, M] y"),
              HasSubstr("mix examples"));
}

// Time first, then examples: seen as one axis, each step's examples lie together.
TEST_F(OnnxModelTest, KeepsExamplesApartInsideAnAxis) {
  const auto path = write(graph_of(R"(g (float[N, 3] x) => (float[N, 3] y) {
    t = Transpose(x)
    flat = Constant<value = int64[1] {-1}>()
    both = Reshape(t, flat)
    parted = Constant<value = int64[2] {3, -1}>()
    again = Reshape(both, parted)
    y = Transpose(again)
  })"));
  const OnnxModel model = load_onnx(path);
  EXPECT_EQ(to_string(model.output_extents()), "(batch, 3)");
  const std::vector<double> x{1, 2, 3, 11, 12, 13};
  EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}}),
              testing::ElementsAreArray(x));
}

}  // namespace
}  // namespace slopewise
