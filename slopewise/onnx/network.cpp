#include "slopewise/onnx/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/program/stream.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

std::string describe(const OnnxModel& model, const OnnxOptions& options, const OnnxLossOptions& loss) {
  Json extents = Json::object();
  for (const auto& [name, extent] : options.extents) extents[name] = extent;
  Json json{{"format", "onnx"},
            {"file", std::filesystem::absolute(model.file()).lexically_normal().string()},
            {"crc32", model.checksum()},
            {"train", options.train},
            {"extents", std::move(extents)},
            {"output", options.output},
            {"channels_last", options.channels_last},
            {"fuse", options.fuse},
            {"loss", onnx_loss_name(loss.kind)},
            {"ignored", loss.ignored ? Json(*loss.ignored) : Json(nullptr)}};
  if (options.blocks) json["blocks"] = *options.blocks;
  return json.dump();
}

// The options of the model with OnnxOptions::blocks in the names of weights.
OnnxOptions with_blocks_named(const OnnxModel& whole, const OnnxOptions& options, const OnnxLossOptions& loss) {
  const OnnxProgram made = onnx_program(whole, loss);
  const Index head = sites_below(made.program, onnx_sites(made), *options.blocks).head;
  const std::vector<bool> below = ancestors(made.program, head);
  OnnxOptions named = options;
  named.weights.emplace();
  for (std::size_t i = 0; i < below.size(); ++i) {
    const GraphNode& node = made.program.nodes()[i];
    if (node.kind != GraphNode::Kind::kParameter || below[i]) continue;
    const OnnxParameter& parameter = whole.parameters()[node.slot];
    if (parameter.is_adapter()) {
      throw ArgumentError(fmt::format(
          "{}: low-rank adapters: expected the matrices of the last blocks by their names (lora:RANK:REGEX)",
          whole.file().string()));
    }
    named.weights->insert(parameter.initializer);
  }
  if (named.weights->empty())
    throw ArgumentError(fmt::format("{}: nothing trains in its last blocks", whole.file().string()));
  return named;
}

OnnxModel load_again(const OnnxModel& model, const OnnxOptions& options) {
  return model.in_memory() ? load_onnx(model.bytes(), model.file().string(), options)
                           : load_onnx(model.file(), options);
}

}  // namespace

ActivitySites onnx_sites(const OnnxProgram& model) {
  const Program& program = model.program;
  const Index output = model.output;
  ActivitySites sites{.rectified = false, .logits = output};
  const auto is_product = [&](const GraphNode& node) {
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const GraphNode& input = program.node(node.inputs[k]);
      const bool weights = input.kind == GraphNode::Kind::kParameter || input.kind == GraphNode::Kind::kConstant;
      if (weights && input.shape.rank() >= 2 && node.op->takes(k).packed) return true;
    }
    return false;
  };
  for (Index i = 0; i <= output; ++i) {
    const GraphNode& node = program.node(i);
    if (node.op && !node.shared && program.used(i) && is_product(node)) sites.nodes.push_back(i);
  }
  if (!sites.nodes.empty()) sites.nodes.pop_back();  // the head's, whatever finishes it
  sites.nodes = trained_sites(program, sites).nodes;
  return sites;
}

OnnxNetwork onnx_network(const std::filesystem::path& file, const OnnxOptions& options, const OnnxLossOptions& loss) {
  auto model = std::make_shared<const OnnxModel>(load_onnx(file, options));
  if (options.blocks)
    model = std::make_shared<const OnnxModel>(load_again(*model, with_blocks_named(*model, options, loss)));
  return onnx_network(std::move(model), options, loss);
}

