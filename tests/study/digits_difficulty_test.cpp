// The built-in digits are worth a study: no linear model reads them all, and a small network reads more.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "slopewise/data/batches.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "slopewise/objective/program_objective.hpp"

namespace slopewise {
namespace {

// Share of the test images read rightly after plain steps with exact gradients.
double accuracy(const Model& model, const DataSplit& digits, std::uint32_t steps, double rate) {
  Parameters<float> theta = initialize<float>(model.program.layout(), 1);
  const auto estimator = make_estimator<float>("exact", model.program.layout(), {});
  const Batches batches(digits.train.count(), 64, 1);
  ProgramObjective<float> objective(model.program, {});
  for (std::uint32_t step = 0; step < steps; ++step) {
    const ExampleBatch<float> batch(digits.train, batches.indices(step));
    objective.bind(batch.batch());
    estimator->estimate(objective, theta, step).add_to(theta, -rate);
  }
  std::vector<Index> all(static_cast<std::size_t>(digits.test.count()));
  std::iota(all.begin(), all.end(), 0);
  const ExampleBatch<float> test(digits.test, all);
  Runner<float> runner(model.program, {.batch = digits.test.count(), .outputs = {model.logits}});
  runner.run(theta, test.batch());
  const float* logits = runner.output(0).data();
  int right = 0;
  for (const std::int32_t label : test.labels()) {
    right += std::max_element(logits, logits + digits.test.classes) - logits == label;
    logits += digits.test.classes;
  }
  return static_cast<double>(right) / static_cast<double>(digits.test.count());
}

TEST(Digits, ALinearModelReadsFewerThanANetwork) {
  const DataSplit digits = builtin_digits(10000, 2000, 1);
  const Index inputs = digits.train.image_shape.size();
  const std::vector<Index> hidden{128};
  const double linear = accuracy(logistic(inputs, digits.train.classes), digits, 3000, 0.1);
  const double network = accuracy(mlp(inputs, hidden, digits.train.classes), digits, 3000, 0.1);
  RecordProperty("linear", std::to_string(linear));
  RecordProperty("network", std::to_string(network));
  EXPECT_GT(linear, 0.85);
  EXPECT_LT(linear, 0.95);
  EXPECT_GT(network, 0.95);
}

}  // namespace
}  // namespace slopewise
