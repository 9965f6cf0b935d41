// Training of every method on a few hundred of the built-in digits.
#include "slopewise/train/trainer.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "slopewise/base/threads.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/estimate/residual.hpp"

#include "tests/data/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;

const DataSplit& digits() {
  static const DataSplit data = builtin_digits(640, 200, 1);
  return data;
}

// Ten steps an epoch, for a network of two narrow layers.
TrainSettings small_settings() {
  TrainSettings settings;
  settings.network.hidden = {24, 24};
  settings.batch = 64;
  settings.epochs = 2;
  settings.method.estimator = "exact";
  return settings;
}

struct Case {
  std::string name;
  std::function<void(TrainSettings&)> set;
};
void PrintTo(const Case& which, std::ostream* out) {
  *out << which.name;
}

void activities(TrainSettings& settings, const std::string& prior) {
  settings.method.estimator = "activities";
  settings.method.options.activity.prior = prior;
  settings.method.options.tangents = 2;
}
void weights(TrainSettings& settings) {
  settings.method.estimator = "forward";
  settings.method.options = {.law = "rank-one", .tangents = 4};
}

// Everything a run may have to remember.
std::vector<Case> cases() {
  std::vector<Case> all = {
      {"exact", [](TrainSettings&) {}},
      {"exact_checkpointed", [](TrainSettings& s) { s.method.checkpointed = true; }},
      {"exact_local_groups_dropout",
       [](TrainSettings& s) {
         s.network.block_layers = 1;
         s.network.groups = 3;
         s.network.input_dropout = s.network.dropout = 0.2;
         s.network.label_smoothing = 0.1;
       }},
      {"exact_average", [](TrainSettings& s) { s.average = 0.9; }},
      {"weights", [](TrainSettings& s) { weights(s); }},
      {"weights_clip_quantile",
       [](TrainSettings& s) {
         weights(s);
         s.method.options.clip_quantile = 0.5;
       }},
      {"weights_auto_rate",
       [](TrainSettings& s) {
         weights(s);
         s.method.options.auto_rate = true;
         s.optimizer = "sgd";
       }},
      {"weights_step_rate",
       [](TrainSettings& s) {
         weights(s);
         s.step_rate = true;
       }},
      {"exact_step_rate", [](TrainSettings& s) { s.step_rate = true; }},
      {"exact_sgd_step_rate",
       [](TrainSettings& s) {
         s.step_rate = true;
         s.optimizer = "sgd";
         s.optimizer_options.clip_norm = 1;
       }},
      {"local_step_rate",
       [](TrainSettings& s) {
         activities(s, "feedback");
         s.network.block_layers = 1;
         s.step_rate = true;
       }},
      {"zeroth_order_auto_rate",
       [](TrainSettings& s) {
         weights(s);
         s.method.estimator = "central";
         s.method.options.auto_rate = true;
         s.optimizer = "sgd";
       }},
      {"weights_clip_slope",
       [](TrainSettings& s) {
         weights(s);
         s.method.options.clip_slope = 0.1;
       }},
      {"weights_estimated_head_projection",
       [](TrainSettings& s) {
         weights(s);
         s.method.estimator = "projection";
         s.method.options.law = "gaussian";
         s.method.exact_head = false;
       }},
      {"weights_local",
       [](TrainSettings& s) {
         weights(s);
         s.network.block_layers = 1;
       }},
      {"zeroth_order",
       [](TrainSettings& s) {
         weights(s);
         s.method.estimator = "central";
       }},
      {"activities_estimated_head",
       [](TrainSettings& s) {
         activities(s, "none");
         s.method.exact_head = false;
       }},
      {"activities_gated_one_by_one",
       [](TrainSettings& s) {
         activities(s, "feedback");
         s.method.options.activity.correction = Correction::kGated;
         s.method.options.activity.together = false;
       }},
      {"activities_prior_alone",
       [](TrainSettings& s) {
         activities(s, "feedback");
         s.method.options.activity.correction = Correction::kNone;
       }},
      {"local_feedback",
       [](TrainSettings& s) {
         activities(s, "feedback");
         s.network.block_layers = 1;
         s.network.hidden = {24, 24, 24, 24};
         s.network.dropout = 0.1;
         s.network.residual = true;
       }},
      {"cnn_feedback",
       [](TrainSettings& s) {
         activities(s, "feedback");
         s.network.family = "cnn";
         s.network.convolutions = {{.channels = 4, .pool = true}};
         s.network.hidden = {16};
         s.epochs = 1;
       }},
      {"mixer_local",
       [](TrainSettings& s) {
         activities(s, "feedback");
         s.network.family = "mixer";
         s.network.hidden = {8};
         s.network.block_layers = 1;
       }},
  };
  for (const std::string& prior : activity_prior_names())
    all.push_back({"activities_" + prior, [prior](TrainSettings& s) {
                     activities(s, prior);
                     if (!feeds_stream(s.method.options.activity)) return;
                     s.network.hidden = {16, 16, 16};
                     s.network.residual = true;
                   }});
  for (const std::string& estimator : estimator_names()) {
    if (estimator == "activities" || estimator == "exact") continue;  // above
    all.push_back({"estimator_" + estimator, [estimator](TrainSettings& s) {
                     weights(s);
                     s.method.estimator = estimator;
                     s.method.options.law = estimator == "input-span" ? "rank-one" : "gaussian";
                     s.network.hidden = {4};
                   }});
  }
  for (const std::string& optimizer : optimizer_names()) {
    all.push_back({"optimizer_" + optimizer, [optimizer](TrainSettings& s) {
                     s.optimizer = optimizer;
                     s.optimizer_options.weight_decay = 1e-3;
                     s.rate = 0.01;
                   }});
  }
  return all;
}

