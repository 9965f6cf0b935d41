#include "apps/bench/steps.hpp"

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/objective/program_objective.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kSeed = 1;
// Small, so that θ moves without going anywhere.
constexpr double kRate = 1e-6;
// Tangents of one pushforward where slopes are compared.
constexpr Index kAtOnce = 4;

std::shared_ptr<const Probe> probe_of(const StepKind& kind, const BenchSubject& subject) {
  return make_probe(tangent_law(kind), subject.program().layout(), kSeed);
}

ForwardOptions forward_options(const StepKind& kind, const BenchSubject& subject) {
  ForwardOptions options{.tangents = kind.tangents, .precision = kind.precision};
  if (kind.tangents > 0) options.forms = probe_of(kind, subject)->forms();
  return options;
}

ExactOptions exact_options(const StepKind& kind) {
  return {.precision = of_values(kind.precision), .checkpointed = kind.name == "checkpointed"};
}

// Inference.
struct Loss {
  Batch<float> batch;
  ForwardPass<float> pass;
  Parameters<float> theta;

  Loss(const StepKind& kind, const BenchSubject& subject, Parameters<float> start)
      : batch(subject.batch()), pass(subject.program(), forward_options(kind, subject)), theta(std::move(start)) {
    pass.compact(theta);
  }
  void operator()() { pass.run(theta, batch); }
};

// A step of gradient descent by the exact gradient.
struct Descent {
  Batch<float> batch;
  DescentPass<float> pass;
  Parameters<float> theta;

  Descent(const StepKind& kind, const BenchSubject& subject, Parameters<float> start)
      : batch(subject.batch()), pass(subject.program(), exact_options(kind)), theta(std::move(start)) {
    pass.compact(theta);
  }
  void operator()() { pass.descend(theta, batch, kRate); }
};

// Loss and K slopes along tangents that are drawn once.
struct Slope {
  Batch<float> batch;
  ForwardPass<float> pass;
  Parameters<float> theta;
  Tangents<float> tangents;

  Slope(const StepKind& kind, const BenchSubject& subject, Parameters<float> start)
      : batch(subject.batch()),
        pass(subject.program(), forward_options(kind, subject)),
        theta(std::move(start)),
        tangents(subject.program().layout(), kind.tangents, probe_of(kind, subject)->forms()) {
    pass.compact(theta);
    probe_of(kind, subject)->draw(0, kind.tangents)->write(tangents);
  }
  void operator()() { pass.run(theta, batch, &tangents); }
};

// A step along a forward gradient: draw, pushforward, θ −= rate g.
struct ForwardGradient {
  ProgramObjective<float> objective;
  Parameters<float> theta;
  std::unique_ptr<Estimator<float>> estimator;
  std::uint32_t step = 0;

  ForwardGradient(const StepKind& kind, const BenchSubject& subject, Parameters<float> start)
      : objective(subject.program(), subject.batch(), {.precision = kind.precision}),
        theta(std::move(start)),
        estimator(make_estimator<float>("forward", subject.program().layout(),
                                        {.law = std::string(tangent_law(kind)),
                                         .tangents = kind.tangents,
                                         .seed = kSeed,
                                         .storage = kind.storage})) {
    theta.let_changes_wait();
    ForwardPass<float>(subject.program(), forward_options(kind, subject)).compact(theta);
  }
  void operator()() { estimator->estimate(objective, theta, step++).add_to(theta, -kRate); }
};

template <class Step>
std::function<void()> make(const StepKind& kind, const BenchSubject& subject, Parameters<float> theta) {
  return [step = std::make_shared<Step>(kind, subject, std::move(theta))] { (*step)(); };
}

}  // namespace

const std::vector<std::string>& step_names() {
  static const std::vector<std::string> names = {"loss",     "slope",    "rank-one",    "rademacher",
                                                 "gaussian", "backprop", "checkpointed"};
  return names;
}

bool takes_tangents(std::string_view name) {
  return name == "slope" || name == "rank-one" || name == "rademacher" || name == "gaussian";
}

std::string_view tangent_law(const StepKind& kind) {
  if (kind.name == "slope") return "rank-one";
  if (kind.name == "pytorch-forward") return "gaussian";
  return kind.name;
}

double start_loss(const BenchSubject& subject) {
  return ProgramObjective<float>(subject.program(), subject.batch()).loss(subject.start());
}

std::function<void()> make_step(const StepKind& kind, const BenchSubject& subject, Parameters<float> theta) {
  if (kind.name == "slope") return make<Slope>(kind, subject, std::move(theta));
  if (takes_tangents(kind.name)) return make<ForwardGradient>(kind, subject, std::move(theta));
  if (kind.name == "loss") return make<Loss>(kind, subject, std::move(theta));
  return make<Descent>(kind, subject, std::move(theta));
}

CostReport step_cost(const StepKind& kind, const BenchSubject& subject) {
  const bool forward = kind.tangents > 0 || kind.name == "loss" || kind.name == "onnxruntime-loss";
  return forward ? ForwardPass<float>(subject.program(), forward_options(kind, subject)).cost(subject.batch_size())
                 : DescentPass<float>(subject.program(), exact_options(kind)).cost(subject.batch_size());
}

double slope_error(std::string_view law, Precision precision, const BenchSubject& subject) {
  const std::shared_ptr<const Probe> probe = make_probe(law, subject.program().layout(), kSeed);
  const Parameters<float> theta = subject.start();
  ProgramObjective<float> full(subject.program(), subject.batch());
  ProgramObjective<float> half(subject.program(), subject.batch(), {.precision = precision});
  Tangents<float> tangents(probe->layout(), kAtOnce, probe->forms());
  double error = 0, square = 0;
  for (std::uint32_t draw = 0; draw < kErrorTangents / kAtOnce; ++draw) {
    check_interrupted("comparing slopes in bfloat16 with those in float32");
    probe->draw(draw, kAtOnce)->write(tangents);
    const std::vector<double> expected = full.slopes(theta, tangents).slopes;
    const std::vector<double> found = half.slopes(theta, tangents).slopes;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      error += std::pow(found[k] - expected[k], 2);
      square += std::pow(expected[k], 2);
    }
  }
  return std::sqrt(error / square);
}

}  // namespace slopewise
