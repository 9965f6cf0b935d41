// A study of a network that is no perceptron: what it can be asked holds, and what it cannot be asked is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/study/study.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Dataset& some_digits() {
  static const Dataset train = builtin_digits(400, 1, 1).train;
  return train;
}

StudyContext context_of(StudyNetwork network, std::uint64_t seed = 1) {
  return {{.batch = 16, .seed = seed, .quick = true}, some_digits(), std::move(network)};
}

// What an image's logits are, and the hidden activities on the way.
struct Layers {
  Node logits;
  std::vector<Index> sites = {};
};

// Anybody's network.
StudyNetwork network_of(const std::function<Layers(const Node& image)>& make) {
  const auto [logits, sites] = make(Builder().input("image", some_digits().image_shape));
  const auto program = std::make_shared<const Program>(cross_entropy(logits, Builder(logits).indices("label", {})));
  const ChainBlock block{.program = program,
                         .sites = {.nodes = sites, .rectified = false, .logits = logits.number()},
                         .output = logits.number(),
                         .noisy = false};
  const auto start = [program](std::size_t, std::uint64_t seed) { return initialize<float>(program->layout(), seed); };
  return {.name = "own", .network = {.training = {block}, .evaluating = {block}, .initial = start, .description = {}}};
}

// Linear layers whose activities are perturbed before their tanh, as those of ONNX files are.
Layers smooth(const Node& image) {
  const Node hidden = linear(flatten(image), 12);
  return {.logits = linear(tanh(hidden), 10), .sites = {hidden.number()}};
}

// The biases have nearly all of the gradient.
Layers lopsided(const Node& image) {
  return {.logits = linear(scale(flatten(image), 0.02), 10)};
}

void expect_verdicts_hold(StudyContext context, const std::vector<std::string>& left_out) {
  const Questions asked = choose_questions(context, {});
  std::vector<std::string> names;
  for (const LeftOut& each : asked.left_out) names.push_back(each.claim.name);
  EXPECT_EQ(names, left_out);
  std::vector<Claim> claims = asked.claims;
  std::erase_if(claims, [](const Claim& claim) { return claim.timed; });
  for (const ClaimOutcome& outcome : run_study(context, claims)) {
    EXPECT_EQ(outcome.result.verdict, Verdict::kHolds)
        << outcome.claim.name << ": predicted " << outcome.result.predicted.low << ", measured "
        << outcome.result.measured << " [" << outcome.result.low << ", " << outcome.result.high << "]; "
        << outcome.result.condition;
  }
}

TEST(OwnNetwork, WhatAConvolutionalOneCanBeAskedHolds) {
  const NetworkSpec spec{.family = "cnn", .hidden = {16}, .convolutions = {{.channels = 4, .pool = true}}};
  expect_verdicts_hold(context_of(study_network(spec, "cnn", some_digits())),
                       {"snr-scaling", "slowdown", "learning-rate", "crossover", "distributions", "activity",
                        "learned-prior", "special-optimizer", "ranks", "second-order"});
}

TEST(OwnNetwork, WhatASmoothOneOfLinearLayersCanBeAskedHolds) {
  expect_verdicts_hold(context_of(network_of(smooth)), {"snr-scaling", "slowdown", "learning-rate", "crossover",
                                                        "distributions", "special-optimizer", "ranks", "second-order"});
}

TEST(OwnNetwork, OneOfOneLayerHasNoLayersToCompare) {
  expect_verdicts_hold(context_of(network_of([](const Node& image) { return Layers{linear(flatten(image), 10)}; })),
                       {"uncorrelated-terms", "snr-scaling", "slowdown", "learning-rate", "crossover", "distributions",
                        "activity", "learned-prior", "special-optimizer", "ranks", "second-order"});
}

// Whatever the seed: where few entries have most of the gradient, the laws of products of normals are not theirs.
TEST(OwnNetwork, EntriesWithALargeShareOfTheGradientAreSeenAsWhatTheyAre) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    StudyContext context = context_of(network_of(lopsided), seed);
    const GradientView& gradient = context.subject().gradient();
    double most = 0;
    for (Index i = 0; i < gradient.size(); ++i) most = std::max(most, gradient[i] * gradient[i]);
    EXPECT_GT(most, 0.1 * gradient.squared_norm());
    for (const ClaimOutcome& outcome :
         run_study(context, select_claims({"unbiased", "variance-law", "heavy-tails", "clipping"}))) {
      EXPECT_EQ(outcome.result.verdict, Verdict::kHolds)
          << outcome.claim.name << " with seed " << seed << ": " << outcome.result.predicted.low << " in ["
          << outcome.result.low << ", " << outcome.result.high << "]; " << outcome.result.condition;
    }
  }
}

