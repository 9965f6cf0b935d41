// A chain of blocks as it answers, and how its answers compare with what is known.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "slopewise/data/dataset.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/program/pass.hpp"

namespace slopewise {

// What a network for such a set answers with.
NetworkTarget target_of(const Dataset& set);

struct EvaluatedBlock {
  ForwardPass<float>* pass;  // with the block's output as its output 0
  const Parameters<float>* theta;
};

// Sends the examples at `rows` through the blocks, up to some hundred at a time, and calls visit with the rows of each
// such batch, its mean loss and the last block's outputs, (rows, outputs), or (rows, places, classes).
void run_chain(std::span<const EvaluatedBlock> blocks, const Dataset& set, std::span<const Index> rows,
               const std::function<void(std::span<const Index>, double, std::span<const float>)>& visit);

struct Evaluation {
  double loss = 0;  // mean cross entropy, or mean squared error of numbers over their variance in training
  // Share of labels where another class's logit is the largest. Of numbers, the share of their variance that is left:
  // 1 − R², the mean of it over the outputs. NaN where nothing is known to compare with.
  double error = 0;
};

// The answers to a set's examples, counted.
class Judgement {
 public:
  // `set` must outlive it.
  explicit Judgement(const Dataset& set);
  // A batch as run_chain visits it.
  void add(std::span<const Index> rows, double loss, std::span<const float> outputs);

  // Answers: labels, or examples with numbers.
  Index count() const { return count_; }
  Evaluation evaluation() const;
  // Examples of class i answered by class j at i · classes + j; empty for numbers and for more than kMostCounted
  // classes.
  static constexpr int kMostCounted = 1000;
  const std::vector<Index>& confusion() const { return confusion_; }
  Index wrong() const { return wrong_; }
  // Of each output of numbers, in their own units: mean squared error, and R², which is NaN where they do not vary.
  double squared_error(std::size_t output) const;
  double r_squared(std::size_t output) const;

 private:
  void judge(std::span<const float> logits, std::int32_t label);
  struct Sums {
    double squared_error = 0, mean = 0, squares = 0;  // of the targets from their running mean
  };

  const Dataset& set_;
  Index count_ = 0, wrong_ = 0, examples_ = 0;  // labels or examples, those answered wrongly, examples with a loss
  double loss_ = 0;                             // sum over examples
  std::vector<Index> confusion_;
  std::vector<Sums> sums_;  // one an output
};

}  // namespace slopewise
