// Models as people load them: the batch as a symbol, what trains, what is refused, weights back into the file.
#include "slopewise/onnx/model.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "slopewise/onnx/loss.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/check.hpp"
#include "tests/data/support.hpp"
#include "tests/onnx/models.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OnnxModelTest : public FileTest {
 protected:
  std::filesystem::path write(const onnx::ModelProto& model, const std::string& name = "model.onnx") const {
    write_model(model, directory_ / name);
    return directory_ / name;
  }
  // The message that refuses the model; "" where it is taken.
  std::string refusal(const onnx::ModelProto& model, const OnnxOptions& options = {}) const {
    try {
      load_onnx(write(model), options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

std::vector<float> counting(Index count, double step = 0.1) {
  std::vector<float> values;
  for (Index i = 0; i < count; ++i) values.push_back(static_cast<float>(std::sin(static_cast<double>(i)) * step * 10));
  return values;
}

// Two layers with a normalisation between them.
onnx::ModelProto network() {
  onnx::ModelProto model = graph_of(R"(net (float[N, 4] x) => (float[N, 3] y) {
    h = MatMul(x, first)
    a = Add(h, first_bias)
    n = LayerNormalization(a, gain, shift)
    r = Relu(n)
    y = Gemm<transB = 1>(r, head, head_bias)
  })",
                                    17);
  add_weight(model, "first", {4, 5}, counting(20));
  add_weight(model, "first_bias", {5}, counting(5));
  add_weight(model, "gain", {5}, {1, 2, 1, 0.5F, 1});
  add_weight(model, "shift", {5}, counting(5));
  add_weight(model, "head", {3, 5}, counting(15));
  add_weight(model, "head_bias", {3}, counting(3));
  return model;
}

std::vector<std::string> segments(const OnnxModel& model) {
  std::vector<std::string> names;
  for (const Segment& segment : model.layout().segments) names.push_back(segment.name);
  return names;
}

TEST_F(OnnxModelTest, TrainsWhatIsAskedFor) {
  const auto path = write(network());
  const auto trained = [&](const std::string& what) { return segments(load_onnx(path, {.train = what})); };
  EXPECT_THAT(trained("all"), ElementsAre("first", "first_bias", "gain", "shift", "head", "head_bias"));
  EXPECT_THAT(trained("head"), ElementsAre("head", "head_bias"));
  EXPECT_THAT(trained("norms"), ElementsAre("gain", "shift"));
  EXPECT_THAT(trained("biases"), ElementsAre("first_bias", "head_bias"));
  EXPECT_THAT(trained("^first"), ElementsAre("first", "first_bias"));
  EXPECT_THAT(trained("lora:2"),
              ElementsAre("first.lora_A.weight", "first.lora_B.weight", "head.lora_A.weight", "head.lora_B.weight"));
  EXPECT_THAT(trained("lora:1:head"), ElementsAre("head.lora_A.weight", "head.lora_B.weight"));
  for (const std::string wrong : {"lora:", "lora:0", "lora:x", "(", "lora:2:("}) {
    EXPECT_THROW(load_onnx(path, {.train = wrong}), ArgumentError) << wrong;
  }
}

// Whatever trains, the network computes the same, and its derivatives are right.
TEST_F(OnnxModelTest, IsTheSameNetworkWhateverTrains) {
  const auto path = write(network());
  const std::vector<double> x{1, -2, 3, 0.5, -1, 2, 0.25, 1};
  const Batch<double> batch{.rows = 2, .inputs = {std::span(x)}};
  const OnnxModel whole = load_onnx(path);
  const auto expected = output_of(whole, whole.initial<double>(), batch);
  for (const std::string what : {"all", "head", "norms", "biases", "lora:2"}) {
    const OnnxModel model = load_onnx(path, {.train = what});
    const auto found = output_of(model, model.initial<double>(), batch);
    ASSERT_EQ(found.size(), 6U);
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << what;
    const Program program = onnx_program(model, {OnnxLoss::kCrossEntropy}).program;
    const std::vector<std::int32_t> labels{2, 0};
    Batch<double> labelled = batch;
    labelled.inputs.emplace_back(std::span<const std::int32_t>(labels));
    const CheckReport report = check_program(program, model.initial<double>(), labelled);
    EXPECT_TRUE(report.passed()) << what << "\n" << report.to_string();
  }
}

TEST_F(OnnxModelTest, PutsWeightsBackWhereTheyWere) {
  const auto path = write(network());
  const OnnxModel model = load_onnx(path);
  Parameters<float> theta = model.initial<float>();
  const auto copy = directory_ / "copy.onnx";
  save_onnx(model, theta, copy);
  EXPECT_EQ(file_bytes(copy), file_bytes(path));

  for (float& value : theta.edit()) value += 0.5F;
  save_onnx(model, theta, copy);
  EXPECT_EQ(file_bytes(copy).size(), file_bytes(path).size());
  const OnnxModel changed = load_onnx(copy);
  const auto values = changed.initial<float>();
  EXPECT_TRUE(std::equal(values.values().begin(), values.values().end(), theta.values().begin()));
}

TEST_F(OnnxModelTest, MergesAdaptersIntoTheirMatrices) {
  const auto path = write(network()), copy = directory_ / "copy.onnx";
  const OnnxModel adapted = load_onnx(path, {.train = "lora:2"});
  Parameters<float> theta = adapted.initial<float>();
  save_onnx(adapted, theta, copy);
  EXPECT_EQ(file_bytes(copy), file_bytes(path));  // B is 0
  for (float& value : theta.edit()) value += 0.25F;
  save_onnx(adapted, theta, copy);
  const OnnxModel merged = load_onnx(copy);
  const std::vector<double> x{1, -2, 3, 0.5, -1, 2, 0.25, 1};
  const Batch<double> batch{.rows = 2, .inputs = {std::span(x)}};
  const Parameters<double> wide(std::vector<double>(theta.values().begin(), theta.values().end()));
  const auto expected = output_of(adapted, wide, batch);
  const auto found = output_of(merged, merged.initial<double>(), batch);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5);

  onnx::ModelProto shared = graph_of(R"(net (float[N, 4] x) => (float[N, 4] y) {
    h = MatMul(x, w)
    y = MatMul(h, w)
  })",
                                     17);
  add_weight(shared, "w", {4, 4}, counting(16));
  const OnnxModel twice = load_onnx(write(shared), {.train = "lora:1"});
  EXPECT_THAT(why_not_saved(twice), HasSubstr("is added to a matrix that is read elsewhere too"));
  EXPECT_THROW(save_onnx(twice, twice.initial<float>(), copy), FileError);
}

