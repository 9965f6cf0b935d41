// Running claims, and the document of their results.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "slopewise/study/claim.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {

// What a network is asked, and what it cannot be asked, with the reason.
struct LeftOut {
  Claim claim;
  std::string reason;
};
struct Questions {
  std::vector<Claim> claims;
  std::vector<LeftOut> left_out = {};
};
// The claims of these names that the context's network can be asked; without names, of all. Throws ArgumentError, as
// select_claims does and for a claim that was named and cannot be put to it.
Questions choose_questions(const StudyContext& context, const std::vector<std::string>& names);

struct ClaimOutcome {
  Claim claim;
  ClaimResult result;
  double seconds = 0;
};

// Told when a claim begins, what share of it has been done since, and what came of it; all shares of a claim add up
// to 1. The second is called from several threads.
struct StudyObserver {
  std::function<void(const Claim&)> begins = [](const Claim&) {};
  std::function<void(const Claim&, double share)> advances = [](const Claim&, double) {};
  std::function<void(const ClaimOutcome&)> ends = [](const ClaimOutcome&) {};
};

// Measures the claims in order. A claim that meets a NaN is unmeasured, with what was said of
// it as its condition; whatever else it throws is passed on with the claim's id before its message. Throws Interrupted.
std::vector<ClaimOutcome> run_study(StudyContext& context, const std::vector<Claim>& claims,
                                    const StudyObserver& observer = {});

// The same, until Ctrl-C: what was measured before is kept. Throws Interrupted where that is nothing.
struct StudyRun {
  std::vector<ClaimOutcome> outcomes;
  std::string interruption = {};  // what was going on; empty: all claims were measured
};
StudyRun run_until_interrupted(StudyContext& context, const std::vector<Claim>& claims,
                               const StudyObserver& observer = {});

// "slopewise.study/2", documented in docs/study.md.
nlohmann::ordered_json study_document(const StudyContext& context, const std::vector<ClaimOutcome>& outcomes,
                                      const std::vector<LeftOut>& left_out = {});

}  // namespace slopewise
