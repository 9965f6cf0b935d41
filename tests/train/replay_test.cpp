// A run made again from its log of slopes: the bits of the run, for every method that has one.
#include "slopewise/train/replay.hpp"

#include <gmock/gmock.h>

#include <array>
#include <functional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/probe/probe.hpp"
#include "slopewise/train/trainer.hpp"
#include "tests/data/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const DataSplit& some_digits() {
  static const DataSplit data = builtin_digits(160, 40, 1);
  return data;
}

// Eight steps, five an epoch. The first layer is wide enough to be packed.
TrainSettings logged_settings() {
  TrainSettings settings;
  settings.network.hidden = {20};
  settings.batch = 32;
  settings.epochs = 3;
  settings.most_steps = 8;
  settings.rate = 1e-3;
  settings.method.estimator = "forward";
  settings.method.options = {.law = "rank-one", .tangents = 3};
  settings.method.exact_head = false;
  return settings;
}

// The last rank of two, to which rank 0 says what its weights are, and that all slopes are 0.
class Told final : public Team {
 public:
  explicit Told(std::vector<float> weights) : weights_(std::move(weights)) {}
  Index rank() const override { return 1; }
  Index size() const override { return 2; }
  std::string settle(const std::string&, const Make&) override {
    const std::array<float, 4> reply{1, 0, 0, 0};
    return {reinterpret_cast<const char*>(reply.data()), sizeof reply};
  }
  std::vector<std::string> gather(const std::string& own) override {
    ++asked;
    return {std::string(reinterpret_cast<const char*>(weights_.data()), weights_.size() * sizeof(float)), own};
  }
  Traffic traffic() const override { return {}; }
  int asked = 0;

 private:
  std::vector<float> weights_;
};

TEST(Trainer, TakesTheWeightsOfRankZeroWhereRanksRoundDifferently) {
  TrainSettings settings = logged_settings();
  settings.pieces = 4;
  settings.most_steps = 0;
  settings.epochs = 21;  // 105 steps
  Trainer trainer(settings, some_digits());
  std::vector<float> weights(static_cast<std::size_t>(trainer.parameters()));
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 1 / static_cast<float>(i + 1);
  Told team(weights);
  trainer.share_with(&team, true);
  while (trainer.step() < trainer.steps()) trainer.advance();
  EXPECT_EQ(team.asked, 2);
  EXPECT_THAT(trainer.weights(0).values(), testing::ElementsAreArray(weights));
  // From a step that is no hundredth they begin alike too.
  Told other(std::vector<float>(3));
  Trainer late(settings, some_digits());
  late.advance();
  late.share_with(&other, true);
  EXPECT_THAT([&] { late.advance(); }, ThrowsMessage<TeamError>(HasSubstr("step 1: expected ")));
}

struct LoggedCase {
  std::string name;
  std::function<void(TrainSettings&)> set;
};
void PrintTo(const LoggedCase& which, std::ostream* out) {
  *out << which.name;
}

