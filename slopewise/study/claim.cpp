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
  }
  return "";
}

ClaimResult judge(std::string quantity, double predicted, const Measured& measured, Index tests) {
  const Interval interval = measured.interval(share_of_confidence(tests));
  return {.predicted = predicted,
          .measured = measured.value,
          .low = interval.low,
          .high = interval.high,
          .quantity = std::move(quantity),
          .verdict = interval.contains(predicted) ? Verdict::kHolds : Verdict::kFails};
}

const std::vector<Claim>& all_claims() {
  static const std::vector<Claim> claims = {
      unbiased_claim(),
      variance_law_claim(),
      mean_variance_claim(),
      uncorrelated_terms_claim(),
      snr_scaling_claim(),
      alignment_claim(),
      minibatch_claim(),
      heavy_tails_claim(),
      norm_skew_claim(),
      learning_rate_claim(),
      backward_cost_claim(),
      crossover_claim(),
      memory_claim(),
      distributions_claim(),
      prior_claim(),
      activity_claim(),
      learned_prior_claim(),
      clipping_claim(),
      special_optimizer_claim(),
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
