#include "slopewise/audit/noise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/train/spread.hpp"
#include "tests/audit/tasks.hpp"

namespace slopewise {
namespace {

TEST(AuditNoise, OfMiniBatchesIsThatOfTheirGradients) {
  const DataSplit data = audited_digits(32);
  const AuditTask task = audited(data, perceptron({16}), 32);
  AuditSubject subject(task);
  ASSERT_EQ(subject.batches(), 16);
  const AuditNoise found = measure_audit_noise(subject, 16, 1);
  // One by one: the mean square, and the mean product of pairs.
  std::vector<std::vector<float>> gradients;
  double square = 0, product = 0;
  for (Index b = 0; b < subject.batches(); ++b) {
    std::vector<float>& g = gradients.emplace_back(static_cast<std::size_t>(subject.size()));
    subject.objective(b).gradient(subject.theta(), g);
    for (const float x : g) square += double{x} * x / 16;
  }
  for (std::size_t a = 0; a < 16; ++a) {
    for (std::size_t b = 0; b < 16; ++b) {
      if (a == b) continue;
      for (std::size_t i = 0; i < gradients[a].size(); ++i)
        product += double{gradients[a][i]} * double{gradients[b][i]} / (16 * 15);
    }
  }
  EXPECT_NEAR(found.batch_squared_norm.value, square, 1e-5 * square);
  EXPECT_NEAR(found.squared_norm.value, product, 1e-4 * square);
  EXPECT_NEAR(found.batch_factor.value, square / product, 1e-3);
  EXPECT_GT(found.batch_factor.error, 0);
  // The blocks add up to the whole.
  double parts = 0, weights = 0;
  for (const BlockNoise& block : found.blocks) {
    parts += block.batch_squared_norm;
    weights += static_cast<double>(block.parameters);
  }
  EXPECT_NEAR(parts, square, 1e-5 * square);
  EXPECT_EQ(weights, static_cast<double>(subject.size()));
}

TEST(AuditNoise, FromSlopesAloneAgreesWithGradients) {
  const DataSplit data = audited_digits(32);
  AuditTask task = audited(data, perceptron({16}), 32);
  AuditSubject subject(task);
  const AuditNoise exact = measure_audit_noise(subject, 16, 1);
  task.forward_only = true;
  AuditSubject blind(task);
  EXPECT_EQ(blind.reference(), Reference::kSlopes);
  const AuditNoise slopes = measure_audit_noise(blind, 1000, 1);
  EXPECT_TRUE(slopes.gradient.empty());
  // s² of 1000 normal slopes, χ²: six standard errors are 27 %; of each block as well.
  const double bound = 6 * std::sqrt(2.0 / 1000);
  EXPECT_NEAR(slopes.squared_norm.value, exact.squared_norm.value, bound * exact.squared_norm.value);
  EXPECT_NEAR(slopes.batch_squared_norm.value, exact.batch_squared_norm.value, bound * exact.batch_squared_norm.value);
  for (std::size_t b = 0; b < exact.blocks.size(); ++b) {
    EXPECT_NEAR(slopes.blocks[b].batch_squared_norm, exact.blocks[b].batch_squared_norm,
                1.5 * bound * exact.blocks[b].batch_squared_norm);
  }
  EXPECT_NEAR(slopes.kurtosis, 3, 1);
}

// With a last layer of zeros nothing flows back: its weights alone have a gradient.
TEST(AuditNoise, FindsTheLayerThatCarriesTheGradient) {
  const DataSplit data = audited_digits(32);
  AuditTask task = audited(data, perceptron({16, 16}), 32);
  const Index last = task.network.training.front().program->layout().blocks.back().weight;
  const std::string name =
      task.network.training.front().program->layout().segments[static_cast<std::size_t>(last)].name;
  keep_only(task, [&](const Segment& segment) { return segment.name != name; });
  AuditSubject subject(task);
  const AuditNoise found = measure_audit_noise(subject, 16, 1);
  for (const BlockNoise& block : found.blocks) {
    if (block.name == name) {
      EXPECT_NEAR(block.batch_squared_norm, found.batch_squared_norm.value, 1e-6 * block.batch_squared_norm);
      EXPECT_GT(block.snr, 0);
    } else {
      EXPECT_EQ(block.batch_squared_norm, 0);
      EXPECT_EQ(block.snr, 0);
    }
  }
}

TEST(AuditNoise, OneMiniBatchThatIsAllTheDataAddsNone) {
  const DataSplit data = audited_digits(64, 64);
  AuditSubject subject(audited(data, perceptron({8}), 64));
  ASSERT_EQ(subject.batches(), 1);
  const AuditNoise found = measure_audit_noise(subject, 8, 1);
  EXPECT_EQ(found.batch_factor.value, 1);
  EXPECT_EQ(found.batch_factor.error, 0);
}

TEST(AuditSubject, TakesWhatFitsInMemory) {
  const DataSplit data = audited_digits(64);
  // Narrow and deep, so that activations outweigh weights.
  AuditTask task = audited(data, perceptron(std::vector<Index>(24, 24)), 64);
  const AuditSubject whole(task);
  EXPECT_EQ(whole.reference(), Reference::kPullback);
  bool checkpointed = false;
  Index slopes_from = 0;
  for (Index memory = 16 << 20; memory >= whole.least_bytes(); memory = memory * 7 / 8) {
    task.memory = memory;
    const Reference reference = AuditSubject(task).reference();
    checkpointed |= reference == Reference::kCheckpointed;
    if (reference == Reference::kSlopes && slopes_from == 0) slopes_from = memory;
  }
  EXPECT_TRUE(checkpointed);
  EXPECT_GT(slopes_from, whole.least_bytes());
}

TEST(AuditSubject, RefusesWhatCannotBeAudited) {
  const DataSplit data = audited_digits(64);
  AuditTask task = audited(data, perceptron({8}), 64);
  task.memory = 1000;  // less than the weights
  EXPECT_THROW(AuditSubject{task}, ArgumentError);
  task.memory = 0;
  keep_only(task, [](const Segment&) { return true; });
  task.network.initial = [initial = task.network.initial](std::size_t block, std::uint64_t seed) {
    Parameters<float> theta = initial(block, seed);
    theta.edit()[3] = std::numeric_limits<float>::quiet_NaN();
    return theta;
  };
  EXPECT_THROW(AuditSubject{task}, NumericError);
  for (const Index batch : {data.train.count() + 1, Index{0}})
    EXPECT_THROW(reference_set(data.train, batch, 1), ArgumentError);
}

}  // namespace
}  // namespace slopewise
