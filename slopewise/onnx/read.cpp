// From the bytes of an ONNX file to an OnnxGraph: sizes are believed only as far as there are bytes for them.
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/onnx/graph.hpp"
#include "slopewise/onnx/read_tensor.hpp"

namespace slopewise {
namespace {

// Operators changed much before.
constexpr int kFirstOpset = 7;
// Protobuf's own limit on a message.
constexpr std::uint64_t kLargestFile = (std::uint64_t{1} << 31) - 1;
// Branches within branches.
constexpr int kDeepest = 16;

class Reader {
 public:
  // `folder`: where external data may lie; none: nowhere.
  Reader(std::filesystem::path file, std::optional<std::filesystem::path> folder)
      : file_(std::move(file)), tensors_(file_, std::move(folder)) {
    graph_.file = file_;
  }

  OnnxGraph read_file() {
    const InputFile input(file_);
    require_size(input.size());
    std::vector<std::uint8_t> bytes(input.size());
    input.read(0, bytes);
    return read(bytes);
  }

  OnnxGraph read(std::span<const std::uint8_t> bytes) {
    require_size(bytes.size());
    onnx::ModelProto model;
    google::protobuf::io::CodedInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
    stream.SetTotalBytesLimit(std::numeric_limits<int>::max());
    if (!model.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
      fail("expected an ONNX model (a protobuf message); the file is cut short or is something else");
    }
    if (!model.has_graph()) fail("it holds no graph");
    graph_.producer = model.producer_name();
    for (const onnx::OperatorSetIdProto& set : model.opset_import()) {
      if (set.domain().empty() || set.domain() == "ai.onnx")
        graph_.opset = static_cast<int>(std::clamp<std::int64_t>(set.version(), 0, 1000));
    }
    if (graph_.opset < kFirstOpset) {
      fail(fmt::format("it is written in operator set {} of ONNX, expected one from {} on", graph_.opset, kFirstOpset));
    }
    for (const onnx::FunctionProto& function : model.functions())
      graph_.functions.emplace(function.domain(), function.name());
    read_graph(model.graph());
    return std::move(graph_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw FileError(fmt::format("{}: {}", file_.string(), message));
  }

  void require_size(std::uint64_t size) const {
    if (size > kLargestFile)
      fail(fmt::format("it has {} bytes, more than a protobuf message may have ({})", size, kLargestFile));
  }

  void read_graph(const onnx::GraphProto& graph) {
    for (const onnx::TensorProto& tensor : graph.initializer()) add_initializer(tensor);
    if (graph.sparse_initializer_size() > 0) fail("sparse initializers are not supported");
    std::set<std::string> known;
    for (const auto& [name, tensor] : graph_.initializers) known.insert(name);
    for (const onnx::ValueInfoProto& input : graph.input()) {
      if (graph_.initializers.contains(input.name())) continue;  // a default value: files before IR 4 list them so
      graph_.inputs.push_back(end_of(input));
      known.insert(input.name());
    }
    for (const onnx::NodeProto& node : graph.node()) {
      if (node.op_type() == "Constant" && node.domain().empty()) {
        add_constant(node);
      } else {
        graph_.nodes.push_back(node_of(node));
      }
      for (const std::string& output : node.output()) {
        if (!output.empty() && !known.insert(output).second) fail(fmt::format("two nodes make '{}'", output));
      }
    }
    order_nodes();
    for (const onnx::ValueInfoProto& output : graph.output()) {
      if (!known.contains(output.name())) fail(fmt::format("no node makes the output '{}'", output.name()));
      graph_.outputs.push_back(end_of(output));
    }
    if (graph_.outputs.empty()) fail("its graph has no output");
  }

  // ONNX asks for nodes in order, and this puts those of files that break the rule in order; a circle has none.
  void order_nodes() {
    std::map<std::string, std::size_t> maker;
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      for (const std::string& output : graph_.nodes[i].outputs) maker[output] = i;
    }
    std::set<std::string> outside;
    for (const auto& [name, tensor] : graph_.initializers) outside.insert(name);
    for (const OnnxEnd& input : graph_.inputs) outside.insert(input.name);

    enum class State : char { kNew, kOpen, kDone };
    std::vector<State> states(graph_.nodes.size(), State::kNew);
    std::vector<OnnxNode> ordered;
    std::vector<std::pair<std::size_t, std::size_t>> stack;  // a node, and how many of its inputs were followed
    for (std::size_t start = 0; start < graph_.nodes.size(); ++start) {
      if (states[start] != State::kNew) continue;
      stack.emplace_back(start, 0);
      states[start] = State::kOpen;
      while (!stack.empty()) {
        const std::size_t i = stack.back().first;
        if (stack.back().second == graph_.nodes[i].inputs.size()) {
          states[i] = State::kDone;
          ordered.push_back(graph_.nodes[i]);
          stack.pop_back();
          continue;
        }
        const std::string& input = graph_.nodes[i].inputs[stack.back().second++];
        if (input.empty() || outside.contains(input)) continue;
        const auto found = maker.find(input);
        if (found == maker.end()) {
          fail(fmt::format("{} node '{}' reads '{}', which nothing makes", graph_.nodes[i].op, graph_.nodes[i].name,
                           input));
        }
        if (states[found->second] == State::kOpen) {
          fail(fmt::format("{} node '{}' depends on itself, by '{}'", graph_.nodes[i].op, graph_.nodes[i].name, input));
        }
        if (states[found->second] == State::kNew) {
          states[found->second] = State::kOpen;
          stack.emplace_back(found->second, 0);
        }
      }
    }
    graph_.nodes = std::move(ordered);
  }