class EveryMethod : public FileTest, public testing::WithParamInterface<Case> {
 protected:
  TrainSettings settings() const {
    TrainSettings settings = small_settings();
    GetParam().set(settings);
    return settings;
  }
  // All that a later step depends on.
  Bytes state(Trainer& trainer) const {
    trainer.save(directory_ / "state.safetensors", {});
    return file_bytes(directory_ / "state.safetensors");
  }
  static void advance(Trainer& trainer, int steps) {
    for (int i = 0; i < steps; ++i) trainer.advance();
  }
};

TEST_P(EveryMethod, GivesTheSameBitsOnOneAndTwoThreads) {
  std::vector<Bytes> states;
  std::vector<double> losses;
  for (const int threads : {1, 2}) {
    const ThreadScope scope(threads);
    Trainer trainer(settings(), digits());
    advance(trainer, 6);
    states.push_back(state(trainer));
    losses.push_back(trainer.evaluate().loss);
  }
  EXPECT_EQ(states[0], states[1]);
  EXPECT_EQ(losses[0], losses[1]);
}

TEST_P(EveryMethod, LookingChangesNothing) {
  const ThreadScope alone(1);
  Trainer plain(settings(), digits()), watched(settings(), digits());
  advance(plain, 7);
  watched.measure(2, true);  // before anything is learnt
  advance(watched, 3);
  const Evaluation first = watched.evaluate();
  const TrainNoise noise = watched.measure(3, true);
  EXPECT_EQ(watched.evaluate().loss, first.loss);
  const TrainNoise again = watched.measure(3, false);
  EXPECT_EQ(again.gradient.squared_norm, noise.gradient.squared_norm);
  EXPECT_EQ(again.residuals, noise.residuals);
  advance(watched, 4);
  EXPECT_EQ(state(watched), state(plain));
}

TEST_P(EveryMethod, GoesOnBitForBitFromACheckpoint) {
  const ThreadScope alone(1);
  Trainer whole(settings(), digits());
  advance(whole, 13);
  for (const int steps : {0, 1, 9}) {
    Trainer before(settings(), digits());
    advance(before, steps);
    before.save(directory_ / "half.safetensors", {{"note", "kept"}});
    CheckpointReader file(directory_ / "half.safetensors");
    EXPECT_EQ(file.get("note"), "kept");
    Trainer after(settings(), digits());
    advance(after, 2);  // what it was is of no account
    after.restore(file);
    EXPECT_EQ(after.step(), steps);
    advance(after, 13 - steps);
    EXPECT_EQ(state(after), state(whole)) << steps;
  }
}

