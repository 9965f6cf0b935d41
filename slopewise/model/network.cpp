#include "slopewise/model/network.hpp"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/model/initialize.hpp"

namespace slopewise {

std::string describe(const NetworkSpec& spec) {
  using Json = nlohmann::ordered_json;
  Json convolutions = Json::array();
  for (const auto& c : spec.convolutions)
    convolutions.push_back({{"channels", c.channels}, {"pool", c.pool}, {"padded", c.padded}});
  return Json{{"family", spec.family}, {"hidden", spec.hidden},     {"convolutions", convolutions},
              {"patch", spec.patch},   {"residual", spec.residual}, {"block_layers", spec.block_layers},
              {"groups", spec.groups}}
      .dump();
}

std::string identity(const std::string& description) {
  nlohmann::ordered_json json = parse_json(description, "the network");
  if (!json.is_object()) throw FileError("the network: expected a description, found another text");
  json.erase("file");
  return json.dump();
}

NetworkSpec network_spec(const std::string& description) {
  try {
    const nlohmann::ordered_json json = parse_json(description, "the network");
    NetworkSpec spec{.family = json.at("family"), .hidden = json.at("hidden")};
    for (const auto& c : json.at("convolutions"))
      spec.convolutions.push_back({.channels = c.at("channels"), .pool = c.at("pool"), .padded = c.at("padded")});
    spec.patch = json.at("patch");
    spec.residual = json.at("residual");
    spec.block_layers = json.at("block_layers");
    spec.groups = json.at("groups");
    return spec;
  } catch (const nlohmann::json::exception& error) {
    throw ArgumentError(error.what());
  } catch (const FileError& error) {
    throw ArgumentError(error.what());
  }
}

std::size_t layers_of(const std::string& description) {
  try {
    const NetworkSpec spec = network_spec(description);
    return spec.hidden.size() + spec.convolutions.size();
  } catch (const ArgumentError&) {
    return 0;
  }
}

Network make_network(const NetworkSpec& spec, const Shape& image, NetworkTarget target) {
  Network network{.training = make_chain(spec, image, target, true),
                  .evaluating = make_chain(spec, image, target, false),
                  .initial = {},
                  .description = describe(spec)};
  std::vector<std::shared_ptr<const Program>> programs;
  for (const ChainBlock& block : network.training) programs.push_back(block.program);
  network.initial = [programs](std::size_t block, std::uint64_t seed) {
    return initialize<float>(programs[block]->layout(), seed);
  };
  return network;
}

std::optional<Network> local_network(NetworkSpec spec, const Shape& image, NetworkTarget target) {
  spec.block_layers = 1;
  Network network = make_network(spec, image, target);
  return network.training.size() < 2 ? std::nullopt : std::optional(std::move(network));
}

}  // namespace slopewise
