#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "slopewise/probe/laws.hpp"
#include "tests/probe/layouts.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Probes, EveryNameMakesALawOfThatName) {
  const ParameterLayout layout = small_layout();
  EXPECT_THAT(probe_names(), testing::UnorderedElementsAre("gaussian", "rademacher", "uniform", "sphere", "coordinate",
                                                           "frame", "rank-one", "rank-one-gaussian"));
  for (const std::string& name : probe_names()) {
    const auto probe = make_probe(name, layout, 5);
    EXPECT_EQ(probe->name(), name);
    EXPECT_EQ(probe->seed(), 5u);
    EXPECT_EQ(probe->layout().size, layout.size);
    EXPECT_EQ(probe->orthogonal(), name == "frame");
    EXPECT_FALSE(probe_summary(name).empty());
    EXPECT_EQ(probe->draw(0, 3)->count(), 3);
  }
}

TEST(Probes, OnlyRankOneLawsHaveFactorsAndOnlyOnMatrices) {
  using enum TangentForm;
  const ParameterLayout layout = small_layout();
  for (const std::string& name : probe_names()) {
    const TangentForm matrix = name.starts_with("rank-one") ? kRankOne : kDense;
    EXPECT_THAT(make_probe(name, layout, 1)->forms(), testing::ElementsAre(matrix, kDense, kDense, matrix, kDense))
        << name;
    EXPECT_THAT(make_probe(name, ParameterLayout::vector(4), 1)->forms(), testing::ElementsAre(kDense)) << name;
  }
}

TEST(Probes, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  for (const auto& ask : {+[] { make_probe("cauchy", small_layout(), 1); }, +[] { probe_summary("cauchy"); }}) {
    try {
      ask();
      FAIL() << "no error";
    } catch (const ArgumentError& error) {
      EXPECT_THAT(error.what(), HasSubstr("'cauchy'"));
      for (const std::string& name : probe_names()) EXPECT_THAT(error.what(), HasSubstr(name));
    }
  }
}

TEST(Probes, CountsALawDoesNotHaveAreRefused) {
  const ParameterLayout layout = small_layout();
  for (const std::string& name : probe_names()) {
    const auto probe = make_probe(name, layout, 1);
    for (const Index count : {Index{0}, Index{-1}, kMostTangents + 1}) {
      EXPECT_THAT([&] { probe->draw(0, count); }, ThrowsMessage<ArgumentError>(testing::AllOf(
                                                      HasSubstr(name), HasSubstr("found " + std::to_string(count)))));
    }
  }
  const auto frame = make_probe("frame", layout, 1);
  EXPECT_NO_THROW(frame->draw(0, 28));
  EXPECT_THAT([&] { frame->draw(0, 29); },
              ThrowsMessage<ArgumentError>(HasSubstr("frame: expected 1 to 28 tangents, found 29")));
}

}  // namespace
}  // namespace slopewise
