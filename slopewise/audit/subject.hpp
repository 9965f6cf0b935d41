// The network under audit at its weights, with the reference examples in mini-batches.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "slopewise/audit/methods.hpp"
#include "slopewise/objective/program_objective.hpp"

namespace slopewise {

// How exact gradients are made, if at all.
enum class Reference { kPullback, kCheckpointed, kSlopes };
std::string to_string(Reference reference);

class AuditSubject {
 public:
  // Throws ArgumentError where nothing trains, or where memory is less than what the weights and a loss take;
  // NumericError for a loss that is not finite.
  explicit AuditSubject(const AuditTask& task);

  const Program& program() const { return *block_.program; }
  const ChainBlock& block() const { return block_; }
  const ParameterLayout& layout() const { return program().layout(); }
  Index size() const { return program().size(); }
  const Parameters<float>& theta() const { return theta_; }
  // The objective with mini-batch number `batch` bound, one object for all.
  ProgramObjective<float>& objective(Index batch);
  Index batches() const { return static_cast<Index>(batches_.size()); }
  Index examples() const { return batches() * batch_; }
  // Over all reference examples.
  double loss() const { return loss_; }
  double loss(const Parameters<float>& theta);
  // What fits in memory; slopes alone where that was asked for.
  Reference reference() const { return reference_; }
  // AuditTask::memory.
  Index memory() const { return memory_; }
  // Bytes of θ and one loss: the least that any method takes.
  Index least_bytes() const { return least_bytes_; }

 private:
  Reference choose(const AuditTask& task) const;

  ChainBlock block_;
  Index batch_;
  Index memory_;
  Parameters<float> theta_;
  std::vector<ExampleBatch<float>> batches_;
  Index least_bytes_ = 0;
  Reference reference_;
  ProgramObjective<float> objective_;
  double loss_ = 0;
};

}  // namespace slopewise
