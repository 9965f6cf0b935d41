#include "slopewise/model/chain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/program/runner.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Shape kImage{8, 8, 2};
constexpr Index kClasses = 3;

// A small network of each family.
NetworkSpec spec_of(const std::string& family) {
  NetworkSpec spec{.family = family, .hidden = {12, 12}};
  if (family == "cnn") spec.convolutions = {{.channels = 4}, {.channels = 6, .pool = true}};
  if (family == "mixer") {
    spec.hidden = {6, 6};
    spec.patch = 4;
  }
  return spec;
}
std::vector<ChainBlock> chain(const NetworkSpec& spec, bool training = false) {
  return make_chain(spec, kImage, kClasses, training);
}
Index parameters(const std::vector<ChainBlock>& blocks) {
  Index total = 0;
  for (const ChainBlock& block : blocks) total += block.program->size();
  return total;
}
std::string error_of(const NetworkSpec& spec, const Shape& image = kImage, Index classes = kClasses) {
  try {
    make_chain(spec, image, classes, true);
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "";
}

TEST(Chain, EndToEndIsOneBlockWithASiteAfterEachLayer) {
  const std::pair<const char*, std::size_t> layers[] = {{"logistic", 0}, {"mlp", 2}, {"cnn", 4}, {"mixer", 5}};
  for (const auto& [family, count] : layers) {
    const auto blocks = chain(spec_of(family));
    ASSERT_EQ(blocks.size(), 1u) << family;
    const ChainBlock& block = blocks[0];
    EXPECT_EQ(block.sites.nodes.size(), count) << family;
    EXPECT_TRUE(std::ranges::is_sorted(block.sites.nodes));
    EXPECT_EQ(block.output, block.sites.logits);
    EXPECT_EQ(block.program->node(block.output).shape, Shape{kClasses});
    EXPECT_FALSE(block.noisy);
    for (const Index site : block.sites.nodes) EXPECT_TRUE(block.program->used(site));
  }
}

TEST(Chain, CountsParametersAsTheLayersSay) {
  EXPECT_EQ(parameters(chain(spec_of("logistic"))), 128 * 3 + 3);
  EXPECT_EQ(parameters(chain(spec_of("mlp"))), 128 * 12 + 12 + 12 * 12 + 12 + 12 * 3 + 3);
  // Two convolutions, pooled to 4×4×6.
  EXPECT_EQ(parameters(chain(spec_of("cnn"))),
            4 * 9 * 2 + 4 + 6 * 9 * 4 + 6 + 96 * 12 + 12 + 12 * 12 + 12 + 12 * 3 + 3);
  // Four patches of 32 numbers, 6 channels; twice a layer over the channels and one over the patches.
  EXPECT_EQ(parameters(chain(spec_of("mixer"))), 32 * 6 + 6 + 2 * (6 * 6 + 6 + 4 * 4 + 4) + 24 * 3 + 3);
}

// What is trained is what is judged: parameters of the same names and shapes, in the same places.
TEST(Chain, TrainingHasTheParametersOfEvaluation) {
  for (const std::string& family : network_families()) {
    for (const Index per_block : {0, 1, 2}) {
      for (const Index groups : {1, 2}) {
        NetworkSpec spec = spec_of(family);
        spec.block_layers = per_block;
        spec.groups = groups;
        spec.input_dropout = 0.2;
        spec.dropout = 0.3;
        spec.label_smoothing = 0.1;
        spec.residual = true;
        const auto training = chain(spec, true), evaluating = chain(spec, false);
        ASSERT_EQ(training.size(), evaluating.size());
        for (std::size_t i = 0; i < training.size(); ++i) {
          const auto &ours = training[i].program->layout(), &theirs = evaluating[i].program->layout();
          EXPECT_TRUE(ours.same_shapes(theirs));
          for (std::size_t s = 0; s < ours.segments.size(); ++s)
            EXPECT_EQ(ours.segments[s].name, theirs.segments[s].name);
          EXPECT_FALSE(evaluating[i].noisy);
        }
      }
    }
  }
}

TEST(Chain, ABlockReadsTheShapeThatTheOneBeforeMade) {
  for (const std::string& family : network_families()) {
    NetworkSpec spec = spec_of(family);
    spec.block_layers = 1;
    const auto blocks = chain(spec, true);
    EXPECT_EQ(blocks.size(), std::max<std::size_t>(1, chain(spec_of(family))[0].sites.nodes.size())) << family;
    Shape shape = kImage;
    for (const ChainBlock& block : blocks) {
      EXPECT_EQ(block.program->node(block.program->inputs()[0]).shape, shape) << family;
      EXPECT_EQ(block.sites.nodes.size(), family == "logistic" ? 0u : 1u);
      shape = block.program->node(block.output).shape;
    }
    EXPECT_EQ(shape, Shape{kClasses});
  }
}

TEST(Chain, TheLastBlockTakesTheLayersThatAreLeft) {
  NetworkSpec spec{.hidden = {8, 8, 8, 8, 8}, .block_layers = 2};
  const auto blocks = chain(spec);
  std::vector<std::size_t> sites;
  for (const ChainBlock& block : blocks) sites.push_back(block.sites.nodes.size());
  EXPECT_THAT(sites, ElementsAre(2, 2, 1));
}

TEST(Chain, BlocksOfEqualShapesShareOneProgram) {
  NetworkSpec spec{.hidden = {12, 12, 12, 12}, .block_layers = 1};
  const auto blocks = chain(spec, true);
  ASSERT_EQ(blocks.size(), 4u);
  EXPECT_NE(blocks[0].program, blocks[1].program);  // reads the image
  EXPECT_EQ(blocks[1].program, blocks[2].program);
  EXPECT_NE(blocks[2].program, blocks[3].program);  // the last, whose logits count
  EXPECT_EQ(blocks[1].output, blocks[2].output);
  spec.hidden = {12, 12, 13, 12};
  const auto others = chain(spec, true);
  EXPECT_NE(others[1].program, others[2].program);
}

TEST(Chain, ResidualLayersAddToWhatTheyReadWhereTheWidthStays) {
  NetworkSpec spec{.hidden = {12, 12, 5}, .residual = true};
  const auto sums = [](const ChainBlock& block) {
    return std::ranges::count_if(block.program->nodes(),
                                 [](const GraphNode& node) { return node.op && node.op->name() == "add"; });
  };
  EXPECT_EQ(sums(chain(spec)[0]), 1);
  spec.residual = false;
  EXPECT_EQ(sums(chain(spec)[0]), 0);
}

// Of N residual layers, wherever the chain is cut; all others, and the heads, start as He's.
TEST(Chain, ResidualLayersStartSmaller) {
  NetworkSpec spec{
      .family = "cnn", .hidden = {12, 12, 12, 12}, .convolutions = {{3}, {3}, {3, true}}, .residual = true};
  for (const Index per_block : {0, 1, 2}) {
    spec.block_layers = per_block;
    std::vector<double> of_layers;
    for (const ChainBlock& block : chain(spec)) {
      std::vector<double> gains;
      for (const Segment& segment : block.program->layout().segments)
        if (segment.initializer.kind == Initializer::Kind::kHe) gains.push_back(segment.initializer.gain);
      EXPECT_EQ(gains.back(), 1);  // the head's
      of_layers.insert(of_layers.end(), gains.begin(), gains.end() - 1);
    }
    const double small = 0.5;  // the second convolution and the last three dense layers add
    EXPECT_THAT(of_layers, testing::ElementsAre(1, small, 1, 1, small, small, small));
  }
  // The patches' embedding, then two layers a width that add, then the head.
  std::vector<double> mixed;
  const std::vector<ChainBlock> mixer = chain({.family = "mixer", .hidden = {5, 5}, .patch = 4, .residual = true});
  for (const Segment& segment : mixer[0].program->layout().segments)
    if (segment.initializer.kind == Initializer::Kind::kHe) mixed.push_back(segment.initializer.gain);
  EXPECT_THAT(mixed, testing::ElementsAre(1, 0.5, 0.5, 0.5, 0.5, 1));
}

// With every weight 0 all classes are as likely, so each group's loss is log 3.
TEST(Chain, GroupsEachHaveAHeadAndTheirLossesAddUp) {
  NetworkSpec spec{.hidden = {12, 12}, .block_layers = 1, .groups = 4};
  const auto blocks = chain(spec);
  EXPECT_EQ(blocks[0].program->node(blocks[0].sites.logits).shape, Shape{4 * kClasses});
  EXPECT_EQ(blocks[1].program->node(blocks[1].sites.logits).shape, Shape{kClasses});
  // Heads of 3 units each: as many weights as one of 12, and a bias each.
  EXPECT_EQ(blocks[0].program->size(), 128 * 12 + 12 + 12 * kClasses + 4 * kClasses);
  const std::vector<double> image(128, 0.5);
  const std::int32_t label = 1;
  const Batch<double> batch{.rows = 1, .inputs = {std::span(image), std::span(&label, 1)}};
  Runner<double> runner(*blocks[0].program, {});
  EXPECT_NEAR(runner.run(Parameters<double>(blocks[0].program->size()), batch).loss, 4 * std::log(3.0), 1e-12);
}

// The chain computes the same function however it is cut: the blocks' bodies one after another are the network.
TEST(Chain, CuttingChangesNothingOfTheFunction) {
  for (const char* family : {"mlp", "cnn", "mixer"}) {
    NetworkSpec spec = spec_of(family);
    spec.residual = true;
    const auto whole = chain(spec);
    spec.block_layers = 1;
    const auto cut = chain(spec);
    const std::vector<double> images = random_vector<double>(2 * kImage.size(), 1, 0, 1);
    const std::vector<std::int32_t> labels{0, 2};
    const auto theta = initialize<double>(whole[0].program->layout(), 3);
    const auto run = [&](const ChainBlock& block, const std::vector<double>& in, const Parameters<double>& values) {
      Runner<double> runner(*block.program, {.batch = 2, .outputs = {block.output}});
      runner.run(values, {.rows = 2, .inputs = {std::span<const double>(in), std::span<const std::int32_t>(labels)}});
      return std::vector<double>(runner.output(0).begin(), runner.output(0).end());
    };
    std::vector<double> h = images;
    Index taken = 0;  // entries of θ that earlier blocks' layers have
    for (const ChainBlock& block : cut) {
      Parameters<double> own(block.program->size());
      const bool last = &block == &cut.back();
      const Segment& head_weight = block.program->layout().segments.end()[-2];
      const Index body = last ? block.program->size() : head_weight.offset;
      std::ranges::copy(theta.values(taken, body), own.edit().begin());
      taken += body;
      h = run(block, h, own);
    }
    EXPECT_EQ(taken, theta.size());
    const std::vector<double> logits = run(whole[0], images, theta);
    ASSERT_EQ(h.size(), logits.size());
    for (std::size_t i = 0; i < h.size(); ++i) EXPECT_NEAR(h[i], logits[i], 1e-12) << family;
  }
}

TEST(Chain, NoiseIsAnInputWhereSomethingIsLeftOut) {
  NetworkSpec spec{.hidden = {12, 12}, .dropout = 0.25, .block_layers = 1};
  for (const ChainBlock& block : chain(spec, true)) {
    EXPECT_TRUE(block.noisy);
    EXPECT_EQ(block.program->inputs().size(), 3u);
    EXPECT_DOUBLE_EQ(block.sites.gain, 1 / 0.75);
  }
  spec.dropout = 0;
  spec.input_dropout = 0.5;
  const auto blocks = chain(spec, true);
  EXPECT_TRUE(blocks[0].noisy);
  EXPECT_FALSE(blocks[1].noisy);
  EXPECT_EQ(blocks[0].sites.gain, 1);
  EXPECT_FALSE(chain(spec, false)[0].noisy);
}

TEST(Chain, WhatDoesNotFitIsRefused) {
  EXPECT_THAT(error_of(spec_of("mlp")), IsEmpty());
  EXPECT_THAT(error_of(spec_of("transformer")), HasSubstr("model 'transformer': expected one of logistic, mlp"));
  EXPECT_THAT(error_of(spec_of("mlp"), kImage, 1), HasSubstr("at least 2 classes, found 1"));
  EXPECT_THAT(error_of({.hidden = {8, 0}}), HasSubstr("at least 1 unit, found 0"));
  EXPECT_THAT(error_of({.family = "cnn"}), HasSubstr("at least one convolution"));
  EXPECT_THAT(error_of({.family = "mixer", .hidden = {}}), HasSubstr("at least one width"));
  EXPECT_THAT(error_of({.block_layers = -1}), HasSubstr("found -1 and 1"));
  EXPECT_THAT(error_of({.groups = 0}), HasSubstr("found 0 and 0"));
  EXPECT_THAT(error_of({.hidden = {3, 3}, .block_layers = 1, .groups = 4}),
              HasSubstr("groups as units, found 4 and 3"));
  EXPECT_THAT(error_of({.family = "mixer", .hidden = {4}, .patch = 3}), HasSubstr("a patch that divides the image"));
}

}  // namespace
}  // namespace slopewise
