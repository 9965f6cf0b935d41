#include "slopewise/train/description.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"
#include "slopewise/base/json_text.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRules[] = {"none", "bytes", "standard"};

Json to_json(const NetworkSpec& spec) {
  Json convolutions = Json::array();
  for (const auto& c : spec.convolutions)
    convolutions.push_back({{"channels", c.channels}, {"pool", c.pool}, {"padded", c.padded}});
  return {{"family", spec.family}, {"hidden", spec.hidden},     {"convolutions", convolutions},
          {"patch", spec.patch},   {"residual", spec.residual}, {"block_layers", spec.block_layers},
          {"groups", spec.groups}};
}

// Dropout and label smoothing are left out: they are of training.
NetworkSpec network_from(const Json& json) {
  NetworkSpec spec{.family = json.at("family"), .hidden = json.at("hidden")};
  for (const Json& c : json.at("convolutions"))
    spec.convolutions.push_back({.channels = c.at("channels"), .pool = c.at("pool"), .padded = c.at("padded")});
  spec.patch = json.at("patch");
  spec.residual = json.at("residual");
  spec.block_layers = json.at("block_layers");
  spec.groups = json.at("groups");
  return spec;
}

Json to_json(const Dataset& data) {
  return {{"shape", data.image_shape.extents()},
          {"classes", data.classes},
          {"class_names", data.class_names},
          {"outputs", data.outputs},
          {"target_mean", data.target_mean},
          {"target_deviation", data.target_deviation},
          {"columns", data.column_names},
          {"scaling",
           {{"rule", kRules[static_cast<int>(data.scaling.rule)]},
            {"mean", data.scaling.mean},
            {"deviation", data.scaling.deviation}}}};
}

Dataset data_from(const Json& json) {
  Dataset data{.image_shape = Shape(json.at("shape").get<std::vector<Index>>()), .classes = json.at("classes")};
  data.class_names = json.at("class_names").get<std::vector<std::string>>();
  data.outputs = json.at("outputs");
  data.target_mean = json.at("target_mean").get<std::vector<double>>();
  data.target_deviation = json.at("target_deviation").get<std::vector<double>>();
  data.column_names = json.at("columns").get<std::vector<std::string>>();
  const Json& scaling = json.at("scaling");
  const auto rule = std::ranges::find(kRules, scaling.at("rule").get<std::string>());
  if (rule == std::end(kRules)) throw ArgumentError(fmt::format("scaling: found {}", scaling.at("rule").dump()));
  data.scaling = {.rule = static_cast<Scaling::Rule>(rule - std::begin(kRules)),
                  .mean = scaling.at("mean"),
                  .deviation = scaling.at("deviation")};
  return data;
}

// Throws ArgumentError for what no data set is.
void check(const Dataset& data) {
  const auto finite = [](const std::vector<double>& numbers) {
    return std::ranges::all_of(numbers, [](double x) { return std::isfinite(x); });
  };
  const auto divisors = [](const std::vector<double>& numbers) {
    return std::ranges::all_of(numbers, [](double x) { return std::isfinite(x) && x > 0; });
  };
  const Scaling& scaling = data.scaling;
  const std::size_t columns = scaling.rule == Scaling::Rule::kStandard && data.image_shape.rank() > 0
                                  ? static_cast<std::size_t>(data.image_shape[-1])
                                  : 0;
  const auto outputs = static_cast<std::size_t>(data.outputs);
  const bool good = data.image_shape.rank() >= 1 && data.image_shape.rank() <= 3 && data.image_shape.size() >= 1 &&
                    (data.outputs > 0 ? data.classes == 0 : data.classes >= 2) &&
                    (data.class_names.empty() || std::ssize(data.class_names) == data.classes) &&
                    data.target_mean.size() == outputs && data.target_deviation.size() == outputs &&
                    finite(data.target_mean) && divisors(data.target_deviation) && scaling.mean.size() == columns &&
                    scaling.deviation.size() == columns && finite(scaling.mean) && divisors(scaling.deviation);
  if (!good) throw ArgumentError("data: shapes, classes or scaling do not fit together");
}

}  // namespace

std::map<std::string, std::string> describe(const NetworkSpec& network, const Dataset& data) {
  return {{"network", to_json(network).dump()},
          {"data", to_json(data).dump(-1, ' ', false, Json::error_handler_t::replace)}};
}

NetworkDescription description_from(const std::map<std::string, std::string>& strings, const std::string& source) {
  const auto part = [&](const char* name) {
    const auto found = strings.find(name);
    if (found == strings.end()) {
      throw FileError(fmt::format(
          "{}: says nothing of the network its weights belong to, as files that slopewise train wrote do", source));
    }
    return parse_json(found->second, source);
  };
  try {
    NetworkDescription found{network_from(part("network")), data_from(part("data"))};
    check(found.data);
    return found;
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: what it says of its network: {}", source, error.what()));
  } catch (const ArgumentError& error) {
    throw FileError(fmt::format("{}: what it says of its network: {}", source, error.what()));
  } catch (const ShapeError& error) {
    throw FileError(fmt::format("{}: what it says of its network: {}", source, error.what()));
  }
}

}  // namespace slopewise
