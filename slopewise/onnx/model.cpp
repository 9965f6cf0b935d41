#include "slopewise/onnx/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/onnx/fusions.hpp"
#include "slopewise/program/narrow.hpp"

namespace slopewise {
namespace {

// Why a tensor of floating point is no weight; "" where it may be one.
std::string constant_reason(const OnnxTensor& tensor) {
  const std::vector<double> numbers = tensor.as<double>();
  if (std::any_of(numbers.begin(), numbers.end(), [](double x) { return !std::isfinite(x); }))
    return "a mask: it holds infinities";
  if (tensor.dims.size() >= 2 && numbers.size() >= 4) {
    const std::set<double> values(numbers.begin(), numbers.begin() + 4);
    const double low = std::ranges::min(numbers), high = std::ranges::max(numbers);
    if (values.size() <= 2 && low != high &&
        std::all_of(numbers.begin(), numbers.end(), [&](double x) { return x == low || x == high; }))
      return "a mask: it holds two numbers";
  }
  return "";
}

constexpr std::size_t kMostTables = 64;

// Pairs of tables c and s of one shape with c² + s² = 1 everywhere are those of rotary positions.
void find_sines(const OnnxGraph& graph, std::map<std::string, std::string>& constants) {
  std::map<std::vector<Index>, std::vector<std::string>> by_shape;
  for (const auto& [name, tensor] : graph.initializers) {
    if (!tensor->floating() || tensor->dims.size() < 2 || tensor->size() < 2) continue;
    const std::vector<double> numbers = tensor->as<double>();
    const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
    if (*low >= -1 && *high <= 1 && *low != *high)  // all ones and all zeros are gains and biases
      by_shape[tensor->dims].push_back(name);
  }
  for (const auto& [dims, names] : by_shape) {
    if (names.size() > kMostTables) continue;  // as many are weights
    std::vector<std::vector<double>> tables;
    for (const std::string& name : names) tables.push_back(graph.initializers.at(name)->as<double>());
    for (std::size_t a = 0; a < names.size(); ++a) {
      for (std::size_t b = a + 1; b < names.size(); ++b) {
        const auto circle = [&](std::size_t i) {
          return std::fabs(tables[a][i] * tables[a][i] + tables[b][i] * tables[b][i] - 1) < 1e-3;
        };
        bool all = true;
        for (std::size_t i = 0; i < tables[a].size() && all; ++i) all = circle(i);
        if (all) constants[names[a]] = constants[names[b]] = "a table of sines and cosines";
      }
    }
  }
}

// Only what the output is made of.
void prune(OnnxGraph& graph) {
  std::set<std::string> needed{graph.outputs[0].name};
  std::vector<OnnxNode> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::none_of(node->outputs.begin(), node->outputs.end(),
                     [&](const auto& output) { return needed.contains(output); }))
      continue;
    needed.insert(node->inputs.begin(), node->inputs.end());
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  std::erase_if(graph.initializers, [&](const auto& each) { return !needed.contains(each.first); });
  std::erase_if(graph.inputs, [&](const OnnxEnd& input) { return !needed.contains(input.name); });
}

void choose_output(OnnxGraph& graph, const std::string& name) {
  if (!name.empty()) {
    std::vector<std::string> names;
    for (const OnnxEnd& output : graph.outputs) names.push_back(output.name);
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw ArgumentError(
          fmt::format("{}: no output is called '{}'{}", graph.file.string(), name, suggestion(name, names)));
    }
    graph.outputs = {graph.outputs[found - names.begin()]};
  }
  graph.outputs.resize(1);
}

struct Training {
  std::function<bool(const std::string& name, Role role, bool head)> trains;
  LowRank adapters;
};

Training training_of(const std::string& text) {
  Training training;
  const auto pattern = [](const std::string& regex) {
    try {
      return std::regex(regex);
    } catch (const std::regex_error& error) {
      throw ArgumentError(fmt::format("what trains: '{}' is no regular expression ({})", regex, error.what()));
    }
  };
  if (text == "all") {
    training.trains = [](const std::string&, Role, bool) { return true; };
  } else if (text == "head") {
    training.trains = [](const std::string&, Role, bool head) { return head; };
  } else if (text == "norms") {
    training.trains = [](const std::string&, Role role, bool) { return role == Role::kNorm; };
  } else if (text == "biases") {
    training.trains = [](const std::string& name, Role role, bool) {
      return role == Role::kBias || (role == Role::kNorm && name.ends_with("bias"));
    };
  } else if (text.starts_with("lora:")) {
    const std::string rest = text.substr(5);
    const std::size_t colon = rest.find(':');
    const std::string rank = rest.substr(0, colon);
    if (rank.empty() || rank.size() > 6 ||
        !std::all_of(rank.begin(), rank.end(), [](char c) { return c >= '0' && c <= '9'; }) || std::stoi(rank) < 1) {
      throw ArgumentError(
          fmt::format("what trains: '{}': expected lora:RANK or lora:RANK:REGEX, RANK from 1 on", text));
    }
    training.adapters.rank = std::stoi(rank);
    training.adapters.alpha = static_cast<double>(training.adapters.rank);
    if (colon != std::string::npos) training.adapters.pattern = rest.substr(colon + 1);
    pattern(training.adapters.pattern);
    training.trains = [](const std::string&, Role, bool) { return false; };
  } else {
    const std::regex regex = pattern(text);
    training.trains = [regex](const std::string& name, Role, bool) { return std::regex_search(name, regex); };
  }
  return training;
}

}  // namespace

OnnxModel load_onnx(const std::filesystem::path& file, const OnnxOptions& options) {
  OnnxModel model(read_onnx(file));
  model.checksum_ = checksum_of(read_bytes(file));
  model.build(options);
  return model;
}

