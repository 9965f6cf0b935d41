#include "slopewise/train/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/statistics/moments.hpp"
#include "slopewise/train/block_cosines.hpp"
#include "slopewise/train/checkpoint.hpp"
#include "slopewise/train/description.hpp"
#include "slopewise/train/trainer_block.hpp"
#include "slopewise/train/weights.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kNoise = 0x6E6F6973;
// Draws made to look at noise are told apart from those of steps by their number.
constexpr std::uint32_t kLookingDraw = std::uint32_t{1} << 31;

Index training_count(const TrainSettings& settings, const Dataset& train) {
  if (settings.validation < 0 || settings.validation >= train.count()) {
    throw ArgumentError(fmt::format("validation: expected 0 to {}, fewer than the training images of {}, found {}",
                                    train.count() - 1, train.name, settings.validation));
  }
  return train.count() - settings.validation;
}

const TrainSettings& checked(const TrainSettings& settings) {
  check(settings);
  return settings;
}

Index steps_of(const TrainSettings& settings, Index steps_per_epoch) {
  const Index whole = settings.epochs * steps_per_epoch;
  return settings.most_steps > 0 ? std::min(whole, settings.most_steps) : whole;
}

Schedule make_schedule(const TrainSettings& settings, Index steps_per_epoch) {
  return {settings.schedule,
          {.rate = settings.rate,
           .final_rate = settings.final_rate,
           .steps = steps_of(settings, steps_per_epoch),
           .warm_up = static_cast<Index>(settings.warm_up * static_cast<double>(steps_per_epoch))}};
}

}  // namespace

EstimatorOptions estimator_options(const MethodSettings& method, const ChainBlock& block, std::uint64_t seed) {
  EstimatorOptions options = method.options;
  options.seed = seed;
  options.exact_head = method.exact_head;
  if (options.exact_blocks && method.exact_head) options.exact_head.reset();
  if (options.exact_blocks) return options;
  const bool at_weights = method.estimator != "activities";
  if (at_weights && (!has_exact_head(*block.program, block.sites) || takes_losses_alone(method.estimator) ||
                     method.estimator == "exact" || options.auto_rate))
    options.exact_head = false;
  return options;
}

void check(const TrainSettings& settings) {
  if (settings.epochs < 1) throw ArgumentError(fmt::format("epochs: expected at least 1, found {}", settings.epochs));
  if (settings.method.precision != Precision::kFloat32 && !has_bfloat16())
    throw ArgumentError("precision bf16: this processor does not multiply bfloat16 numbers (AVX512_BF16)");
  if (takes_losses_alone(settings.method.estimator) && settings.method.precision == Precision::kBfloat16)
    throw ArgumentError("precision bf16: expected slopes; rounding hides differences of losses");
  if (settings.method.micro_batch != 0 && (settings.method.micro_batch < 0 || settings.method.estimator != "exact")) {
    throw ArgumentError(fmt::format(
        "micro-batch: expected exact gradients, and at least 1 example in flight, found {} with the estimator '{}'",
        settings.method.micro_batch, settings.method.estimator));
  }
  if (!(settings.average >= 0 && settings.average <= 1))
    throw ArgumentError(fmt::format("average: expected a decay in [0, 1], found {}", settings.average));
  if (!(settings.warm_up >= 0 && settings.warm_up < static_cast<double>(settings.epochs)))
    throw ArgumentError(
        fmt::format("warm-up: expected 0 to less than {} epochs, found {}", settings.epochs, settings.warm_up));
}

Trainer::Trainer(const TrainSettings& settings, const DataSplit& data)
    : Trainer(settings, data, make_network(settings.network, data.train.image_shape, target_of(data.train))) {}

