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
  EXPECT_THAT(probe_names(), testing::IsSupersetOf({"gaussian", "rademacher", "uniform", "sphere", "coordinate",
                                                    "frame", "rank-one", "rank-one-gaussian", "low-rank"}));
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

// A law of another's tangents, from outside the library.
class Borrowed final : public Probe {
 public:
  Borrowed(const ParameterLayout& of, std::uint64_t with) : Probe(of, with), law_(make_probe("uniform", of, with)) {}
  std::string_view name() const override { return "test-borrowed"; }
  std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const override {
    check_count(count);
    return law_->draw(step, count);
  }
  double entry_variance(const GradientView& gradient, Index i, Index count) const override {
    return law_->entry_variance(gradient, i, count);
  }
  double total_variance(const GradientView& gradient, Index count) const override {
    return law_->total_variance(gradient, count);
  }
  SnrRange snr(Index count) const override { return law_->snr(count); }

 private:
  std::shared_ptr<const Probe> law_;
};

TEST(Probes, ALawFromOutsideIsKnownByName) {
  const ProbeFamily family{"test-borrowed", "uniform entries",
                           [](const ParameterLayout& layout, std::uint64_t seed, const LawOptions&) {
                             return std::make_shared<Borrowed>(layout, seed);
                           }};
  register_probe(family);
  EXPECT_THAT(probe_names(), testing::Contains("test-borrowed"));
  EXPECT_EQ(probe_summary("test-borrowed"), "uniform entries");
  const ParameterLayout layout = small_layout();
  std::vector<double> found(static_cast<std::size_t>(layout.size)), expected(found.size());
  make_probe("test-borrowed", layout, 3)->draw(4, 1)->fill(0, 0, std::span(found));
  make_probe("uniform", layout, 3)->draw(4, 1)->fill(0, 0, std::span(expected));
  EXPECT_EQ(found, expected);
  EXPECT_THROW(register_probe(family), ArgumentError);
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

TEST(Probes, OptionsOutOfRangeAreRefused) {
  const auto make = [](const LawOptions& options) {
    return [=] { make_probe("low-rank", small_layout(), 1, options); };
  };
  EXPECT_THAT(make({.rank = 0}), ThrowsMessage<ArgumentError>(HasSubstr("rank: expected 1 to 1024, found 0")));
  EXPECT_THAT(make({.rank = -2}), ThrowsMessage<ArgumentError>(HasSubstr("found -2")));
  EXPECT_THAT(make({.rank = Index{1} << 40}), ThrowsMessage<ArgumentError>(HasSubstr("found 1099511627776")));
  EXPECT_THAT(make({.hold = 0}), ThrowsMessage<ArgumentError>(HasSubstr("hold: expected at least 1 step, found 0")));
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