TEST_F(OnnxModelTest, ReadsBytesAsItReadsFiles) {
  const auto path = write(network());
  const Bytes bytes = file_bytes(path);
  const OnnxModel model = load_onnx(bytes, "a model in memory");
  EXPECT_EQ(segments(model), segments(load_onnx(path)));
  const auto copy = directory_ / "copy.onnx";
  save_onnx(model, model.initial<float>(), copy);
  EXPECT_EQ(file_bytes(copy), bytes);

  const auto message = [](std::span<const std::uint8_t> of) -> std::string {
    try {
      load_onnx(of, "a model in memory");
    } catch (const FileError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({}), HasSubstr("a model in memory: "));
  EXPECT_THAT(message(std::span(bytes).first(bytes.size() / 2)), HasSubstr("a model in memory: "));
  // Wherever the process is: a file of that name beside it is not looked at.
  onnx::ModelProto outside = network();
  onnx::TensorProto& tensor = *outside.mutable_graph()->mutable_initializer(0);
  tensor.clear_raw_data();
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  onnx::StringStringEntryProto& entry = *tensor.add_external_data();
  entry.set_key("location");
  entry.set_value("data.bin");
  const std::string text = outside.SerializeAsString();
  EXPECT_THAT(message({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}), HasSubstr("first"));
}

// Numbers of half the width come back rounded, in their own type.
TEST_F(OnnxModelTest, PutsHalvesBack) {
  onnx::ModelProto proto = graph_of("g (float[N, 2] x) => (float[N, 2] y) { w = Cast<to = 1>(half) y = MatMul(x, w) }");
  onnx::TensorProto& tensor = *proto.mutable_graph()->add_initializer();
  tensor.set_name("half");
  tensor.set_data_type(onnx::TensorProto::FLOAT16);
  tensor.add_dims(2);
  tensor.add_dims(2);
  const std::uint16_t bits[] = {0x3c00, 0xc000, 0x0001, 0x7bff};  // 1, −2, 2⁻²⁴, 65504
  tensor.set_raw_data(bits, sizeof bits);
  const auto path = write(proto);
  const OnnxModel model = load_onnx(path);
  Parameters<float> theta = model.initial<float>();
  EXPECT_THAT(std::vector<float>(theta.values().begin(), theta.values().end()), ElementsAre(1, -2, 0x1p-24F, 65504));
  const auto copy = directory_ / "copy.onnx";
  const auto edited = theta.edit();
  edited[0] = 1.0F + 0x1p-11F;  // a tie, to even
  edited[1] = 0.1F;
  save_onnx(model, theta, copy);
  const OnnxModel again = load_onnx(copy);
  const Parameters<float> found = again.initial<float>();
  EXPECT_THAT(std::vector<float>(found.values().begin(), found.values().end()),
              ElementsAre(1, 0.0999755859375F, 0x1p-24F, 65504));
}

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

TEST_F(OnnxModelTest, HostileSizesAreRefused) {
  onnx::ModelProto places = graph_of(R"(g (float[N, 2] x) => (float[N, 2] y) {
    ones = ConstantOfShape<value = int64[1] {1}>(shape)
    p = NonZero(ones)
    y = Abs(x)
  })");
  onnx::TensorProto& shape = *places.mutable_graph()->add_initializer();
  shape.set_name("shape");
  shape.set_data_type(onnx::TensorProto::INT64);
  shape.add_dims(1000);
  for (int i = 0; i < 1000; ++i) shape.add_int64_data(i == 0 ? 1 << 24 : 1);
  places.mutable_graph()->mutable_output(0)->set_name("p");
  EXPECT_THAT(refusal(places), HasSubstr("more numbers than are made beforehand"));
  EXPECT_THAT(refusal(graph_of(R"(g (float[4294967296, 4294967296] x) => (float[4294967296] y) {
    t = Transpose(x)
    s = Constant<value = int64[1] {4294967296}>()
    y = Reshape(t, s)
  })")),
              testing::Not(testing::IsEmpty()));
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

// A table of distances that is calculated from constants, one of them rounded where doubles and floats differ.
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

TEST_F(OnnxModelTest, KnowsMasksAndTablesOfSinesFromWeights) {
  onnx::ModelProto proto = graph_of(R"(g (float[N, 2, 2] x) => (float[N, 2, 2] y) {
    a = Mul(x, cosines) b = Mul(x, sines) c = Add(a, b) d = Add(c, mask) y = Mul(d, weight)
  })");
  add_weight(proto, "cosines", {2, 2}, {1, 0.8F, 0.6F, 0});
  add_weight(proto, "sines", {2, 2}, {0, 0.6F, 0.8F, 1});
  add_weight(proto, "mask", {2, 2}, {0, -std::numeric_limits<float>::infinity(), 0, 0});
  add_weight(proto, "weight", {2, 2}, {1, 0.8F, 0.6F, 2});
  const OnnxModel model = load_onnx(write(proto));
  EXPECT_THAT(segments(model), ElementsAre("weight"));
  EXPECT_EQ(model.constants().size(), 3U);
}