Trainer::Trainer(const TrainSettings& settings, const DataSplit& data, Network network)
    : settings_(checked(settings)),
      train_(data.train),
      test_(data.test),
      judged_(settings.validation > 0 ? data.train : data.test),
      batches_(training_count(settings, data.train), settings.batch, settings.seed),
      schedule_(make_schedule(settings, batches_.per_epoch())),
      network_(std::move(network)) {
  judged_rows_.resize(static_cast<std::size_t>(settings.validation > 0 ? settings.validation : test_.count()));
  std::iota(judged_rows_.begin(), judged_rows_.end(),
            settings.validation > 0 ? training_count(settings, train_) : Index{0});
  const std::vector<ChainBlock>& training = network_.training;
  const auto workspace = std::make_shared<Workspace>();  // blocks take turns
  for (std::size_t i = 0; i < training.size(); ++i) {
    std::shared_ptr<ProgramObjective<float>> objective;
    for (const auto& block : blocks_) {
      if (block->training.program == training[i].program) objective = block->objective;
    }
    if (!objective) {
      const MethodSettings& method = settings_.method;
      const bool read = training[i].output != training[i].sites.logits;
      objective = std::make_shared<ProgramObjective<float>>(*training[i].program,
                                                            Batch<float>{.rows = settings_.batch, .inputs = {}},
                                                            ObjectiveOptions{.precision = method.precision,
                                                                             .checkpointed = method.checkpointed,
                                                                             .micro_batch = method.micro_batch,
                                                                             .output = read ? training[i].output : -1,
                                                                             .workspace = workspace});
    }
    auto block = std::make_unique<Block>(settings_, network_, i, std::move(objective));
    for (const auto& before : blocks_) {
      if (before->evaluating.program == block->evaluating.program) block->evaluator = before->evaluator;
    }
    if (!block->evaluator) {
      block->evaluator = std::make_shared<ForwardPass<float>>(
          *block->evaluating.program, ForwardOptions{.outputs = {block->evaluating.output}}, workspace);
    }
    blocks_.push_back(std::move(block));
  }
  record_answers();
}

Trainer::~Trainer() = default;

Index Trainer::parameters() const {
  Index total = 0;
  for (const auto& block : blocks_) total += block->theta.size();
  return total;
}

Index Trainer::step_bytes() const {
  Index widest = 0, working = 0, passes = 0;
  std::vector<const ProgramObjective<float>*> counted;
  for (const auto& block : blocks_) {
    if (&block != &blocks_.back())
      widest = std::max(widest, block->training.program->node(block->training.output).shape.size());
    Index remembered = 0;
    for (const StatePart& part : block->estimator->state()) remembered += part.bytes();
    // What blocks of one program share is counted once; for each what it remembers, its packed weights where they are a
    // second copy, and room for the gradient where the optimizer needs it written out.
    const bool first = std::ranges::find(counted, block->objective.get()) == counted.end();
    const Demand demand = block->demand();
    working = std::max(working, demand.working);
    passes += (first ? demand.bytes : remembered) + (block->stays_packed() ? 0 : demand.packed);
    if (!block->estimator->dense()) passes += block->optimizer->step_bytes();
    if (block->step_rate) passes += block->optimizer->direction_bytes();
    if (block->pieced) working = std::max(working, demand.working + block->pieced->sums_bytes(demand.answers));
    counted.push_back(block->objective.get());
  }
  if (settings_.step_rate) widest *= 2;  // and before the loss after a step
  return working + passes + ExampleBatch<float>::bytes(train_, settings_.batch) +
         settings_.batch * (widest * Index{sizeof(float)} + Index{sizeof(std::int32_t)});
}

Index Trainer::state_bytes() const {
  Index bytes = 0;
  const auto count = [&](const auto& state) {
    for (const auto& vector : state.vectors) bytes += static_cast<Index>(vector.values.size_bytes());
  };
  for (const auto& block : blocks_) {
    bytes += block->theta.size() * Index{sizeof(float)};
    count(block->optimizer->state());
    if (block->average) count(block->average->state());
  }
  return bytes;
}

