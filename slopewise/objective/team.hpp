// Those who share a step's work, wherever they run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/shape.hpp"

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

// Ranks with the same θ. Each call waits for all of them, in the same order on every rank.
class Team {
 public:
  virtual ~Team() = default;
  virtual Index rank() const = 0;
  virtual Index size() const = 0;
  // What rank 0 makes of the bytes that every rank has found, by rank; `own` are this one's. Throws TeamError; on
  // rank 0 also what `make` throws, with which the others' part ends.
  using Make = std::function<std::string(const std::vector<std::string>& found)>;
  virtual std::string settle(const std::string& own, const Make& make) = 0;
  // What every rank says, by rank. Throws TeamError.
  virtual std::vector<std::string> gather(const std::string& own) = 0;
  // Bytes of settle(), as this rank has sent and received them.
  struct Traffic {
    Index sent = 0, received = 0;
  };
  virtual Traffic traffic() const = 0;
};

// Bytes of each message beside what it says.
inline constexpr Index kMessageHead = 4;

// What rank 0 says goes down a tree, so that no rank sends it more than three times: rank 0, which sends nothing up, to
// ranks 1 to 3, rank r > 0 to 2 r + 2 and 2 r + 3. A rank's number is above that of the one it hears from.
constexpr Index parent_of(Index rank) {
  return rank <= 3 ? 0 : (rank - 2) / 2;
}
// [first, end) of those that hear from a rank, of so many ranks.
struct RankRange {
  Index first, end;
  Index count() const { return end - first; }
};
constexpr RankRange children_of(Index rank, Index ranks) {
  const Index first = rank == 0 ? 1 : 2 * rank + 2, end = rank == 0 ? 4 : first + 2;
  return {first < ranks ? first : ranks, end < ranks ? end : ranks};
}

}  // namespace slopewise