// Whoever wrote the file knows its weights, also one that looks like a mask; the rest are none, whatever they look
// like.
TEST_F(OnnxModelTest, TrainsAmongTheWeightsThatItIsTold) {
  onnx::ModelProto proto =
      graph_of("g (float[N, 2, 2] x) => (float[N, 2, 2] y) { a = Mul(x, signs) y = Mul(a, buffer) }");
  add_weight(proto, "signs", {2, 2}, {1, -1, 1, 1});
  add_weight(proto, "buffer", {2, 2}, {1, 0.8F, 0.6F, 2});
  const auto path = write(proto);
  EXPECT_THAT(segments(load_onnx(path)), ElementsAre("buffer"));
  const OnnxModel told = load_onnx(path, {.weights = std::set<std::string>{"signs", "elsewhere"}});
  EXPECT_THAT(segments(told), ElementsAre("signs"));
  EXPECT_EQ(told.constants().count("buffer"), 1U);
}

// A file cut anywhere, or with a byte changed, is read or refused, and nothing else.
TEST_F(OnnxModelTest, SurvivesDamage) {
  const auto path = write(network());
  const Bytes whole = file_bytes(path);
  const auto feed = [&](const Bytes& bytes) {
    try {
      load_onnx(put("damaged.onnx", bytes));
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("damaged.onnx"));
    }
  };
  for (std::size_t length = 0; length < whole.size(); ++length) {
    feed(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0, 255}) {
      Bytes bytes = whole;
      bytes[at] = static_cast<std::uint8_t>(value);
      feed(bytes);
    }
  }
}

