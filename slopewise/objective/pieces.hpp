// A step's work in pieces: its examples, its tangents or both, cut the same way whoever evaluates them, so that the
// bits do not depend on how many do.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "slopewise/objective/answers.hpp"
#include "slopewise/objective/piece_grid.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/objective/team.hpp"

namespace slopewise {

// Numbers along tangents of a program on a batch, and gradients, made piece by piece. Examples: the mean over the batch
// is a sum over a binary tree of the pieces' means, each sum rounded to float32. Tangents: each part of them is a pass
// of its own. There are at most as many parts as examples, or tangents. With a team each rank evaluates pieces that lie
// together, and sends what the largest branches of the tree that are wholly its own have found to rank 0, which puts
// them together and sends all of it back in float32, as logs have it.
template <class T>
class PiecedObjective final : public Objective<T> {
 public:
  // `whole` must outlive this. `kinds`: what is asked for beside slopes. Throws ArgumentError unless there is a piece.
  PiecedObjective(ProgramObjective<T>& whole, PieceGrid grid, AnswerKinds kinds);
  // Null: all pieces are made here. The team must outlive this. Throws ArgumentError for more ranks than pieces.
  void set_team(Team* team);
  // The step's whole batch.
  void bind(Batch<T> batch) { batch_ = std::move(batch); }
  // As ProgramObjective::compact.
  void compact(Parameters<T>& parameters);

  const ParameterLayout& layout() const override { return whole_.layout(); }
  // All of the others throw, on rank 0, where a rank found a number that is not finite, and name it: NumericError where
  // rank 0 finds the same, else RankLost.
  double loss(const Parameters<T>& parameters) override;
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  Slopes curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  // Every rank moves its θ along all directions, so that rounding leaves the same of it everywhere. Examples or the
  // points of the walk are shared. Throws ArgumentError where a grid cuts both.
  Slopes differences(Parameters<T>& parameters, const Moves<T>& moves) override;
  double gradient(const Parameters<T>& parameters, std::span<T> out) override;
  // What examples find on their own, example_slopes and losses, is not told. The gradient of a head along parts of the
  // tangents is that of the first.
  RunResult<T> given(const GivenOptions& options, const Parameters<T>& parameters, const Tangents<T>* tangents,
                     const Perturbation<T>& perturbation, const Giver<T>& giver, std::span<T> out,
                     const GivenSums<T>& sums = {}) override;
  // Every rank finds all of these.
  std::vector<std::vector<T>> values(const Parameters<T>& parameters, std::span<const Index> nodes,
                                     std::span<const Index> rows) override;
  Index examples() const override { return batch_.rows; }
  // Of a rank's own pieces of examples; 0 elsewhere.
  std::span<const T> output() const override { return output_; }
  bool is_read() const override { return whole_.is_read(); }
  // Examples of the largest piece.
  Index rows() const;
  // Bytes of the sums that an answer of so many numbers is put together from.
  Index sums_bytes(const AnswerSize& answers) const;

 private:
  enum class Kind { kLoss, kSlopes, kCurvatures, kGradient, kGiven };
  struct Question {
    Kind kind;
    const Parameters<T>& theta;
    const Tangents<T>* tangents = nullptr;
    const Moves<T>* moves = nullptr;  // of kLoss: θ is brought to their points
    Parameters<T>* moved = nullptr;   // and this is it
    std::span<T> out = {};            // of a gradient
    // Of kGiven.
    const GivenOptions* options = nullptr;
    const Perturbation<T>* perturbation = nullptr;
    const Giver<T>* giver = nullptr;
    const GivenSums<T>* sums = nullptr;
    // Tangents, and numbers of each in an answer.
    Index count() const;
    Index each(const AnswerKinds& kinds) const;
    // Entries of the gradient, and of the sums that go with it.
    Index dense() const;
  };
  using Numbers = std::vector<float>;
  // How a question's work is cut, and a rank's share of it.
  struct Share;
  // [first, end) of the batch.
  struct Rows {
    Index first, end;
    Index count() const { return end - first; }
  };
  Numbers ask(const Share& share, Index piece, const Tangents<T>* tangents);
  std::vector<double> ask_given(ProgramObjective<T>& objective, const Question& question, const Tangents<T>* tangents,
                                Index first);
  std::map<Index, Numbers> walk_pieces(const Share& share);
  ProgramObjective<T>& objective_of(const Rows& rows);
  void keep_output(const ProgramObjective<T>& objective, const Rows& rows);
  // What an answer is made of all ranks' numbers by; and `make` fills `own`, of the size that this rank sends.
  template <class Number>
  Numbers settle(const Question& question, std::vector<Number> own,
                 const std::function<void(std::vector<Number>&)>& make,
                 const std::function<Numbers(const std::vector<std::vector<Number>>& all)>& whole);
  template <class Number>
  void require_finite(const Question& question, const std::vector<std::vector<Number>>& all);
  Numbers by_grid(const Question& question);
  Numbers by_points(const Question& question);
  Numbers ask_all(const Question& question);
  Slopes answer(const Question& question);
  Index rank() const { return team_ ? team_->rank() : 0; }
  Index ranks() const { return team_ ? team_->size() : 1; }

  ProgramObjective<T>& whole_;
  PieceGrid grid_;
  AnswerKinds kinds_;
  Team* team_ = nullptr;
  Batch<T> batch_;
  std::vector<T> output_;
  // Of the program, by the rows of a piece: how a pass goes through rows depends on the most that it has seen.
  std::map<Index, ProgramObjective<T>> by_rows_;
};

}  // namespace slopewise