INSTANTIATE_TEST_SUITE_P(Trainer, EveryMethod, testing::ValuesIn(cases()), [](const auto& which) {
  std::string name = which.param.name;
  std::ranges::replace(name, '-', '_');
  return name;
});

class TrainerTest : public FileTest {};

// Bounds far below guessing, which has 90 %, with room for another order of sums.
TEST_F(TrainerTest, EveryMethodLearns) {
  const ThreadScope alone(1);
  static const DataSplit data = builtin_digits(2000, 500, 1);
  const auto error = [](const std::function<void(TrainSettings&)>& set, Index epochs) {
    TrainSettings settings;
    settings.network.hidden = {64};
    settings.batch = 50;
    settings.epochs = epochs;
    settings.rate = 3e-3;
    set(settings);
    Trainer trainer(settings, data);
    while (trainer.step() < trainer.steps()) trainer.advance();
    return trainer.evaluate().error;
  };
  EXPECT_LT(error([](TrainSettings& s) { s.method.estimator = "exact"; }, 3), 0.25);
  EXPECT_LT(error([](TrainSettings& s) { activities(s, "feedback"); }, 3), 0.35);
  EXPECT_LT(error([](TrainSettings& s) { activities(s, "none"); }, 3), 0.4);
  const auto local = [](TrainSettings& s) {
    activities(s, "feedback");
    s.network.hidden = {64, 64};
    s.network.block_layers = 1;
  };
  EXPECT_LT(error(local, 3), 0.45);
  EXPECT_LT(error([](TrainSettings& s) { weights(s); }, 4), 0.6);
  const auto differences = [](TrainSettings& s) {
    weights(s);
    s.method.estimator = "central";
    s.method.options.tangents = 8;
    s.network.family = "logistic";
    s.rate = 0.01;
  };
  EXPECT_LT(error(differences, 4), 0.7);
}

TEST_F(TrainerTest, SaysHowFarTheStepsLeftReach) {
  const StepOutlook each{.signal = 0.5, .bend = 4};
  TrainSettings settings = small_settings();
  settings.schedule = "constant";
  settings.rate = 0.01;
  Trainer given(settings, digits());
  EXPECT_EQ(given.outlook(), std::nullopt);
  EXPECT_NEAR(given.reach(each), 20 * 0.01 * (0.5 - 0.01 * 4 / 2), 1e-12);
  given.advance();
  EXPECT_NEAR(given.reach(each), 19 * 0.01 * (0.5 - 0.01 * 4 / 2), 1e-12);
  settings.step_rate = true;
  Trainer along_steps(settings, digits());
  EXPECT_EQ(along_steps.outlook()->signal, 0);
  along_steps.advance();
  EXPECT_GT(along_steps.outlook()->signal, 0);
  EXPECT_NEAR(along_steps.reach(each), 19 * 0.5 * 0.5 / 8, 1e-12);  // s²/2c
  settings.step_rate = false;
  weights(settings);
  settings.optimizer = "sgd";
  settings.method.options.auto_rate = true;
  Trainer along_tangents(settings, digits());
  along_tangents.advance();
  EXPECT_NEAR(along_tangents.reach(each), 19 * 0.5 * 0.5 / 8, 1e-12);
  EXPECT_GT(along_tangents.outlook()->bend, 0);
}

TEST_F(TrainerTest, CountsStepsParametersAndSlopes) {
  Trainer trainer(small_settings(), digits());
  EXPECT_EQ(trainer.parameters(), 784 * 24 + 24 + 24 * 24 + 24 + 24 * 10 + 10);
  EXPECT_EQ(trainer.steps_per_epoch(), 10);
  EXPECT_EQ(trainer.steps(), 20);
  EXPECT_EQ(trainer.step(), 0);
  EXPECT_EQ(trainer.slopes(), 0);
  EXPECT_EQ(trainer.guessing_loss(), std::log(10.0));
  EXPECT_GT(trainer.step_bytes(), 0);
  trainer.advance();
  EXPECT_EQ(trainer.step(), 1);
}

