// The rate of steps held to that which descends a quadratic fastest.
#include "slopewise/optimize/step_rate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/estimate.hpp"
#include "slopewise/optimize/optimizer.hpp"
#include "tests/optimize/support.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

// ½ Σ_i h_i θ_i²: steps of an optimizer at rates of its own.
struct Quadratic {
  std::vector<double> h{0.5, 2, 8};
  Parameters<double> theta{std::vector<double>{3, -2, 1}};

  double loss() const {
    double sum = 0;
    for (std::size_t i = 0; i < h.size(); ++i) sum += h[i] * theta.values()[i] * theta.values()[i] / 2;
    return sum;
  }
  // One step.
  void step(Optimizer<double>& optimizer, StepRate& rate) {
    std::vector<double> gradient(h.size());
    for (std::size_t i = 0; i < h.size(); ++i) gradient[i] = h[i] * theta.values()[i];
    StepLook look{.loss = loss()};
    double taken = 0;
    optimizer.step(theta, DenseGradient<double>(gradient), [&](const StepDirection& direction) {
      std::vector<double> d(h.size());
      direction.gradient.add_to(std::span(d), direction.factor);
      for (std::size_t i = 0; i < h.size(); ++i) {
        look.slope += gradient[i] * d[i];
        look.curvature += h[i] * d[i] * d[i];
      }
      rate.watch(look);
      return taken = rate.rate();
    });
    rate.met(look, taken, loss());
  }
};

// Has looks behind it, so that none of its first bounds the next.
StepRate after_its_first(double safety, Index memory, const StepLook& look) {
  StepRate rate({.safety = safety, .memory = memory});
  for (Index i = 0; i <= StepRate::kFirst; ++i) rate.watch(look);
  return rate;
}

// A step at the rate of one look is Cauchy's: no other rate ends lower.
TEST(StepRate, OfOneLookIsThatOfSteepestDescent) {
  for (const std::string& name : optimizer_names()) {
    const auto loss_at = [&](double safety) {
      Quadratic problem;
      StepRate rate = after_its_first(safety, 1, {});
      problem.step(*make_optimizer<double>(name, 3, {}), rate);
      return problem.loss();
    };
    const double best = loss_at(1);
    EXPECT_LT(best, Quadratic().loss()) << name;
    for (const double other : {0.9, 1.1}) EXPECT_GT(loss_at(other), best) << name << " at " << other;
    // As far from the best on either side: the loss is a parabola along the step.
    EXPECT_NEAR(loss_at(0.5), loss_at(1.5), 1e-12 * best) << name;
  }
}

TEST(StepRate, BringsEveryOptimizerDown) {
  for (const std::string& name : optimizer_names()) {
    Quadratic problem;
    StepRate rate;
    const auto optimizer = make_optimizer<double>(name, 3, {});
    for (int step = 0; step < 400; ++step) problem.step(*optimizer, rate);
    EXPECT_LT(problem.loss(), 1e-2 * Quadratic().loss()) << name;
  }
}

TEST(StepRate, IsTheRatioOfMeansAndFollowsCurvatureThatRises) {
  StepRate rate = after_its_first(1, 10, {.loss = 1, .slope = 2, .curvature = 4});
  EXPECT_DOUBLE_EQ(rate.rate(), 0.5);
  EXPECT_DOUBLE_EQ(rate.outlook().signal, 2);
  EXPECT_DOUBLE_EQ(rate.outlook().decrease(rate.rate()), 0.5);
  // A tenfold curvature: the faster mean, over two looks, has half of it at once.
  rate.watch({.loss = 1, .slope = 2, .curvature = 40});
  EXPECT_DOUBLE_EQ(rate.outlook().bend, 22);
  // And where it falls the slower one holds the rate down.
  for (int i = 0; i < 3; ++i) rate.watch({.loss = 1, .slope = 2, .curvature = 0});
  EXPECT_NEAR(rate.outlook().bend, 7.6 * 0.9 * 0.9 * 0.9, 1e-12);
}

