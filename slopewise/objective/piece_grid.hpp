// How a step is cut in pieces, which rank has which, and what ranks send each other for them.
#pragma once

#include <functional>

#include "slopewise/objective/objective.hpp"

namespace slopewise {

enum class Divide { kExamples, kTangents, kBoth };

// A step's examples in so many parts, and its tangents: each pair of parts is a piece, all examples along the first
// tangents first.
struct PieceGrid {
  Index examples = 1, tangents = 1;
  Index pieces() const { return examples * tangents; }
};

// Of so many pieces; `tangent_parts`: of kBoth. Throws ArgumentError for fewer than one piece, and for pieces that are
// no multiple of the parts.
PieceGrid grid_of(Divide divide, Index pieces, Index tangent_parts);

// The pieces of a step that ranks share, unless somebody says how many: a power of two times the parts of the tangents,
// as the examples' sum is a binary tree; at least four, so that two to four ranks make the same bits; and of at most 64
// examples, which go through a network together.
Index pieces_for(Divide divide, Index tangent_parts, Index ranks, Index examples);

// Rank r of R has the pieces [P r/R, P (r + 1)/R).
Index rank_of_piece(Index piece, Index pieces, Index ranks);

// Where the branch [first, end) of the tree of pieces parts in two.
constexpr Index middle(Index first, Index end) {
  return first + (end - first) / 2;
}

// Calls visit(first, end, rank) for the largest branches of [first, end), of so many pieces, that each belong to one
// rank, from the left.
void for_branches(Index first, Index end, Index pieces, Index ranks,
                  const std::function<void(Index, Index, Index)>& visit);

// Bytes of a step's messages, as PiecedObjective has a team send them.
struct StepTraffic {
  Index up = 0;     // that rank 0 gets
  Index reply = 0;  // of what each of the others gets
  Index all = 0;    // that all ranks send
  Index most = 0;   // that a rank sends at most
};
// Of a step on so many examples in these calls. `points`: the losses on a walk that slopes are made of; 0: they are
// not.
StepTraffic traffic_of(const PieceGrid& grid, Index ranks, Index examples, const AnswerSize& answers, Index points);

}  // namespace slopewise
