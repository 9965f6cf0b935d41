// What operators mean where node tests do not reach: branches, sizes and indices as exporters write them, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "tests/onnx/model_case.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(OnnxModelTest, TakesTheBranchThatIsKnown) {
  onnx::ModelProto proto = graph_of(R"(g (float[N, 1, 2] x) => (float[N, 2] y) {
    shape = Shape(x)
    at = Constant<value = int64 {1}>()
    extent = Gather(shape, at)
    one = Constant<value = int64 {1}>()
    is = Equal(extent, one)
    h = Mul(x, gain)
  })");
  add_weight(proto, "gain", {2}, {2, 3});
  add_weight(proto, "other", {2}, {5, 7});
  onnx::NodeProto& node = *proto.mutable_graph()->add_node();
  node.set_op_type("If");
  node.add_input("is");
  node.add_output("y");
  const auto branch = [&](const std::string& name, const std::string& text) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::GRAPH);
    *attribute.mutable_g() = graph_of("g (float[1] none) => (float[N, 2] made_" + name + ") {" + text + "}").graph();
    attribute.mutable_g()->clear_input();
  };
  // A constant and a weight of their own, and what is outside.
  branch("then_branch",
         "axes = Constant<value = int64[1] {1}>() s = Squeeze(h, axes) made_then_branch = Add(s, other)");
  branch("else_branch", "made_else_branch = Loop(h)");  // never taken, so nobody asks whether it is supported
  const OnnxModel model = load_onnx(write(proto));
  const std::vector<double> x{1, 2, 3, 4};
  EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}}),
              ElementsAre(7, 13, 11, 19));
  EXPECT_EQ(model.parameters().size(), 2U);
  // A condition that goes into the model, a branch that is missing, and what lies in a branch.
  onnx::ModelProto unknown = proto;
  *unknown.mutable_graph()->mutable_node(4) =
      graph_of("g (float[N] x) => (bool[N] is) { is = Less(x, x) }").graph().node(0);
  EXPECT_THAT(refusal(unknown), HasSubstr("the condition"));
  onnx::ModelProto cut = proto;
  cut.mutable_graph()->mutable_node(6)->mutable_attribute()->DeleteSubrange(0, 1);
  EXPECT_THAT(refusal(cut), HasSubstr("(If): it lacks a branch"));
  onnx::ModelProto inside = proto;
  inside.mutable_graph()->mutable_node(6)->mutable_attribute(0)->mutable_g()->mutable_node(1)->set_op_type("Loop");
  EXPECT_THAT(refusal(inside), HasSubstr("(Loop): this operator is not supported"));
}

// Branches may use each other's names; what a branch makes is its own.
TEST_F(OnnxModelTest, BranchesHaveNamesOfTheirOwn) {
  onnx::ModelProto proto = graph_of(R"(g (float[N, 2] x) => (float[N, 2] y) {
    yes = Constant<value = bool {1}>()
    h = Abs(x)
  })");
  const auto add_if = [&](const std::string& output, const std::string& then_text, const std::string& else_text) {
    onnx::NodeProto& node = *proto.mutable_graph()->add_node();
    node.set_op_type("If");
    node.add_input("yes");
    node.add_output(output);
    for (const auto& [name, text] : {std::pair{"then_branch", then_text}, std::pair{"else_branch", else_text}}) {
      onnx::AttributeProto& attribute = *node.add_attribute();
      attribute.set_name(name);
      attribute.set_type(onnx::AttributeProto::GRAPH);
      *attribute.mutable_g() = graph_of("g (float[1] none) => (float[N, 2] made) {" + text + "}").graph();
      attribute.mutable_g()->clear_input();
    }
  };
  const std::string one = "c = Constant<value = float {1.0}>() d = Add(c, c) h = Mul(x, d) made = Identity(h)",
                    two = "c = Constant<value = float {10.0}>() d = Add(c, c) made = Mul(a, d)";
  add_if("a", one, one);
  add_if("b", two, one);
  const std::string last = "made = Add(b, h)";  // h from outside
  add_if("y", last, last);
  const OnnxModel model = load_onnx(write(proto));
  const std::vector<double> x{1, -2};
  EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 1, .inputs = {std::span(x)}}),
              ElementsAre(41, -78));
  onnx::ModelProto twice = proto;
  onnx::NodeProto& node = *twice.mutable_graph()->mutable_node(2);
  *node.add_attribute() = node.attribute(0);
  EXPECT_THROW(load_onnx(write(twice)), FileError);
  onnx::ModelProto deep = proto;
  for (int i = 0; i < 20; ++i) {
    onnx::NodeProto inner = deep.graph().node(2);
    onnx::AttributeProto& attribute = *deep.mutable_graph()->mutable_node(2)->mutable_attribute(0);
    attribute.mutable_g()->clear_node();
    inner.set_output(0, "made");
    *attribute.mutable_g()->add_node() = inner;
  }
  EXPECT_THROW(load_onnx(write(deep)), FileError);
}

