#include "slopewise/train/spread.hpp"

#include <numeric>
#include <vector>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "slopewise/objective/program_objective.hpp"

namespace slopewise {
namespace {

// An exact gradient has so many examples in flight at a time.
constexpr Index kInFlight = 64;

double squared_gradient_norm(ProgramObjective<float> objective, const Parameters<float>& theta) {
  std::vector<float> gradient(static_cast<std::size_t>(theta.size()));
  objective.gradient(theta, gradient);
  double total = 0;
  for (const float g : gradient) total += double{g} * g;
  return total;
}

}  // namespace

Spread measure_spread(const Dataset& data, const Program& program, const Parameters<float>& theta,
                      std::span<const Index> examples) {
  std::vector<double> squares(examples.size());
  const ExampleBatch<float> all(data, examples);
  // Packs the weights before threads read them.
  const double squared_mean = squared_gradient_norm({program, all.batch(), {.micro_batch = kInFlight}}, theta);
  parallel_for(static_cast<Index>(examples.size()), [&](Index e) {
    check_interrupted("measuring example gradients");
    const ExampleBatch<float> one(data, examples.subspan(static_cast<std::size_t>(e), 1));
    squares[e] = squared_gradient_norm({program, one.batch()}, theta);
  });
  const double mean = std::accumulate(squares.begin(), squares.end(), 0.0) / static_cast<double>(squares.size());
  return {.squared_mean = squared_mean, .covariance = mean - squared_mean};
}

}  // namespace slopewise
