#include "slopewise/train/evaluation.hpp"

#include <algorithm>
#include <cmath>

namespace slopewise {
namespace {

// Rows of one evaluated batch.
constexpr Index kEvaluated = 500;

}  // namespace

NetworkTarget target_of(const Dataset& set) {
  return set.outputs > 0 ? NetworkTarget::of_numbers(set.outputs) : NetworkTarget(set.classes);
}

void run_chain(std::span<const EvaluatedBlock> blocks, const Dataset& set, std::span<const Index> rows,
               const std::function<void(std::span<const Index>, double, std::span<const float>)>& visit) {
  std::vector<float> values, targets;
  std::vector<std::int32_t> labels;
  for (std::size_t first = 0; first < rows.size(); first += kEvaluated) {
    const auto part = rows.subspan(first, std::min<std::size_t>(kEvaluated, rows.size() - first));
    values.resize(part.size() * static_cast<std::size_t>(set.image_shape.size()));
    gather_inputs<float>(set, part, values);
    targets.resize(part.size() * static_cast<std::size_t>(set.outputs));
    labels.resize(set.outputs > 0 ? 0 : part.size());
    if (set.outputs > 0) {
      gather_targets(set, part, targets);
    } else {
      gather_labels(set, part, labels);
    }
    for (const EvaluatedBlock& block : blocks) {
      Batch<float> batch{.rows = std::ssize(part), .inputs = {std::span<const float>(values)}};
      if (set.outputs > 0) {
        batch.inputs.emplace_back(std::span<const float>(targets));
      } else {
        batch.inputs.emplace_back(std::span<const std::int32_t>(labels));
      }
      const double loss = block.pass->run(*block.theta, batch).loss;
      const std::span<const float> made = block.pass->output(0);
      if (&block == &blocks.back()) {
        visit(part, loss, made);
      } else {
        values.assign(made.begin(), made.end());
      }
    }
  }
}

Judgement::Judgement(const Dataset& set) : set_(set), sums_(static_cast<std::size_t>(set.outputs)) {
  if (set.outputs == 0 && set.classes <= kMostCounted)
    confusion_.resize(static_cast<std::size_t>(set.classes) * static_cast<std::size_t>(set.classes));
}

void Judgement::add(std::span<const Index> rows, double loss, std::span<const float> outputs) {
  loss_ += loss * static_cast<double>(rows.size());
  const std::size_t each = outputs.size() / rows.size();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto answer = outputs.subspan(r * each, each);
    ++count_;
    if (set_.outputs == 0) {
      const auto best = std::max_element(answer.begin(), answer.end()) - answer.begin();
      const std::int32_t label = set_.labels[static_cast<std::size_t>(rows[r])];
      wrong_ += best != label;
      if (!confusion_.empty()) ++confusion_[static_cast<std::size_t>(label * set_.classes + best)];
      continue;
    }
    for (std::size_t k = 0; k < each; ++k) {
      const double target = set_.targets[static_cast<std::size_t>(rows[r]) * each + k];
      const double error = answer[k] - target, before = target - sums_[k].mean;
      sums_[k].squared_error += error * error;
      sums_[k].mean += before / static_cast<double>(count_);
      sums_[k].squares += before * (target - sums_[k].mean);
    }
  }
}

Evaluation Judgement::evaluation() const {
  const auto count = static_cast<double>(count_);
  Evaluation found{.loss = loss_ / count, .error = static_cast<double>(wrong_) / count};
  if (sums_.empty()) return found;
  for (std::size_t k = 0; k < sums_.size(); ++k) found.error += (1 - r_squared(k)) / static_cast<double>(sums_.size());
  return found;
}

double Judgement::squared_error(std::size_t output) const {
  const double deviation = set_.target_deviation[output];
  return sums_[output].squared_error / static_cast<double>(count_) * deviation * deviation;
}

double Judgement::r_squared(std::size_t output) const {
  const Sums& sums = sums_[output];
  return sums.squares > 0 ? 1 - sums.squared_error / sums.squares : std::nan("");
}

}  // namespace slopewise
