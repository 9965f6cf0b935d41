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
  kHolds,       // what is predicted agrees with what was measured
  kFails,       // it does not
  kDiffers,     // it does not, but under the stated condition, which was tested as well, it does
  kUndecided,   // the interval is neither within the predicted range nor clear of it
  kUnmeasured,  // a NaN kept it from being measured
};
std::string to_string(Verdict verdict);

// Two-sided coverage of a claim's interval: a true prediction misses it once in a million runs, so that all of theory's
// claims together raise a false alarm in one of some 55,000 studies.
inline constexpr double kClaimConfidence = 1 - 1e-6;
// The same where no theory is at stake, and steps or seconds of a few runs are all there is.
inline constexpr double kObservedConfidence = 0.999;

// The confidence each of several tests of one claim has to pass at, so that all together keep that of the claim
// (Bonferroni).
constexpr double share_of_confidence(Index tests, double confidence = kClaimConfidence) {
  return 1 - (1 - confidence) / static_cast<double>(tests);
}

// Numbers behind a claim, for charts and for checking: named columns of equal meaning in every row.
struct Series {
  std::string name;
  std::vector<std::string> columns;  // with units where there are any
  std::vector<std::vector<double>> rows;
  std::vector<std::string> labels = {};  // one a row where rows have names, or none
};

struct ClaimResult {
  Interval predicted = {0, 0};  // a range where the statement gives one; its ends may be infinite
  double measured = 0;
  double low = 0, high = 0;  // interval of `measured`
  double confidence = kClaimConfidence;
  std::string quantity;  // what these are
  Verdict verdict = Verdict::kFails;
  std::string condition;  // under what the statement holds, by how much it is off; may be empty
  std::vector<Series> series;
};

class StudyContext;

struct Claim {
  std::string name;
  std::string statement;  // in one sentence
  std::string equation;   // of the note (Frye 2022), or ""
  bool timed = false;     // measures seconds, so its figures differ from run to run
  double weight = 1;      // expected share of a study's time
  // Why it cannot be put to the context's network; "" where it can.
  std::function<std::string(const StudyContext&)> refusal = [](const StudyContext&) { return std::string(); };
  std::function<ClaimResult(StudyContext&)> run;
};

// The refusal of a claim that is measured on perceptrons alone, as `reason` says: "it compares networks of several
// sizes".
std::function<std::string(const StudyContext&)> on_perceptrons(std::string reason);

// A result whose verdict is whether the prediction lies in the measurement's interval, one of the claim's `tests`.
ClaimResult judge(std::string quantity, double predicted, const Measured& measured, Index tests = 1);
ClaimResult judge(std::string quantity, double predicted, double measured, const Interval& interval);
// Of a statement that gives a range, at kObservedConfidence: it holds if the interval lies within the range, fails if
// it is clear of it, and else is undecided.
ClaimResult judge_range(std::string quantity, const Interval& range, double measured, const Interval& interval);

// The names of all claims, in the order of the study.
const std::vector<std::string>& claim_names();
// Those of the given names, in that order. Throws ArgumentError, naming all there are and the nearest, for an unknown
// one.
std::vector<Claim> select_claims(const std::vector<std::string>& names);

}  // namespace slopewise
