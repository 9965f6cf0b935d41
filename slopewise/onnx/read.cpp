// From the bytes of an ONNX file to an OnnxGraph: sizes are believed only as far as there are bytes for them.
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx_pb.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/onnx/graph.hpp"

namespace slopewise {
namespace {

// Operators changed much before.
constexpr int kFirstOpset = 7;
// Protobuf's own limit on a message.
constexpr std::uint64_t kLargestFile = (std::uint64_t{1} << 31) - 1;
// Branches within branches.
constexpr int kDeepest = 16;

float half_to_float(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::nanf("");
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                               : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25));
}
float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

class Reader {
 public:
  // `folder`: where external data may lie; none: nowhere.
  Reader(std::filesystem::path file, std::optional<std::filesystem::path> folder)
      : file_(std::move(file)), folder_(std::move(folder)) {
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
    end.type = type_of(info.type().tensor_type().elem_type());
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

  static OnnxType type_of(int type) {
    switch (type) {
      case onnx::TensorProto::FLOAT:
        return OnnxType::kFloat;
      case onnx::TensorProto::DOUBLE:
        return OnnxType::kDouble;
      case onnx::TensorProto::FLOAT16:
        return OnnxType::kHalf;
      case onnx::TensorProto::BFLOAT16:
        return OnnxType::kBfloat16;
      case onnx::TensorProto::BOOL:
        return OnnxType::kBoolean;
      case onnx::TensorProto::INT8:
      case onnx::TensorProto::INT16:
      case onnx::TensorProto::INT32:
      case onnx::TensorProto::INT64:
      case onnx::TensorProto::UINT8:
      case onnx::TensorProto::UINT16:
      case onnx::TensorProto::UINT32:
      case onnx::TensorProto::UINT64:
        return OnnxType::kInteger;
      default:
        return OnnxType::kOther;
    }
  }

  void add_initializer(const onnx::TensorProto& tensor, bool constant = false) {
    if (tensor.name().empty()) fail("an initializer has no name");
    std::shared_ptr<OnnxTensor> made = read_tensor(tensor, tensor.name());
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
        made = read_tensor(attribute.t(), name);
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
          value = std::shared_ptr<const OnnxTensor>(read_tensor(attribute.t(), read.name + "." + attribute.name()));
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

  std::shared_ptr<OnnxTensor> read_tensor(const onnx::TensorProto& tensor, const std::string& name) const {
    auto made = std::make_shared<OnnxTensor>();
    made->type = type_of(tensor.data_type());
    Index size = 1;
    for (const std::int64_t extent : tensor.dims()) {
      if (extent < 0 || __builtin_mul_overflow(size, extent, &size))
        fail(fmt::format("tensor '{}': shape ({}) has no size", name, fmt::join(tensor.dims(), ", ")));
      made->dims.push_back(extent);
    }
    if (made->type == OnnxType::kOther) {
      fail(fmt::format(
          "tensor '{}': type {} is not supported; numbers and Booleans are", name,
          onnx::TensorProto::DataType_IsValid(tensor.data_type())
              ? onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(tensor.data_type()))
              : std::to_string(tensor.data_type())));
    }
    const std::string external = external_bytes(tensor, name);
    const bool outside = tensor.data_location() == onnx::TensorProto::EXTERNAL;
    std::string location;
    for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
      if (outside && entry.key() == "location") location = fmt::format(" in '{}'", entry.value());
    }
    const std::string& raw = outside ? external : tensor.raw_data();
    const auto take = [&](auto like, const auto& typed) {
      using Stored = decltype(like);
      std::vector<Stored> values;
      if (outside || tensor.has_raw_data()) {
        if (raw.size() != static_cast<std::uint64_t>(size) * sizeof(Stored) ||
            static_cast<std::uint64_t>(size) > raw.size()) {
          fail(fmt::format("tensor '{}'{}: shape ({}) wants {} numbers of {} bytes, found {} bytes", name, location,
                           fmt::join(tensor.dims(), ", "), size, sizeof(Stored), raw.size()));
        }
        values.resize(static_cast<std::size_t>(size));
        if (size > 0) std::memcpy(values.data(), raw.data(), raw.size());
      } else {
        if (typed.size() != size) {
          fail(fmt::format("tensor '{}': shape ({}) wants {} numbers, found {}", name, fmt::join(tensor.dims(), ", "),
                           size, typed.size()));
        }
        values.reserve(static_cast<std::size_t>(size));
        for (const auto value : typed) values.push_back(static_cast<Stored>(value));
      }
      return values;
    };
    const auto integers = [&](auto like) {
      const auto values = take(like, tensor.int32_data());
      made->numbers = std::vector<std::int64_t>(values.begin(), values.end());
    };
    const auto halves = [&](float (*widen)(std::uint16_t)) {
      const auto bits = take(std::uint16_t{}, tensor.int32_data());
      std::vector<float> values;
      values.reserve(bits.size());
      for (const std::uint16_t each : bits) values.push_back(widen(each));
      made->numbers = std::move(values);
    };
    switch (tensor.data_type()) {
      case onnx::TensorProto::FLOAT:
        made->numbers = take(float{}, tensor.float_data());
        break;
      case onnx::TensorProto::DOUBLE:
        made->numbers = take(double{}, tensor.double_data());
        break;
      case onnx::TensorProto::FLOAT16:
        halves(half_to_float);
        break;
      case onnx::TensorProto::BFLOAT16:
        halves(bfloat16_to_float);
        break;
      case onnx::TensorProto::INT64:
        made->numbers = take(std::int64_t{}, tensor.int64_data());
        break;
      case onnx::TensorProto::UINT64:
      case onnx::TensorProto::UINT32: {
        const bool wide = tensor.data_type() == onnx::TensorProto::UINT64;
        std::vector<std::int64_t> values;
        if (wide) {
          for (const std::uint64_t value : take(std::uint64_t{}, tensor.uint64_data())) {
            values.push_back(static_cast<std::int64_t>(
                std::min<std::uint64_t>(value, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))));
          }
        } else {
          for (const std::uint32_t value : take(std::uint32_t{}, tensor.uint64_data())) values.push_back(value);
        }
        made->numbers = std::move(values);
        break;
      }
      case onnx::TensorProto::INT32:
        integers(std::int32_t{});
        break;
      case onnx::TensorProto::INT16:
        integers(std::int16_t{});
        break;
      case onnx::TensorProto::INT8:
        integers(std::int8_t{});
        break;
      case onnx::TensorProto::UINT16:
        integers(std::uint16_t{});
        break;
      default:  // UINT8, BOOL
        integers(std::uint8_t{});
        break;
    }
    return made;
  }

  // The bytes of a tensor that lies in another file, which must be in this one's folder.
  std::string external_bytes(const onnx::TensorProto& tensor, const std::string& name) const {
    if (tensor.data_location() != onnx::TensorProto::EXTERNAL) return {};
    if (!folder_) fail(fmt::format("tensor '{}': its data lie in another file, and a model in memory has none", name));
    std::string location;
    std::uint64_t offset = 0, length = 0;
    bool whole = true;
    const auto number = [&](const std::string& text) {
      std::size_t used = 0;
      std::uint64_t value = 0;
      try {
        value = std::stoull(text, &used);
      } catch (const std::exception&) {
        used = 0;
      }
      if (used == 0 || used != text.size() || text[0] == '-')
        fail(fmt::format("tensor '{}': '{}' is no offset or length of external data", name, text));
      return value;
    };
    for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
      if (entry.key() == "location") location = entry.value();
      if (entry.key() == "offset") offset = number(entry.value());
      if (entry.key() == "length") {
        length = number(entry.value());
        whole = false;
      }
    }
    const std::filesystem::path relative = std::filesystem::path(location).lexically_normal();
    const std::filesystem::path path = std::filesystem::weakly_canonical(*folder_ / relative);
    const auto [end, rest] = std::mismatch(folder_->begin(), folder_->end(), path.begin(), path.end());
    if (location.empty() || relative.is_absolute() || end != folder_->end()) {
      fail(fmt::format("tensor '{}': its data are said to be in '{}', expected a file in the model's own folder", name,
                       location));
    }
    const InputFile outside(path);
    const std::uint64_t size = outside.size();
    if (offset > size)
      fail(fmt::format("tensor '{}': '{}' has {} bytes, its data start at {}", name, path.string(), size, offset));
    if (whole) length = size - offset;
    if (length > size - offset) {
      fail(fmt::format("tensor '{}': '{}' has {} bytes, its data are {} bytes from {} on", name, path.string(), size,
                       length, offset));
    }
    std::string bytes(length, '\0');
    outside.read(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    return bytes;
  }

  std::filesystem::path file_;
  std::optional<std::filesystem::path> folder_;
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
