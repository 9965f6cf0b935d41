#include "apps/bench/onnx_model.hpp"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr int kOpset = 15;
constexpr int kIrVersion = 8;  // the first that has this opset
constexpr Index kPool = 2;     // height and width of what is pooled

// (rows, positions, channels) -> (rows, channels, positions). Slopewise keeps an image's channels last, ONNX before its
// height and width.
std::vector<float> channels_first(std::span<const float> values, Index positions, Index channels) {
  std::vector<float> moved(values.size());
  const Index row = positions * channels;
  for (Index i = 0; i < static_cast<Index>(values.size()); ++i) {
    const Index position = i % row / channels, channel = i % channels;
    moved[i / row * row + channel * positions + position] = values[i];
  }
  return moved;
}

// The file in the making: a chain of nodes, each made from the one before.
class Chain {
 public:
  Chain() {
    model_.set_ir_version(kIrVersion);
    model_.set_producer_name("slopewise");
    model_.add_opset_import()->set_version(kOpset);
    graph_->set_name("network");
  }

  void add_input(const std::string& name, int type, const std::vector<Index>& shape) {
    describe(*graph_->add_input(), name, type, shape);
  }
  // What the first node takes.
  void start(const std::string& input) { last_ = input; }
  // A node from the last one's output and further names; its own is `output`, or one of a series.
  onnx::NodeProto& add(const std::string& op, const std::vector<std::string>& further = {}, std::string output = "") {
    if (output.empty()) output = fmt::format("{}{}", op, graph_->node_size());
    onnx::NodeProto& node = *graph_->add_node();
    node.set_op_type(op);
    node.add_input(last_);
    for (const std::string& name : further) node.add_input(name);
    node.add_output(output);
    last_ = std::move(output);
    return node;
  }
  std::string add_weights(const std::string& name, const std::vector<Index>& shape, std::span<const float> values) {
    onnx::TensorProto& tensor = *graph_->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const Index extent : shape) tensor.add_dims(extent);
    tensor.set_raw_data(values.data(), values.size_bytes());
    return name;
  }
  void write(const std::filesystem::path& file) {
    describe(*graph_->add_output(), last_, onnx::TensorProto::FLOAT, {});
    std::ofstream stream(file, std::ios::binary);
    if (!model_.SerializeToOstream(&stream) || !stream.flush()) {
      throw FileError(fmt::format("{}: cannot write the ONNX model", file.string()));
    }
  }

 private:
  static void describe(onnx::ValueInfoProto& value, const std::string& name, int type,
                       const std::vector<Index>& shape) {
    value.set_name(name);
    onnx::TypeProto::Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape();
    for (const Index extent : shape) tensor.mutable_shape()->add_dim()->set_dim_value(extent);
  }

  onnx::ModelProto model_;
  onnx::GraphProto* graph_ = model_.mutable_graph();
  std::string last_;
};

void set(onnx::NodeProto& node, const std::string& name, Index value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void set(onnx::NodeProto& node, const std::string& name, const std::vector<Index>& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const Index value : values) attribute.add_ints(value);
}

}  // namespace

// A subject is convolutions, then one 2×2 pooling, or neither; then linear layers; with ReLU between any two layers.
void write_onnx_model(const std::filesystem::path& file, const BenchSubject& subject, std::span<const float> theta) {
  const ParameterLayout& layout = subject.program().layout();
  const auto segment = [&](Index number) -> const Segment& { return layout.segments[number]; };
  const auto values = [&](const Segment& which) {
    return theta.subspan(static_cast<std::size_t>(which.offset), static_cast<std::size_t>(which.size()));
  };
  const bool convolutional = segment(layout.blocks.front().weight).shape.rank() == 4;
  const Index batch = subject.batch_size();
  const Index pixels = static_cast<Index>(std::get<0>(subject.batch().inputs[0]).size()) / batch;
  Index side = std::lround(std::sqrt(static_cast<double>(pixels)));  // of the image that reaches a layer
  Index channels = 1;

  Chain chain;
  chain.add_input("image", onnx::TensorProto::FLOAT,
                  convolutional ? std::vector<Index>{batch, channels, side, side} : std::vector<Index>{batch, pixels});
  chain.add_input("label", onnx::TensorProto::INT32, {batch});
  chain.start("image");
  bool is_image = convolutional;
  for (const Block& block : layout.blocks) {
    const Segment& weight = segment(block.weight);
    const Segment& bias = segment(block.bias);
    const std::string bias_name = chain.add_weights(bias.name, bias.shape.extents(), values(bias));
    if (&block != &layout.blocks.front()) chain.add("Relu");
    if (weight.shape.rank() == 4) {
      const Index outputs = weight.shape[0], kernel = weight.shape[1];
      chain.add("Conv", {chain.add_weights(weight.name, {outputs, channels, kernel, kernel},
                                           channels_first(values(weight), kernel * kernel, channels)),
                         bias_name});
      channels = outputs;
      side -= kernel - 1;
      continue;
    }
    std::vector<float> matrix(values(weight).begin(), values(weight).end());
    if (is_image) {
      onnx::NodeProto& pool = chain.add("MaxPool");
      set(pool, "kernel_shape", {kPool, kPool});
      set(pool, "strides", {kPool, kPool});
      chain.add("Flatten");
      side /= kPool;
      matrix = channels_first(matrix, side * side, channels);
      is_image = false;
    }
    set(chain.add("Gemm", {chain.add_weights(weight.name, weight.shape.extents(), matrix), bias_name}), "transB", 1);
  }
  chain.add("SoftmaxCrossEntropyLoss", {"label"}, "loss");
  chain.write(file);
}

}  // namespace slopewise
