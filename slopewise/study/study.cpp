#include "slopewise/study/study.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/version.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Series& series) {
  Json json = {{"name", series.name}, {"columns", series.columns}, {"rows", series.rows}};
  if (!series.labels.empty()) json["labels"] = series.labels;
  return json;
}

// JSON has no infinity: null stands for it, as for NaN.
Json finite(double x) {
  return std::isfinite(x) ? Json(x) : Json();
}

Json to_json(const ClaimOutcome& outcome) {
  const ClaimResult& result = outcome.result;
  const Interval& predicted = result.predicted;
  Json series = Json::array();
  for (const Series& each : result.series) series.push_back(to_json(each));
  return {{"id", outcome.claim.name},
          {"statement", outcome.claim.statement},
          {"equation", outcome.claim.equation},
          {"quantity", result.quantity},
          {"predicted", predicted.low == predicted.high ? finite(predicted.low) : Json()},
          {"predicted_low", finite(predicted.low)},
          {"predicted_high", finite(predicted.high)},
          {"measured", result.measured},
          {"low", result.low},
          {"high", result.high},
          {"confidence", result.confidence},
          {"verdict", to_string(result.verdict)},
          {"condition", result.condition},
          {"timed", outcome.claim.timed},
          {"seconds", outcome.seconds},
          {"series", std::move(series)}};
}

// Passes on what a claim says of its progress, for as long as this lives.
class Listening {
 public:
  Listening(StudyContext& context, const Claim& claim, const StudyObserver& observer)
      : context_(context), claim_(claim), observer_(observer) {
    context_.set_progress([this](double share) {
      done_.fetch_add(share);
      observer_.advances(claim_, share);
    });
  }
  ~Listening() {
    context_.set_progress([](double) {});
    observer_.advances(claim_, 1 - done_.load());
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  StudyContext& context_;
  const Claim& claim_;
  const StudyObserver& observer_;
  std::atomic<double> done_{0};
};

// One claim that cannot be measured on this network does not take the others with it.
ClaimResult measure(StudyContext& context, const Claim& claim, const StudyObserver& observer) {
  const Listening listening(context, claim, observer);
  try {
    return claim.run(context);
  } catch (const NumericError& error) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {.predicted = {kNone, kNone},
            .measured = kNone,
            .low = kNone,
            .high = kNone,
            .verdict = Verdict::kUnmeasured,
            .condition = error.what()};
  } catch (const Error& error) {
    throw Error(fmt::format("claim {}: {}", claim.name, error.what()), error.exit_code());
  }
}

}  // namespace

Questions choose_questions(const StudyContext& context, const std::vector<std::string>& names) {
  Questions questions;
  for (Claim& claim : select_claims(names.empty() ? claim_names() : names)) {
    std::string reason = claim.refusal(context);
    if (reason.empty()) {
      questions.claims.push_back(std::move(claim));
    } else if (names.empty()) {
      questions.left_out.push_back({std::move(claim), std::move(reason)});
    } else {
      throw ArgumentError(fmt::format("claims: {} cannot be put to {}: {}", claim.name, context.model_name(), reason));
    }
  }
  return questions;
}

std::vector<ClaimOutcome> run_study(StudyContext& context, const std::vector<Claim>& claims,
                                    const StudyObserver& observer) {
  std::vector<ClaimOutcome> outcomes;
  for (const Claim& claim : claims) {
    check_interrupted("beginning a claim");
    observer.begins(claim);
    const auto start = std::chrono::steady_clock::now();
    outcomes.push_back({claim, measure(context, claim, observer), 0});
    outcomes.back().seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    observer.ends(outcomes.back());
  }
  return outcomes;
}

StudyRun run_until_interrupted(StudyContext& context, const std::vector<Claim>& claims, const StudyObserver& observer) {
  StudyRun run;
  try {
    run_study(context, claims,
              {.begins = observer.begins, .advances = observer.advances, .ends = [&](const ClaimOutcome& outcome) {
                 run.outcomes.push_back(outcome);
                 observer.ends(outcome);
               }});
  } catch (const Error& error) {
    if (!interrupted()) throw;
    if (run.outcomes.empty()) throw Interrupted(error.what());
    run.interruption = error.what();
  }
  return run;
}

nlohmann::ordered_json study_document(const StudyContext& context, const std::vector<ClaimOutcome>& outcomes,
                                      const std::vector<LeftOut>& left_out) {
  Json claims = Json::array(), others = Json::array();
  for (const ClaimOutcome& outcome : outcomes) claims.push_back(to_json(outcome));
  for (const LeftOut& each : left_out)
    others.push_back({{"id", each.claim.name}, {"statement", each.claim.statement}, {"reason", each.reason}});
  return {{"schema", "slopewise.study/2"},    {"version", version()},
          {"seed", context.options().seed},   {"data", context.train().name},
          {"model", context.model_name()},    {"parameters", context.subject().size()},
          {"batch", context.options().batch}, {"quick", context.options().quick},
          {"confidence", kClaimConfidence},   {"claims", std::move(claims)},
          {"left_out", std::move(others)}};
}

}  // namespace slopewise
