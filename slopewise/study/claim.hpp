// A claim: one statement about forward gradients, its prediction, and how it is measured.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "slopewise/statistics/jackknife.hpp"

namespace slopewise {

// Decided from prediction and interval, never written down beforehand.
enum class Verdict {
  kHolds,       // the prediction lies within what was measured
  kFails,       // it does not
  kUnmeasured,  // a NaN kept it from being measured
  kDiffers,     // the statement holds only under the stated condition
};
std::string to_string(Verdict verdict);

// Two-sided coverage of a claim's interval: a true prediction misses it once in ten thousand runs.
inline constexpr double kClaimConfidence = 0.9999;

// The confidence each of several tests of one claim has to pass at, so that all together keep kClaimConfidence
// (Bonferroni).
constexpr double share_of_confidence(Index tests) {
  return 1 - (1 - kClaimConfidence) / static_cast<double>(tests);
}

// Numbers behind a claim, for charts and for checking: named columns of equal meaning in every row.
struct Series {
  std::string name;
  std::vector<std::string> columns;  // with units where there are any
  std::vector<std::vector<double>> rows;
  std::vector<std::string> labels = {};  // one a row where rows have names, or none
};

struct ClaimResult {
  double predicted = 0;
  double measured = 0;
  double low = 0, high = 0;  // interval of `measured`
  std::string quantity;      // what the three are
  Verdict verdict = Verdict::kFails;
  std::string condition;  // under what the statement holds, by how much it is off; may be empty
  std::vector<Series> series;
};

class StudyContext;

struct Claim {
  std::string id;
  std::string statement;  // in one sentence
  std::string equation;   // of the note (Frye 2022), or ""
  bool timed = false;     // measures seconds, so its figures differ from run to run
  double weight = 1;      // expected share of a study's time
  std::function<ClaimResult(StudyContext&)> run;
};

// A result whose verdict is whether the prediction lies in the measurement's interval, one of the claim's `tests`.
ClaimResult judge(std::string quantity, double predicted, const Measured& measured, Index tests = 1);

// All claims, in the order of the study.
const std::vector<Claim>& all_claims();
// Those of the given ids, in that order of the study. Throws ArgumentError, listing the ids, for an unknown one.
std::vector<Claim> select_claims(const std::vector<std::string>& ids);

}  // namespace slopewise
