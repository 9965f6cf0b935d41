#include "slopewise/audit/subject.hpp"

#include <fmt/format.h>

#include <numeric>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// Vectors of θ's size that exact figures take at once: a mini-batch's gradient, the sum of all, and four of Lanczos'
// method.
constexpr Index kVectors = 6;

Index bytes_of(const Demand& demand) {
  return demand.unpacked() + demand.packed;
}

// θ as a run starts from it.
Parameters<float> start_of(const AuditTask& task) {
  const AuditMethod lightest{
      .name = {}, .options = {}, .settings = {.estimator = "forward", .options = {.law = "rank-one"}}};
  if (task.network.training.front().program->size() == 0)
    throw ArgumentError("audit: expected weights that train, found none");
  return trainer_of(task, lightest)->weights(0);
}

}  // namespace

std::string to_string(Reference reference) {
  return reference == Reference::kPullback       ? "pullback"
         : reference == Reference::kCheckpointed ? "checkpointed pullback"
                                                 : "slopes alone";
}

AuditSubject::AuditSubject(const AuditTask& task)
    : block_(task.network.evaluating.front()),
      batch_(task.batch),
      memory_(task.memory),
      theta_(start_of(task)),
      least_bytes_(theta_.size() * Index{sizeof(float)} +
                   ProgramObjective<float>(*block_.program, {.rows = batch_, .inputs = {}}).loss_demand().unpacked() +
                   ExampleBatch<float>::bytes(task.data.train, batch_)),
      reference_(choose(task)),
      objective_(*block_.program, {.rows = batch_, .inputs = {}},
                 {.checkpointed = reference_ == Reference::kCheckpointed}) {
  if (task.memory > 0 && task.memory < least_bytes_) {
    throw ArgumentError(
        fmt::format("--memory: expected at least {} bytes, what the weights and one loss of {} "
                    "examples take, found {}",
                    least_bytes_, batch_, task.memory));
  }
  std::vector<Index> rows(static_cast<std::size_t>(batch_));
  for (Index first = 0; first + batch_ <= task.data.test.count(); first += batch_) {
    std::iota(rows.begin(), rows.end(), first);
    batches_.emplace_back(task.data.test, rows);
  }
  if (batches_.empty()) {
    throw ArgumentError(fmt::format("audit: expected at least {} reference examples, one mini-batch, found {}", batch_,
                                    task.data.test.count()));
  }
  loss_ = loss(theta_);
}

Reference AuditSubject::choose(const AuditTask& task) const {
  if (task.forward_only) return Reference::kSlopes;
  for (const bool checkpointed : {false, true}) {
    const ProgramObjective<float> objective(*block_.program, {.rows = batch_, .inputs = {}},
                                            {.checkpointed = checkpointed});
    const Index bytes = bytes_of(objective.gradient_demand()) + (kVectors + 1) * theta_.size() * Index{sizeof(float)};
    if (task.memory == 0 || bytes <= task.memory) return checkpointed ? Reference::kCheckpointed : Reference::kPullback;
  }
  return Reference::kSlopes;
}

ProgramObjective<float>& AuditSubject::objective(Index batch) {
  objective_.bind(batches_[batch].batch());
  return objective_;
}

double AuditSubject::loss(const Parameters<float>& theta) {
  double sum = 0;
  for (Index b = 0; b < batches(); ++b) sum += objective(b).loss(theta);
  return sum / static_cast<double>(batches());
}

}  // namespace slopewise
