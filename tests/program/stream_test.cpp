#include "slopewise/program/stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// The stream of a network with these logits, and where it was cut as it was built.
struct Built {
  explicit Built(const Node& logits)
      : program(cross_entropy(logits, Builder(logits).indices("label", {}))),
        sites{.rectified = false, .logits = logits.number()},
        stream(find_stream(program, logits.number())) {}

  Program program;
  ActivitySites sites;
  Stream stream;
};

Node attention(const Node& x) {
  const auto heads = [](const Node& y) { return reshape(y, {1, y.shape()[0], y.shape()[1]}); };
  const Index width = x.shape()[1];
  const Node read =
      scaled_dot_product_attention(heads(linear(x, width)), heads(linear(x, width)), heads(linear(x, width)));
  return linear(reshape(read, x.shape()), width);
}

Node feed_forward(const Node& x) {
  return linear(gelu(linear(x, 2 * x.shape()[1])), x.shape()[1]);
}

using Cuts = std::vector<Index>;

TEST(Stream, OfAPreNormTransformerEndsBeforeTheLastNorm) {
  Node h = linear(Builder().input("x", {6, 3}), 4);
  Cuts cuts{h.number()};
  for (int block = 0; block < 3; ++block) {
    h = h + attention(layer_norm(h));
    h = h + feed_forward(layer_norm(h));
    cuts.push_back(h.number());
  }
  const Built built(linear(flatten(layer_norm(h)), 5));
  EXPECT_TRUE(built.stream.residual);
  EXPECT_EQ(built.stream.cuts, cuts);
}

TEST(Stream, OfAPostNormTransformerEndsAfterEachNorm) {
  Node h = linear(Builder().input("x", {6, 3}), 4);
  Cuts cuts{h.number()};
  for (int block = 0; block < 3; ++block) {
    h = layer_norm(h + attention(h));
    h = layer_norm(h + feed_forward(h));
    cuts.push_back(h.number());
  }
  const Built built(linear(reshape(slice(h, 0, 0, 1), {4}), 5));
  EXPECT_TRUE(built.stream.residual);
  EXPECT_EQ(built.stream.cuts, cuts);
}

TEST(Stream, OfAResidualNetworkOfConvolutionsHasABlockForEachSum) {
  Node h = relu(conv2d(Builder().input("x", {8, 8, 3}), 4, 3, {.padding = 1}));
  Cuts cuts{h.number()};
  for (const Index channels : {4, 8, 8}) {
    const bool shrinks = channels != h.shape()[2];
    const Index stride = shrinks ? 2 : 1;
    const Node branch =
        conv2d(relu(conv2d(h, channels, 3, {.stride = stride, .padding = 1})), channels, 3, {.padding = 1});
    h = relu(branch + (shrinks ? conv2d(h, channels, 1, {.stride = 2}) : h));
    cuts.push_back(h.number());
  }
  const Built built(linear(flatten(average_pool2d(h, 4)), 5));
  EXPECT_TRUE(built.stream.residual);
  EXPECT_EQ(built.stream.cuts, cuts);
}

TEST(Stream, IgnoresWhatEveryBlockReadsOfTheInputsAlone) {
  Builder build;
  const Node mask = reshape(build.input("mask", {6}), {1, 6});
  Node h = linear(build.input("x", {6, 3}), 4);
  Cuts cuts{h.number()};
  for (int block = 0; block < 2; ++block) {
    h = h + feed_forward(h) * reshape(mask, {6, 1});
    cuts.push_back(h.number());
  }
  EXPECT_EQ(Built(linear(flatten(h), 5)).stream.cuts, cuts);
}

TEST(Stream, IsTheSameWhereWeightsAreConstants) {
  Builder build;
  const auto frozen = [&](const Node& x) { return linear(x, build.constant({4, 4}, std::vector<float>(16, 0.5f))); };
  Node h = frozen(build.input("x", {4}));
  Cuts cuts{h.number()};
  for (int block = 0; block < 2; ++block) {
    h = h + relu(frozen(h));
    cuts.push_back(h.number());
  }
  EXPECT_EQ(Built(linear(h, 5)).stream.cuts, cuts);
}

TEST(Stream, WithoutSumsHasLayers) {
  Node h = Builder().input("x", {7});
  Cuts cuts;
  for (int layer = 0; layer < 3; ++layer) {
    h = relu(linear(h, 4));
    cuts.push_back(h.number());
  }
  const Built built(linear(h, 5));
  EXPECT_FALSE(built.stream.residual);
  EXPECT_EQ(built.stream.cuts, cuts);
  EXPECT_EQ(built.stream.blocks(), 2);
  EXPECT_TRUE(Built(linear(Builder().input("x", {7}), 5)).stream.cuts.empty());
}

TEST(Stream, SitesBelowItsLastBlocks) {
  Node h = Builder().input("x", {7});
  std::vector<Index> nodes;
  for (int layer = 0; layer < 3; ++layer) {
    h = relu(linear(h, 4));
    nodes.push_back(h.number());
  }
  Built built(linear(h, 5));
  built.sites.nodes = nodes;
  EXPECT_EQ(sites_below(built.program, built.sites, 0).nodes, nodes);
  const ActivitySites below = sites_below(built.program, built.sites, 2);
  EXPECT_THAT(below.nodes, ElementsAre(nodes[0]));
  EXPECT_EQ(below.head, nodes[0]);
  EXPECT_THAT([&] { sites_below(built.program, built.sites, 3); },
              ThrowsMessage<ArgumentError>(HasSubstr("expected 0 to 2")));
  EXPECT_THAT([&] { sites_below(built.program, built.sites, -1); },
              ThrowsMessage<ArgumentError>(HasSubstr("found -1")));
  const Built flat(linear(Builder().input("x", {7}), 5));
  EXPECT_THAT([&] { sites_below(flat.program, flat.sites, 0); },
              ThrowsMessage<ArgumentError>(HasSubstr("hidden layers")));
}

}  // namespace
}  // namespace slopewise
