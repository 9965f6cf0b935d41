#include "slopewise/audit/methods.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kReferenceSeed = 0x61756469;
// Examples that the reference is made of, and the most mini-batches of them.
constexpr Index kReferenceExamples = 512, kMostReferenceBatches = 16;

// Parts of a batch that micro-batched backprop has in flight one after the other.
constexpr Index kMicroBatches = 8;

}  // namespace

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
  const ActivitySites& sites = task.network.training.front().sites;
  if (!sites.nodes.empty() && sites.logits >= 0) {
    methods.push_back({.name = "activities K=8",
                       .options = "--method activities --tangents 8",
                       .settings = {.estimator = "activities", .options = {.law = "rademacher", .tangents = 8}}});
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
  if (task.head) {
    methods.push_back({.name = "head only",
                       .options = "--train head --method exact",
                       .settings = {.estimator = "exact"},
                       .network = AuditMethod::Network::kHead});
  }
  return methods;
}

const Network& network_of(const AuditTask& task, const AuditMethod& method) {
  return method.network == AuditMethod::Network::kLocal  ? *task.local
         : method.network == AuditMethod::Network::kHead ? *task.head
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
