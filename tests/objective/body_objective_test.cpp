#include "slopewise/objective/body_objective.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/statistics/moments.hpp"
#include "tests/support.hpp"

namespace slopewise {
namespace {

constexpr Index kRows = 9;
const Shape kImage{2, 3, 1};

// A network with a few examples, seen whole and as a body.
class Net {
 public:
  explicit Net(const NetworkSpec& spec)
      : block_(make_chain(spec, kImage, 3, false).front()),
        images_(random_vector<double>(kRows * kImage.size(), 4)),
        whole_(program(), batch()),
        body_(program(), block_.sites),
        theta_(initialize<double>(program().layout(), 2)) {
    body_.bind(whole_);
  }

  const Program& program() const { return *block_.program; }
  Batch<double> batch(Index rows = kRows) const {
    return {.rows = rows,
            .inputs = {std::span(images_).first(static_cast<std::size_t>(rows * kImage.size())),
                       std::span(labels_).first(static_cast<std::size_t>(rows))}};
  }
  std::vector<double> gradient() {
    std::vector<double> found(static_cast<std::size_t>(program().size()));
    whole_.gradient(theta_, found);
    return found;
  }

  ChainBlock block_;
  std::vector<double> images_;
  std::vector<std::int32_t> labels_{0, 1, 2, 2, 0, 1, 1, 0, 2};
  ProgramObjective<double> whole_;
  BodyObjective<double> body_;
  Parameters<double> theta_;
};

const NetworkSpec kSpecs[] = {{.hidden = {5}},
                              {.hidden = {5, 4}},
                              {.hidden = {5, 5, 5}, .residual = true},
                              {.family = "cnn", .hidden = {4}, .convolutions = {{.channels = 2}}}};

TEST(BodyObjective, SeesTheParametersBeforeTheHead) {
  Net net(kSpecs[1]);
  EXPECT_EQ(net.body_.size(), net.program().size() - (4 * 3 + 3));
  EXPECT_EQ(net.body_.layout().segments.size(), 4u);
}

TEST(BodyObjective, SlopesAndHeadGradientAreThoseOfTheWholeProgram) {
  for (const NetworkSpec& spec : kSpecs) {
    Net net(spec);
    constexpr Index kTangents = 3;
    const std::vector<TangentForm> dense(net.body_.layout().segments.size(), TangentForm::kDense);
    Tangents<double> tangents(net.body_.layout(), kTangents, dense);
    const std::vector<double> numbers = random_vector<double>(kTangents * net.body_.size(), 11);
    auto next = numbers.begin();
    std::vector<double> expected(kTangents);
    const std::vector<double> gradient = net.gradient();
    for (std::size_t s = 0; s < dense.size(); ++s) {
      const Segment& segment = net.body_.layout().segments[s];
      double* out = tangents.dense(static_cast<Index>(s));
      for (Index k = 0; k < kTangents; ++k) {
        for (Index i = 0; i < segment.size(); ++i, ++next) {
          *out++ = *next;
          expected[static_cast<std::size_t>(k)] += *next * gradient[static_cast<std::size_t>(segment.offset + i)];
        }
      }
    }
    const Slopes found = net.body_.slopes(net.theta_, tangents);
    EXPECT_NEAR(found.loss, net.whole_.loss(net.theta_), 1e-13);
    EXPECT_NEAR(net.body_.loss(net.theta_), found.loss, 1e-13);
    for (std::size_t k = 0; k < expected.size(); ++k) EXPECT_NEAR(found.slopes[k], expected[k], 1e-12);
    const auto taken = net.body_.take_head_gradient();
    const std::span<const double> head = taken->values();
    ASSERT_EQ(net.body_.size() + static_cast<Index>(head.size()), net.program().size());
    for (std::size_t i = 0; i < head.size(); ++i)
      EXPECT_NEAR(head[i], gradient[gradient.size() - head.size() + i], 1e-13);
  }
}

TEST(BodyObjective, ExactGradientIsTheWholeProgramsFirstPart) {
  for (const NetworkSpec& spec : kSpecs) {
    Net net(spec);
    const std::vector<double> gradient = net.gradient();
    std::vector<double> found(static_cast<std::size_t>(net.body_.size()));
    EXPECT_NEAR(net.body_.gradient(net.theta_, found), net.whole_.loss(net.theta_), 1e-13);
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], gradient[i], 1e-13);
    const auto taken = net.body_.take_head_gradient();
    const std::span<const double> head = taken->values();
    for (std::size_t i = 0; i < head.size(); ++i) EXPECT_NEAR(head[i], gradient[found.size() + i], 1e-13);
  }
}

// The part along ∇ of every registered estimator's mean, at 6.5 standard errors: 8e-11 false alarms each.
TEST(BodyObjective, RegisteredEstimatorsHaveTheirMeansOnIt) {
  const ThreadScope alone(1);
  for (const std::string& name : estimator_names()) {
    if (name == "activities" || name == "input-span") continue;  // of programs
    Net net({.hidden = {4}});
    std::vector<double> gradient(static_cast<std::size_t>(net.body_.size()));
    net.body_.gradient(net.theta_, gradient);
    const GradientView view(net.body_.layout(), gradient);
    const auto estimator =
        make_estimator<double>(name, net.body_.layout(), {.tangents = 4, .seed = 3, .epsilon = 1e-7});
    std::vector<double> g(gradient.size());
    Moments along;
    for (std::uint32_t step = 0; step < 4000; ++step) {
      estimator->estimate(net.body_, net.theta_, step).materialize(g);
      along.add(inner_product(std::span<const double>(g), std::span<const double>(gradient)) / view.squared_norm());
    }
    EXPECT_TRUE(agrees(along.mean(), estimator->mean_factor(view), along.mean_error(), 1e-6)) << name;
  }
}

TEST(BodyObjective, TakesBatchesOfAnySize) {
  Net net(kSpecs[0]);
  const std::vector<TangentForm> dense(net.body_.layout().segments.size(), TangentForm::kDense);
  Tangents<double> tangents(net.body_.layout(), 1, dense);
  for (std::size_t s = 0; s < dense.size(); ++s)
    std::fill_n(tangents.dense(static_cast<Index>(s)), net.body_.layout().segments[s].size(), 1.0);
  for (const Index rows : {Index{2}, kRows, Index{3}}) {
    net.whole_.bind(net.batch(rows));
    const std::vector<double> gradient = net.gradient();
    double slope = 0;
    for (Index i = 0; i < net.body_.size(); ++i) slope += gradient[static_cast<std::size_t>(i)];
    EXPECT_NEAR(net.body_.slopes(net.theta_, tangents).slopes[0], slope, 1e-12);
    EXPECT_NEAR(net.body_.loss(net.theta_), net.whole_.loss(net.theta_), 1e-13);
  }
}

TEST(BodyObjective, WhatDoesNotFitIsRefused) {
  const auto logistic = make_chain({.family = "logistic"}, kImage, 3, false);
  EXPECT_THROW(BodyObjective<double>(*logistic[0].program, logistic[0].sites), ArgumentError);
  Net net(kSpecs[0]);
  std::vector<double> out(static_cast<std::size_t>(net.program().size()));
  EXPECT_THROW(net.body_.gradient(net.theta_, out), ShapeError);
  Tangents<double> whole(net.program().layout(), 1,
                         std::vector<TangentForm>(net.program().layout().segments.size(), TangentForm::kDense));
  EXPECT_THROW(net.body_.slopes(net.theta_, whole), ShapeError);
}

}  // namespace
}  // namespace slopewise
