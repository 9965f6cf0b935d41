// A step's work in pieces: its examples or its tangents, cut the same way whoever evaluates them, so that the bits do
// not depend on how many do.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/objective/answers.hpp"
#include "slopewise/objective/program_objective.hpp"

namespace slopewise {

// A rank that does not answer, or is not where the others are.
class TeamError : public Error {
 public:
  explicit TeamError(const std::string& message) : Error(message, 1) {}
};

// A rank that the others can go on without.
class RankLost : public TeamError {
 public:
  RankLost(Index rank, const std::string& message) : TeamError(message), rank_(rank) {}
  Index rank() const { return rank_; }

 private:
  Index rank_;
};

// Those who share the pieces, each with the same θ. Each call waits for all of them, in the same order on every rank.
class Team {
 public:
  virtual ~Team() = default;
  virtual Index rank() const = 0;
  virtual Index size() const = 0;
  // What rank 0 makes of the numbers that every rank has found, by rank; `own` are this one's. Throws TeamError; on
  // rank 0 also what `make` throws, with which the others' part ends.
  using Make = std::function<std::vector<float>(const std::vector<std::vector<double>>& found)>;
  virtual std::vector<float> settle(const std::vector<double>& own, const Make& make) = 0;
  // What every rank says, by rank. Throws TeamError.
  virtual std::vector<std::string> gather(const std::string& own) = 0;
  // Bytes of settle(), as this rank has sent and received them.
  struct Traffic {
    Index sent = 0, received = 0;
  };
  virtual Traffic traffic() const = 0;
};

// Bytes of each message beside its numbers.
inline constexpr Index kMessageHead = 4;

enum class Divide { kExamples, kTangents };

// The pieces of a step that ranks share, unless somebody says how many: a power of two, as the examples' sum is a
// binary tree; at least four, so that two to four ranks make the same bits; and of at most 64 examples, which go
// through a network together.
Index pieces_for(Divide divide, Index ranks, Index examples);

// Rank r of R has the pieces [P r/R, P (r + 1)/R).
Index rank_of_piece(Index piece, Index pieces, Index ranks);

// Calls visit(first, end, rank) for the largest branches [first, end) of the tree of pieces that each belong to one
// rank, from the left.
void for_branches(Index pieces, Index ranks, const std::function<void(Index, Index, Index)>& visit);

// Numbers along tangents of a program on a batch, made piece by piece. Examples: the mean over the batch is a sum over
// a binary tree of pieces. Tangents: each piece evaluates the loss again. There are at most as many pieces as examples,
// or tangents. With a team each rank evaluates pieces that lie together, and sends one number for each of the tree's
// branches that are wholly its own, or for each of its tangents, to rank 0, which puts them together. What is found is
// rounded to float32, as it is sent back and as logs have it.
template <class T>
class PiecedObjective final : public Objective<T> {
 public:
  // `whole` must outlive this. `kinds`: what is asked for beside slopes. Throws ArgumentError unless pieces ≥ 1.
  PiecedObjective(ProgramObjective<T>& whole, Divide divide, Index pieces, AnswerKinds kinds);
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
  // Every rank moves its θ along all directions, so that rounding leaves the same of it everywhere.
  Slopes differences(Parameters<T>& parameters, const Moves<T>& moves) override;
  // Throws ArgumentError: gradients are not made in pieces.
  double gradient(const Parameters<T>&, std::span<T>) override;
  bool has_gradient() const override { return false; }

 private:
  // The loss, or losses on a walk; slopes; slopes and second-order terms.
  enum class Kind { kLoss, kSlopes, kCurvatures };
  struct Question {
    Kind kind;
    const Parameters<T>& theta;
    const Tangents<T>* tangents = nullptr;  // null for kLoss
    const Moves<T>* moves = nullptr;        // of kLoss: θ is brought to their points
    Parameters<T>* moved = nullptr;         // and this is it
    // Numbers of each tangent in an answer.
    Index each(const AnswerKinds& kinds) const;
    // Numbers of an answer.
    std::size_t size(const AnswerKinds& kinds) const;
  };
  // What one piece finds: the loss, then for each kind of number that of every tangent.
  std::vector<double> ask(ProgramObjective<T>& objective, const Question& question, const Tangents<T>* tangents);
  using Numbers = std::vector<double>;
  // What an answer is made of all ranks' numbers by; and `make` fills `own`, of the size that this rank sends.
  using Whole = std::function<Numbers(const std::vector<Numbers>& all)>;
  std::vector<float> settle(const Question& question, Numbers& own, const std::function<void()>& make,
                            const Whole& whole);
  void require_finite(const Question& question, const std::vector<Numbers>& all);
  std::vector<float> by_examples(const Question& question);
  std::vector<float> by_tangents(const Question& question);
  std::vector<float> by_points(const Question& question);
  std::vector<float> ask_all(const Question& question);
  Slopes answer(const Question& question);
  Index rank_of(Index piece, Index pieces) const;

  ProgramObjective<T>& whole_;
  Divide divide_;
  Index pieces_;
  AnswerKinds kinds_;
  Team* team_ = nullptr;
  Batch<T> batch_;
  // Of the program, by the rows of a piece: how a pass goes through rows depends on the most that it has seen.
  std::map<Index, ProgramObjective<T>> by_rows_;
};

}  // namespace slopewise