double Trainer::guessing_loss() const {
  if (train_.classes > 0) return std::log(static_cast<double>(train_.classes));
  if (train_.outputs == 0) return std::numeric_limits<double>::infinity();
  // The targets' variance, which is 1 where they are scaled.
  double variance = 0;
  for (std::size_t k = 0; k < static_cast<std::size_t>(train_.outputs); ++k) {
    Moments moments;
    for (std::size_t i = k; i < train_.targets.size(); i += static_cast<std::size_t>(train_.outputs))
      moments.add(train_.targets[i]);
    variance += moments.central().m2 / static_cast<double>(moments.count() * train_.outputs);
  }
  return variance > 0 ? variance : std::numeric_limits<double>::infinity();
}

double Trainer::forwards() const {
  double step = 0, forward = 0;
  for (const auto& block : blocks_) {
    step += block->demand(*block->objective).flops;
    forward += block->evaluator->cost(settings_.batch).flops();
  }
  return step / forward;
}

Index Trainer::steps() const {
  return steps_of(settings_, steps_per_epoch());
}

Index Trainer::slopes() const {
  Index total = 0;
  for (const auto& block : blocks_) total += block->estimator->slopes();
  return total;
}

// Numbers that name each example's dropout in this step and block.
void Trainer::draw_noise(Index step, std::size_t block) {
  const std::uint64_t key = derive_seed(settings_.seed, kNoise + block);
  inputs_.noise.resize(static_cast<std::size_t>(settings_.batch));
  for (std::size_t b = 0; b < inputs_.noise.size(); ++b) {
    const auto words = philox4x32(
        {static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32), 0},
        key);
    inputs_.noise[b] = static_cast<std::int32_t>(words[0] >> 1);
  }
}

// Calls visit(block, batch) for the blocks from the input up on the batch of `step`; what it returns is what the next
// block reads.
template <class Visit>
void Trainer::through_blocks(Index step, Visit visit) {
  inputs_.examples.gather(train_, batches_.indices(step));
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    Block& block = *blocks_[i];
    inputs_.noise.clear();
    if (block.training.noisy) draw_noise(step, i);
    const ExampleBatch<float>& examples = inputs_.examples;
    const std::span<const float> made =
        visit(block, i == 0 ? examples.batch(inputs_.noise) : examples.batch_of(inputs_.made, inputs_.noise));
    if (i + 1 == blocks_.size()) break;
    inputs_.made.assign(made.begin(), made.end());  // the next learner may share this one's memory
  }
}

TrainStep Trainer::advance() {
  if (!replayed_.records.empty()) return replay_step();
  if (team_) compare_weights();
  whole_ = blocks_.size() == 1 && !takes_losses_alone(settings_.method.estimator) && !settings_.step_rate;
  const double scheduled = schedule_.rate(step_);
  TrainStep result;
  SlopeRecord record;
  through_blocks(step_, [&](Block& block, const Batch<float>& batch) {
    block.objective->bind(batch);
    if (block.pieced) block.pieced->bind(batch);
    const GradientEstimate estimate = block.estimate(block.asked(), step_, scheduled / settings_.rate);
    if (block.recording) record.answers = block.recording->take();
    std::vector<float>& numbers = record.answers.numbers;
    const auto note = [&](float number) {
      if (block.recording) numbers.push_back(number);
      return number;
    };
    const auto along = [&](const StepDirection& direction) {
      const Slopes found = look_along(block.data(), block.theta, direction);
      if (block.recording) numbers.resize(static_cast<std::size_t>(block.estimator->asks().numbers()));
      const float slope = note(static_cast<float>(found.slopes[0]));
      return std::pair(slope, note(static_cast<float>(found.curvatures[0])));
    };
    std::optional<std::span<const float>> output;  // of the step's pass, where another follows
    const auto after = [&] {
      const std::span<const float> made = block.asked().output();
      inputs_.before.assign(made.begin(), made.end());
      output = inputs_.before;
      return note(static_cast<float>(block.data().loss(block.theta)));
    };
    take_step(block, estimate, scheduled, {along, after}, result);
    if (!block.compacted && block.stays_packed()) {
      block.objective->compact(block.theta);
      if (block.pieced) block.pieced->compact(block.theta);
    }
    block.compacted = true;
    return output ? *output : block.asked().output();
  });
  if (log_) {
    record.rate = static_cast<float>(result.rate);
    log_->add(record);
  }
  ++step_;
  whole_ = true;
  return result;
}

