#include "slopewise/study/study.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"
#include "slopewise/base/version.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Series& series) {
  return {{"name", series.name}, {"columns", series.columns}, {"rows", series.rows}};
}

Json to_json(const ClaimOutcome& outcome) {
  const ClaimResult& result = outcome.result;
  Json series = Json::array();
  for (const Series& each : result.series) series.push_back(to_json(each));
  return {{"id", outcome.claim.id},
          {"statement", outcome.claim.statement},
          {"equation", outcome.claim.equation},
          {"quantity", result.quantity},
          {"predicted", result.predicted},
          {"measured", result.measured},
          {"low", result.low},
          {"high", result.high},
          {"verdict", to_string(result.verdict)},
          {"condition", result.condition},
          {"timed", outcome.claim.timed},
          {"seconds", outcome.seconds},
          {"series", std::move(series)}};
}

}  // namespace

std::vector<ClaimOutcome> run_study(StudyContext& context, const std::vector<Claim>& claims,
                                    const StudyObserver& observer) {
  std::vector<ClaimOutcome> outcomes;
  for (const Claim& claim : claims) {
    observer.begins(claim);
    std::atomic<double> done{0};
    context.set_progress([&](double share) {
      done.fetch_add(share);
      observer.advances(claim, share);
    });
    const auto start = std::chrono::steady_clock::now();
    try {
      outcomes.push_back({claim, claim.run(context), 0});
    } catch (const NumericError& error) {
      // One claim that cannot be measured on this network does not take the others with it.
      constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
      outcomes.push_back({claim,
                          {.predicted = kNone,
                           .measured = kNone,
                           .low = kNone,
                           .high = kNone,
                           .condition = fmt::format("not measured: {}", error.what())},
                          0});
    } catch (const Error& error) {
      throw Error(fmt::format("claim {}: {}", claim.id, error.what()), error.exit_code());
    }
    outcomes.back().seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    context.set_progress([](double) {});
    observer.advances(claim, 1 - done.load());
  }
  return outcomes;
}

nlohmann::ordered_json study_document(StudyContext& context, const std::vector<ClaimOutcome>& outcomes) {
  Json claims = Json::array();
  for (const ClaimOutcome& outcome : outcomes) claims.push_back(to_json(outcome));
  return {{"schema", "slopewise.study/1"},    {"version", version()},
          {"seed", context.options().seed},   {"data", context.train().name},
          {"model", context.model_name()},    {"parameters", context.subject().size()},
          {"batch", context.options().batch}, {"quick", context.options().quick},
          {"confidence", kClaimConfidence},   {"claims", std::move(claims)}};
}

}  // namespace slopewise