OnnxModel load_onnx(std::span<const std::uint8_t> bytes, const std::string& name, const OnnxOptions& options) {
  OnnxModel model(read_onnx(bytes, name));
  model.build(options);
  model.bytes_.assign(bytes.begin(), bytes.end());
  model.checksum_ = checksum_of(bytes);
  return model;
}

void OnnxModel::build(const OnnxOptions& options) {
  OnnxGraph& graph = graph_;
  choose_output(graph, options.output);
  prune(graph);
  if (options.fuse) fusions_ = fuse(graph);

  Training training = training_of(options.train);
  Builder builder;
  ImportSettings settings{std::move(training.trains), training.adapters};
  const auto fail = [&](const std::string& why) { throw ArgumentError(fmt::format("{}: {}", file().string(), why)); };
  for (const auto& [name, tensor] : options.fixed) {
    const auto named = [&wanted = name](const OnnxEnd& input) { return input.name == wanted; };
    if (std::erase_if(graph.inputs, named) == 0) fail(fmt::format("no input is called '{}'", name));
    auto held = std::make_shared<OnnxTensor>(*tensor);
    held->constant = true;
    graph.initializers[name] = std::move(held);
  }
  // The axis of an input that counts examples: a symbol, or the number that the file fixes.
  const auto examples_axis = [&](const OnnxEnd& input, ImportSettings& of) -> Extent {
    if (!input.has_shape)
      fail(fmt::format("input '{}' has no shape in the file; expected one whose first axis counts examples",
                       input.name));
    if (input.axes.empty())
      fail(fmt::format("input '{}' is a single number; expected an axis that counts examples", input.name));
    const Index fixed = input.axes[0].extent;
    if (fixed == 0) fail(fmt::format("input '{}' has no examples", input.name));
    if (fixed > 0 && of.batch > 0 && of.batch != fixed)
      fail(fmt::format("inputs have {} and {} examples", of.batch, fixed));
    if (fixed > 0) of.batch = fixed;
    return {1, true};
  };
  std::vector<Placed> placed;
  std::map<std::string, Index> unused = options.extents;
  for (const OnnxEnd& input : graph.inputs) {
    if (input.type == OnnxType::kOther) fail(fmt::format("input '{}' holds neither numbers nor Booleans", input.name));
    Extents dims;
    std::vector<Index> extents;
    if (!options.whole) dims.push_back(examples_axis(input, settings));
    for (std::size_t axis = dims.size(); axis < input.axes.size(); ++axis) {
      const OnnxEnd::Axis& own = input.axes[axis];
      const auto given = options.extents.find(own.symbol);
      if (given != options.extents.end()) unused.erase(own.symbol);
      const Index extent = own.extent >= 0 ? own.extent : given != options.extents.end() ? given->second : -1;
      if (extent < 0) {
        fail(fmt::format("input '{}': axis {} has no extent{}; give it one", input.name, axis,
                         own.symbol.empty() ? "" : fmt::format(" but the symbol '{}'", own.symbol)));
      }
      dims.push_back({extent});
      extents.push_back(extent);
    }
    const bool integer = input.type == OnnxType::kInteger || input.type == OnnxType::kBoolean;
    const bool turned = options.channels_last && inputs_.empty() && !options.whole && !integer && dims.size() == 4;
    if (turned) std::rotate(extents.begin(), extents.begin() + 1, extents.end());
    const Shape shape(extents);
    const Node node = integer ? builder.indices(input.name, shape) : builder.input(input.name, shape);
    inputs_.push_back({input.name, shape, integer});
    Placed value{node, dims, turned ? std::vector<Index>{2, 3, 1} : all_axes(dims), integer};
    placed.push_back(std::move(value));
  }

  if (!unused.empty()) fail(fmt::format("no axis that the inputs leave open is called '{}'", unused.begin()->first));

  for (const auto& [name, tensor] : graph.initializers) {
    if (!tensor->floating() || tensor->constant || tensor->dims.empty()) continue;
    const std::string reason = !options.weights                  ? constant_reason(*tensor)
                               : options.weights->contains(name) ? ""
                                                                 : "not among those that may train";
    if (!reason.empty()) constants_[name] = reason;
  }
  if (!options.weights) find_sines(graph, constants_);

  Importer importer(graph, builder, settings);
  for (std::size_t i = 0; i < placed.size(); ++i) importer.set(graph.inputs[i].name, placed[i], graph.inputs[i].type);
  importer.freeze(constants_);
  importer.run();
  output_ = importer.placed(graph.outputs[0].name);
  parameters_ = importer.parameters();
  if (!options.whole && batch_axis(output_->dims) < 0 && !output_->dims.empty()) {
    fail(fmt::format("output '{}' has the shape {}; expected an axis that counts examples", graph.outputs[0].name,
                     to_string(output_->dims)));
  }
  output_ = place(arrange(*output_), output_->dims);
  if (options.fuse) output_->node = narrowed(output_->node);
}

template <class T>
Parameters<T> OnnxModel::initial(std::uint64_t seed) const {
  Parameters<T> theta = initialize<T>(layout(), seed);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const OnnxParameter& parameter = parameters_[i];
    if (parameter.is_adapter()) continue;
    const std::vector<T> values = permuted(parameter.tensor->as<T>(), parameter.tensor->dims, parameter.order);
    const Segment& segment = layout().segments[i];
    std::copy(values.begin(), values.end(), theta.edit(segment.offset, segment.size()).begin());
  }
  return theta;
}
template Parameters<float> OnnxModel::initial<float>(std::uint64_t) const;
template Parameters<double> OnnxModel::initial<double>(std::uint64_t) const;

}  // namespace slopewise