std::vector<LoggedCase> logged_cases() {
  std::vector<LoggedCase> all;
  for (const std::string& law : probe_names())
    all.push_back({"law " + law, [law](TrainSettings& s) { s.method.options.law = law; }});
  for (const std::string& name : estimator_names()) {
    if (name == "exact" || name == "activities" || name == "input-span") continue;
    all.push_back({"estimator " + name, [name](TrainSettings& s) {
                     s.method.estimator = name;
                     s.method.options.law = "gaussian";
                     s.method.options.subspace = 2;
                   }});
  }
  for (const std::string& name : optimizer_names()) {
    all.push_back({"optimizer " + name, [name](TrainSettings& s) {
                     s.optimizer = name;
                     s.optimizer_options.weight_decay = 0.01;
                     s.optimizer_options.clip_norm = 50;
                   }});
  }
  all.push_back({"one tangent", [](TrainSettings& s) { s.method.options.tangents = 1; }});
  all.push_back({"drawn tangents", [](TrainSettings& s) {
                   s.method.options.law = "gaussian";
                   s.method.options.storage = TangentStorage::kDrawn;
                 }});
  all.push_back({"kept factors", [](TrainSettings& s) {
                   s.method.estimator = "central";
                   s.method.options.law = "low-rank";
                   s.method.options.law_options = {.rank = 3, .hold = 3};
                 }});
  all.push_back({"per deviation", [](TrainSettings& s) {
                   s.method.estimator = "one-sided";
                   s.method.options.per_deviation = true;
                 }});
  all.push_back({"average", [](TrainSettings& s) { s.average = 0.9; }});
  all.push_back({"clip slope", [](TrainSettings& s) { s.method.options.clip_slope = 0.2; }});
  all.push_back({"clip quantile", [](TrainSettings& s) { s.method.options.clip_quantile = 0.5; }});
  all.push_back({"auto rate", [](TrainSettings& s) {
                   s.method.options.auto_rate = true;
                   s.optimizer = "sgd";
                   s.rate = 1;
                 }});
  all.push_back({"auto rate by losses", [](TrainSettings& s) {
                   s.method.estimator = "central";
                   s.method.options.auto_rate = true;
                   s.optimizer = "sgd";
                   s.rate = 1;
                 }});
  for (const std::string name : {"sgd", "adam"}) {
    all.push_back({"rate of steps by " + name, [name](TrainSettings& s) {
                     s.step_rate = true;
                     s.optimizer = name;
                     s.rate = 1;
                   }});
  }
  all.push_back({"logistic with its head", [](TrainSettings& s) {
                   s.network.family = "logistic";
                   s.method.exact_head = true;
                 }});
  for (const Divide divide : {Divide::kExamples, Divide::kTangents}) {
    all.push_back(
        {divide == Divide::kExamples ? "pieces of examples" : "pieces of tangents", [divide](TrainSettings& s) {
           s.pieces = 3;
           s.divide = divide;
         }});
  }
  all.push_back({"dropout", [](TrainSettings& s) { s.network.dropout = s.network.input_dropout = 0.2; }});
  all.push_back({"convolutions", [](TrainSettings& s) {
                   s.network.family = "cnn";
                   s.network.convolutions = {{.channels = 4, .pool = true}, {.channels = 20, .pool = true}};
                 }});
  return all;
}

class LoggedRun : public FileTest, public testing::WithParamInterface<LoggedCase> {
 protected:
  // A run of all its steps in directory_/name, with a checkpoint after `kept` of them.
  void run(const std::string& name, const TrainSettings& settings, Index kept) {
    const ThreadScope alone(1);
    std::filesystem::create_directory(directory_ / name);
    Trainer trainer(settings, some_digits());
    ASSERT_EQ(trainer.not_logged(), "");
    SlopeLog log(log_of(name), to_text(trainer.recipe()), trainer.logged_numbers());
    trainer.log_to(&log);
    while (trainer.step() < trainer.steps()) {
      if (trainer.step() == kept) {
        trainer.save(directory_ / name / "kept", {});
        trainer.save_weights(directory_ / name / "weights at");
      }
      trainer.advance();
    }
    trainer.save(directory_ / name / "last", {});
    trainer.save_weights(directory_ / name / "weights");
  }
  std::filesystem::path log_of(const std::string& name) const { return directory_ / name / kSlopeLogFile; }
};

TEST_P(LoggedRun, IsReplayedToTheBitsOfAnyStep) {
  TrainSettings settings = logged_settings();
  GetParam().set(settings);
  run("run", settings, 6);
  Replay replay(directory_ / "run");
  while (replay.step() < 6) ASSERT_TRUE(replay.advance());
  replay.save_weights(directory_ / "replayed");
  EXPECT_EQ(file_bytes(directory_ / "replayed"), file_bytes(directory_ / "run" / "weights at"));
  while (replay.advance()) {
  }
  EXPECT_EQ(replay.step(), 8);
  EXPECT_EQ(replay.damage(), "");
  replay.save_weights(directory_ / "replayed");
  EXPECT_EQ(file_bytes(directory_ / "replayed"), file_bytes(directory_ / "run" / "weights"));
}

