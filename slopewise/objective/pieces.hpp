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

// Those who share the pieces, each with the same θ. Each call waits for all of them, in the same order on every rank.
class Team {
 public:
  virtual ~Team() = default;
  virtual Index rank() const = 0;
  virtual Index size() const = 0;
  // What every rank has found, by rank; `own` is this one's. Throws TeamError.
  virtual std::vector<std::vector<double>> share(const std::vector<double>& own) = 0;
  // The same of texts.
  virtual std::vector<std::string> gather(const std::string& own) = 0;
  // Bytes of share(), as this rank has sent and received them.
  struct Traffic {
    Index sent = 0, received = 0;
  };
  virtual Traffic traffic() const = 0;
};

enum class Divide { kExamples, kTangents };

// Numbers along tangents of a program on a batch, made piece by piece. Examples: the mean over the batch is a sum over
// a binary tree of pieces. Tangents: each piece evaluates the loss again. There are at most as many pieces as examples,
// or tangents. With a team each rank evaluates pieces that lie together, and sends one number for each of the tree's
// branches that are wholly its own, or for each of its tangents.
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
  // All of the others throw NumericError where a rank found a number that is not finite, and name it.
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
  std::vector<double> by_examples(const Question& question);
  std::vector<double> by_tangents(const Question& question);
  std::vector<double> by_points(const Question& question);
  Slopes answer(const Question& question);
  Index rank_of(Index piece, Index pieces) const;
  std::vector<std::vector<double>> share(std::vector<double>& own, const std::function<void()>& make);

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
