// Files that are damaged, or made to harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/onnx/rules.hpp"
#include "tests/onnx/model_case.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;

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
  // No entries, and yet more before the axis of examples than can be counted with it.
  EXPECT_EQ(refusal(graph_of(R"(g (float[4294967296, 4294967296, 0] x) => (float[4294967296, 0] y) {
    t = Transpose<perm = [1, 0, 2]>(x)
    s = Constant<value = int64[2] {4294967296, 0}>()
    y = Reshape<allowzero = 1>(t, s)
  })",
                             14)),
            "");
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
