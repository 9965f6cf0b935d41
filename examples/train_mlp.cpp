// Trains a multilayer perceptron on the built-in digits with forward gradients: no backward pass anywhere, and every
// gradient comes with its error bar.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

#include "slopewise/data/batches.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "slopewise/objective/program_objective.hpp"

namespace sw = slopewise;

constexpr std::uint64_t kSeed = 1;
constexpr std::uint32_t kSteps = 2000;
constexpr sw::Index kBatch = 64;
constexpr double kRate = 1e-2;

// The share of examples whose largest logit is not their label's.
double error_rate(const sw::Model& model, const sw::Parameters<float>& theta, const sw::Dataset& data) {
  std::vector<sw::Index> all(static_cast<std::size_t>(data.count()));
  std::iota(all.begin(), all.end(), 0);
  const sw::ExampleBatch<float> batch(data, all);
  sw::Runner<float> runner(model.program, {.batch = data.count(), .outputs = {model.logits}});
  runner.run(theta, batch.batch());
  const float* logits = runner.output(0).data();
  int wrong = 0;
  for (const std::int32_t label : batch.labels()) {
    wrong += std::max_element(logits, logits + data.classes) - logits != label;
    logits += data.classes;
  }
  return static_cast<double>(wrong) / static_cast<double>(data.count());
}

int main() {
  const sw::DataSplit digits = sw::builtin_digits(10000, 2000, kSeed);
  const std::vector<sw::Index> hidden{32};
  const sw::Model model = sw::mlp(digits.train.image_shape.size(), hidden, digits.train.classes);
  sw::Parameters<float> theta = sw::initialize<float>(model.program.layout(), kSeed);

  // Tangents u wᵀ for each weight matrix cost one dot product an example where dense ones cost a matrix product.
  const auto estimator =
      sw::make_estimator<float>("forward", model.program.layout(), {.law = "rank-one", .tangents = 16, .seed = kSeed});
  const sw::Batches batches(digits.train.count(), kBatch, kSeed);
  sw::ProgramObjective<float> objective(model.program, {});

  std::printf("%lld parameters\nstep  loss   |gradient|  95 %% interval  SNR\n", static_cast<long long>(theta.size()));
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    const sw::ExampleBatch<float> batch(digits.train, batches.indices(step));
    objective.bind(batch.batch());
    const sw::GradientEstimate gradient = estimator->estimate(objective, theta, step);
    gradient.add_to(theta, -kRate);
    if (step % 250 == 0) {
      const sw::NoiseEstimate& noise = gradient.noise();
      std::printf("%4u  %.3f  %-10.3g  [%.2f, %.2f]   %.2g\n", step, gradient.loss(), std::sqrt(noise.squared_norm),
                  std::sqrt(noise.squared_norm_low), std::sqrt(noise.squared_norm_high), noise.snr_low);
    }
  }

  const double error = error_rate(model, theta, digits.test);
  std::printf("test error %.1f %%, guessing has 90 %%\n", 100 * error);
  return error < 0.25 ? 0 : 1;
}
