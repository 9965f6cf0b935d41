// Steps on θ: the same wherever tangents are kept, however θ is held, and whatever came between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/along_tangents.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

constexpr Index kStepBatch = 12;
constexpr float kRate = 0.01f;

// Packed matrices of several panels, one that is not packed, and a convolution.
Program network() {
  const Node h = relu(conv2d(Builder().input("x", {5, 5, 3}), 18, 3));
  return Program(labelled(linear(tanh(linear(flatten(h), 150)), kClasses)));
}

template <class T>
class Training {
 public:
  explicit Training(const EstimatorOptions& options, std::string_view estimator = "forward")
      : program_(network()),
        examples_(program_, kStepBatch),
        objective_(program_, examples_.batch()),
        estimator_(make_estimator<T>(estimator, program_.layout(), options)),
        theta_(random_parameters<T>(program_)) {}

  GradientEstimate estimate() { return estimator_->estimate(objective_, theta_, step_++); }
  std::vector<T> after(int steps) {
    for (int i = 0; i < steps; ++i) estimate().add_to(theta_, -kRate);
    return copy_of(std::as_const(theta_).values());
  }
  Parameters<T>& theta() { return theta_; }

 private:
  Program program_;
  Examples<T> examples_;
  ProgramObjective<T> objective_;
  std::unique_ptr<Estimator<T>> estimator_;
  Parameters<T> theta_;
  std::uint32_t step_ = 0;
};

class EveryLawsStep : public testing::TestWithParam<std::string> {
 protected:
  EstimatorOptions options(TangentStorage storage = TangentStorage::kAuto, Index count = 2) const {
    return {.law = GetParam(), .tangents = count, .storage = storage};
  }
};