TEST_P(LoggedRun, GoesOnFromACheckpointAndTheTailToTheSameBits) {
  TrainSettings settings = logged_settings();
  GetParam().set(settings);
  run("run", settings, 3);
  Trainer trainer(settings, some_digits());
  CheckpointReader kept(directory_ / "run" / "kept");
  trainer.restore(kept);
  SlopeLogReader read(log_of("run"));
  std::vector<SlopeRecord> tail;
  while (read.steps() < 6) {
    if (const auto record = read.next(); read.steps() > 3) tail.push_back(*record);
  }
  trainer.replay(tail, "the log");
  while (trainer.step() < trainer.steps()) trainer.advance();
  trainer.save(directory_ / "again", {});
  EXPECT_EQ(file_bytes(directory_ / "again"), file_bytes(directory_ / "run" / "last"));
}

INSTANTIATE_TEST_SUITE_P(Replay, LoggedRun, testing::ValuesIn(logged_cases()), [](const auto& which) {
  std::string name = which.param.name;
  for (char& letter : name) letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  return name;
});

class ReplayOfOne : public LoggedRun {};
INSTANTIATE_TEST_SUITE_P(Replay, ReplayOfOne, testing::Values(LoggedCase{"plain", [](TrainSettings&) {}}));

TEST_P(ReplayOfOne, TheLogChangesNoBitOfARun) {
  run("run", logged_settings(), 0);
  Trainer plain(logged_settings(), some_digits());
  while (plain.step() < plain.steps()) plain.advance();
  plain.save_weights(directory_ / "plain");
  EXPECT_EQ(file_bytes(directory_ / "plain"), file_bytes(directory_ / "run" / "weights"));
}

TEST_P(ReplayOfOne, BeginsWithTheWeightsTheRunBeganWithAlone) {
  TrainSettings settings = logged_settings();
  settings.seed = 9;
  Trainer other(settings, some_digits());
  other.save_weights(directory_ / "initial");
  std::filesystem::create_directory(directory_ / "run");
  {
    Trainer trainer(logged_settings(), some_digits());
    trainer.load_weights(directory_ / "initial");
    SlopeLog log(log_of("run"), to_text(trainer.recipe()), trainer.logged_numbers());
    trainer.log_to(&log);
    for (int step = 0; step < 3; ++step) trainer.advance();
    trainer.save_weights(directory_ / "weights");
  }
  Replay replay(log_of("run"), directory_ / "initial");
  while (replay.advance()) {
  }
  replay.save_weights(directory_ / "replayed");
  EXPECT_EQ(file_bytes(directory_ / "replayed"), file_bytes(directory_ / "weights"));
  EXPECT_THAT([&] { Replay from_seed(directory_ / "run"); },
              ThrowsMessage<FileError>(
                  AllOf(HasSubstr("expected the weights its run began with"), HasSubstr("it begins with those of"))));
  EXPECT_THAT([&] { Replay wrong(directory_ / "run", directory_ / "weights"); },
              ThrowsMessage<FileError>(HasSubstr("weights has those of")));
}

TEST_P(ReplayOfOne, ALogOfAnotherRunIsFoundByItsRates) {
  TrainSettings settings = logged_settings();
  run("run", settings, 4);
  settings.rate = 2e-3;
  Trainer trainer(settings, some_digits());
  SlopeLogReader read(log_of("run"));
  trainer.replay({*read.next()}, "the log");
  EXPECT_THAT([&] { trainer.advance(); },
              ThrowsMessage<FileError>(AllOf(HasSubstr("the log: step 0"), HasSubstr("learning rate"))));
}

