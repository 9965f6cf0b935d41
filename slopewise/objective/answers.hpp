// What an objective answers along tangents, kept as numbers, and an objective that answers with them: an estimate that
// asks for no more is made again from them, without a model or data.
#pragma once

#include <vector>

#include "slopewise/objective/objective.hpp"

namespace slopewise {

// In the order in which they were asked for: the slopes along all tangents of a call, then the second-order terms, then
// the mean squares over examples.
struct Answers {
  float loss = 0;
  std::vector<float> numbers;
};

// What is asked for along each of so many tangents.
struct AnswerKinds {
  Index tangents = 0;
  bool curvatures = false, examples = false;  // beside the slope
  Index numbers() const { return tangents * (1 + (curvatures ? 1 : 0) + (examples ? 1 : 0)); }
};

// Asks another objective, rounds what it says to float32, and keeps that until taken. What is not among `kinds` is left
// out of the answers. Throws ArgumentError where more is asked for than numbers along tangents.
template <class T>
class RecordingObjective final : public Objective<T> {
 public:
  // `asked` must outlive this.
  RecordingObjective(Objective<T>& asked, AnswerKinds kinds) : asked_(asked), kinds_(kinds) {}

  // The answers since the last call of this.
  Answers take();

  const ParameterLayout& layout() const override { return asked_.layout(); }
  double loss(const Parameters<T>&) override;
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  Slopes curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  Slopes differences(Parameters<T>& parameters, const Moves<T>& moves) override;
  double gradient(const Parameters<T>&, std::span<T>) override;
  bool has_gradient() const override { return false; }
  std::span<const T> output() const override { return asked_.output(); }
  bool is_read() const override { return asked_.is_read(); }

 private:
  Slopes keep(Slopes found);

  Objective<T>& asked_;
  AnswerKinds kinds_;
  Answers kept_;
};

// Answers what a recording objective has answered; for differences of losses θ is moved as it was then, as that changes
// it by rounding. Throws ArgumentError where more is asked for.
template <class T>
class ReplayingObjective final : public Objective<T> {
 public:
  // `layout` must outlive this. `examples`: of the batch.
  ReplayingObjective(const ParameterLayout& layout, AnswerKinds kinds, Index examples)
      : layout_(layout), kinds_(kinds), examples_(examples) {}

  // The answers to the calls that follow; numbers that nobody asks for may follow.
  void set(Answers answers);

  const ParameterLayout& layout() const override { return layout_; }
  double loss(const Parameters<T>&) override;
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  Slopes curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  Slopes differences(Parameters<T>& parameters, const Moves<T>& moves) override;
  double gradient(const Parameters<T>&, std::span<T>) override;
  bool has_gradient() const override { return false; }

 private:
  std::vector<double> next(Index count);
  Slopes answer(Index tangents, bool curvatures);

  const ParameterLayout& layout_;
  AnswerKinds kinds_;
  Index examples_;
  Answers answers_;
  std::size_t at_ = 0;
};

}  // namespace slopewise
