#include "slopewise/model/models.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/program/check.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Model mlp_of(Index inputs, std::vector<Index> hidden, Index classes) {
  return mlp(inputs, hidden, classes);
}

Model named(const std::string& name, const Shape& image, Index classes) {
  return make_model(named_network(name), image, classes);
}

TEST(Models, EveryNamedNetworkTakesDigits) {
  for (const std::string& name : network_names()) {
    EXPECT_FALSE(network_summary(name).empty());
    const Model model = named(name, {28, 28, 1}, 10);
    EXPECT_EQ(model.program.node(model.logits).shape, Shape{10}) << name;
    EXPECT_EQ(model.sites.nodes.empty(), name == "logistic") << name;
  }
  EXPECT_THAT([] { named_network("mpl"); }, ThrowsMessage<ArgumentError>(HasSubstr("did you mean mlp?")));
}

TEST(Models, ParameterCounts) {
  EXPECT_EQ(logistic(784, 10).program.size(), 7'850);
  EXPECT_EQ(mlp_of(784, {1024, 1024}, 10).program.size(), 1'863'690);
  EXPECT_EQ(named("cnn", {28, 28, 1}, 10).program.size(), 1'199'882);
  // 3×3 convolutions 1 → 64 and three 64 → 64; 28 → 24 → 12 → 8 → 4 pixels a side; 4·4·64 → 1024 → 10.
  EXPECT_EQ(named("baydin-cnn", {28, 28, 1}, 10).program.size(),
            640 + 3 * 36'928 + (1024 * 1024 + 1024) + (1024 * 10 + 10));
}

TEST(Models, InputsAndLogits) {
  for (const Model& model :
       {logistic(12, 3), mlp_of(12, {5}, 3), named("cnn", {6, 6, 2}, 3), named("baydin-cnn", {16, 16, 2}, 3)}) {
    const Program& program = model.program;
    ASSERT_EQ(program.inputs().size(), 2u);
    EXPECT_EQ(program.node(program.inputs()[0]).name, "image");
    EXPECT_EQ(program.node(program.inputs()[1]).name, "label");
    EXPECT_EQ(program.node(model.logits).shape, Shape{3});
    EXPECT_TRUE(program.used(model.logits));
    // Every bias belongs to the block of its matrix.
    EXPECT_EQ(program.layout().segments.size(), 2 * program.layout().blocks.size());
  }
}

TEST(Models, WhatCannotBeBuiltIsRefused) {
  EXPECT_THAT([] { logistic(4, 1); }, ThrowsMessage<ArgumentError>(HasSubstr("at least 2 classes, found 1")));
  EXPECT_THAT([] { mlp_of(4, {3, 0}, 2); }, ThrowsMessage<ArgumentError>(HasSubstr("at least 1 unit, found 0")));
  EXPECT_THROW(named("cnn", {4, 4, 1}, 10), ShapeError);
  EXPECT_THROW(named("cnn", {784}, 10), ShapeError);
  EXPECT_THROW(named("baydin-cnn", {14, 14, 1}, 10), ShapeError);
}

// Holds the program's derivatives against each other and against differences, at its own start.
void expect_correct(const Model& model, CheckOptions options) {
  const Program& program = model.program;
  const auto images = random_vector<double>(options.batch * program.node(program.inputs()[0]).shape.size(), 2);
  std::vector<std::int32_t> labels;
  for (Index i = 0; i < options.batch; ++i)
    labels.push_back(static_cast<std::int32_t>(i % program.node(model.logits).shape.size()));
  const Batch<double> batch{.rows = options.batch,
                            .inputs = {std::span<const double>(images), std::span<const std::int32_t>(labels)}};
  const CheckReport report = check_program(program, initialize<double>(program.layout(), 1), batch, options);
  EXPECT_TRUE(report.passed()) << report.to_string();
}

TEST(Models, LogisticIsCorrect) {
  expect_correct(logistic(6, 4), {});
}
TEST(Models, MlpIsCorrect) {
  expect_correct(mlp_of(6, {5, 7}, 4), {});
}
// Among thousands of ReLUs and maxima some lie near their kink: short steps, whose rounding stays below the tolerances.
TEST(Models, MnistCnnIsCorrect) {
  expect_correct(named("cnn", {7, 6, 2}, 4), {.batch = 2, .tangents = {2}, .step = 1e-8});
}
TEST(Models, BaydinCnnIsCorrect) {
  expect_correct(named("baydin-cnn", {16, 16, 1}, 4), {.batch = 1, .tangents = {2}, .step = 1e-8});
}

}  // namespace
}  // namespace slopewise
