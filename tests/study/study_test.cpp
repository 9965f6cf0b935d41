#include "slopewise/study/study.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/data/digits.hpp"

namespace slopewise {
namespace {

const Dataset& digits() {
  static const Dataset train = builtin_digits(1200, 1, 1).train;
  return train;
}

StudyContext small_context(std::uint64_t seed = 1) {
  return {{.hidden = {16}, .batch = 16, .seed = seed, .quick = true}, digits()};
}

// The claims that theory predicts and that measure no seconds.
std::vector<Claim> predicted_claims() {
  return select_claims({"unbiased", "variance-law", "mean-variance", "uncorrelated-terms", "alignment", "minibatch",
                        "heavy-tails", "norm-skew", "memory", "distributions", "prior", "activity", "learned-prior",
                        "clipping", "special-optimizer", "second-order"});
}

TEST(Claims, AreTwentyWithNamesOfTheirOwn) {
  std::set<std::string> ids;
  for (const Claim& claim : all_claims()) {
    ids.insert(claim.id);
    EXPECT_FALSE(claim.statement.empty()) << claim.id;
    EXPECT_GT(claim.weight, 0) << claim.id;
  }
  EXPECT_EQ(ids.size(), 20u);
}

TEST(Claims, AreSelectedInTheOrderOfTheStudy) {
  const std::vector<Claim> claims = select_claims({"prior", "unbiased"});
  ASSERT_EQ(claims.size(), 2u);
  EXPECT_EQ(claims[0].id, "unbiased");
  EXPECT_EQ(claims[1].id, "prior");
  try {
    select_claims({"unbiased", "perpetual-motion"});
    FAIL() << "an unknown claim was accepted";
  } catch (const ArgumentError& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("perpetual-motion"), testing::HasSubstr("snr-scaling")));
  }
}

TEST(Claims, AVerdictFollowsFromTheInterval) {
  const Measured measured{.value = 1.0, .error = 0.01, .degrees = 1e6};
  EXPECT_EQ(judge("", 1.02, measured).verdict, Verdict::kHolds);
  EXPECT_EQ(judge("", 1.05, measured).verdict, Verdict::kFails);
}

// Sixteen claims at 1e-4 each, at a fixed seed: a false alarm would show on every run, so none is left to chance later.
TEST(Study, WhatTheoryPredictsHolds) {
  StudyContext context = small_context();
  for (const ClaimOutcome& outcome : run_study(context, predicted_claims())) {
    EXPECT_EQ(outcome.result.verdict, Verdict::kHolds)
        << outcome.claim.id << ": predicted " << outcome.result.predicted << ", measured " << outcome.result.measured
        << " [" << outcome.result.low << ", " << outcome.result.high << "]; " << outcome.result.condition;
    EXPECT_LE(outcome.result.low, outcome.result.measured) << outcome.claim.id;
    EXPECT_GE(outcome.result.high, outcome.result.measured) << outcome.claim.id;
  }
}

TEST(Study, SameFileAtAnyThreadCount) {
  // Every way claims spread work over threads; the others reduce the same samples.
  const std::vector<Claim> claims =
      select_claims({"unbiased", "variance-law", "uncorrelated-terms", "alignment", "minibatch", "memory", "prior",
                     "activity", "learned-prior", "special-optimizer", "second-order"});
  const auto document = [&](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    StudyContext context = small_context();
    nlohmann::ordered_json written = study_document(context, run_study(context, claims));
    set_thread_count(before);
    for (auto& claim : written["claims"]) claim.erase("seconds");
    return written.dump();
  };
  const std::string one = document(1);
  EXPECT_EQ(one, document(2));
  EXPECT_THAT(one, testing::HasSubstr("slopewise.study/1"));
}

TEST(Study, AnotherSeedDrawsOtherNumbers) {
  StudyContext a = small_context(1), b = small_context(2);
  EXPECT_NE(a.subject().loss(), b.subject().loss());
  EXPECT_NE(a.pool().slopes, b.pool().slopes);
}

// The samples can tell laws apart: taken for Gaussian, Rademacher tangents miss the fourth moment of the entries by
// far.
TEST(Study, SamplesOfAnotherLawWouldFail) {
  StudyContext context = small_context();
  const Subject& subject = context.subject();
  const Samples samples = draw_samples(subject, *make_probe("rademacher", subject.layout(), 1), 2000, {0, 1, 2});
  for (const double norm : samples.squared_norms) EXPECT_EQ(norm, static_cast<double>(subject.size()));
  std::vector<double> fourth;
  for (Index j = 0; j < samples.count(); ++j)
    fourth.push_back(std::pow(samples.gradient_entry(j, 0), 4) / std::pow(subject.gradient().squared_norm(), 2));
  EXPECT_EQ(judge("E g^4 / |grad|^4 of Gaussian tangents", 9, mean_of(fourth)).verdict, Verdict::kFails);
  EXPECT_EQ(judge("E g^4 / |grad|^4 of Rademacher tangents", 3, mean_of(fourth)).verdict, Verdict::kHolds);
}

TEST(Study, AClaimThatMeetsANaNIsUnmeasured) {
  StudyContext context = small_context();
  const Claim broken{.id = "broken", .run = [](StudyContext&) -> ClaimResult { throw NumericError("a NaN"); }};
  const std::vector<ClaimOutcome> outcomes = run_study(context, {broken, select_claims({"memory"})[0]});
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].result.verdict, Verdict::kUnmeasured);
  EXPECT_EQ(outcomes[0].result.condition, "a NaN");
  EXPECT_TRUE(nlohmann::json::parse(study_document(context, outcomes).dump())["claims"][0]["measured"].is_null());
  EXPECT_EQ(outcomes[1].result.verdict, Verdict::kHolds);
}

TEST(Study, AnyOtherErrorNamesItsClaim) {
  StudyContext context = small_context();
  const Claim broken{.id = "broken", .run = [](StudyContext&) -> ClaimResult { throw FileError("no such file"); }};
  try {
    run_study(context, {broken});
    FAIL() << "the error was lost";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("claim broken: no such file"));
    EXPECT_EQ(error.exit_code(), 1);
  }
}

TEST(Study, ABatchTheDataCannotFillIsRefused) {
  EXPECT_THROW(StudyContext({.batch = 5000}, digits()), ArgumentError);
  EXPECT_THROW(StudyContext({.batch = 1}, digits()), ArgumentError);
}

}  // namespace
}  // namespace slopewise
