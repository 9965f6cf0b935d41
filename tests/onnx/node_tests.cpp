// ONNX's own node tests (Debian: libonnx-testdata): one operator each, with inputs and the outputs expected.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/onnx/fusions.hpp"
#include "slopewise/onnx/rules.hpp"
#include "tests/onnx/models.hpp"

namespace slopewise {
namespace {

const std::filesystem::path kFolder = "/usr/share/libonnx-testdata/data/node";

onnx::TensorProto read_tensor(const std::filesystem::path& path) {
  onnx::TensorProto tensor;
  std::ifstream file(path, std::ios::binary);
  if (!tensor.ParseFromIstream(&file)) throw std::runtime_error("no tensor: " + path.string());
  return tensor;
}

// A tensor of numbers as read_onnx gives it; none for text, complex numbers, sequences.
std::shared_ptr<const OnnxTensor> tensor_of(const onnx::TensorProto& proto, const std::filesystem::path& scratch) {
  onnx::ModelProto model = graph_of("g (float[N] x) => (float[N] x) {}");
  *model.mutable_graph()->add_initializer() = proto;
  model.mutable_graph()->mutable_initializer(0)->set_name("t");
  write_model(model, scratch);
  try {
    return read_onnx(scratch).initializers.at("t");
  } catch (const FileError&) {
    return nullptr;
  }
}

struct Case {
  std::filesystem::path model;
  std::vector<std::string> inputs;
  std::vector<std::shared_ptr<const OnnxTensor>> given, expected;
};

// How inputs are taken: an example is the whole or the first axis counts examples; numbers are data, or the first input
// alone, or, where it is integers, all numbers and these.
struct Way {
  bool whole, first_alone, integers, none = false;
};
constexpr Way kWays[] = {{true, false, false},  {true, true, false},  {true, false, true},  {true, true, true},
                         {false, false, false}, {false, true, false}, {false, false, true}, {true, false, false, true}};

// "" where every output is as expected; why not, and whether a value was wrong.
struct Outcome {
  std::string why;
  bool wrong = false;
};

Outcome run_case(const Case& one, const Way& way) {
  OnnxOptions options{.whole = way.whole};
  std::vector<std::vector<double>> numbers;
  std::vector<std::vector<std::int32_t>> integers;
  std::vector<bool> is_number;
  Index rows = 1;
  for (std::size_t i = 0; i < one.given.size(); ++i) {
    const OnnxTensor& tensor = *one.given[i];
    const bool data = !way.none && (tensor.floating() || way.integers) && (!way.first_alone || i == 0);
    if (!data) {
      options.fixed[one.inputs[i]] = one.given[i];
      continue;
    }
    if (!way.whole) {
      if (tensor.dims.empty()) return {"a number has no examples"};
      rows = tensor.dims[0];
    }
    is_number.push_back(tensor.floating());
    if (tensor.floating()) {
      numbers.push_back(tensor.as<double>());
    } else {
      integers.emplace_back();
      for (const std::int64_t value : tensor.as<std::int64_t>())
        integers.back().push_back(static_cast<std::int32_t>(value));
    }
  }
  if (rows < 1) return {"no examples"};
  const OnnxGraph graph = read_onnx(one.model);
  for (std::size_t o = 0; o < one.expected.size(); ++o) {
    if (!one.expected[o]) return {"an output of text"};
    options.output = graph.outputs.at(o).name;
    try {
      const OnnxModel model = load_onnx(one.model, options);
      Batch<double> batch{.rows = rows};
      std::size_t n = 0, k = 0;
      std::set<std::string> used;
      for (const OnnxInput& input : model.inputs()) used.insert(input.name);
      for (std::size_t i = 0, d = 0; i < one.given.size(); ++i) {
        if (options.fixed.contains(one.inputs[i])) continue;
        const bool number = is_number[d++];
        const std::size_t at = number ? n++ : k++;
        if (!used.contains(one.inputs[i])) continue;
        if (number) {
          batch.inputs.emplace_back(std::span<const double>(numbers[at]));
        } else {
          batch.inputs.emplace_back(std::span<const std::int32_t>(integers[at]));
        }
      }
      const std::vector<double> found = output_of<double>(model, model.initial<double>(), batch);
      const std::vector<double> wanted = one.expected[o]->as<double>();
      if (found.size() != wanted.size())
        return {fmt::format("output {}: {} entries, expected {}", o, found.size(), wanted.size()), true};
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double scale = one.expected[o]->type == OnnxType::kHalf ? 2e-3 : 1e-3;  // ONNX's own
        const bool same = found[i] == wanted[i] || (std::isnan(found[i]) && std::isnan(wanted[i])) ||
                          std::fabs(found[i] - wanted[i]) <= scale * std::fabs(wanted[i]) + 1e-5;
        if (!same) return {fmt::format("output {}, entry {}: {}, expected {}", o, i, found[i], wanted[i]), true};
      }
    } catch (const NumericError& error) {
      return {error.what()};
    } catch (const Error& error) {
      return {error.what()};
    }
  }
  return {};
}

TEST(OnnxNodeTests, PassOfTheOperatorsTaken) {
  if (!std::filesystem::exists(kFolder)) GTEST_SKIP() << "the Debian package libonnx-testdata is not installed";
  const std::filesystem::path scratch = testing::TempDir();
  std::map<std::string, int> passed, failed;
  std::vector<std::string> wrong, refused;
  std::map<std::string, int> not_taken;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    Case one{.model = entry.path() / "model.onnx"};
    onnx::ModelProto proto;
    std::ifstream file(one.model, std::ios::binary);
    if (!proto.ParseFromIstream(&file)) continue;
    std::string op = proto.graph().node_size() > 0 ? proto.graph().node(proto.graph().node_size() - 1).op_type() : "";
    if (proto.opset_import(0).version() < 7) continue;  // operators of before are not taken
    bool taken = true, tensors = true;
    for (const auto& node : proto.graph().node()) {
      const bool known = node.op_type() == "Constant" || find_rule({.op = node.op_type(), .domain = node.domain()});
      if (!known) {
        ++not_taken[node.op_type()];
        taken = false;
      }
    }
    for (const auto& input : proto.graph().input()) tensors = tensors && input.type().has_tensor_type();
    for (const auto& output : proto.graph().output()) tensors = tensors && output.type().has_tensor_type();
    if (!taken || !tensors) continue;
    const auto data = entry.path() / "test_data_set_0";
    for (int i = 0; i < proto.graph().input_size(); ++i) {
      one.inputs.push_back(proto.graph().input(i).name());
      one.given.push_back(tensor_of(read_tensor(data / fmt::format("input_{}.pb", i)), scratch / "t.onnx"));
      tensors = tensors && one.given.back();
    }
    for (int i = 0; i < proto.graph().output_size(); ++i) {
      one.expected.push_back(tensor_of(read_tensor(data / fmt::format("output_{}.pb", i)), scratch / "t.onnx"));
      tensors = tensors && one.expected.back();
    }
    if (!tensors) continue;
    // Data of Bfloat16 are stored as integers of its bits in some of these.
    for (std::size_t i = 0; i < one.given.size(); ++i) {
      const int declared = proto.graph().input(static_cast<int>(i)).type().tensor_type().elem_type();
      tensors = tensors && declared != onnx::TensorProto::BFLOAT16;
    }
    for (const auto& output : proto.graph().output())
      tensors = tensors && output.type().tensor_type().elem_type() != onnx::TensorProto::BFLOAT16;
    // The reference of these takes a width of 2.4 or 3.2 pixels where ONNX says that it is a whole number.
    const std::string name = entry.path().filename().string();
    const bool parted = name.starts_with("test_resize_downsample_scales_") && name.ends_with("_align_corners");
    if (!tensors || parted) continue;
    std::string first;
    bool good = false;
    for (const Way& way : kWays) {
      const Outcome outcome = run_case(one, way);
      if (outcome.wrong) {
        wrong.push_back(fmt::format("{}: {}", entry.path().filename().string(), outcome.why));
        break;
      }
      if (outcome.why.empty()) {
        good = true;
        break;
      }
      if (first.empty()) first = outcome.why;
    }
    ++(good ? passed : failed)[op];
    if (!good) refused.push_back(fmt::format("{}: {}", entry.path().filename().string(), first));
  }
  int all = 0, good = 0;
  for (const auto& [op, count] : passed) good += count, all += count;
  for (const auto& [op, count] : failed) all += count;
  fmt::print("{} of {} node tests pass\n", good, all);
  for (const std::string& line : refused) fmt::print("not passed  {}\n", line);
  for (const std::string& line : wrong) fmt::print("WRONG  {}\n", line);
  for (const auto& [op, count] : not_taken) fmt::print("not taken  {} {}\n", op, count);
  EXPECT_GE(onnx_rules().size(), 90U);
  EXPECT_TRUE(wrong.empty());
  EXPECT_GE(good, 0.95 * all);
}

}  // namespace
}  // namespace slopewise