// Moves the block's parameters and says what came of it. Rates are float32 numbers, as logs hold them.
void Trainer::take_step(Block& block, const GradientEstimate& estimate, double scheduled, const Looks& looks,
                        TrainStep& result) {
  const double share = scheduled / settings_.rate;
  if (block.step_rate) {
    const bool looked = StepRate::looks_at(step_);
    StepLook look{.loss = static_cast<float>(estimate.loss())};
    block.move(estimate, [&](const StepDirection& direction) {
      if (looked) {
        std::tie(look.slope, look.curvature) = looks.along(direction);
        block.step_rate->watch(look);
      }
      return result.rate = static_cast<float>(share * block.step_rate->rate());
    });
    // What a step that also shrinks θ meets is not its direction's alone.
    if (looked && !block.optimizer->shrinks()) block.step_rate->met(look, result.rate, looks.after());
  } else {
    const std::optional<double> own = block.estimator->rate();
    result.rate = static_cast<float>(own ? share * *own : scheduled);
    block.move(estimate, result.rate);
  }
  result.loss = estimate.loss();
  result.slope = estimate.slope();
  result.clipped += estimate.clipped();
}

std::optional<StepOutlook> Trainer::outlook() const {
  if (blocks_.size() > 1) return std::nullopt;
  const Block& block = *blocks_.front();
  return block.step_rate ? block.step_rate->outlook() : block.estimator->outlook();
}

double Trainer::reach(const StepOutlook& each) const {
  const Block& block = *blocks_.front();
  const bool found = block.step_rate || block.estimator->outlook();
  double reach = 0;
  for (Index step = step_; step < steps(); ++step)
    reach += each.decrease(found ? each.best_rate() : schedule_.rate(step));
  return reach;
}

Evaluation Trainer::test() {
  std::vector<Index> rows(static_cast<std::size_t>(test_.count()));
  std::iota(rows.begin(), rows.end(), Index{0});
  return evaluate(test_, rows);
}

Evaluation Trainer::evaluate(const Dataset& images, std::span<const Index> chosen) {
  const auto scopes = averaged();
  std::vector<EvaluatedBlock> blocks;
  for (const auto& block : blocks_) blocks.push_back({block->evaluator.get(), &block->theta});
  Judgement judgement(images);
  run_chain(blocks, images, chosen, [&](std::span<const Index> rows, double loss, std::span<const float> outputs) {
    judgement.add(rows, loss, outputs);
  });
  return judgement.evaluation();
}

TrainNoise Trainer::measure(Index batches, bool against_exact) {
  std::vector<float> found(static_cast<std::size_t>(parameters())), truth(against_exact ? found.size() : 0);
  const auto estimate = [&](Index batch, Index draw) -> std::span<const float> {
    auto to = found.begin();
    const auto number = static_cast<std::uint32_t>(2 * (step_ + batch) + draw) | kLookingDraw;
    through_blocks(step_ + batch, [&](Block& block, const Batch<float>& examples) {
      block.objective->bind(examples);
      block.estimator->estimate(*block.objective, block.theta, number)
          .materialize(std::span<float>(to, to + block.theta.size()));
      to += block.theta.size();
      return block.objective->output();
    });
    return found;
  };
  const auto exact = [&](Index batch) -> std::span<const float> {
    auto to = truth.begin();
    through_blocks(step_ + batch, [&](Block& block, const Batch<float>& examples) {
      block.objective->bind(examples);
      block.objective->gradient(block.theta, std::span<float>(to, to + block.theta.size()));
      to += block.theta.size();
      return block.objective->output();
    });
    return truth;
  };
  TrainNoise noise;
  noise.gradient =
      measure_noise(batches, estimate, against_exact ? exact : std::function<std::span<const float>(Index)>());
  if (against_exact && blocks_.size() == 1) {  // of the last batch
    const ChainBlock& whole = blocks_.front()->training;
    noise.cosines = block_cosines(*whole.program, whole.sites.logits, found, truth);
  }
  std::size_t site = 0;
  const std::uint32_t draw = kLookingDraw | static_cast<std::uint32_t>(step_);
  through_blocks(step_, [&](Block& block, const Batch<float>& examples) {
    block.objective->bind(examples);
    const std::size_t first = site;
    for (const double share : block.estimator->residuals(*block.objective, block.theta, draw))
      noise.residuals.emplace_back(fmt::format("h{}", ++site), share);
    site = first + block.training.sites.nodes.size();
    if (&block == blocks_.back().get()) return std::span<const float>();
    block.objective->loss(block.theta);  // for its output
    return block.objective->output();
  });
  return noise;
}

