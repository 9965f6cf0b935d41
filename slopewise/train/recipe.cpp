#include "slopewise/train/recipe.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"
#include "slopewise/base/json_text.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

// In the order of Initializer::Kind.
constexpr const char* kInitializers[] = {"zero", "one", "he", "glorot", "uniform-fan", "normal"};

// JSON has no infinity: null.
Json limit(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
double limit_from(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

// A count, seed or place. JSON's own conversions cut fractions off and wrap around.
template <std::integral Number>
Number whole_from(const Json& json) {
  const bool fits = json.is_number_unsigned() &&
                    json.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<Number>::max());
  if (!fits) {
    throw ArgumentError(fmt::format("expected a whole number from 0 to {}, found {}",
                                    std::numeric_limits<Number>::max(),
                                    json.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40)));
  }
  return json.get<Number>();
}

Json to_json(const ParameterLayout& layout) {
  Json parameters = Json::array();
  for (std::size_t i = 0; i < layout.segments.size(); ++i) {
    const Segment& segment = layout.segments[i];
    const Block& block = layout.blocks[segment.block];
    Json one{{"name", segment.name}, {"shape", segment.shape.extents()}};
    if (static_cast<Index>(i) == block.bias) {
      one["bias_of"] = block.weight;
    } else {
      const Initializer& start = segment.initializer;
      one["rows"] = block.rows;
      one["initializer"] = {{"kind", kInitializers[static_cast<int>(start.kind)]},
                            {"fan_in", start.fan_in},
                            {"fan_out", start.fan_out},
                            {"gain", start.gain}};
    }
    parameters.push_back(std::move(one));
  }
  return parameters;
}

ParameterLayout layout_from(const Json& parameters) {
  ParameterLayout layout;
  for (const Json& one : parameters) {
    std::vector<Index> extents;
    for (const Json& extent : one.at("shape")) extents.push_back(whole_from<Index>(extent));
    const Shape shape(std::move(extents));
    if (shape.size() > std::numeric_limits<Index>::max() / 16 - layout.size)
      throw ArgumentError("parameters: more than memory can hold");
    if (one.contains("bias_of")) {
      const auto weight = whole_from<Index>(one.at("bias_of"));
      if (weight >= std::ssize(layout.segments)) throw ArgumentError(fmt::format("bias_of: found {}", weight));
      layout.add_bias(one.at("name"), weight);
      if (layout.segments.back().shape != shape) throw ShapeError("a bias of another size than its matrix's rows");
      continue;
    }
    const Json& start = one.at("initializer");
    const auto kind = std::ranges::find(kInitializers, start.at("kind").get<std::string>());
    if (kind == std::end(kInitializers)) throw ArgumentError(fmt::format("initializer: {}", start.at("kind").dump()));
    layout.add(one.at("name"), shape,
               {.kind = static_cast<Initializer::Kind>(kind - std::begin(kInitializers)),
                .fan_in = start.at("fan_in"),
                .fan_out = start.at("fan_out"),
                .gain = start.at("gain")},
               whole_from<Index>(one.at("rows")));
  }
  return layout;
}

}  // namespace

std::uint32_t checksum_of(const Parameters<float>& theta) {
  const std::span<const float> values = theta.values();
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(values.data()), values.size() * sizeof(float)));
}

BlockState begin(const Recipe& recipe, const EstimatorTarget& target, Parameters<float> theta) {
  BlockState state{.theta = std::move(theta),
                   .estimator = make_estimator<float>(recipe.estimator, target, recipe.options),
                   .optimizer = make_optimizer<float>(recipe.optimizer, recipe.layout.size, recipe.optimizer_options),
                   .average = {}};
  if (recipe.average != 0) state.average.emplace(recipe.layout.size, recipe.average);
  return state;
}

std::string to_text(const Recipe& recipe) {
  const EstimatorOptions& e = recipe.options;
  const OptimizerOptions& o = recipe.optimizer_options;
  const Json json{{"parameters", to_json(recipe.layout)},
                  {"initial", {{"seed", recipe.initial_seed}, {"crc32", recipe.initial_checksum}}},
                  {"estimator",
                   {{"name", recipe.estimator},
                    {"law", e.law},
                    {"tangents", e.tangents},
                    {"seed", e.seed},
                    {"epsilon", e.epsilon},
                    {"learning_share", e.learning_share},
                    {"isotropic_share", e.isotropic_share},
                    {"subspace", e.subspace},
                    {"rank", e.law_options.rank},
                    {"hold", e.law_options.hold},
                    {"clip_slope", limit(e.clip_slope)},
                    {"clip_quantile", e.clip_quantile},
                    {"per_deviation", e.per_deviation},
                    {"auto_rate", e.auto_rate}}},
                  {"optimizer",
                   {{"name", recipe.optimizer},
                    {"momentum", o.momentum},
                    {"beta1", o.beta1},
                    {"beta2", o.beta2},
                    {"epsilon", o.epsilon},
                    {"weight_decay", o.weight_decay},
                    {"clip_norm", limit(o.clip_norm)}}},
                  {"step_rate", recipe.step_rate},
                  {"average", recipe.average},
                  {"examples", recipe.examples},
                  {"strings", recipe.strings}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Recipe recipe_from(const std::string& text, const std::string& source) {
  const auto refuse = [&](const char* why) -> FileError {
    return FileError(fmt::format("{}: what its steps are made of: {}", source, why));
  };
  try {
    const Json json = parse_json(text, source);
    const Json &e = json.at("estimator"), &o = json.at("optimizer");
    Recipe recipe;
    recipe.layout = layout_from(json.at("parameters"));
    recipe.initial_seed = whole_from<std::uint64_t>(json.at("initial").at("seed"));
    recipe.initial_checksum = whole_from<std::uint32_t>(json.at("initial").at("crc32"));
    recipe.estimator = e.at("name");
    recipe.options.law = e.at("law");
    recipe.options.tangents = whole_from<Index>(e.at("tangents"));
    recipe.options.seed = whole_from<std::uint64_t>(e.at("seed"));
    recipe.options.epsilon = e.at("epsilon");
    recipe.options.learning_share = e.at("learning_share");
    recipe.options.isotropic_share = e.at("isotropic_share");
    recipe.options.subspace = whole_from<Index>(e.at("subspace"));
    // Older logs know no such law.
    if (e.contains("rank")) {
      recipe.options.law_options = {.rank = whole_from<Index>(e.at("rank")), .hold = whole_from<Index>(e.at("hold"))};
    }
    recipe.options.clip_slope = limit_from(e.at("clip_slope"));
    recipe.options.clip_quantile = e.at("clip_quantile");
    recipe.options.per_deviation = e.value("per_deviation", false);
    recipe.options.auto_rate = e.at("auto_rate");
    recipe.optimizer = o.at("name");
    recipe.optimizer_options = {.momentum = o.at("momentum"),
                                .beta1 = o.at("beta1"),
                                .beta2 = o.at("beta2"),
                                .epsilon = o.at("epsilon"),
                                .weight_decay = o.at("weight_decay"),
                                .clip_norm = limit_from(o.at("clip_norm"))};
    recipe.step_rate = json.value("step_rate", false);
    recipe.average = json.at("average");
    recipe.examples = whole_from<Index>(json.at("examples"));
    recipe.strings = json.at("strings").get<std::map<std::string, std::string>>();
    return recipe;
  } catch (const nlohmann::json::exception& error) {
    throw refuse(error.what());
  } catch (const ArgumentError& error) {
    throw refuse(error.what());
  } catch (const ShapeError& error) {
    throw refuse(error.what());
  }
}

}  // namespace slopewise