// Positions as exporters made them before Range, scales before they were an input, and of some axes alone.
TEST_F(OnnxModelTest, TakesOldAndNewWaysOfSayingSizes) {
  const std::vector<double> x{1, 2};
  const auto values = [&](const onnx::ModelProto& proto) {
    const OnnxModel model = load_onnx(write(proto));
    return output_of(model, model.initial<double>(), Batch<double>{.rows = 1, .inputs = {std::span(x)}});
  };
  EXPECT_THAT(values(graph_of(R"(g (float[N, 2] x) => (float[N, 2] y) {
    count = Constant<value = int64[1] {2}>()
    ones = ConstantOfShape<value = float[1] {1.0}>(count)
    places = NonZero(ones)
    turned = Transpose(places)
    one = Squeeze<axes = [1]>(turned)
    numbers = Cast<to = 1>(one)
    y = Add(x, numbers)
  })",
                              9)),
              ElementsAre(1, 3));
  EXPECT_THAT(
      values(graph_of("g (float[N, 1, 1, 2] x) => (float[N, 1, 1, 4] y) { y = Upsample<scales = [1.0, 1.0, 1.0, "
                      "2.0]>(x) }",
                      7)),
      ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(values(graph_of(R"(g (float[N, 1, 1, 2] x) => (float[N, 1, 1, 4] y) {
    s = Constant<value = float[1] {2.0}>()
    y = Resize<axes = [3], mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">(x, , s)
  })",
                              18)),
              ElementsAre(1, 1, 2, 2));
  const std::vector<double> six(6, 10.0);
  const OnnxModel places = load_onnx(write(graph_of(R"(g (float[N, 2, 3] x) => (float[N, 2, 3] y) {
    c = Constant<value = int64[2, 3] {0, 1, 0, 1, 0, 1}>()
    p = NonZero(c)
    numbers = Cast<to = 1>(p)
    y = Add(x, numbers)
  })")));
  EXPECT_THAT(output_of(places, places.initial<double>(), Batch<double>{.rows = 1, .inputs = {std::span(six)}}),
              ElementsAre(10, 11, 11, 11, 10, 12));
}

