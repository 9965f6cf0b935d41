#include "slopewise/study/claim.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/named.hpp"
#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

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

std::function<std::string(const StudyContext&)> on_perceptrons(std::string reason) {
  return [reason = std::move(reason)](const StudyContext& context) {
    return context.has_perceptrons() ? "" : fmt::format("it is measured on perceptrons alone, as {}", reason);
  };
}

namespace {

const NamedTable<Claim>& claims() {
  static const NamedTable<Claim> table(
      "claim", {
                   unbiased_claim(),    variance_law_claim(),  mean_variance_claim(), uncorrelated_terms_claim(),
                   snr_scaling_claim(), alignment_claim(),     minibatch_claim(),     slowdown_claim(),
                   heavy_tails_claim(), norm_skew_claim(),     learning_rate_claim(), backward_cost_claim(),
                   crossover_claim(),   memory_claim(),        distributions_claim(), prior_claim(),
                   activity_claim(),    learned_prior_claim(), clipping_claim(),      special_optimizer_claim(),
                   ranks_claim(),       second_order_claim(),
               });
  return table;
}

}  // namespace

const std::vector<std::string>& claim_names() {
  return claims().names();
}

std::vector<Claim> select_claims(const std::vector<std::string>& names) {
  std::vector<const Claim*> wanted;
  for (const std::string& name : names) wanted.push_back(&claims().find(name));
  std::vector<Claim> chosen;
  for (const Claim& claim : claims().entries()) {
    if (std::ranges::find(wanted, &claim) != wanted.end()) chosen.push_back(claim);
  }
  return chosen;
}

}  // namespace slopewise