// Every operator with inputs and attributes that it does not have is refused by name, or taken; nothing else happens.
TEST_F(OnnxModelTest, SurvivesOperatorsUsedWrongly) {
  for (const int opset : {9, 13, 17}) {
    for (const OnnxRule& rule : onnx_rules()) {
      for (std::size_t inputs = 0; inputs < 5; ++inputs) {
        for (const std::string of : {"x", "weight", "number", "vector"}) {
          for (const std::int64_t number : {std::int64_t{0}, std::int64_t{-7}, std::int64_t{1} << 50}) {
            onnx::ModelProto model = graph_of(R"(g (float[N, 4, 4, 4] x) => (float[N] y) {
              number = Constant<value = int64 {3}>()
              vector = Constant<value = int64[4] {1, 1099511627776, -5, 9223372036854775807}>()
            })",
                                              opset);
            add_weight(model, "weight", {4, 4}, counting(16));
            onnx::NodeProto& node = *model.mutable_graph()->add_node();
            node.set_op_type(std::string(rule.op));
            node.set_name("wrong");
            for (std::size_t i = 0; i < inputs; ++i) node.add_input(i == 0 ? "x" : of);
            node.add_output("y");
            for (const std::string name :
                 {"axis", "axes", "kernel_shape", "perm", "pads", "to", "group", "mode", "size"}) {
              onnx::AttributeProto& attribute = *node.add_attribute();
              attribute.set_name(name);
              if (name == "axis" || name == "to" || name == "group" || name == "size") {
                attribute.set_type(onnx::AttributeProto::INT);
                attribute.set_i(number);
              } else if (name == "mode") {
                attribute.set_type(onnx::AttributeProto::STRING);
                attribute.set_s("?");
              } else {
                attribute.set_type(onnx::AttributeProto::INTS);
                attribute.add_ints(number);
                attribute.add_ints(2);
              }
            }
            const std::string message = refusal(model);
            EXPECT_TRUE(message.empty() || message.find("model.onnx") != std::string::npos)
                << rule.op << ": " << message;
          }
        }
      }
    }
  }
}

TEST_F(OnnxModelTest, RefusesCirclesSizesAndFoldersOfOthers) {
  onnx::ModelProto circle = graph_of("g (float[N, 4] x) => (float[N, 4] y) { a = Add(x, b) b = Relu(a) y = Relu(b) }");
  EXPECT_THAT(refusal(circle), HasSubstr("depends on itself"));
  onnx::ModelProto huge = network();
  huge.mutable_graph()->mutable_initializer(0)->set_dims(0, Index{1} << 62);
  EXPECT_THAT(refusal(huge), HasSubstr("first"));
  onnx::ModelProto outside = network();
  onnx::TensorProto& tensor = *outside.mutable_graph()->mutable_initializer(0);
  tensor.clear_raw_data();
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  onnx::StringStringEntryProto& entry = *tensor.add_external_data();
  entry.set_key("location");
  for (const std::string location : {"../secret", "/etc/passwd", "a/../../secret", ""}) {
    entry.set_value(location);
    EXPECT_THAT(refusal(outside), HasSubstr("own folder")) << location;
  }
  std::filesystem::create_symlink("/etc/passwd", directory_ / "link");
  entry.set_value("link");
  EXPECT_THAT(refusal(outside), HasSubstr("own folder"));
  entry.set_value("data.bin");
  const std::vector<float> numbers = counting(20);
  Bytes bytes(20 * sizeof(float));
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  put("data.bin", bytes);
  EXPECT_EQ(refusal(outside), "");
  put("data.bin", Bytes(79));
  EXPECT_THAT(refusal(outside), HasSubstr("data.bin"));
}

}  // namespace
}  // namespace slopewise