// A table of distances that is calculated from constants, one of them rounded where doubles and floats differ.
TEST_F(OnnxModelTest, TakesQuantizedWeights) {
  // (3, 2) in bytes, one scale and zero point a column; blocks of two rows; a number for all, which trains nothing.
  onnx::ModelProto proto = graph_of(R"(g (float[N, 3] x) => (float[N, 2] y) {
    bytes = Constant<value = int8[3, 2] {1, 2, 3, 4, 5, 6}>() zeros = Constant<value = int8[2] {1, 2}>()
    one = DequantizeLinear<axis = 1>(bytes, scales, zeros)
    other = DequantizeLinear<axis = 0, block_size = 2>(bytes, blocks)
    third = DequantizeLinear(bytes, number)
    w = Sum(one, other, third) h = MatMul(x, w) y = Add(h, bias)
  })",
                                    21);
  add_weight(proto, "scales", {2}, {0.5F, 10});
  add_weight(proto, "blocks", {2, 2}, {1, 2, 3, 4});
  add_weight(proto, "number", {}, {100});
  add_weight(proto, "bias", {2}, {1, -1});
  const OnnxModel model = load_onnx(write(proto));
  EXPECT_THAT(segments(model), ElementsAre("bias"));
  // w: {0, 0}, {1, 20}, {2, 40} and {1, 4}, {3, 8}, {15, 24} and 100 times the bytes
  const std::vector<double> x{1, 0, 0, 0, 1, 0, 0, 0, 1};
  EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 3, .inputs = {std::span(x)}}),
              ElementsAre(102, 203, 305, 427, 518, 663));
  proto.mutable_graph()->mutable_initializer(0)->set_dims(0, 1);
  proto.mutable_graph()->mutable_initializer(0)->mutable_raw_data()->resize(4);
  EXPECT_EQ(refusal(proto), "");
  proto.mutable_graph()->mutable_initializer(1)->set_dims(0, 1);
  proto.mutable_graph()->mutable_initializer(1)->mutable_raw_data()->resize(8);
  EXPECT_THAT(refusal(proto), HasSubstr("numbers (1, 2) of (3, 2), along axis 0 in blocks of 2"));
}