// Weights of 0 but for the last bias, so that every image is called a 3 with a margin of 1.
TEST_F(TrainerTest, EvaluatesTheShareOfWrongLogitsAndTheMeanCrossEntropy) {
  TrainSettings settings = small_settings();
  settings.network.family = "logistic";
  settings.network.label_smoothing = 0.1;  // counts while training alone
  Trainer trainer(settings, digits());
  const std::vector<float> weight(7840);
  std::vector<float> bias(10);
  bias[3] = 1;
  const SafetensorView tensors[] = {{"block1.linear1.weight", {10, 784}, weight}, {"block1.linear1.bias", {10}, bias}};
  save_safetensors(directory_ / "weights.safetensors", tensors);
  trainer.load_weights(directory_ / "weights.safetensors");
  const auto threes = static_cast<double>(std::ranges::count(digits().test.labels, 3)) / 200;
  const Evaluation found = trainer.evaluate();
  // Counted, not summed up in shares: the error is the nearest number to a whole number of images over all.
  EXPECT_EQ(found.error, std::round(200 * (1 - threes)) / 200);
  EXPECT_NEAR(found.loss, std::log(9 + std::exp(1.0)) - threes, 1e-6);
}

TEST_F(TrainerTest, HeldOutImagesAreJudgedAndNotLearnt) {
  TrainSettings settings = small_settings();
  settings.validation = 140;
  Trainer trainer(settings, digits());
  EXPECT_EQ(trainer.steps_per_epoch(), 500 / 64);
  DataSplit parted = digits();
  parted.test = digits().train;
  const auto keep = [](Dataset& data, Index first, Index last) {
    data.selection.resize(static_cast<std::size_t>(last - first));
    std::iota(data.selection.begin(), data.selection.end(), first);
    data.labels = {data.labels.begin() + first, data.labels.begin() + last};
  };
  keep(parted.train, 0, 500);
  keep(parted.test, 500, 640);
  settings.validation = 0;
  Trainer other(settings, parted);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(trainer.advance().loss, other.advance().loss);
  EXPECT_EQ(trainer.evaluate().loss, other.evaluate().loss);
}

TEST_F(TrainerTest, AveragedWeightsAreJudgedAndKept) {
  TrainSettings settings = small_settings();
  settings.average = 1;
  Trainer averaged(settings, digits());
  settings.average = 0;
  Trainer plain(settings, digits());
  std::vector<float> mean(static_cast<std::size_t>(plain.parameters()));
  for (int i = 0; i < 5; ++i) {
    averaged.advance();
    plain.advance();
    plain.save_weights(directory_ / "plain.safetensors");
    const SafetensorsFile file(directory_ / "plain.safetensors");
    std::size_t at = 0;
    for (const std::string& name : file.names()) {
      for (const float value : file.read<float>(name, file.shape(name))) mean[at++] += value / 5;
    }
  }
  averaged.save_weights(directory_ / "mean.safetensors");
  const SafetensorsFile file(directory_ / "mean.safetensors");
  std::size_t at = 0;
  for (const std::string& name : file.names()) {
    for (const float value : file.read<float>(name, file.shape(name))) ASSERT_NEAR(value, mean[at++], 1e-6);
  }
  plain.load_weights(directory_ / "mean.safetensors");
  EXPECT_EQ(plain.evaluate().loss, averaged.evaluate().loss);
}

TEST_F(TrainerTest, MeasuresTheExactGradientsOwnNoiseAsMiniBatchNoise) {
  Trainer trainer(small_settings(), digits());
  const TrainNoise noise = trainer.measure(4, true);
  EXPECT_NEAR(noise.gradient.cosine, 1, 1e-6);
  EXPECT_EQ(noise.gradient.tangent_variance, 0);
  EXPECT_GT(noise.gradient.variance, 0);
  EXPECT_TRUE(noise.residuals.empty());
}

TEST_F(TrainerTest, ResidualsAreNamedBySiteThroughAllBlocks) {
  TrainSettings settings = small_settings();
  activities(settings, "feedback");
  settings.network.hidden = {24, 24, 24};
  settings.network.block_layers = 2;
  Trainer trainer(settings, digits());
  for (int i = 0; i < 3; ++i) trainer.advance();
  std::vector<std::string> names;
  for (const auto& [name, share] : trainer.measure(2, false).residuals) {
    names.push_back(name);
    EXPECT_GT(share, 0);
  }
  EXPECT_THAT(names, testing::ElementsAre("h1", "h2", "h3"));
}