  OnnxEnd end_of(const onnx::ValueInfoProto& info) const {
    OnnxEnd end{.name = info.name()};
    if (!info.type().has_tensor_type()) fail(fmt::format("'{}' is no tensor", info.name()));
    end.type = onnx_type(info.type().tensor_type().elem_type());
    end.has_shape = info.type().tensor_type().has_shape();
    for (const auto& dim : info.type().tensor_type().shape().dim()) {
      if (dim.has_dim_value() && dim.dim_value() >= 0) {
        end.axes.push_back({.extent = dim.dim_value()});
      } else {
        end.axes.push_back({.symbol = dim.dim_param()});
      }
    }
    return end;
  }

  void add_initializer(const onnx::TensorProto& tensor, bool constant = false) {
    if (tensor.name().empty()) fail("an initializer has no name");
    std::shared_ptr<OnnxTensor> made = tensors_.read(tensor, tensor.name());
    made->constant = constant;
    if (!graph_.initializers.emplace(tensor.name(), std::move(made)).second)
      fail(fmt::format("two initializers are called '{}'", tensor.name()));
  }

  // A Constant node is as good as an initializer, but for its name, which nobody chose.
  void add_constant(const onnx::NodeProto& node) {
    if (node.output_size() != 1)
      fail(fmt::format("Constant node '{}' has {} outputs, expected 1", node.name(), node.output_size()));
    const std::string& name = node.output(0);
    std::shared_ptr<OnnxTensor> made;
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == "value") {
        made = tensors_.read(attribute.t(), name);
      } else if (attribute.name() == "value_float") {
        made = std::make_shared<OnnxTensor>(OnnxTensor{OnnxType::kFloat, {}, std::vector<float>{attribute.f()}});
      } else if (attribute.name() == "value_floats") {
        made = std::make_shared<OnnxTensor>(
            OnnxTensor{OnnxType::kFloat,
                       {attribute.floats_size()},
                       std::vector<float>(attribute.floats().begin(), attribute.floats().end())});
      } else if (attribute.name() == "value_int") {
        made =
            std::make_shared<OnnxTensor>(OnnxTensor{OnnxType::kInteger, {}, std::vector<std::int64_t>{attribute.i()}});
      } else if (attribute.name() == "value_ints") {
        made = std::make_shared<OnnxTensor>(
            OnnxTensor{OnnxType::kInteger,
                       {attribute.ints_size()},
                       std::vector<std::int64_t>(attribute.ints().begin(), attribute.ints().end())});
      }
    }
    if (!made) fail(fmt::format("Constant node '{}' holds no numbers", node.name()));
    made->constant = true;
    if (!graph_.initializers.emplace(name, std::move(made)).second)
      fail(fmt::format("two tensors are called '{}'", name));
  }

