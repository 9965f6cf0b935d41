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

Json to_json(const Dataset& data) {
  Json others = Json::array();
  for (const OtherInput& other : data.others)
    others.push_back({{"name", other.name}, {"shape", other.shape.extents()}, {"integers", other.integers}});
  return {{"input", data.input_name},
          {"shape", data.image_shape.extents()},
          {"integers", data.integers},
          {"others", std::move(others)},
          {"label_shape", data.label_shape.extents()},
          {"ignored", data.ignored ? Json(*data.ignored) : Json(nullptr)},
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
  const auto shape = [](const Json& extents) { return Shape(extents.get<std::vector<Index>>()); };
  Dataset data{.image_shape = shape(json.at("shape")), .classes = json.at("classes")};
  data.input_name = json.at("input");
  data.integers = json.at("integers");
  for (const Json& other : json.at("others"))
    data.others.push_back({other.at("name"), shape(other.at("shape")), other.at("integers")});
  data.label_shape = shape(json.at("label_shape"));
  if (!json.at("ignored").is_null()) data.ignored = json.at("ignored").get<std::int32_t>();
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
  const bool good = data.image_shape.size() >= 1 && data.label_shape.size() >= 1 && data.outputs >= 0 &&
                    data.classes >= 0 && data.classes != 1 && (data.outputs == 0 || data.classes == 0) &&
                    (data.class_names.empty() || std::ssize(data.class_names) == data.classes) &&
                    data.target_mean.size() == outputs && data.target_deviation.size() == outputs &&
                    finite(data.target_mean) && divisors(data.target_deviation) && scaling.mean.size() == columns &&
                    scaling.deviation.size() == columns && finite(scaling.mean) && divisors(scaling.deviation);
  if (!good) throw ArgumentError("data: shapes, classes or scaling do not fit together");
}

}  // namespace

std::map<std::string, std::string> describe(const Network& network, const Dataset& data) {
  return {{"network", network.description},
          {"data", to_json(data).dump(-1, ' ', false, Json::error_handler_t::replace)}};
}

NetworkDescription description_from(const std::map<std::string, std::string>& strings, const std::string& source) {
  const auto part = [&](const char* name) {
    const auto found = strings.find(name);
    if (found == strings.end()) {
      throw FileError(fmt::format(
          "{}: says nothing of the network its weights belong to, as files that slopewise train wrote do", source));
    }
    return found->second;
  };
  try {
    NetworkDescription found{part("network"), data_from(parse_json(part("data"), source))};
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
