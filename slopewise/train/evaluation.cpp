#include "slopewise/train/evaluation.hpp"

#include <algorithm>
#include <cmath>

#include "slopewise/objective/example_batch.hpp"

namespace slopewise {
namespace {

// Examples of one evaluated batch, and about the most numbers that one node of the network makes of them.
constexpr Index kEvaluated = 500, kWidest = Index{1} << 22;

// Of the outputs of `blocks`.
Index rows_at_once(std::span<const EvaluatedBlock> blocks) {
  Index widest = 1;
  for (const EvaluatedBlock& block : blocks) widest = std::max(widest, block.pass->output_size(0));
  return std::clamp(kWidest / widest, Index{1}, kEvaluated);
}

}  // namespace

NetworkTarget target_of(const Dataset& set) {
  return set.outputs > 0 ? NetworkTarget::of_numbers(set.outputs) : NetworkTarget(set.classes);
}

void run_chain(std::span<const EvaluatedBlock> blocks, const Dataset& set, std::span<const Index> rows,
               const std::function<void(std::span<const Index>, double, std::span<const float>)>& visit) {
  ExampleBatch<float> examples;
  std::vector<float> values;  // what the block before made
  const auto at_once = static_cast<std::size_t>(rows_at_once(blocks));
  for (std::size_t first = 0; first < rows.size(); first += at_once) {
    const auto part = rows.subspan(first, std::min(at_once, rows.size() - first));
    examples.gather(set, part);
    for (const EvaluatedBlock& block : blocks) {
      const Batch<float> batch = &block == &blocks.front() ? examples.batch() : examples.batch_of(values);
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
  if (set.outputs == 0 && set.classes > 0 && set.classes <= kMostCounted)
    confusion_.resize(static_cast<std::size_t>(set.classes) * static_cast<std::size_t>(set.classes));
}

void Judgement::add(std::span<const Index> rows, double loss, std::span<const float> outputs) {
  loss_ += loss * static_cast<double>(rows.size());
  if (set_.outputs == 0 && set_.classes == 0) {
    examples_ += std::ssize(rows);
    return;
  }
  const std::size_t each = outputs.size() / rows.size();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto answer = outputs.subspan(r * each, each);
    if (set_.outputs == 0) {
      const Index counted = count_;
      const auto places = static_cast<std::size_t>(set_.label_shape.size()), classes = each / places;
      for (std::size_t place = 0; place < places; ++place)
        judge(answer.subspan(place * classes, classes),
              set_.labels[static_cast<std::size_t>(rows[r]) * places + place]);
      examples_ += count_ > counted;  // one without a label that counts adds 0 to the loss
      continue;
    }
    ++count_;
    ++examples_;
    for (std::size_t k = 0; k < each; ++k) {
      const double target = set_.targets[static_cast<std::size_t>(rows[r]) * each + k];
      const double error = answer[k] - target, before = target - sums_[k].mean;
      sums_[k].squared_error += error * error;
      sums_[k].mean += before / static_cast<double>(count_);
      sums_[k].squares += before * (target - sums_[k].mean);
    }
  }
}

void Judgement::judge(std::span<const float> logits, std::int32_t label) {
  if (label == set_.ignored) return;
  const auto best = std::ranges::max_element(logits) - logits.begin();
  ++count_;
  wrong_ += best != label;
  if (!confusion_.empty()) ++confusion_[label * set_.classes + best];
}

Evaluation Judgement::evaluation() const {
  Evaluation found{.loss = loss_ / static_cast<double>(examples_),
                   .error = static_cast<double>(wrong_) / static_cast<double>(count_)};
  if (sums_.empty()) return found;
  found.error = 0;
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
