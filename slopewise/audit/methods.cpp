#include "slopewise/audit/methods.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/program/stream.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kReferenceSeed = 0x61756469;
// Examples that the reference is made of, and the most mini-batches of them.
constexpr Index kReferenceExamples = 512, kMostReferenceBatches = 16;

// Parts of a batch that micro-batched backprop has in flight one after the other.
constexpr Index kMicroBatches = 8;

// Whether the method's estimator can be made for the network, with what trains of it.
bool suits(const AuditTask& task, const MethodSettings& settings) {
  const ChainBlock& block = task.network.training.front();
  try {
    make_estimator<float>(settings.estimator, EstimatorTarget(*block.program, block.sites),
                          estimator_options(settings, block, task.seed));
    return true;
  } catch (const ArgumentError&) {
    return false;
  }
}

std::string name_of(const NetworkTop& top) {
  return top.blocks < 1    ? "head only"
         : top.blocks == 1 ? "last block and head"
                           : fmt::format("last {} blocks and head", top.blocks);
}

}  // namespace

std::vector<NetworkTop> tops_of(const Network& network) {
  std::vector<NetworkTop> tops;
  if (network.training.size() > 1) return tops;
  const ChainBlock& whole = network.training.front();
  const Index blocks = whole.sites.logits < 0 ? 0 : find_stream(*whole.program, whole.sites.logits).blocks();
  for (Index top = 0; top <= kMostTopBlocks && top < blocks; ++top) tops.push_back({top, network});
  return tops;
}

std::vector<AuditMethod> audit_methods(const AuditTask& task) {
  std::vector<AuditMethod> methods{
      {.name = "backprop", .options = "--method exact", .settings = {.estimator = "exact"}},
      {.name = "checkpointed backprop",
       .options = "--method exact --checkpointed",
       .settings = {.estimator = "exact", .checkpointed = true}}};
  if (const Index part = task.batch / kMicroBatches; part > 0) {
    methods.push_back({.name = "micro-batched backprop",
                       .options = fmt::format("--method exact --checkpointed --micro-batch {}", part),
                       .settings = {.estimator = "exact", .checkpointed = true, .micro_batch = part}});
  }
  const AuditMethod at_activities[] = {
      {.name = "activities K=8",
       .options = "--method activities --tangents 8",
       .settings = {.estimator = "activities", .options = {.law = "rademacher", .tangents = 8}}},
      {.name = "residual feedback",
       .options = "--method activities --prior residual --tangents 0 --correction none",
       .settings = {.estimator = "activities",
                    .options = {.law = "rademacher",
                                .tangents = 0,
                                .activity = {.prior = "residual", .correction = Correction::kNone}}}}};
  const ActivitySites& sites = task.network.training.front().sites;
  for (const AuditMethod& method : at_activities) {
    if (!sites.nodes.empty() && sites.logits >= 0 && suits(task, method.settings)) methods.push_back(method);
  }
  for (const Index tangents : {1, 8, 32}) {
    methods.push_back({.name = fmt::format("weights K={}", tangents),
                       .options = fmt::format("--method weights --tangents {}", tangents),
                       .settings = {.estimator = "forward", .options = {.law = "rank-one", .tangents = tangents}}});
  }
  methods.push_back({.name = "differences K=1",
                     .options = "--method zeroth-order --tangents 1",
                     .settings = {.estimator = "central", .options = {.law = "rank-one"}}});
  if (task.local) {
    methods.push_back({.name = "local losses K=8",
                       .options = "--method local --tangents 8",
                       .settings = {.estimator = "activities", .options = {.law = "rademacher", .tangents = 8}},
                       .network = AuditMethod::Network::kLocal});
  }
  for (std::size_t i = 0; i < task.tops.size(); ++i) {
    const NetworkTop& top = task.tops[i];
    AuditMethod method{.name = name_of(top),
                       .options = top.blocks < 0 ? "--train head --method exact"
                                                 : fmt::format("--method exact --exact-blocks {}", top.blocks),
                       .settings = {.estimator = "exact"},
                       .network = AuditMethod::Network::kTop,
                       .top = i};
    if (top.blocks >= 0) method.settings.options.exact_blocks = top.blocks;
    methods.push_back(std::move(method));
  }
  return methods;
}

const Network& network_of(const AuditTask& task, const AuditMethod& method) {
  return method.network == AuditMethod::Network::kLocal ? *task.local
         : method.network == AuditMethod::Network::kTop ? task.tops[method.top].network
                                                        : task.network;
}

TrainSettings settings_of(const AuditTask& task, const AuditMethod& method, double rate) {
  TrainSettings settings;
  settings.method = method.settings;
  settings.optimizer = "sgd";
  settings.schedule = "constant";
  settings.rate = rate;
  settings.batch = task.batch;
  settings.seed = task.seed;
  settings.epochs = 1'000'000;
  return settings;
}

std::unique_ptr<Trainer> trainer_of(const AuditTask& task, const AuditMethod& method, double rate) {
  auto trainer = std::make_unique<Trainer>(settings_of(task, method, rate), task.data, network_of(task, method));
  if (!task.weights.empty()) trainer->load_weights(task.weights);
  return trainer;
}

Index reference_batches(Index examples, Index batch) {
  const Index wanted = std::clamp(kReferenceExamples / batch, Index{4}, kMostReferenceBatches);
  return std::max<Index>(1, std::min(wanted, examples / batch));
}

Dataset reference_set(const Dataset& train, Index batch, std::uint64_t seed) {
  if (batch < 1 || batch > train.count()) {
    throw ArgumentError(fmt::format("--batch: expected 1 to {}, the training examples of {}, found {}", train.count(),
                                    train.name, batch));
  }
  const Index batches = reference_batches(train.count(), batch);
  const Batches order(train.count(), batch, derive_seed(seed, kReferenceSeed));
  Dataset set = train;
  set.selection.clear();
  set.labels.clear();
  set.targets.clear();
  const auto places = static_cast<std::size_t>(train.label_shape.size());
  const auto outputs = static_cast<std::size_t>(train.outputs);
  for (Index step = 0; step < batches; ++step) {
    for (const Index row : order.indices(step)) {
      const auto at = static_cast<std::size_t>(row);
      set.selection.push_back(train.selection.empty() ? row : train.selection[at]);
      if (!train.labels.empty())
        set.labels.insert(set.labels.end(), train.labels.begin() + static_cast<std::ptrdiff_t>(at * places),
                          train.labels.begin() + static_cast<std::ptrdiff_t>((at + 1) * places));
      if (!train.targets.empty())
        set.targets.insert(set.targets.end(), train.targets.begin() + static_cast<std::ptrdiff_t>(at * outputs),
                           train.targets.begin() + static_cast<std::ptrdiff_t>((at + 1) * outputs));
    }
  }
  return set;
}

}  // namespace slopewise
