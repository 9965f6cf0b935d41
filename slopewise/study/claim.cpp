#include "slopewise/study/claim.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/study/claims/claims.hpp"

namespace slopewise {

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHolds:
      return "holds";
    case Verdict::kFails:
      return "fails";
    case Verdict::kUnmeasured:
      return "unmeasured";
    case Verdict::kDiffers:
      return "differs";
    case Verdict::kUndecided:
      return "undecided";
  }
  return "";
}

ClaimResult judge(std::string quantity, double predicted, const Measured& measured, Index tests) {
  return judge(std::move(quantity), predicted, measured.value, measured.interval(share_of_confidence(tests)));
}

ClaimResult judge(std::string quantity, double predicted, double measured, const Interval& interval) {
  return {.predicted = {predicted, predicted},
          .measured = measured,
          .low = interval.low,
          .high = interval.high,
          .quantity = std::move(quantity),
          .verdict = interval.contains(predicted) ? Verdict::kHolds : Verdict::kFails};
}

ClaimResult judge_range(std::string quantity, const Interval& range, double measured, const Interval& interval) {
  const bool within = range.low <= interval.low && interval.high <= range.high;
  const bool clear = interval.high < range.low || range.high < interval.low;
  return {.predicted = range,
          .measured = measured,
          .low = interval.low,
          .high = interval.high,
          .confidence = kObservedConfidence,
          .quantity = std::move(quantity),
          .verdict = within  ? Verdict::kHolds
                     : clear ? Verdict::kFails
                             : Verdict::kUndecided};
}

const std::vector<Claim>& all_claims() {
  static const std::vector<Claim> claims = {
      unbiased_claim(),     variance_law_claim(),  mean_variance_claim(), uncorrelated_terms_claim(),
      snr_scaling_claim(),  alignment_claim(),     minibatch_claim(),     slowdown_claim(),
      heavy_tails_claim(),  norm_skew_claim(),     learning_rate_claim(), backward_cost_claim(),
      crossover_claim(),    memory_claim(),        distributions_claim(), prior_claim(),
      activity_claim(),     learned_prior_claim(), clipping_claim(),      special_optimizer_claim(),
      second_order_claim(),
  };
  return claims;
}

std::vector<Claim> select_claims(const std::vector<std::string>& ids) {
  std::vector<std::string> known;
  for (const Claim& claim : all_claims()) known.push_back(claim.id);
  for (const std::string& id : ids) {
    if (std::find(known.begin(), known.end(), id) == known.end()) {
      throw ArgumentError(
          fmt::format("claim '{}': expected one of {}{}", id, fmt::join(known, ", "), suggestion(id, known)));
    }
  }
  std::vector<Claim> chosen;
  for (const Claim& claim : all_claims()) {
    if (std::find(ids.begin(), ids.end(), claim.id) != ids.end()) chosen.push_back(claim);
  }
  return chosen;
}

}  // namespace slopewise