  OnnxNode node_of(const onnx::NodeProto& node, int depth = 0) {
    if (node.op_type().empty() || node.domain() == "slopewise")
      fail(fmt::format("node '{}' has no operator", node.name()));
    OnnxNode read{.op = node.op_type(),
                  .domain = node.domain() == "ai.onnx" ? "" : node.domain(),
                  .name = node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name(),
                  .inputs = {node.input().begin(), node.input().end()},
                  .outputs = {node.output().begin(), node.output().end()}};
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      OnnxAttribute value;
      switch (attribute.type()) {
        case onnx::AttributeProto::INT:
          value = attribute.i();
          break;
        case onnx::AttributeProto::FLOAT:
          value = attribute.f();
          break;
        case onnx::AttributeProto::STRING:
          value = attribute.s();
          break;
        case onnx::AttributeProto::INTS:
          value = std::vector<std::int64_t>(attribute.ints().begin(), attribute.ints().end());
          break;
        case onnx::AttributeProto::FLOATS:
          value = std::vector<float>(attribute.floats().begin(), attribute.floats().end());
          break;
        case onnx::AttributeProto::STRINGS:
          value = std::vector<std::string>(attribute.strings().begin(), attribute.strings().end());
          break;
        case onnx::AttributeProto::TENSOR:
          value = std::shared_ptr<const OnnxTensor>(tensors_.read(attribute.t(), read.name + "." + attribute.name()));
          break;
        case onnx::AttributeProto::GRAPH:
          // Other control flow is refused by name.
          if (read.op != "If" || (attribute.name() != "then_branch" && attribute.name() != "else_branch")) continue;
          if (read.attributes.contains(attribute.name()))
            fail(fmt::format("node '{}' has two of {}", read.name, attribute.name()));
          value = branch_of(attribute.g(), read.inputs, depth + 1);
          break;
        default:
          continue;
      }
      read.attributes.emplace(attribute.name(), std::move(value));
    }
    return read;
  }

  using Renamed = std::map<std::string, std::string>;

  static void rename(std::vector<std::string>& names, const Renamed& renamed) {
    for (std::string& name : names) {
      if (const auto found = renamed.find(name); found != renamed.end()) name = found->second;
    }
  }
  static void rename(OnnxNode& node, const Renamed& renamed) {
    rename(node.inputs, renamed);
    rename(node.outputs, renamed);
    for (auto& [name, attribute] : node.attributes) {
      auto* branch = std::get_if<std::shared_ptr<const OnnxBranch>>(&attribute);
      if (!branch) continue;
      auto own = std::make_shared<OnnxBranch>(**branch);
      for (OnnxNode& inner : own->nodes) rename(inner, renamed);
      rename(own->outputs, renamed);
      *branch = std::move(own);
    }
  }

  // A branch, and to `inputs` what it reads from outside. What it makes is called otherwise than anything outside or in
  // another branch, where ONNX lets the same name stand again.
  std::shared_ptr<const OnnxBranch> branch_of(const onnx::GraphProto& graph, std::vector<std::string>& inputs,
                                              int depth) {
    if (depth > kDeepest) fail(fmt::format("branches within branches, more than {} deep", kDeepest));
    if (graph.input_size() > 0 || graph.sparse_initializer_size() > 0)
      fail(fmt::format("branch '{}' has inputs of its own or sparse initializers", graph.name()));
    const std::string mark = fmt::format("@{}", ++branches_);
    Renamed renamed;
    const auto own = [&](const std::string& name) {
      if (!name.empty() && !renamed.emplace(name, name + mark).second)
        fail(fmt::format("two nodes of branch '{}' make '{}'", graph.name(), name));
    };
    for (const onnx::TensorProto& tensor : graph.initializer()) own(tensor.name());
    for (const onnx::NodeProto& node : graph.node()) std::ranges::for_each(node.output(), own);
    for (onnx::TensorProto tensor : graph.initializer()) {
      tensor.set_name(tensor.name() + mark);
      add_initializer(tensor, true);
    }
    auto branch = std::make_shared<OnnxBranch>();
    for (const onnx::NodeProto& node : graph.node()) {
      if (node.op_type() == "Constant" && node.domain().empty()) {
        onnx::NodeProto constant = node;
        if (constant.output_size() == 1) constant.set_output(0, node.output(0) + mark);
        add_constant(constant);
      } else {
        branch->nodes.push_back(node_of(node, depth));
        rename(branch->nodes.back(), renamed);
      }
    }
    for (const onnx::ValueInfoProto& output : graph.output()) branch->outputs.push_back(output.name());
    rename(branch->outputs, renamed);
    std::set<std::string> made, known(inputs.begin(), inputs.end());
    for (const OnnxNode& node : branch->nodes) made.insert(node.outputs.begin(), node.outputs.end());
    const auto read = [&](const std::string& name) {
      if (!name.empty() && !made.contains(name) && known.insert(name).second) inputs.push_back(name);
    };
    for (const OnnxNode& node : branch->nodes) std::ranges::for_each(node.inputs, read);
    std::ranges::for_each(branch->outputs, read);
    return branch;
  }

  std::filesystem::path file_;
  TensorReader tensors_;
  OnnxGraph graph_;
  int branches_ = 0;  // that were read
};

}  // namespace

OnnxGraph read_onnx(const std::filesystem::path& file) {
  return Reader(file, std::filesystem::weakly_canonical(std::filesystem::absolute(file)).parent_path()).read_file();
}

OnnxGraph read_onnx(std::span<const std::uint8_t> bytes, const std::string& name) {
  return Reader(name, std::nullopt).read(bytes);
}

}  // namespace slopewise
