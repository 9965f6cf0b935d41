#include "slopewise/audit/trial.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/audit/tasks.hpp"

namespace slopewise {
namespace {

TEST(Trial, IsARunOfTrainFromTheSameWeights) {
  const DataSplit data = audited_digits(32);
  const AuditTask task = audited(data, perceptron({16}), 32);
  const AuditMethod backprop = audit_methods(task).front();
  const Trial trial = run_trial(task, backprop, 0.1, 0.7, 60);
  EXPECT_EQ(trial.status, "reached");
  Trainer trainer(settings_of(task, backprop, 0.1), data, task.network);
  EXPECT_DOUBLE_EQ(trainer.evaluate().loss, trial.curve.front().loss);
  for (Index step = 0; step < trial.steps(); ++step) trainer.advance();
  EXPECT_DOUBLE_EQ(trainer.evaluate().loss, trial.curve.back().loss);
}

TEST(Trial, SaysWhatDiverged) {
  const DataSplit data = audited_digits(32);
  const AuditTask task = audited(data, perceptron({16}), 32);
  EXPECT_EQ(run_trial(task, audit_methods(task).front(), 1e4, 0.1, 60).status, "diverged");
}

TEST(Trial, StepsAreCountedToALossThatBothReached) {
  const Trial slow{.curve = {{0, 2}, {10, 1.8}, {20, 1.6}}}, fast{.curve = {{0, 2}, {1, 1.5}, {2, 1}}};
  EXPECT_DOUBLE_EQ(steps_to(slow, 1.7), 15);
  EXPECT_DOUBLE_EQ(steps_to(slow, 2), 0);
  EXPECT_TRUE(std::isnan(steps_to(slow, 1)));
  EXPECT_DOUBLE_EQ(measured_slowdown(slow, fast), 20 / 0.8);
  EXPECT_TRUE(std::isnan(measured_slowdown({.curve = {{0, 2}, {5, 2.1}}}, fast)));
}

TEST(Trial, ALossThatFallsInProportionToItselfIsPredicted) {
  EXPECT_NEAR(predicted_decrease(2, 1e-6, 10), 1e-5, 1e-10);
  EXPECT_NEAR(predicted_decrease(2, 0.1, std::log(2.0) * 2 / 0.1), 1, 1e-12);  // half of it
}

}  // namespace
}  // namespace slopewise