OnnxNetwork onnx_network(std::shared_ptr<const OnnxModel> model, const OnnxOptions& options,
                         const OnnxLossOptions& loss) {
  if (model->inputs().empty())
    throw ArgumentError(fmt::format("{}: the model reads no examples", model->file().string()));
  const auto block = [&](const OnnxLossOptions& of) {
    OnnxProgram made = onnx_program(*model, of);
    const ActivitySites sites = onnx_sites(made);
    auto program = std::make_shared<const Program>(std::move(made.program));
    return ChainBlock{.program = program, .sites = sites, .output = made.output, .noisy = false};
  };
  OnnxLossOptions plain = loss;
  plain.label_smoothing = 0;
  Network network{.training = {block(loss)},
                  .evaluating = {block(plain)},
                  .initial = [model](std::size_t, std::uint64_t seed) { return model->initial<float>(seed); },
                  .description = describe(*model, options, loss)};
  return {std::move(model), std::move(network)};
}

std::vector<NetworkTop> onnx_tops(const OnnxModel& model, const OnnxOptions& options, const OnnxLossOptions& loss,
                                  Index most_blocks) {
  std::vector<NetworkTop> tops;
  const auto add = [&](Index blocks, OnnxOptions part) {
    try {
      auto top = std::make_shared<const OnnxModel>(
          load_again(model, part.blocks ? with_blocks_named(model, part, loss) : part));
      require_training(*top);
      if (top->parameters().size() < model.parameters().size())
        tops.push_back({blocks, onnx_network(std::move(top), part, loss).network});
    } catch (const ArgumentError&) {  // it has no such part
    }
  };
  OnnxOptions part = options;
  part.train = "head";
  if (options.train != "head") add(-1, part);
  part.train = options.train;
  for (Index blocks = 1; blocks <= most_blocks; ++blocks) {
    part.blocks = blocks;
    add(blocks, part);
  }
  return tops;
}

Dataset data_of(const OnnxModel& model, const OnnxLossOptions& loss) {
  const OnnxInput& first = model.inputs().front();
  Dataset data{.name = model.file().stem().string(),
               .input_name = first.name,
               .image_shape = first.shape,
               .integers = first.integer,
               .ignored = loss.ignored};
  for (std::size_t i = 1; i < model.inputs().size(); ++i) {
    const OnnxInput& input = model.inputs()[i];
    data.others.push_back({.name = input.name, .shape = input.shape, .integers = input.integer});
  }
  const Shape& output = model.output().shape();
  if (loss.kind == OnnxLoss::kCrossEntropy) {
    std::vector<Index> places = output.extents();
    data.classes = static_cast<int>(places.back());
    places.pop_back();
    data.label_shape = Shape(places);
  } else if (loss.kind != OnnxLoss::kOutput) {
    data.outputs = output.size();
    data.target_mean.assign(static_cast<std::size_t>(data.outputs), 0);
    data.target_deviation.assign(static_cast<std::size_t>(data.outputs), 1);
  }
  return data;
}

bool describes_onnx(const std::string& description) {
  const Json json = parse_json(description, "the network");
  return json.is_object() && json.value("format", "") == "onnx";
}

OnnxNetwork onnx_network(const std::string& description) {
  try {
    const Json json = parse_json(description, "the network");
    OnnxOptions options{.train = json.at("train"),
                        .output = json.at("output"),
                        .channels_last = json.at("channels_last"),
                        .fuse = json.at("fuse")};
    for (const auto& [name, extent] : json.at("extents").items()) options.extents[name] = extent.get<Index>();
    if (json.contains("blocks")) options.blocks = json.at("blocks").get<Index>();
    OnnxLossOptions loss{.kind = onnx_loss(json.at("loss").get<std::string>())};
    if (!json.at("ignored").is_null()) loss.ignored = json.at("ignored").get<std::int32_t>();
    OnnxNetwork network = onnx_network(json.at("file").get<std::string>(), options, loss);
    if (network.model->checksum() != json.at("crc32").get<std::uint32_t>()) {
      throw ArgumentError(
          fmt::format("{} is not the file that was trained: it has changed since", network.model->file().string()));
    }
    return network;
  } catch (const nlohmann::json::exception& error) {
    throw ArgumentError(error.what());
  }
}

}  // namespace slopewise