std::vector<std::optional<AverageScope<float>>> Trainer::averaged() {
  std::vector<std::optional<AverageScope<float>>> scopes(blocks_.size());
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i]->average && blocks_[i]->average->steps() > 0)
      scopes[i].emplace(*blocks_[i]->average, blocks_[i]->theta);
  }
  return scopes;
}

Parameters<float> Trainer::weights(std::size_t number) {
  const auto scopes = averaged();
  Block& block = *blocks_[number];
  block.compacted = false;
  const std::span<const float> values = block.theta.values();
  return Parameters<float>(std::vector<float>(values.begin(), values.end()));
}

void Trainer::save_weights(const std::filesystem::path& path) {
  CheckpointWriter file;
  for (const auto& [name, text] : describe(network_, train_)) file.set(name, text);
  const auto scopes = averaged();
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    Block& block = *blocks_[i];
    file.add(weight_prefix(i, blocks_.size()), block.training.program->layout(), block.theta.values());
    block.compacted = false;
  }
  file.save(path);
}

void Trainer::save(const std::filesystem::path& path, const std::map<std::string, std::string>& extra) {
  CheckpointWriter file;
  for (const auto& [name, value] : extra) file.set(name, value);
  for (const auto& [name, text] : describe(network_, train_)) file.set(name, text);
  file.set("step", std::to_string(step_));
  for (const auto& block : blocks_) {
    file.add(block->prefix, block->training.program->layout(), block->theta.values());
    block->compacted = false;
    file.add(block->prefix + "optimizer", block->optimizer->state());
    if (block->average) file.add(block->prefix + "average", block->average->state());
    for (const StatePart& part : block->estimator->state()) file.add(block->part_name(part), part);
    if (block->step_rate) file.add(block->prefix + "rate", block->step_rate->state());
  }
  file.save(path);
}

void Trainer::restore(CheckpointReader& file) {
  for (const auto& block : blocks_) {
    read_weights(file.file(), block->prefix, block->training.program->layout(), block->theta.edit());
    block->optimizer->restore(file.state(block->prefix + "optimizer", block->optimizer->state()));
    if (block->average) block->average->restore(file.state(block->prefix + "average", block->average->state()));
    std::vector<StatePart> parts = block->estimator->state();
    for (StatePart& part : parts) part = file.part(block->part_name(part), part);
    block->estimator->restore(parts);
    if (block->step_rate) block->step_rate->restore(file.state(block->prefix + "rate", block->step_rate->state()));
  }
  if (identity(file.get("network")) != identity(network_.description)) {
    throw FileError(fmt::format("{}: its network is not that of this run; a model's file may have changed since",
                                file.path().string()));
  }
  step_ = file.get_integer("step");
  if (step_ < 0 || step_ > steps())
    throw FileError(fmt::format("{}: step: expected 0 to {}, found {}", file.path().string(), steps(), step_));
}

void Trainer::load_weights(const std::filesystem::path& path) {
  std::vector<BlockWeights<float>> weights;
  for (const auto& block : blocks_) weights.push_back({&block->training.program->layout(), block->theta.edit()});
  read_weights<float>(TensorFile(path), weights);
}

}  // namespace slopewise
