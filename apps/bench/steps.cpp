#include "apps/bench/steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/named.hpp"
#include "slopewise/model/initialize.hpp"
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

ExactOptions exact_options(const StepKind& kind, const BenchSubject& subject) {
  return {.precision = of_values(kind.precision),
          .few_rows = subject.few_rows(),
          .checkpointed = kind.name == "checkpointed"};
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
      : batch(subject.batch()), pass(subject.program(), exact_options(kind, subject)), theta(std::move(start)) {
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

// A step by losses on both sides of θ along one Gaussian tangent, which is drawn again for each of the moves.
struct Mezo {
  ProgramObjective<float> objective;
  Parameters<float> theta;
  std::unique_ptr<Estimator<float>> estimator;
  std::uint32_t step = 0;

  Mezo(const StepKind& kind, const BenchSubject& subject, Parameters<float> start)
      : objective(subject.program(), subject.batch(), {.precision = kind.precision}),
        theta(std::move(start)),
        estimator(make_estimator<float>("central", subject.program().layout(), {.seed = kSeed})) {
    ForwardPass<float>(subject.program(), forward_options(kind, subject)).compact(theta);
  }
  void operator()() { estimator->estimate_in_place(objective, theta, step++).add_to(theta, -kRate); }
};

// A step along tangents of activities through a chain of blocks, each with its own loss and reading what the one before
// made. Blocks of one program share an objective, as in training.
class ChainStep {
 public:
  ChainStep(const StepKind& kind, const BenchSubject& subject, std::vector<ChainBlock> chain)
      : chain_(std::move(chain)), batch_(subject.batch()) {
    for (const ChainBlock& block : chain_) {
      const auto same = std::ranges::find(chain_, block.program, &ChainBlock::program) - chain_.begin();
      const bool first = static_cast<std::size_t>(same) == blocks_.size(), read = &block != &chain_.back();
      blocks_.push_back({.objective = first ? objective(kind, block, read) : blocks_[same].objective,
                         .theta = std::nullopt,
                         .estimator = make_estimator<float>(
                             "activities", EstimatorTarget(*block.program, block.sites),
                             {.law = "rademacher", .tangents = kind.tangents, .seed = kSeed, .exact_head = true})});
    }
  }
  void start(std::size_t block, Parameters<float> theta) { blocks_[block].theta = std::move(theta); }
  double flops() {
    double total = 0;
    for (Block& block : blocks_) total += block.estimator->demand(*block.objective).flops;
    return total;
  }
  void operator()() {
    Batch<float> batch = batch_;
    for (Block& block : blocks_) {
      block.objective->bind(batch);
      block.estimator->estimate(*block.objective, *block.theta, step_).add_to(*block.theta, -kRate);
      if (step_ == 0) block.objective->compact(*block.theta);
      const std::span<const float> made = block.objective->output();
      made_.assign(made.begin(), made.end());  // the next block may share this one's memory
      batch.inputs.front() = std::span<const float>(made_);
    }
    ++step_;
  }

 private:
  struct Block {
    std::shared_ptr<ProgramObjective<float>> objective;
    std::optional<Parameters<float>> theta;  // from start() on
    std::unique_ptr<Estimator<float>> estimator;
  };
  std::shared_ptr<ProgramObjective<float>> objective(const StepKind& kind, const ChainBlock& block, bool read) const {
    return std::make_shared<ProgramObjective<float>>(
        *block.program, batch_, ObjectiveOptions{.precision = kind.precision, .output = read ? block.output : -1});
  }

  std::vector<ChainBlock> chain_;
  Batch<float> batch_;
  std::vector<Block> blocks_;
  std::vector<float> made_;
  std::uint32_t step_ = 0;
};

using Maker = std::function<std::function<void()>(const StepKind&, const BenchSubject&, Parameters<float>)>;
using Coster = std::function<CostReport(const StepKind&, const BenchSubject&)>;

template <class Step>
std::function<void()> make(const StepKind& kind, const BenchSubject& subject, Parameters<float> theta) {
  return [step = std::make_shared<Step>(kind, subject, std::move(theta))] { (*step)(); };
}

std::function<void()> make_activities(const StepKind& kind, const BenchSubject& subject, Parameters<float> theta) {
  const auto step = std::make_shared<ChainStep>(kind, subject, subject.chain());
  step->start(0, std::move(theta));
  return [step] { (*step)(); };
}

std::function<void()> make_local(const StepKind& kind, const BenchSubject& subject, Parameters<float> theta) {
  { const Parameters<float> unused = std::move(theta); }  // of the network end to end: its memory is free again
  const std::vector<ChainBlock> chain = subject.local_chain();
  const auto step = std::make_shared<ChainStep>(kind, subject, chain);
  for (std::size_t i = 0; i < chain.size(); ++i)
    step->start(i, initialize<float>(chain[i].program->layout(), kSeed + i));
  return [step] { (*step)(); };
}

CostReport forward_cost(const StepKind& kind, const BenchSubject& subject) {
  return ForwardPass<float>(subject.program(), forward_options(kind, subject)).cost(subject.batch_size());
}

CostReport descent_cost(const StepKind& kind, const BenchSubject& subject) {
  return DescentPass<float>(subject.program(), exact_options(kind, subject)).cost(subject.batch_size());
}

struct Step {
  std::string name;
  std::string_view law;  // of tangents of weights
  bool tangents = false;
  Maker make;
  Coster cost;
};

const NamedTable<Step>& steps() {
  static const NamedTable<Step> table(
      "step", {{"loss", "", false, make<Loss>, forward_cost},
               {"slope", "rank-one", true, make<Slope>, forward_cost},
               {"rank-one", "rank-one", true, make<ForwardGradient>, forward_cost},
               {"rademacher", "rademacher", true, make<ForwardGradient>, forward_cost},
               {"gaussian", "gaussian", true, make<ForwardGradient>, forward_cost},
               {"mezo", "", false, make<Mezo>,
                [](const StepKind& kind, const BenchSubject& subject) {
                  const CostReport loss = forward_cost(kind, subject);
                  return CostReport{.value_flops = 2 * loss.value_flops, .bytes = 2 * loss.bytes};
                }},
               {"activities", "", true, make_activities,
                [](const StepKind& kind, const BenchSubject& subject) {
                  return CostReport{.value_flops = ChainStep(kind, subject, subject.chain()).flops()};
                }},
               {"local", "", true, make_local,
                [](const StepKind& kind, const BenchSubject& subject) {
                  return CostReport{.value_flops = ChainStep(kind, subject, subject.local_chain()).flops()};
                }},
               {"backprop", "", false, make<Descent>, descent_cost},
               {"checkpointed", "", false, make<Descent>, descent_cost}});
  return table;
}

}  // namespace

const std::vector<std::string>& step_names() {
  return steps().names();
}

bool takes_tangents(std::string_view name) {
  return steps().find(name).tangents;
}

std::string_view tangent_law(const StepKind& kind) {
  if (kind.name == "pytorch-forward") return "gaussian";
  if (kind.name.starts_with("pytorch") || kind.name.starts_with("onnxruntime")) return "";
  return steps().find(kind.name).law;
}

std::string lacks(const BenchSubject& subject, std::string_view name) {
  if (name == "local" && subject.file()) return "a model from a file has one loss";
  if ((name == "local" || name == "activities") && subject.chain().front().sites.nodes.empty())
    return "the model has no hidden activities";
  return "";
}

double start_loss(const BenchSubject& subject) {
  return ProgramObjective<float>(subject.program(), subject.batch()).loss(subject.start());
}

std::function<void()> make_step(const StepKind& kind, const BenchSubject& subject, Parameters<float> theta) {
  if (const std::string reason = lacks(subject, kind.name); !reason.empty())
    throw ArgumentError(fmt::format("--steps {}: {}", kind.name, reason));
  return steps().find(kind.name).make(kind, subject, std::move(theta));
}

CostReport step_cost(const StepKind& kind, const BenchSubject& subject) {
  if (kind.name == "pytorch-sgd") return descent_cost(kind, subject);
  if (kind.name == "pytorch-forward" || kind.name == "onnxruntime-loss") return forward_cost(kind, subject);
  return steps().find(kind.name).cost(kind, subject);
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
