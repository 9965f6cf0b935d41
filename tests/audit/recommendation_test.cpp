#include "slopewise/audit/recommendation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/curvature.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Index kMiB = 1 << 20;

// What theory says of a quadratic with these curvatures, at a point where the gradient is the same along each; memory
// and time as they are of a deep network: backprop keeps 64 MiB and takes as long as 3 losses, checkpointed 16 MiB
// and 4.
std::vector<MethodFigures> on_quadratic(const std::vector<double>& spectrum) {
  Curvature curvature;
  double largest = 0;
  for (const double c : spectrum) {
    curvature.trace += c;
    curvature.along_gradient += c / static_cast<double>(spectrum.size());
    largest = std::max(largest, c);
  }
  const auto figures = [&](const char* name, StepOutlook outlook, double seconds, Index bytes, bool exact) {
    const double rate = outlook.best_rate(largest), full = curvature.exact().best_rate(largest);
    return MethodFigures{.method = name,
                         .options = name,
                         .bytes = bytes,
                         .seconds = seconds,
                         .rate = rate,
                         .decrease = outlook.decrease(rate),
                         .slowdown = curvature.exact().decrease(full) / outlook.decrease(rate),
                         .exact = exact};
  };
  return {figures("backprop", curvature.exact(), 3, 64 * kMiB, true),
          figures("checkpointed", curvature.exact(), 4, 16 * kMiB, true),
          figures("weights 1", curvature.forward(1), 1.5, 1 * kMiB, false),
          figures("weights 8", curvature.forward(8), 6, 4 * kMiB, false)};
}

TEST(Recommend, BackpropWhereCurvatureIsAlikeInManyDirections) {
  const std::vector<double> isotropic(1000, 1.0);
  const Recommendation found = recommend(on_quadratic(isotropic), 0);
  ASSERT_TRUE(found.best);
  EXPECT_EQ(found.best->method, "backprop");
  EXPECT_EQ(found.second->method, "checkpointed");
  EXPECT_THAT(found.sentence, HasSubstr("Use backprop"));
  // What a slope would have to be worth is said.
  EXPECT_THAT(found.changes, testing::Contains(HasSubstr("--train")));
}

TEST(Recommend, CheckpointedBackpropWhereBackpropDoesNotFit) {
  const Recommendation found = recommend(on_quadratic(std::vector<double>(1000, 1.0)), 20 * kMiB);
  EXPECT_EQ(found.best->method, "checkpointed");
  EXPECT_THAT(found.sentence, HasSubstr("backprop"));
  EXPECT_THAT(found.sentence, HasSubstr("does not fit in 20 MiB"));
  EXPECT_THAT(found.changes, testing::Contains(HasSubstr("64 MiB of memory")));
}

TEST(Recommend, ForwardGradientsWhereNoBackpropFits) {
  const Recommendation found = recommend(on_quadratic(std::vector<double>(1000, 1.0)), 8 * kMiB);
  EXPECT_EQ(found.best->method, "weights 8");  // 8 tangents in 4 times the time
  const Recommendation less = recommend(on_quadratic(std::vector<double>(1000, 1.0)), 2 * kMiB);
  EXPECT_EQ(less.best->method, "weights 1");
}

TEST(Recommend, ForwardGradientsOnOneDirectionWhereTheirStepIsCheap) {
  // tr H = λ: a step along one tangent goes a third as far, (tr H + 2λ)/λ = 3, or less far as backprop's is bounded.
  std::vector<MethodFigures> figures = on_quadratic({1.0});
  figures[2].seconds = 0.5;
  const Recommendation found = recommend(figures, 0);
  EXPECT_EQ(found.best->method, "weights 1");
}

TEST(Recommend, TheLeastMemoryAmongPacesThatAreAlike) {
  std::vector<MethodFigures> figures{
      {.method = "a", .bytes = 10, .seconds = 1, .rate = 1, .decrease = 1.0, .slowdown = 1, .exact = true},
      {.method = "b", .bytes = 5, .seconds = 1, .rate = 1, .decrease = 0.95, .slowdown = 1, .exact = true},
      {.method = "c", .bytes = 1, .seconds = 1, .rate = 1, .decrease = 0.5, .slowdown = 1, .exact = true}};
  EXPECT_EQ(recommend(figures, 0).best->method, "b");
  figures[1].decrease = 0.8;
  EXPECT_EQ(recommend(figures, 0).best->method, "a");
}

TEST(Recommend, NothingWhereNothingFits) {
  const Recommendation found = recommend(on_quadratic({1.0, 1.0}), kMiB / 2);
  EXPECT_FALSE(found.best);
  EXPECT_THAT(found.sentence, HasSubstr("Nothing fits in 512 KiB"));
  EXPECT_THAT(found.sentence, HasSubstr("1 MiB"));
}

TEST(Recommend, NothingOfWhatDivergedOrIsUnknown) {
  std::vector<MethodFigures> figures = on_quadratic({1.0, 1.0});
  for (MethodFigures& method : figures) method.decrease = kNaN;
  EXPECT_FALSE(recommend(figures, 0).best);
  figures[1].decrease = -1;  // rose
  EXPECT_FALSE(recommend(figures, 0).best);
  figures[3].decrease = 1e-9;
  EXPECT_EQ(recommend(figures, 0).best->method, "weights 8");
  EXPECT_THROW(recommend({}, 0), ArgumentError);
}

}  // namespace
}  // namespace slopewise