INSTANTIATE_TEST_SUITE_P(Registry, EveryLawsStep, testing::ValuesIn(probe_names()), [](const auto& law) {
  std::string name = law.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST_P(EveryLawsStep, StoredAndDrawnTangentsGiveTheSameBits) {
  for (const Index count : {1, 3}) {
    const auto narrow = Training<float>(options(TangentStorage::kStored, count)).after(3);
    const auto wide = Training<double>(options(TangentStorage::kStored, count)).after(3);
    EXPECT_EQ(Training<float>(options(TangentStorage::kDrawn, count)).after(3), narrow);
    EXPECT_EQ(Training<double>(options(TangentStorage::kDrawn, count)).after(3), wide);
    EXPECT_THAT(Training<float>(options(TangentStorage::kAuto, count)).after(3),
                testing::Pointwise(testing::FloatEq(), narrow));
    for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_NEAR(narrow[i], wide[i], 1e-5) << "entry " << i;
  }
}

// θ −= rate g, with g written out as a vector.
TEST_P(EveryLawsStep, IsTheEstimateTimesTheRate) {
  for (const TangentStorage storage : {TangentStorage::kStored, TangentStorage::kDrawn}) {
    Training<float> training(options(storage));
    for (int step = 0; step < 3; ++step) {
      const std::vector<float> before = copy_of(std::as_const(training.theta()).values());
      const GradientEstimate estimate = training.estimate();
      std::vector<double> g(before.size());
      estimate.materialize(std::span(g));
      estimate.add_to(training.theta(), -kRate);
      const double scale = largest<float>(before) + kRate * largest<double>(g);
      for (std::size_t i = 0; i < g.size(); ++i) {
        ASSERT_NEAR(std::as_const(training.theta()).values()[i], before[i] - kRate * g[i], 1e-6 * scale)
            << "entry " << i << " at step " << step;
      }
    }
  }
}

// An estimate that is kept is not changed by those that come later.
TEST_P(EveryLawsStep, AKeptEstimateStaysWhatItWas) {
  for (const TangentStorage storage : {TangentStorage::kStored, TangentStorage::kDrawn}) {
    Training<float> training(options(storage)), at_once(options(storage));
    std::vector<GradientEstimate> kept;
    std::vector<std::vector<float>> expected;
    for (int i = 0; i < 3; ++i) {
      kept.push_back(training.estimate());
      at_once.estimate().add_to(at_once.theta(), -kRate);
      expected.push_back(copy_of(std::as_const(at_once.theta()).values()));
      at_once.theta() = training.theta();
    }
    for (std::size_t i = 0; i < kept.size(); ++i) {
      Parameters<float> theta = training.theta();
      kept[i].add_to(theta, -kRate);
      EXPECT_THAT(copy_of(std::as_const(theta).values()), testing::Pointwise(testing::FloatEq(), expected[i]))
          << "estimate " << i;
    }
  }
}

TEST_P(EveryLawsStep, SameBitsAtAnyNumberOfThreads) {
  for (const TangentStorage storage : {TangentStorage::kStored, TangentStorage::kDrawn}) {
    const auto with = [&](int count) {
      const ThreadScope threads(count);
      return Training<float>(options(storage)).after(2);
    };
    const std::vector<float> one = with(1);
    EXPECT_EQ(with(2), one);
    EXPECT_EQ(with(3), one);
  }
}

// Memory of tangents serves the next step, but not while an estimate reads it.
TEST(TangentSource, ReusesMemoryThatNobodyReads) {
  const ParameterLayout layout = network().layout();
  detail::TangentSource<float> source(layout, {.storage = TangentStorage::kStored});
  const Tangents<float>* first = &source.draw(0).tangents;
  EXPECT_EQ(&source.draw(1).tangents, first);
  const auto kept = source.draw(2);
  EXPECT_EQ(&kept.tangents, first);
  EXPECT_NE(&source.draw(3).tangents, first);
  const std::vector<float> v = expanded(kept.tangents, 0);
  std::vector<float> drawn(v.size());
  make_probe("gaussian", layout, EstimatorOptions{}.seed)->draw(2, 1)->fill(0, 0, std::span(drawn));
  EXPECT_EQ(v, drawn);
}

// Of dense tangents that are drawn again, only those of biases are held.
TEST(TangentSource, DrawnTangentsTakeNoMemory) {
  const ParameterLayout layout = network().layout();
  const auto bytes = [&](std::string law, TangentStorage storage) {
    return detail::TangentSource<float>(layout, {.law = std::move(law), .tangents = 2, .storage = storage})
        .draw(0)
        .tangents.bytes();
  };
  Index biases = 0;
  for (const Block& block : layout.blocks) biases += block.rows;
  EXPECT_EQ(bytes("gaussian", TangentStorage::kStored), 2 * layout.size * Index{sizeof(float)});
  EXPECT_EQ(bytes("gaussian", TangentStorage::kDrawn), 2 * biases * Index{sizeof(float)});
  // Random signs are drawn faster than they are read.
  EXPECT_EQ(bytes("rademacher", TangentStorage::kAuto), 2 * biases * Index{sizeof(float)});
  EXPECT_EQ(bytes("gaussian", TangentStorage::kAuto), 2 * layout.size * Index{sizeof(float)});
}

// Two programs that read the same 840 parameters: as a matrix of 40 rows with its bias, or of 21 rows without.
struct Reader {
  Program program;
  Examples<float> examples;
  ProgramObjective<float> objective;
  Runner<float> descent;
  std::vector<std::unique_ptr<Estimator<float>>> estimators;

  explicit Reader(Program made)
      : program(std::move(made)),
        examples(program, kStepBatch),
        objective(program, examples.batch()),
        descent(program, {.mode = Workload::Mode::kDescent, .batch = kStepBatch}) {
    for (const EstimatorOptions& options :
         {EstimatorOptions{.law = "rank-one", .tangents = 2}, EstimatorOptions{.law = "rank-one-gaussian"},
          EstimatorOptions{.law = "gaussian", .tangents = 2, .storage = TangentStorage::kStored},
          EstimatorOptions{.law = "rademacher", .storage = TangentStorage::kDrawn}}) {
      estimators.push_back(make_estimator<float>("forward", program.layout(), options));
    }
    estimators.push_back(make_estimator<float>("exact", program.layout(), {}));
  }
};

// One θ that programs pack and change in place, and the same numbers that nobody ever packed: after any sequence of
// operations they agree.
class MixedOperations : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, MixedOperations, testing::Range<std::uint64_t>(0, 12));

TEST_P(MixedOperations, OnPackedParametersAreThoseOnFlatOnes) {
  const auto program = [](Index inputs, Index outputs, bool bias) {
    const Node y = tanh(linear(Builder().input("x", {inputs}), outputs, bias));
    return Program(mean(square(y - y * y)));
  };
  Reader wide(program(20, 40, true)), tall(program(40, 21, false));
  ASSERT_EQ(wide.program.size(), tall.program.size());
  Parameters<float> theta = random_parameters<float>(wide.program);
  std::vector<float> flat = copy_of(std::as_const(theta).values());
  const auto agree = [&](const Parameters<float>& packed) {
    EXPECT_THAT(copy_of(packed.values()), testing::Pointwise(testing::FloatNear(1e-5f), flat));
  };

  RandomStream random(GetParam());
  for (std::uint32_t step = 0; step < 20; ++step) {
    Reader& reader = random.below(3) == 0 ? tall : wide;
    const std::uint32_t operation = random.below(12);
    if (operation < 5) {
      const GradientEstimate estimate = reader.estimators[operation]->estimate(reader.objective, theta, step);
      estimate.add_to(theta, -0.02);
      estimate.add_to(std::span(flat), -0.02);
    } else if (operation < 7) {
      const auto gradient = exact_gradient(reader.program, Parameters<float>(flat), reader.examples.batch());
      reader.descent.descend(theta, reader.examples.batch(), 0.5);
      for (std::size_t i = 0; i < flat.size(); ++i) flat[i] -= 0.5f * gradient[i];
    } else if (operation == 7) {
      const std::uint32_t at = random.below(static_cast<std::uint32_t>(flat.size()));
      theta.edit(at, 1)[0] = flat[at] = 0.25f;
    } else if (operation == 8) {
      for (float& value : theta.edit()) value *= 0.75f;
      for (float& value : flat) value *= 0.75f;
    } else if (operation == 9) {
      agree(theta);
    } else if (operation == 10) {
      reader.descent.compact(theta);
    } else {
      Parameters<float> copy = theta;  // and back, to one that is packed already
      copy.edit()[0] += 1;
      flat[0] += 1;
      theta = copy;
      agree(copy);
    }
    EXPECT_NEAR(reader.objective.loss(theta), reader.objective.loss(Parameters<float>(flat)), 1e-5)
        << "operation " << operation << " at step " << step;
  }
  agree(theta);
}

// Moving matrices into packed form changes no number and no bit of any run.
TEST(Compact, ChangesNothing) {
  for (const SampleProgram& sample : sample_programs()) {
    const Program program = sample.make();
    const Examples<float> examples(program, kStepBatch);
    const auto before = random_parameters<float>(program);
    const auto tangents = random_tangents<float>(program, 2, TangentForm::kRankOne);
    Runner<float> slopes(program, {.batch = kStepBatch, .tangents = 2, .forms = tangents.forms()});
    const auto compacted = [&] {
      Parameters<float> theta = before;
      slopes.compact(theta);
      return theta;
    };
    EXPECT_EQ(copy_of(compacted().values()), copy_of(before.values())) << sample.name;
    Parameters<float> theta = compacted();
    EXPECT_EQ(everything(slopes.run(theta, examples.batch(), &tangents)),
              everything(slopes.run(before, examples.batch(), &tangents)))
        << sample.name;
    EXPECT_EQ(exact_gradient(program, theta, examples.batch()), exact_gradient(program, before, examples.batch()))
        << sample.name;
    slopes.compact(theta);  // again
    EXPECT_EQ(copy_of(std::as_const(theta).values()), copy_of(before.values())) << sample.name;
    if (has_bfloat16()) {
      Runner<float> low(
          program,
          {.batch = kStepBatch, .tangents = 2, .forms = tangents.forms(), .precision = Precision::kBfloat16Tangents});
      EXPECT_EQ(everything(low.run(compacted(), examples.batch(), &tangents)),
                everything(low.run(before, examples.batch(), &tangents)))
          << sample.name;
    }
  }
}

}  // namespace
}  // namespace slopewise
