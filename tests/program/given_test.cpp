// Gradients from cotangents that are given at cuts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

constexpr Index kBatch = 19;
constexpr Index kTangents = 3;

// Two hidden layers; both relu nodes may be cut.
struct Layers {
  Node x = Builder().input("x", {20});
  Node first = relu(linear(x, 40));
  Node second = relu(linear(first, 70));
  Node logits = linear(second, kClasses);
  Program program{labelled(logits)};

  Workload workload(Index batch, Index tangents) const {
    Workload workload{.mode = Workload::Mode::kGiven, .batch = batch, .tangents = tangents};
    workload.forms.assign(program.layout().segments.size(), TangentForm::kNone);
    workload.cuts = {first.number(), second.number()};
    if (tangents > 0) workload.perturbed = workload.cuts;
    workload.error = logits.number();
    return workload;
  }
};

// What backprop would give at the cuts: cotangents of h₂ = Wᵀe and h₁ = Vᵀ(φ′∘h̄₂), by plain loops.
template <class T>
Giver<T> exact_giver(const Layers& layers, const Parameters<T>& theta) {
  return [&layers, &theta](const GivenView<T>& view) {
    const ParameterLayout& layout = layers.program.layout();
    const auto through = [&](Index segment, Index inputs, const T* above, Index outputs, T* below) {
      const T* weight = theta.values().data() + layout.segments[static_cast<std::size_t>(segment)].offset;
      for (Index r = 0; r < view.rows; ++r) {
        for (Index j = 0; j < inputs; ++j) {
          T sum{0};
          for (Index i = 0; i < outputs; ++i) sum += above[r * outputs + i] * weight[i * inputs + j];
          below[r * inputs + j] = sum;
        }
      }
    };
    through(4, 70, view.error.data(), kClasses, view.cuts[1].cotangent.data());
    std::vector<T> before = copy_of(std::span<const T>(view.cuts[1].cotangent));
    for (std::size_t i = 0; i < before.size(); ++i) before[i] *= view.cuts[1].value[i] > 0 ? T{1} : T{0};
    through(2, 40, before.data(), 70, view.cuts[0].cotangent.data());
  };
}

Perturbation<double> no_perturbation() {
  return {};
}

TEST(Given, TrueCotangentsGiveTheTrueGradient) {
  const Layers layers;
  for (const Index batch : {kBatch, Index{1030}}) {  // the second in two tiles
    const Examples<double> examples(layers.program, batch);
    const auto theta = random_parameters<double>(layers.program);
    Runner<double> runner(layers.program, layers.workload(batch, 0));
    std::vector<double> found(static_cast<std::size_t>(layers.program.size()), 7);
    runner.given(theta, examples.batch(), nullptr, no_perturbation(), exact_giver(layers, theta), found);
    EXPECT_THAT(
        found, testing::Pointwise(testing::DoubleNear(1e-14), exact_gradient(layers.program, theta, examples.batch())));
  }
}

// Nothing flows from the second cut to the first: a zero there stops everything before it but what is given.
TEST(Given, NothingFlowsThroughACut) {
  const Layers layers;
  const Examples<double> examples(layers.program, kBatch);
  const auto theta = random_parameters<double>(layers.program);
  Runner<double> runner(layers.program, layers.workload(kBatch, 0));
  std::vector<double> found(static_cast<std::size_t>(layers.program.size()));
  const Giver<double> zero = [](const GivenView<double>& view) {
    for (const auto& cut : view.cuts) std::fill(cut.cotangent.begin(), cut.cotangent.end(), 0.0);
  };
  runner.given(theta, examples.batch(), nullptr, no_perturbation(), zero, found);
  const auto exact = exact_gradient(layers.program, theta, examples.batch());
  const auto head = static_cast<std::size_t>(layers.program.layout().segments[4].offset);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i < head) {
      EXPECT_EQ(found[i], 0);
    } else {
      EXPECT_NEAR(found[i], exact[i], 1e-14);
    }
  }
}