// Headers that are whole but wrong: each is refused in the name of the file, and nothing is read beyond memory.
TEST_P(ReplayOfOne, HeadersOfNoRunAreRefused) {
  const Trainer trainer(logged_settings(), some_digits());
  const std::string good = to_text(trainer.recipe());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::vector<std::string> headers = {
      "",
      "{}",
      "[1]",
      std::string(1000, '['),
      with("\"rank-one\"", "\"rank-two\""),
      with("\"forward\"", "\"exact\""),
      with("\"forward\"", "\"activities\""),
      with("\"adam\"", "\"eve\""),
      with("\"tangents\":3", "\"tangents\":0"),
      with("\"tangents\":3", "\"tangents\":4"),
      with("\"tangents\":3", "\"tangents\":\"3\""),
      with("\"shape\":[20,784]", "\"shape\":[20,-784]"),
      with("\"shape\":[20,784]", "\"shape\":[4611686018427387904,784]"),
      with("\"shape\":[20,784]", "\"shape\":[2305843009213693952]"),
      with("\"rows\":20", "\"rows\":0"),
      with("\"bias_of\":0", "\"bias_of\":77"),
      with("\"bias_of\":0", "\"bias_of\":-1"),
      with("\"kind\":\"he\"", "\"kind\":\"she\""),
      with("\"average\":0", "\"average\":-1"),
      with("\"average\":0", "\"average\":2"),
      with("\"seed\":", "\"seeds\":"),
      with("\"tangents\":3", "\"tangents\":3.5"),
      with("\"tangents\":3", "\"tangents\":3.0"),
      with("\"tangents\":3", "\"tangents\":18446744073709551615"),
      with("\"rows\":20", "\"rows\":20.5"),
      with("\"bias_of\":0", "\"bias_of\":0.5"),
      with("\"shape\":[20,784]", "\"shape\":[20.5,784]"),
      with("\"subspace\":", "\"subspace\":-"),
      with("\"examples\":", "\"examples\":-"),
      with("\"seed\":", "\"seed\":-1"),
      with("\"crc32\":", "\"crc32\":99999999999"),
  };
  {
    // Tangents in 2 kB that no memory holds.
    std::string text = with("\"rank-one\"", "\"low-rank\"");
    text.replace(text.find("\"tangents\":3"), 12, "\"tangents\":1000000");
    text.replace(text.find("\"rank\":"), 7, "\"rank\":1024,\"was\":");
    { SlopeLog log(directory_ / "large.log", text, 1'000'000); }
    EXPECT_THAT([&] { Replay replay(directory_ / "large.log"); },
                ThrowsMessage<FileError>(HasSubstr("a step's tangents take")))
        << text;
  }
  for (const std::string& header : headers) {
    { SlopeLog log(directory_ / "bad.log", header, 3); }
    EXPECT_THAT(
        [&] {
          Replay replay(directory_ / "bad.log");
          replay.advance();
        },
        ThrowsMessage<FileError>(HasSubstr("bad.log")))
        << header;
  }
}

TEST_P(ReplayOfOne, MethodsThatTakeMoreThanSlopesHaveNoLog) {
  const auto reason = [](const std::function<void(TrainSettings&)>& set) {
    TrainSettings settings = logged_settings();
    set(settings);
    const Trainer trainer(settings, some_digits());
    EXPECT_EQ(trainer.logged_numbers(), 0);
    EXPECT_THROW(trainer.recipe(), ArgumentError);
    return trainer.not_logged();
  };
  EXPECT_THAT(reason([](TrainSettings& s) { s.method.exact_head = true; }),
              HasSubstr("exact gradient of the last layer"));
  EXPECT_THAT(reason([](TrainSettings& s) { s.method.estimator = "exact"; }), HasSubstr("'exact'"));
  EXPECT_THAT(reason([](TrainSettings& s) {
                s.method.estimator = "activities";
                s.method.options.law = "rademacher";
              }),
              HasSubstr("'activities'"));
  EXPECT_THAT(reason([](TrainSettings& s) {
                s.network.hidden = {20, 20};
                s.network.block_layers = 1;
              }),
              HasSubstr("blocks"));
}

}  // namespace
}  // namespace slopewise
