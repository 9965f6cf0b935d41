#include "slopewise/program/sites.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;

// Three layers of two units on two numbers, of which some are frozen; their sites, and what has something to estimate.
TrainedSites of_layers(const std::vector<bool>& trained, std::vector<Index>* nodes) {
  Builder build;
  Node h = build.input("x", {2});
  ActivitySites sites;
  for (std::size_t layer = 0; layer < trained.size(); ++layer) {
    const std::string name = "w" + std::to_string(layer);
    const Node weight = trained[layer] ? build.parameter(name, {2, 2}, {}, 2)
                                       : build.constant({2, 2}, std::vector<float>{1, 0, 0, 1}, name);
    h = linear(h, weight);
    if (layer + 1 < trained.size()) sites.nodes.push_back(h.number());
  }
  sites.logits = h.number();
  *nodes = sites.nodes;
  return trained_sites(Program(sum(h)), sites);
}

TEST(TrainedSites, HaveSomethingThatTrainsBeforeThem) {
  std::vector<Index> nodes;
  EXPECT_EQ(of_layers({true, true, true}, &nodes).nodes, nodes);
  EXPECT_TRUE(of_layers({true, true, true}, &nodes).logits);
  TrainedSites found = of_layers({true, false, true}, &nodes);
  EXPECT_THAT(found.nodes, ElementsAre(nodes[0]));
  EXPECT_TRUE(found.logits);
  found = of_layers({false, true, false}, &nodes);
  EXPECT_THAT(found.nodes, ElementsAre(nodes[1]));
  EXPECT_FALSE(found.logits);
  found = of_layers({false, false, true}, &nodes);
  EXPECT_TRUE(found.nodes.empty());
  EXPECT_TRUE(found.logits);
}

}  // namespace
}  // namespace slopewise
