// audit.json.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "slopewise/audit/audit.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kConfidence = 0.95;

// NaN and infinities become null where the document is written.
Json to_json(const Measured& measured) {
  Json json = {{"value", measured.value}, {"low", kUnknown}, {"high", kUnknown}};
  if (std::isfinite(measured.value) && std::isfinite(measured.error)) {
    const Interval interval =
        measured.error > 0 ? measured.interval(kConfidence) : Interval{measured.value, measured.value};
    json["low"] = interval.low;
    json["high"] = interval.high;
  }
  return json;
}

// Of a figure whose logarithm was measured.
Json exponential(Json logarithm) {
  for (Json& number : logarithm) number = std::exp(number.get<double>());
  return logarithm;
}

Json to_json(const AuditNoise& noise) {
  Json blocks = Json::array();
  for (const BlockNoise& block : noise.blocks) {
    blocks.push_back({{"name", block.name},
                      {"parameters", block.parameters},
                      {"batch_squared_norm", block.batch_squared_norm},
                      {"squared_norm", block.squared_norm},
                      {"snr", block.snr}});
  }
  return {{"reference", to_string(noise.reference)},
          {"squared_norm", to_json(noise.squared_norm)},
          {"batch_squared_norm", to_json(noise.batch_squared_norm)},
          {"batch_factor", to_json(noise.batch_factor)},
          {"slopes", noise.slopes},
          {"kurtosis", noise.kurtosis},
          {"largest_slope", noise.largest_slope},
          {"blocks", std::move(blocks)}};
}

Json to_json(const AuditCurvature& curvature) {
  return {{"trace", to_json(curvature.trace)},
          {"along_gradient", to_json(curvature.along_gradient)},
          {"largest", curvature.largest.value > 0 ? Json(curvature.largest.value) : Json(nullptr)},
          {"largest_error", curvature.largest.value > 0 ? Json(curvature.largest.error) : Json(nullptr)},
          {"effective_dimension", curvature.effective_dimension()}};
}

Json methods_json(const AuditTask& task, const AuditResult& result) {
  Json methods = Json::array();
  const Trial* const backprop = result.trials.empty() ? nullptr : &result.trials.front();
  for (const MethodFigures& figures : result.figures) {
    Json method = {{"name", figures.method}, {"options", figures.options}, {"exact", figures.exact}};
    method["costs"] = Json::array();
    for (const MethodCost& cost : result.costs) {
      if (cost.method != figures.method) continue;
      method["costs"].push_back({{"batch", cost.batch},
                                 {"step_bytes", cost.step_bytes},
                                 {"state_bytes", cost.state_bytes},
                                 {"bytes", cost.bytes()},
                                 {"forwards", cost.forwards},
                                 {"seconds", cost.seconds},
                                 {"seconds_low", cost.seconds_interval.low},
                                 {"seconds_high", cost.seconds_interval.high},
                                 {"fits", task.memory == 0 || cost.bytes() <= task.memory}});
    }
    method["predicted"] = nullptr;
    if (const MethodOutlook* const outlook = result.outlook_of(figures.method)) {
      method["predicted"] = {{"snr", outlook->snr},
                             {"cosine", outlook->cosine},
                             {"signal", to_json(outlook->signal)},
                             {"curvature", to_json(outlook->bend)},
                             {"rate", outlook->rate},
                             {"decrease", outlook->decrease},
                             {"slowdown", exponential(to_json(outlook->log_slowdown))}};
    }
    method["tried"] = nullptr;
    if (const Trial* const trial = result.trial(figures.method)) {
      Json curve = Json::array();
      for (const TrialPoint& point : trial->curve) curve.push_back({point.step, point.loss});
      const MethodOutlook* const outlook = result.outlook_of(figures.method);
      const bool beside_backprop = backprop && backprop->method != trial->method &&
                                   (backprop->method == "backprop" || backprop->method == "checkpointed backprop");
      method["tried"] = {{"rate", trial->rate},
                         {"status", trial->status},
                         {"steps", trial->steps()},
                         {"seconds", trial->seconds},
                         {"decrease", trial->decrease()},
                         {"predicted_decrease", outlook ? predicted_decrease(result.loss, outlook->decrease,
                                                                             static_cast<double>(trial->steps()))
                                                        : kUnknown},
                         {"slowdown", beside_backprop ? measured_slowdown(*trial, *backprop) : kUnknown},
                         {"curve", std::move(curve)}};
    }
    method["pace"] = figures.pace();
    methods.push_back(std::move(method));
  }
  return methods;
}

Json ranks_json(const AuditOptions& options, const AuditResult& result) {
  if (result.ranks.empty()) return nullptr;
  Json steps = Json::array();
  for (const AuditRanks& ranks : result.ranks) {
    const bool exact = ranks.step.backprop.memory > 0;
    steps.push_back({{"ranks", ranks.step.ranks},
                     {"examples", to_json(ranks.step.examples)},
                     {"tangents", to_json(ranks.step.tangents)},
                     {"both", to_json(ranks.step.both)},
                     {"backprop", exact ? to_json(ranks.step.backprop) : Json(nullptr)},
                     {"snr", ranks.snr},
                     {"snr_each", ranks.snr_each}});
  }
  return {{"tangents", result.rank_tangents},  {"law", "rank-one"},
          {"latency", options.wire.latency},   {"bandwidth", options.wire.bandwidth},
          {"overhead", options.wire.overhead}, {"steps", std::move(steps)}};
}

Json to_json(const std::optional<Choice>& choice) {
  if (!choice) return nullptr;
  return {{"method", choice->method},
          {"options", choice->options},
          {"rate", choice->rate},
          {"pace", choice->pace},
          {"bytes", choice->bytes}};
}

}  // namespace

Json audit_document(const AuditTask& task, const AuditOptions& options, const AuditResult& result) {
  return {{"schema", "slopewise.audit/1"},
          {"parameters", result.parameters},
          {"batch", task.batch},
          {"seed", task.seed},
          {"memory", task.memory > 0 ? Json(task.memory) : Json(nullptr)},
          {"forward_only", task.forward_only},
          {"samples", options.samples},
          {"confidence", kConfidence},
          {"examples", result.examples},
          {"loss", result.loss},
          {"least_bytes", result.least_bytes},
          {"noise", to_json(result.noise)},
          {"curvature", to_json(result.outlook.curvature)},
          {"methods", methods_json(task, result)},
          {"ranks", ranks_json(options, result)},
          {"recommendation",
           {{"sentence", result.recommendation.sentence},
            {"best", to_json(result.recommendation.best)},
            {"second", to_json(result.recommendation.second)},
            {"changes", result.recommendation.changes}}}};
}

}  // namespace slopewise