// In one pass with the gradient: the same loss and slopes as a run forward, and values and perturbations that fit.
template <class T>
void expect_slopes() {
  const Layers layers;
  for (const Index batch : {kBatch, Index{1030}}) {
    const Examples<T> examples(layers.program, batch);
    const auto theta = random_parameters<T>(layers.program);
    const Perturbation<T> perturbation = [](std::size_t i, Index example, std::span<const T> value, std::span<T> out) {
      for (std::size_t j = 0; j < out.size(); ++j) {
        const double angle = static_cast<double>(i + 2 * j) + static_cast<double>(example);
        out[j] = value[j % value.size()] > 0 ? static_cast<T>(std::sin(angle)) : T{0};
      }
    };
    Workload forward{.batch = batch, .tangents = kTangents};
    forward.forms.assign(layers.program.layout().segments.size(), TangentForm::kNone);
    forward.perturbed = {layers.first.number(), layers.second.number()};
    forward.outputs = forward.perturbed;
    Runner<T> runner(layers.program, forward);
    const RunResult<T> expected = runner.run(theta, examples.batch(), nullptr, perturbation);

    Runner<T> given(layers.program, layers.workload(batch, kTangents));
    std::vector<T> gradient(static_cast<std::size_t>(layers.program.size()));
    Index seen = 0;
    const Giver<T> exact = exact_giver(layers, theta);
    const Giver<T> giver = [&](const GivenView<T>& view) {
      EXPECT_EQ(view.first, seen);
      EXPECT_EQ(view.batch, batch);
      seen += view.rows;
      for (std::size_t i = 0; i < 2; ++i) {
        const auto size = view.cuts[i].value.size() / static_cast<std::size_t>(view.rows);
        EXPECT_THAT(copy_of(view.cuts[i].value),
                    testing::Pointwise(testing::FloatNear(1e-4f),
                                       copy_of(runner.output(i).subspan(static_cast<std::size_t>(view.first) * size,
                                                                        view.cuts[i].value.size()))));
      }
      for (Index k = 0; k < kTangents; ++k) {
        for (Index r = 0; r < view.rows; ++r) {
          EXPECT_NEAR(view.slopes[static_cast<std::size_t>(k)][static_cast<std::size_t>(r)],
                      expected.example_slopes[static_cast<std::size_t>(k * batch + view.first + r)], 1e-4);
        }
      }
      exact(view);
    };
    const RunResult<T> found = given.given(theta, examples.batch(), nullptr, perturbation, giver, gradient);
    EXPECT_EQ(seen, batch);
    EXPECT_NEAR(found.loss, expected.loss, 1e-5);
    const auto true_gradient = exact_gradient(layers.program, theta, examples.batch());
    for (std::size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(gradient[i], true_gradient[i], 2e-5);
  }
}

TEST(Given, HasTheSlopesOfARunForward) {
  expect_slopes<double>();
  expect_slopes<float>();
}

// Tangents of parameters before the cut, the exact gradient after it.
TEST(Given, ParametersWithTangentsGetNoGradient) {
  const Layers layers;
  const Examples<double> examples(layers.program, kBatch);
  const auto theta = random_parameters<double>(layers.program);
  Workload workload{.mode = Workload::Mode::kGiven, .batch = kBatch, .tangents = kTangents};
  workload.forms.assign(layers.program.layout().segments.size(), TangentForm::kDense);
  workload.forms[4] = workload.forms[5] = TangentForm::kNone;
  workload.cuts = {layers.second.number()};
  Tangents<double> tangents(layers.program.layout(), kTangents, workload.forms);
  for (Index s = 0; s < 4; ++s) {
    double* v = tangents.dense(s);
    for (Index i = 0; i < kTangents * layers.program.layout().segments[static_cast<std::size_t>(s)].size(); ++i)
      v[i] = std::sin(static_cast<double>(i + 7 * s));
  }
  for (const Index first : {Index{-1}, layers.program.size() + 1}) {
    Workload wrong = workload;
    wrong.gradient_first = first;
    EXPECT_THROW(Runner<double>(layers.program, wrong), ArgumentError);
  }
  Workload forward = workload;
  forward.mode = Workload::Mode::kForward;
  forward.cuts.clear();
  const auto expected = Runner<double>(layers.program, forward).run(theta, examples.batch(), &tangents).slopes;

  std::vector<double> found(static_cast<std::size_t>(layers.program.size()), 7);
  Runner<double> runner(layers.program, workload);
  const Giver<double> never = [](const GivenView<double>&) { FAIL() << "nothing is to be given"; };
  EXPECT_THAT(runner.given(theta, examples.batch(), &tangents, no_perturbation(), never, found).slopes,
              testing::Pointwise(testing::DoubleNear(1e-14), expected));
  const auto exact = exact_gradient(layers.program, theta, examples.batch());
  const auto head = static_cast<std::size_t>(layers.program.layout().segments[4].offset);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], i < head ? 0.0 : exact[i], 1e-14);

  workload.gradient_first = static_cast<Index>(head);
  Runner<double> of_the_rest(layers.program, workload);
  std::vector<double> rest(found.size() - head, 7);
  of_the_rest.given(theta, examples.batch(), &tangents, no_perturbation(), never, rest);
  for (std::size_t i = 0; i < rest.size(); ++i) EXPECT_EQ(rest[i], found[head + i]);
  EXPECT_THROW(of_the_rest.given(theta, examples.batch(), &tangents, no_perturbation(), never, found), ShapeError);
}

TEST(Given, RefusesWhatDoesNotFit) {
  const Layers layers;
  Workload workload = layers.workload(kBatch, 0);
  workload.error = layers.first.number();
  EXPECT_THROW(Runner<double>(layers.program, workload), ArgumentError);
  workload = layers.workload(kBatch, 0);
  workload.cuts.push_back(999);
  EXPECT_THROW(Runner<double>(layers.program, workload), ArgumentError);
  workload = layers.workload(kBatch, 0);
  workload.mode = Workload::Mode::kPullback;
  EXPECT_THROW(Runner<double>(layers.program, workload), ArgumentError);
  workload = layers.workload(kBatch, 0);
  workload.checkpointed = true;
  EXPECT_THROW(Runner<double>(layers.program, workload), ArgumentError);
}

}  // namespace
}  // namespace slopewise
