// What a trainer says a step needs is what the step takes.
#include <gtest/gtest.h>
#include <malloc.h>

#include <functional>

#include "slopewise/base/threads.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/train/trainer.hpp"

namespace slopewise {
namespace {

struct StepCase {
  std::string name;
  std::function<void(TrainSettings&)> set;
};
void PrintTo(const StepCase& which, std::ostream* out) {
  *out << which.name;
}

std::vector<StepCase> step_cases() {
  const auto along = [](const std::string& law, const std::string& optimizer) {
    return [law, optimizer](TrainSettings& s) {
      s.method.estimator = "forward";
      s.method.options.law = law;
      s.optimizer = optimizer;
    };
  };
  const auto local = [](const std::string& estimator) {
    return [estimator](TrainSettings& s) {
      s.method.estimator = estimator;
      s.network.block_layers = 1;
    };
  };
  const auto differences = [](const std::string& estimator, const std::string& law) {
    return [estimator, law](TrainSettings& s) {
      s.method.estimator = estimator;
      s.method.options.law = law;
      s.method.options.tangents = 1;  // whose draw lives during a step alone
      s.optimizer = "sgd";
    };
  };
  const auto residual = [](Index tangents, const ActivityOptions& how) {
    return [tangents, how](TrainSettings& s) {
      s.network.residual = true;
      s.method.options = {.law = "rademacher", .tangents = tangents, .activity = how};
    };
  };
  return {{"exact", [](TrainSettings& s) { s.method.estimator = "exact"; }},
          {"checkpointed",
           [](TrainSettings& s) {
             s.method.estimator = "exact";
             s.method.checkpointed = true;
           }},
          {"micro_batches",
           [](TrainSettings& s) {
             s.method.estimator = "exact";
             s.method.checkpointed = true;
             s.method.micro_batch = 1;
           }},
          {"rank_one_sgd", along("rank-one", "sgd")},
          {"rank_one_adam", along("rank-one", "adam")},
          {"gaussian_momentum", along("gaussian", "momentum")},
          {"rademacher_sgd", along("rademacher", "sgd")},
          {"central_gaussian", differences("central", "gaussian")},
          {"central_low_rank", differences("central", "low-rank")},
          {"one_sided_rademacher", differences("one-sided", "rademacher")},
          {"input_span",
           [](TrainSettings& s) {
             s.method.estimator = "input-span";
             s.method.options = {.law = "rank-one", .tangents = 4};
             s.optimizer = "sgd";
           }},
          {"auto_rate",
           [](TrainSettings& s) {
             s.method.estimator = "forward";
             s.method.options = {.law = "rank-one", .auto_rate = true};
             s.optimizer = "sgd";
           }},
          {"auto_rate_differences",
           [](TrainSettings& s) {
             s.method.estimator = "central";
             s.method.options = {.law = "gaussian", .auto_rate = true};
             s.optimizer = "sgd";
           }},
          {"step_rate_exact",
           [](TrainSettings& s) {
             s.method.estimator = "exact";
             s.step_rate = true;
           }},
          {"step_rate_exact_sgd",
           [](TrainSettings& s) {
             s.method.estimator = "exact";
             s.optimizer = "sgd";
             s.step_rate = true;
           }},
          {"step_rate_rank_one",
           [](TrainSettings& s) {
             s.method.estimator = "forward";
             s.method.options = {.law = "rank-one", .tangents = 4};
             s.step_rate = true;
           }},
          {"step_rate_local",
           [](TrainSettings& s) {
             s.method.estimator = "exact";
             s.network.block_layers = 3;
             s.step_rate = true;
           }},
          {"step_rate_activities", [](TrainSettings& s) { s.step_rate = true; }},
          {"activities", [](TrainSettings& s) { s.method.estimator = "activities"; }},
          {"activities_one_by_one",
           [](TrainSettings& s) {
             s.method.estimator = "activities";
             s.method.options.activity.together = false;
           }},
          {"exact_blocks_frozen",
           [](TrainSettings& s) {
             s.method.estimator = "exact";
             s.method.options.exact_blocks = 3;
           }},
          {"exact_blocks_rank_one",
           [](TrainSettings& s) {
             s.method.estimator = "forward";
             s.method.options = {.law = "rank-one", .tangents = 4, .exact_blocks = 3};
             s.optimizer = "sgd";
           }},
          {"exact_blocks_activities", [](TrainSettings& s) { s.method.options.exact_blocks = 3; }},
          {"residual", residual(0, {.prior = "residual", .correction = Correction::kNone})},
          {"residual_groups", residual(0, {.prior = "residual", .correction = Correction::kNone, .group = 3})},
          {"residual_ahead", residual(0, {.prior = "residual", .correction = Correction::kNone, .ahead = 2})},
          {"residual_corrected", residual(4, {.prior = "residual"})},
          {"local_activities", local("activities")},
          {"local_exact", local("exact")},
          {"local_weights", local("forward")}};
}

class StepBytes : public testing::TestWithParam<StepCase> {};

INSTANTIATE_TEST_SUITE_P(Every, StepBytes, testing::ValuesIn(step_cases()),
                         [](const auto& chosen) { return chosen.param.name; });

std::size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Twelve layers of 256, batch 256. Beside what is planned there are buffers that products keep for each thread, and
// strings: a first trainer of the same settings has made those.
TEST_P(StepBytes, AreWhatAStepAllocates) {
  const ThreadScope one(1);
  const DataSplit digits = builtin_digits(512, 10, 1);
  TrainSettings settings;
  settings.network.hidden.assign(12, 256);
  settings.batch = 256;
  settings.epochs = 30;
  settings.rate = 1e-6;
  GetParam().set(settings);
  Trainer(settings, digits).advance();
  Trainer trainer(settings, digits);
  const std::size_t before = allocated();
  if (before == 0) GTEST_SKIP() << "a malloc that is not the C library's, as a sanitizer's, does not say what it holds";
  // An automatic rate takes its first steps without second-order terms after 50 with them.
  const int steps = settings.method.options.auto_rate ? 52 : 3;
  for (int step = 0; step < steps; ++step) trainer.advance();
  // Packed weights take θ's place, whose pages are given back but stay allocated.
  const auto theta = static_cast<double>(trainer.parameters()) * sizeof(float);
  const double found = static_cast<double>(allocated() - before) - theta;
  const auto planned = static_cast<double>(trainer.step_bytes());
  EXPECT_NEAR(found / planned, 1, 0.1) << "planned " << planned << ", found " << found;
}

// 32 layers of 256, batch 256. Blocks of three shapes take turns in one memory, whatever their number, and of examples
// with eight tangents each not all are in flight.
TEST(StepBytesOfManyLayers, AreAThirdOfBackpropsAtMost) {
  const ThreadScope one(1);
  const DataSplit digits = builtin_digits(512, 10, 1);
  const auto bytes = [&](const std::string& estimator, Index block_layers, Index layers = 32, Index tangents = 1) {
    TrainSettings settings;
    settings.network.hidden.assign(static_cast<std::size_t>(layers), 256);
    settings.network.block_layers = block_layers;
    settings.batch = 256;
    settings.method.estimator = estimator;
    settings.method.options = {.law = "rademacher", .tangents = tangents};
    settings.optimizer = "sgd";
    return Trainer(settings, digits).step_bytes();
  };
  const Index backprop = bytes("exact", 0), exact_blocks = bytes("exact", 1);
  EXPECT_LE(3 * exact_blocks, backprop);
  for (const Index tangents : {1, 8}) {
    EXPECT_LE(3 * bytes("activities", 1, 32, tangents), backprop) << "local, K = " << tangents;
    EXPECT_LE(3 * bytes("forward", 0, 32, tangents), backprop) << "weights, K = " << tangents;
  }
  EXPECT_NEAR(static_cast<double>(bytes("exact", 1, 16)) / static_cast<double>(exact_blocks), 1, 0.01);
}

}  // namespace
}  // namespace slopewise