TEST(OwnNetwork, WithoutABatchThereAreAsManyExamplesAsAreRead) {
  const auto batch = [](StudyNetwork network, const StudyOptions& options, Index examples) {
    return StudyContext(options, builtin_digits(examples, 1, 1).train, std::move(network)).options().batch;
  };
  const StudyNetwork perceptron = study_network(named_network("mlp-256"), "mlp-256", some_digits());
  EXPECT_EQ(batch(perceptron, {}, 100), 64);
  EXPECT_EQ(batch(perceptron, {.quick = true}, 100), 64);
  EXPECT_EQ(batch(network_of(smooth), {}, 100), 64);
  EXPECT_EQ(batch(network_of(smooth), {.quick = true}, 100), 16);
  EXPECT_EQ(batch(network_of(smooth), {}, 20), 20);
  EXPECT_EQ(batch(network_of(smooth), {.batch = 8, .quick = true}, 20), 8);
}

TEST(OwnNetwork, AClaimAskedForByNameIsRefusedWithItsReason) {
  const StudyContext context = context_of(network_of(smooth));
  EXPECT_THAT(
      [&] {
        choose_questions(context, {"unbiased", "snr-scaling"});
      },
      ThrowsMessage<ArgumentError>(
          AllOf(HasSubstr("snr-scaling cannot be put to own"), HasSubstr("it compares networks of several sizes"))));
  EXPECT_THROW(choose_questions(context, {"perpetual-motion"}), ArgumentError);
  const Questions asked = choose_questions(context, {"prior", "unbiased"});
  ASSERT_EQ(asked.claims.size(), 2u);
  EXPECT_EQ(asked.claims[0].name, "unbiased");
}

TEST(OwnNetwork, TheDocumentSaysWhatWasLeftOut) {
  StudyContext context = context_of(network_of(smooth));
  const Questions asked = choose_questions(context, {});
  const auto document = nlohmann::json::parse(study_document(context, {}, asked.left_out).dump());
  EXPECT_EQ(document["model"], "own");
  ASSERT_EQ(document["left_out"].size(), asked.left_out.size());
  EXPECT_EQ(document["left_out"][0]["id"], "snr-scaling");
  EXPECT_THAT(document["left_out"][0]["reason"].get<std::string>(), HasSubstr("several sizes"));
}

TEST(OwnNetwork, APerceptronIsAskedEverything) {
  const StudyContext context = context_of(study_network(named_network("mlp-256"), "mlp-256", some_digits()));
  EXPECT_EQ(context.model_name(), "mlp 784-256-10");
  EXPECT_EQ(choose_questions(context, {}).claims.size(), claim_names().size());
}

// Nothing is predicted of what activities say where other weights train between them.
TEST(OwnNetwork, OfOtherWeightsBetweenActivitiesNothingIsPredicted) {
  const StudyContext context = context_of(network_of([](const Node& image) {
    const Node hidden = linear(flatten(image), 12);
    const Node gain = Builder(hidden).parameter("gain", {12}, {.kind = Initializer::Kind::kOne}, 12);
    return Layers{.logits = linear(tanh(mul(hidden, gain)), 10), .sites = {hidden.number()}};
  }));
  EXPECT_THAT([&] { choose_questions(context, {"activity"}); },
              ThrowsMessage<ArgumentError>(HasSubstr("linear layers that read vectors")));
}

// θ with every entry set to what `value` says, in place of where the network starts.
StudyNetwork starting_at(float value) {
  StudyNetwork network = network_of(smooth);
  network.network.initial = [inner = network.network.initial, value](std::size_t block, std::uint64_t seed) {
    Parameters<float> theta = inner(block, seed);
    std::ranges::fill(theta.edit(), value);
    return theta;
  };
  return network;
}

TEST(OwnNetwork, WhatEstimatesCannotBeComparedWithIsRefused) {
  EXPECT_THROW(context_of(starting_at(std::numeric_limits<float>::quiet_NaN())), NumericError);
  const auto blind = [](const Node& image) { return Layers{linear(scale(flatten(image), 0), 10)}; };
  EXPECT_THAT([&] { context_of(network_of(blind)); },
              ThrowsMessage<NumericError>(HasSubstr("a gradient of 100 entries or more")));
  const auto still = [](const Node& image) {
    const Node hidden = linear(flatten(image), 12);
    return Layers{scale(linear(hidden, 10), 0)};
  };
  EXPECT_THAT([&] { context_of(network_of(still)); },
              ThrowsMessage<NumericError>(HasSubstr("the exact gradient is 0")));
}

}  // namespace
}  // namespace slopewise