TEST(StepRate, BoundsStepsThatBendDownwardsAndTakesNoneThatLeadUpwards) {
  EXPECT_DOUBLE_EQ(after_its_first(1, 20, {.loss = 1, .slope = 2, .curvature = -4}).rate(), 0.5);
  EXPECT_EQ(after_its_first(1, 20, {.loss = 1, .slope = -1, .curvature = 4}).rate(), 0);
  EXPECT_EQ(after_its_first(1, 20, {.loss = 1, .slope = 1, .curvature = 0}).rate(), 0);
  EXPECT_EQ(StepRate().rate(), 0);
}

// Along |x| from x = 1 there is no curvature; the step that goes past 0 meets it.
TEST(StepRate, CountsTheCurvatureThatAStepMeets) {
  const StepLook look{.loss = 1, .slope = 1, .curvature = 0.1};
  StepRate rate = after_its_first(1, 20, look);
  EXPECT_DOUBLE_EQ(rate.rate(), 10);
  rate.watch(look);
  rate.met(look, 10, 9);  // |1 − 10|
  EXPECT_DOUBLE_EQ(rate.outlook().bend, 0.1 + (2.0 * (10 + 8) / 100 - 0.1) / 4);
  // Less than what was seen does not count, nor what rounding may have made.
  const StepOutlook before = rate.outlook();
  rate.met(look, 10, -8.9);
  rate.met(look, 1e-6, 1.1);
  rate.met(look, 0, 9);
  EXPECT_EQ(rate.outlook().bend, before.bend);
}

// The first look says next to nothing of curvature; later ones have means to go by.
TEST(StepRate, TakesLittleOfTheLossOffInItsFirstSteps) {
  StepRate rate;
  const StepLook look{.loss = 2, .slope = 4, .curvature = 1e-6};
  for (Index i = 0; i < StepRate::kFirst; ++i) {
    rate.watch(look);
    EXPECT_DOUBLE_EQ(rate.rate(), 0.05 * 2 / 4);
  }
  rate.watch(look);
  EXPECT_GT(rate.rate(), 1e6);
  StepRate negative;  // a loss that is none knows no such bound
  negative.watch({.loss = -2, .slope = 4, .curvature = 1});
  EXPECT_DOUBLE_EQ(negative.rate(), 4);
}

TEST(StepRate, LooksAtTheFirstStepsAndThenAtOneInTen) {
  Index looks = 0;
  for (Index step = 0; step < 120; ++step) looks += StepRate::looks_at(step);
  EXPECT_EQ(looks, 20 + 10);
}

TEST(StepRate, GoesOnFromItsState) {
  StepRate whole, resumed;
  for (int i = 1; i <= 7; ++i) whole.watch({.loss = 1, .slope = 1.0 * i, .curvature = 1.0 * i * i});
  resumed.restore(whole.state());
  for (int i = 1; i <= 40; ++i) {
    const StepLook look{.loss = 1, .slope = 1.0 / i, .curvature = 3};
    for (StepRate* rate : {&whole, &resumed}) {
      rate->watch(look);
      rate->met(look, 0.1, 2);
    }
    EXPECT_EQ(resumed.rate(), whole.rate());
  }
  StateView<double> other = whole.state();
  other.vectors[0].name = "others";
  EXPECT_THROW(resumed.restore(other), ArgumentError);
}

TEST(StepRate, RefusesWhatDoesNotFit) {
  for (const double safety : {0.0, 2.0, kNaN}) EXPECT_THROW(StepRate({.safety = safety}), ArgumentError);
  EXPECT_THROW(StepRate({.memory = 0}), ArgumentError);
  StepRate rate;
  for (const double bad : {kNaN, kInfinity}) {
    EXPECT_THROW(rate.watch({.loss = 1, .slope = bad, .curvature = 1}), NumericError);
    EXPECT_THROW(rate.watch({.loss = 1, .slope = 1, .curvature = bad}), NumericError);
    EXPECT_THROW(rate.watch({.loss = bad, .slope = 1, .curvature = 1}), NumericError);
    EXPECT_THROW(rate.met({.loss = 1, .slope = 1, .curvature = 1}, 1, bad), NumericError);
  }
  EXPECT_EQ(rate.state().steps, 0);
}

}  // namespace
}  // namespace slopewise
