// Schedules at their ends, in the middle and along the way.
#include "slopewise/optimize/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr double kTolerance = 1e-15;

TEST(Schedule, ConstantStaysWhereItIs) {
  const Schedule schedule("constant", {.rate = 0.3});
  for (const Index step : {0, 1, 1000000}) EXPECT_EQ(schedule.rate(step), 0.3);
}

TEST(Schedule, ExponentialFallsByTheSameFactorEveryStep) {
  const Schedule schedule("exponential", {.rate = 0.4, .final_rate = 0.1, .steps = 50});
  EXPECT_EQ(schedule.rate(0), 0.4);
  EXPECT_NEAR(schedule.rate(25), 0.2, kTolerance);
  EXPECT_NEAR(schedule.rate(50), 0.1, kTolerance);
  EXPECT_EQ(schedule.rate(51), schedule.rate(50));
  for (Index step = 0; step < 50; ++step)
    EXPECT_NEAR(schedule.rate(step + 1) / schedule.rate(step), std::pow(0.25, 1 / 50.0), 1e-14) << step;
}

TEST(Schedule, CosineFallsAlongHalfACosine) {
  const Schedule schedule("cosine", {.rate = 0.5, .final_rate = 0.1, .steps = 60});
  EXPECT_EQ(schedule.rate(0), 0.5);
  EXPECT_NEAR(schedule.rate(20), 0.1 + 0.4 * 0.75, kTolerance);  // cos(π/3) = 1/2
  EXPECT_NEAR(schedule.rate(30), 0.3, kTolerance);
  EXPECT_NEAR(schedule.rate(40), 0.1 + 0.4 * 0.25, kTolerance);
  EXPECT_NEAR(schedule.rate(60), 0.1, kTolerance);
  EXPECT_EQ(schedule.rate(1000), schedule.rate(60));
  EXPECT_EQ(Schedule("cosine", {.rate = 0.5, .steps = 60}).rate(60), 0);
}

TEST(Schedule, EveryOneWarmsUpInEqualStepsFromAboveZero) {
  for (const std::string& name : schedule_names()) {
    const Schedule schedule(name, {.rate = 0.5, .final_rate = 0.1, .steps = 44, .warm_up = 4});
    const Schedule shifted(name, {.rate = 0.5, .final_rate = 0.1, .steps = 40});
    for (Index step = 0; step <= 4; ++step)
      EXPECT_NEAR(schedule.rate(step), 0.1 * static_cast<double>(step + 1), kTolerance) << name;
    for (Index step = 0; step < 50; ++step) EXPECT_EQ(schedule.rate(step + 4), shifted.rate(step)) << name;
    EXPECT_FALSE(schedule_summary(name).empty());
  }
}

TEST(Schedule, SaysWhatIsWrong) {
  using testing::HasSubstr;
  const auto expect_refused = [](std::string_view name, const ScheduleOptions& options, const std::string& option) {
    EXPECT_THAT([&] { Schedule(name, options); },
                testing::ThrowsMessage<ArgumentError>(HasSubstr(option + ": expected")))
        << name;
  };
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THAT([] { Schedule("step", {.rate = 1}); },
              testing::ThrowsMessage<ArgumentError>(HasSubstr("constant, exponential, cosine")));
  EXPECT_THROW(schedule_summary("step"), ArgumentError);
  for (const std::string& name : schedule_names()) {
    for (const double rate : {0.0, -1.0, infinity, infinity - infinity})
      expect_refused(name, {.rate = rate, .final_rate = 1e-3, .steps = 9}, "rate");
    expect_refused(name, {.rate = 1, .final_rate = 1e-3, .steps = 9, .warm_up = -1}, "warm_up");
    if (name == "constant") continue;
    expect_refused(name, {.rate = 1, .final_rate = 1e-3}, "steps");
    expect_refused(name, {.rate = 1, .final_rate = 1e-3, .steps = 9, .warm_up = 9}, "steps");
    expect_refused(name, {.rate = 1, .final_rate = 2, .steps = 9}, "final_rate");
    expect_refused(name, {.rate = 1, .final_rate = -1, .steps = 9}, "final_rate");
  }
  expect_refused("exponential", {.rate = 1, .steps = 9}, "final_rate");
  EXPECT_THROW(Schedule("constant", {.rate = 1}).rate(-1), ArgumentError);
}

}  // namespace
}  // namespace slopewise
