// Running claims, and the document of their results.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "slopewise/study/claim.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {

struct ClaimOutcome {
  Claim claim;
  ClaimResult result;
  double seconds = 0;
};

// Told before and after each claim.
struct StudyObserver {
  std::function<void(const Claim&)> begins = [](const Claim&) {};
  std::function<void(const Claim&)> ends = [](const Claim&) {};
};

// Measures the claims in order. What a claim throws is passed on with the claim's id before its message.
std::vector<ClaimOutcome> run_study(StudyContext& context, const std::vector<Claim>& claims,
                                    const StudyObserver& observer = {});

// "slopewise.study/1", documented in docs/study.md.
nlohmann::ordered_json study_document(StudyContext& context, const std::vector<ClaimOutcome>& outcomes);

}  // namespace slopewise