TEST_F(TrainerTest, ARateBeyondReasonEndsInANumericError) {
  TrainSettings settings = small_settings();
  settings.optimizer = "sgd";
  settings.schedule = "constant";
  settings.rate = 1e20;
  Trainer trainer(settings, digits());
  EXPECT_THROW(
      {
        for (int i = 0; i < 20; ++i) trainer.advance();
      },
      NumericError);
  EXPECT_LT(trainer.step(), 20);
}

TEST_F(TrainerTest, ACheckpointOfOtherSettingsIsRefused) {
  const auto path = directory_ / "a.safetensors";
  Trainer(small_settings(), digits()).save(path, {});
  const auto error = [&](const std::function<void(TrainSettings&)>& set) -> std::string {
    TrainSettings settings = small_settings();
    set(settings);
    Trainer trainer(settings, digits());
    CheckpointReader file(path);
    return file_error([&] { trainer.restore(file); });
  };
  EXPECT_EQ(error([](TrainSettings&) {}), "");
  EXPECT_THAT(error([](TrainSettings& s) { s.network.hidden = {24, 25}; }), HasSubstr("linear2.weight"));
  EXPECT_THAT(error([](TrainSettings& s) { s.network.block_layers = 1; }), HasSubstr("block1.linear2.weight"));
  EXPECT_THAT(error([](TrainSettings& s) { s.optimizer = "momentum"; }), HasSubstr("velocity"));
  EXPECT_THAT(error([](TrainSettings& s) { s.average = 0.5; }), HasSubstr("average"));
  EXPECT_THAT(error([](TrainSettings& s) { activities(s, "feedback"); }), HasSubstr("estimator.means"));
  EXPECT_THAT(error([](TrainSettings& s) {
                weights(s);
                s.method.options.clip_quantile = 0.9;
              }),
              HasSubstr("estimator.clip"));
}

TEST_F(TrainerTest, AStepBeyondTheRunIsRefused) {
  TrainSettings settings = small_settings();
  Trainer longer(settings, digits());
  for (int i = 0; i < 11; ++i) longer.advance();
  longer.save(directory_ / "a.safetensors", {});
  settings.epochs = 1;
  Trainer trainer(settings, digits());
  CheckpointReader file(directory_ / "a.safetensors");
  EXPECT_THAT(file_error([&] { trainer.restore(file); }), HasSubstr("step: expected 0 to 10, found 11"));
}

TEST_F(TrainerTest, SettingsThatDoNotFitAreRefused) {
  const auto refused = [](const std::function<void(TrainSettings&)>& set) -> std::string {
    TrainSettings settings = small_settings();
    set(settings);
    try {
      Trainer trainer(settings, digits());
    } catch (const ArgumentError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused([](TrainSettings& s) { s.epochs = 0; }), HasSubstr("epochs: expected at least 1, found 0"));
  EXPECT_THAT(refused([](TrainSettings& s) { s.batch = 641; }),
              HasSubstr("batch: expected 1 to 640, the examples there are, found 641"));
  EXPECT_THAT(refused([](TrainSettings& s) { s.validation = 640; }), HasSubstr("validation: expected 0 to 639"));
  EXPECT_THAT(refused([](TrainSettings& s) { s.average = 1.5; }), HasSubstr("average: expected a decay in [0, 1]"));
  EXPECT_THAT(refused([](TrainSettings& s) { s.warm_up = 2; }), HasSubstr("warm-up: expected 0 to less than 2 epochs"));
  EXPECT_THAT(refused([](TrainSettings& s) { s.optimizer = "lion"; }), HasSubstr("lion"));
  EXPECT_THAT(refused([](TrainSettings& s) { s.schedule = "steps"; }), HasSubstr("steps"));
  EXPECT_THAT(refused([](TrainSettings& s) { s.method.estimator = "magic"; }), HasSubstr("estimator 'magic'"));
  EXPECT_THAT(refused([](TrainSettings& s) {
                activities(s, "feedback");
                s.method.options.activity.pace = -1;
              }),
              HasSubstr("pace"));
}

}  // namespace
}  // namespace slopewise