TEST_F(OnnxModelTest, TakesIndicesThatAreCalculated) {
  onnx::ModelProto known = graph_of(R"(g (float[N, 3] x) => (float[N, 3] y) {
    start = Constant<value = int64 {2}>() end = Constant<value = int64 {11}>() three = Constant<value = int64 {3}>()
    n = Range(start, end, three) f = Cast<to = 1>(n) two = Constant<value = float {2}>() g = Div(f, two)
    l = Log(g) four = Constant<value = float {1.3862943649291992}>() q = Div(l, four) t = Mul(q, two)
    i = Cast<to = 7>(t) low = Constant<value = int64 {0}>() high = Constant<value = int64 {2}>() c = Clip(i, low, high)
    rows = Gather(table, c) y = Add(x, rows)
  })");
  add_weight(known, "table", {3}, {10, 20, 30});
  const OnnxModel model = load_onnx(write(known));
  EXPECT_THAT(segments(model), ElementsAre("table"));
  const std::vector<double> x = {1, 2, 3, 4, 5, 6};
  EXPECT_THAT(output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}}),
              ElementsAre(11, 22, 33, 14, 25, 36));  // log 1, log 2.5, log 4 over log 2: 0, 1.3, 2

  // Columns of one table of integers, each an index into a table of its own, one of them moved.
  onnx::ModelProto columns = graph_of(R"(g (int64[N, 2] x) => (float[N, 2] y) {
    zero = Constant<value = int64 {0}>() last = Constant<value = int64 {-1}>() three = Constant<value = int64 {3}>()
    a = Gather<axis = 1>(x, zero) b = Gather<axis = 1>(x, last) moved = Add(b, three)
    first = Gather(one, a) second = Gather(other, moved) y = Add(first, second)
  })");
  add_weight(columns, "one", {2, 2}, {1, 2, 3, 4});
  add_weight(columns, "other", {5, 2}, {0, 0, 0, 0, 0, 0, 10, 20, 30, 40});
  const OnnxModel tables = load_onnx(write(columns));
  EXPECT_THAT(segments(tables), ElementsAre("one", "other"));
  const std::vector<std::int32_t> picks = {0, 1, 1, 0};
  EXPECT_THAT(output_of(tables, tables.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(picks)}}),
              ElementsAre(31, 42, 13, 24));
  // Integers are divided towards zero, and taken for integers by a cast to a like.
  onnx::ModelProto halves = graph_of(R"(g (int64[N, 1] x, float[N, 1] z) => (float[N, 1, 2] y) {
    two = Constant<value = int64 {2}>() half = Div(x, two) third = CastLike(z, x) row = Sub(half, third)
    y = Gather(other, row)
  })",
                                     15);
  add_weight(halves, "other", {3, 2}, {1, 2, 3, 4, 5, 6});
  const OnnxModel divided = load_onnx(write(halves));
  const std::vector<std::int32_t> odd = {3, 5};
  const std::vector<double> z = {0.9, 1.9};
  EXPECT_THAT(
      output_of(divided, divided.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(odd), std::span(z)}}),
      ElementsAre(3, 4, 3, 4));
  onnx::ModelProto cast = graph_of(R"(g (float[N, 1] x) => (float[N, 1, 2] y) {
    whole = Cast<to = 7>(x) two = Constant<value = int64 {2}>() row = Div(whole, two) y = Gather(other, row)
  })");
  add_weight(cast, "other", {3, 2}, {1, 2, 3, 4, 5, 6});
  const OnnxModel integers = load_onnx(write(cast));
  const std::vector<double> fractions = {3.9, 5.1};
  EXPECT_THAT(
      output_of(integers, integers.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(fractions)}}),
      ElementsAre(3, 4, 5, 6));
  onnx::ModelProto means = graph_of(R"(g (int64[N, 2] x) => (float[N, 2] y) {
    mean = ReduceMean<axes = [1], keepdims = 0>(x) y = Gather(other, mean)
  })");
  add_weight(means, "other", {3, 2}, {1, 2, 3, 4, 5, 6});
  const OnnxModel mean = load_onnx(write(means));
  const std::vector<std::int32_t> pairs = {1, 2, 0, 1};
  EXPECT_THAT(output_of(mean, mean.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(pairs)}}),
              ElementsAre(3, 4, 1, 2));
  // More numbers than are kept beforehand are made in the run.
  const OnnxModel outer = load_onnx(write(graph_of(R"(g (float[N] x) => (float[N] y) {
    tall = Constant<value = int64[2] {5000, 1}>() wide = Constant<value = int64[2] {1, 5000}>()
    a = ConstantOfShape(tall) b = ConstantOfShape(wide) c = MatMul(a, b) d = ReduceMean<keepdims = 0>(c) y = Add(x, d)
  })")));
  const auto& nodes = outer.output().graph()->nodes;
  EXPECT_TRUE(
      std::ranges::any_of(nodes, [](const GraphNode& node) { return node.op && node.shape.size() == 25'000'000; }));

  const std::vector<std::int32_t> beyond = {0, 2, 1, 0};
  EXPECT_THROW(output_of(tables, tables.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(beyond)}}),
               ArgumentError);
}

