// However tangents are held and however many go together, a run says the same of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/threads.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

constexpr Index kBatch = 23;

template <class T>
Workload forward(const Tangents<T>& tangents, int order = 1, Index batch = kBatch) {
  return {.batch = batch, .tangents = tangents.count(), .order = order, .forms = tangents.forms()};
}

template <class T>
class Forward {
 public:
  explicit Forward(const Program& program, Index batch = kBatch)
      : program_(program), examples_(program, batch), theta_(random_parameters<T>(program)) {}

  std::vector<double> run(const Tangents<T>& tangents, Workload workload) const {
    return everything(Runner<T>(program_, workload).run(theta_, examples_.batch(), &tangents));
  }
  std::vector<double> run(const Tangents<T>& tangents, int order = 1) const {
    return run(tangents, forward(tangents, order, examples_.batch().rows));
  }

 private:
  const Program& program_;
  Examples<T> examples_;
  Parameters<T> theta_;
};

// Equal but for `tolerance` times the largest number.
void expect_near(const std::vector<double>& found, const std::vector<double>& expected, double tolerance,
                 const std::string& of) {
  const double scale = largest<double>(expected);
  EXPECT_THAT(found, testing::Pointwise(testing::DoubleNear(tolerance * scale), expected)) << of;
}

class EveryStructure : public EveryProgram {};
SLOPEWISE_FOR_EVERY_PROGRAM(EveryStructure);

TEST_P(EveryStructure, RankOneTangentsAreTheirExpandedMatrices) {
  const Forward<double> double_run(program);
  const Forward<float> float_run(program);
  for (const Index count : {1, 3}) {
    const auto factors = random_tangents<double>(program, count, TangentForm::kRankOne);
    const auto narrow = random_tangents<float>(program, count, TangentForm::kRankOne);
    for (const int order : {1, 2}) {
      const std::string of = "K = " + std::to_string(count) + ", order " + std::to_string(order);
      expect_near(double_run.run(factors, order), double_run.run(dense_tangents(factors, 0, count), order), 1e-12, of);
      expect_near(float_run.run(narrow, order), float_run.run(dense_tangents(narrow, 0, count), order), 1e-5, of);
    }
  }
}

TEST_P(EveryStructure, DrawnTangentsAreStoredOnesBitForBit) {
  const Forward<double> double_run(program);
  const Forward<float> float_run(program);
  for (const Index count : {1, 3}) {
    for (const int order : {1, 2}) {
      EXPECT_EQ(double_run.run(random_tangents<double>(program, count, TangentForm::kDrawn), order),
                double_run.run(random_tangents<double>(program, count), order));
      EXPECT_EQ(float_run.run(random_tangents<float>(program, count, TangentForm::kDrawn), order),
                float_run.run(random_tangents<float>(program, count), order));
    }
  }
}

// Float runs read weights packed, double runs flat.
TEST_P(EveryStructure, PackedWeightsSayWhatFlatOnesDo) {
  const Forward<double> double_run(program);
  const Forward<float> float_run(program);
  for (const TangentForm form : {TangentForm::kDense, TangentForm::kDrawn, TangentForm::kRankOne}) {
    for (const int order : {1, 2}) {
      expect_near(float_run.run(random_tangents<float>(program, 2, form), order),
                  double_run.run(random_tangents<double>(program, 2, form), order), 2e-5,
                  "order " + std::to_string(order));
    }
  }
}

// Slopes and second-order terms of tangents k in [0, 8), from one run or one by one.
template <class T>
void expect_together_as_alone(const Program& program, TangentForm form, double tolerance) {
  constexpr Index kCount = 8;
  const Examples<T> examples(program, kBatch);
  const auto theta = random_parameters<T>(program);
  auto tangents = random_tangents<T>(program, kCount, form);
  const auto result = Runner<T>(program, forward(tangents, 2)).run(theta, examples.batch(), &tangents);
  Tangents<T> one(program.layout(), 1, tangents.forms());
  Runner<T> alone(program, forward(one, 2));
  std::vector<double> slopes, curvatures;
  for (Index k = 0; k < kCount; ++k) {
    for (std::size_t i = 0; i < one.forms().size(); ++i) {
      const auto number = static_cast<Index>(i);
      if (one.forms()[i] == TangentForm::kRankOne) {
        std::copy_n(tangents.left(number, k).begin(), tangents.left(number, k).size(), one.left(number, 0).begin());
        std::copy_n(tangents.right(number, k).begin(), tangents.right(number, k).size(), one.right(number, 0).begin());
      } else if (one.forms()[i] == TangentForm::kDense) {
        const Index size = program.layout().segments[i].size();
        std::copy_n(tangents.dense(number) + k * size, size, one.dense(number));
      }
    }
    one.set_fill([&tangents, &program, k](Index, Index first, std::span<T> out) {
      for (std::size_t i = 0; i < program.layout().segments.size(); ++i) {
        const Drawn<T> drawn = tangents.drawn(static_cast<Index>(i));
        if (drawn.fill) return (*drawn.fill)(k, first, out);
      }
    });
    const auto found = alone.run(theta, examples.batch(), &one);
    EXPECT_NEAR(found.loss, result.loss, tolerance * result.loss);
    slopes.push_back(found.slopes[0]);
    curvatures.push_back(found.curvatures[0]);
  }
  expect_near(result.slopes, slopes, tolerance, "slopes");
  expect_near(result.curvatures, curvatures, tolerance, "second-order terms");
}

TEST_P(EveryStructure, EightTangentsTogetherAreEightAlone) {
  for (const TangentForm form : {TangentForm::kDense, TangentForm::kDrawn, TangentForm::kRankOne}) {
    expect_together_as_alone<double>(program, form, 1e-12);
    expect_together_as_alone<float>(program, form, 2e-5);
  }
}

template <class T>
void expect_same_bits_at_any_thread_count(const Program& program, Workload workload, const Tangents<T>& tangents,
                                          const std::string& of) {
  const Forward<T> forward(program, workload.batch);
  const auto with = [&](int count) {
    const ThreadScope threads(count);
    return forward.run(tangents, workload);
  };
  const std::vector<double> one = with(1);
  EXPECT_EQ(with(2), one) << of;
  EXPECT_EQ(with(3), one) << of;
}

// Batches of one tile, whose visits are cut, and of several.
TEST_P(EveryStructure, SameBitsAtAnyNumberOfThreads) {
  for (const Index batch : {1, 30, 300}) {
    for (const TangentForm form : {TangentForm::kDense, TangentForm::kDrawn, TangentForm::kRankOne}) {
      const std::string of = "batch " + std::to_string(batch) + ", form " + std::to_string(static_cast<int>(form));
      const auto narrow = random_tangents<float>(program, 2, form);
      const auto wide = random_tangents<double>(program, 2, form);
      expect_same_bits_at_any_thread_count(program, forward(narrow, 2, batch), narrow, of);
      expect_same_bits_at_any_thread_count(program, forward(wide, 2, batch), wide, of);
      if (!has_bfloat16()) continue;
      Workload low = forward(narrow, 1, batch);
      for (const Precision precision : {Precision::kBfloat16Tangents, Precision::kBfloat16}) {
        low.precision = precision;
        expect_same_bits_at_any_thread_count(program, low, narrow, of + ", bfloat16");
      }
    }
  }
}

}  // namespace
}  // namespace slopewise
