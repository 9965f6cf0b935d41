// Descent from a subject's initial weights to a target loss, and the learning rate at which it takes the fewest steps.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "slopewise/statistics/timing.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {

// One step at θ, which it moves; returns the loss of the subject's batch before it. Serves one run: what it remembers
// it shares with its copies, so each run takes one that was made for it.
using DescentStep = std::function<double(Parameters<float>& theta, std::uint32_t step, double rate)>;

// With the exact gradient; with one forward gradient, rank-one; with activity perturbation, its prior learned as it
// goes: the best remedy at hand. The subject must outlive them.
DescentStep exact_descent(const Subject& subject);
DescentStep forward_descent(const Subject& subject, std::uint64_t seed);
DescentStep learned_prior_descent(const Subject& subject, std::uint64_t seed);
// Numbers of `size` examples for draw number `number`, with replacement.
std::vector<Index> draw_examples(std::span<const Index> examples, Index size, std::uint64_t seed, std::uint64_t number);
// With forward gradients of mini-batches, `size` of the subject's `examples` in `data` each, drawn with replacement;
// both must outlive the step. The loss is still that of all of them, as it was last looked at: in every step at first,
// once in a 64th of the steps done later on.
DescentStep minibatch_descent(const Subject& subject, const Dataset& data, std::span<const Index> examples, Index size,
                              std::uint64_t seed);

// Steps until the loss is half of that at the initial weights; infinite for more than `most`, or a run that diverged.
double steps_to_half(const Subject& subject, const DescentStep& step, double rate, double most);

// The best learning rate of a method.
struct TunedDescent {
  double rate = 0;
  double steps = std::numeric_limits<double>::infinity();  // the median over runs
  std::vector<double> each;
};
// `runs` gives the steps of each run at a rate, where more than `most` need not be told apart. Walks from `start` by
// factors of 2, down and then up, while that helps.
TunedDescent tune_descent(double start, double most,
                          const std::function<std::vector<double>(double rate, double most)>& runs);
// The same with steps_to_half of so many runs, spread over the threads; `descent` makes the step of each.
TunedDescent tune_descent(const Subject& subject, double start, double most, Index runs,
                          const std::function<DescentStep(Index run)>& descent);
// Other runs at the rate that was found, which did not choose it, of at most four times as many steps each; at half the
// rate, and so on, if most of them do not arrive.
TunedDescent repeat_descent(const Subject& subject, const TunedDescent& tuned, Index runs,
                            const std::function<DescentStep(Index run)>& descent);
// The geometric mean over the runs of a method's steps over `steps`, with the interval of Student's t on their
// logarithms. A run that did not arrive counts as the most it was given, four times the median.
Ratio steps_ratio(const TunedDescent& tuned, double steps, double confidence);

}  // namespace slopewise