// As exporters write an assignment to a slice: of a mask that is made beforehand, and of values of each example.
TEST_F(OnnxModelTest, WritesOverWhatIndicesKnownBeforehandName) {
  const std::vector<double> x = {1, 2, 3, 4, 5, 6};
  const auto found = [&](const std::string& body, const std::string& rest = "") {
    const OnnxModel model =
        load_onnx(write(graph_of("g (float[N, 3] x) => (float[N, 3] y) { " + body + " y = Identity(z) } " + rest, 16)));
    return output_of(model, model.initial<double>(), Batch<double>{.rows = 2, .inputs = {std::span(x)}});
  };
  EXPECT_THAT(found("zeros = Constant<value = float[3] {0, 0, 0}>() at = Constant<value = int64[3, 1] {0, -1, 0}>() "
                    "new = Constant<value = float[3] {7, 8, 9}>() mask = ScatterND(zeros, at, new) z = Add(x, mask)"),
              ElementsAre(10, 2, 11, 13, 5, 14));  // of two updates of one entry the later counts
  EXPECT_THAT(found("t = Transpose<perm = [1, 0]>(x) at = Constant<value = int64[1, 1] {2}>() "
                    "first = Constant<value = int64[1] {0}>() u = Gather(t, first) n = Neg(u) "
                    "w = ScatterND(t, at, n) z = Transpose<perm = [1, 0]>(w)"),
              ElementsAre(1, 2, -1, 4, 5, -4));
  EXPECT_THAT(found("zeros = Constant<value = float[1, 3] {0, 0, 0}>() at = Constant<value = int64[1, 2] {-1, 0}>() "
                    "new = Constant<value = float[1, 2] {7, 8}>() "
                    "mask = ScatterElements<axis = 1>(zeros, at, new) z = Add(x, mask)"),
              ElementsAre(9, 2, 10, 12, 5, 13));

  const auto refused = [&](const std::string& node) {
    return refusal(
        graph_of("g (float[N, 3] x) => (float[N, 3] y) { at = Constant<value = int64[1, 1] {4}>() "
                 "row = Constant<value = float[1, 3] {7, 8, 9}>() flat = Constant<value = float[3] {0, 0, "
                 "0}>() one = Constant<value = float[1] {7}>() " +
                     node + " y = Add(x, z) }",
                 16));
  };
  EXPECT_THAT(refused("z = ScatterND(x, at, row)"), HasSubstr("(ScatterND)"));
  EXPECT_THAT(refused("z = ScatterND(flat, at, one)"), HasSubstr("4"));
  EXPECT_THAT(refused("z = ScatterND(flat, at, row)"), HasSubstr("expected updates (1), found (1, 3)"));
  EXPECT_THAT(refused("z = ScatterND<reduction = \"add\">(flat, at, one)"), HasSubstr("reduction 'add'"));
  EXPECT_THAT(refused("z = ScatterElements(x, at, row)"), HasSubstr("that all examples share"));
  EXPECT_THAT(refused("z = ScatterElements(flat, at, one)"), HasSubstr("as many axes as the data"));
}

TEST_F(OnnxModelTest, NamesWhatItDoesNotTake) {
  const std::string message = refusal(graph_of("g (float[N, 4] x) => (float[N, 4] y) { y = Rleu(x) }"));
  EXPECT_THAT(message, HasSubstr("model.onnx"));
  EXPECT_THAT(message, HasSubstr("Rleu"));
  EXPECT_THAT(message, HasSubstr("Relu"));
  EXPECT_THAT(refusal(graph_of("g (float[N, T] x) => (float[N, T] y) { y = Relu(x) }")), HasSubstr("'T'"));
  EXPECT_EQ(refusal(graph_of("g (float[N, T] x) => (float[N, T] y) { y = Relu(x) }"), {.extents = {{"T", 3}}}), "");
  EXPECT_THAT(refusal(graph_of("g (float[N, 4] x) => (float[N, 4] y) { y = Relu(x) }"), {.output = "z"}),
              HasSubstr("no output is called 'z'"));
}

TEST_F(OnnxModelTest, SaysWhatAFileDoesNotSay) {
  onnx::ModelProto proto = graph_of("g (float[N, 2] x) => (float[N, 2] y) { y = Abs(x) }");
  proto.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  EXPECT_THAT(refusal(proto), HasSubstr("input 'x' has no shape in the file"));
  onnx::ModelProto function = graph_of("g (float[N, 2] x) => (float[N, 2] y) { y = Abs(x) }");
  function.mutable_graph()->mutable_node(0)->set_domain("own");
  EXPECT_THAT(refusal(function), HasSubstr("operators of the domain 'own'"));
  onnx::FunctionProto& own = *function.add_functions();
  own.set_domain("own");
  own.set_name("Abs");
  EXPECT_THAT(refusal(function), HasSubstr("it is a function that the file itself defines"));
}

}  // namespace
}  // namespace slopewise
