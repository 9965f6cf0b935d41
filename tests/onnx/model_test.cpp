// Models as people load them: what trains, and weights back into the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "slopewise/onnx/loss.hpp"
#include "slopewise/onnx/model.hpp"
#include "slopewise/program/check.hpp"
#include "tests/onnx/model_case.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

}  // namespace
}  // namespace slopewise
