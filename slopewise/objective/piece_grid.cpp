#include "slopewise/objective/piece_grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/objective/team.hpp"

namespace slopewise {

PieceGrid grid_of(Divide divide, Index pieces, Index tangent_parts) {
  if (pieces < 1) throw ArgumentError(fmt::format("pieces: expected at least 1, found {}", pieces));
  if (divide == Divide::kExamples) return {.examples = pieces};
  if (divide == Divide::kTangents) return {.tangents = pieces};
  if (tangent_parts < 1 || pieces % tangent_parts != 0) {
    throw ArgumentError(
        fmt::format("pieces: expected a multiple of the {} parts of the tangents, found {}", tangent_parts, pieces));
  }
  return {.examples = pieces / tangent_parts, .tangents = tangent_parts};
}

Index pieces_for(Divide divide, Index tangent_parts, Index ranks, Index examples) {
  const Index parts = divide == Divide::kBoth ? tangent_parts : 1;
  const Index least =
      std::max(divide == Divide::kTangents ? 0 : (examples + 63) / 64 * parts, std::max(Index{4}, ranks));
  Index pieces = parts;
  while (pieces < least) pieces *= 2;
  return pieces;
}

Index rank_of_piece(Index piece, Index pieces, Index ranks) {
  return ((piece + 1) * ranks - 1) / pieces;
}

void for_branches(Index first, Index end, Index pieces, Index ranks,
                  const std::function<void(Index, Index, Index)>& visit) {
  const Index rank = rank_of_piece(first, pieces, ranks);
  if (rank == rank_of_piece(end - 1, pieces, ranks)) return visit(first, end, rank);
  for_branches(first, middle(first, end), pieces, ranks, visit);
  for_branches(middle(first, end), end, pieces, ranks, visit);
}

StepTraffic traffic_of(const PieceGrid& grid, Index ranks, Index examples, const AnswerSize& answers, Index points) {
  if (ranks == 1) return {};
  std::vector<Index> sent(static_cast<std::size_t>(ranks), answers.calls * kMessageHead);
  sent[0] = 0;
  const auto send = [&](Index rank, Index bytes) {
    if (rank > 0) sent[static_cast<std::size_t>(rank)] += bytes;
  };
  if (points > 0 && grid.tangents > 1) {
    const Index pieces = std::min(grid.tangents, points);
    for (Index point = 0; point < points; ++point)
      send(rank_of_piece(((point + 1) * pieces - 1) / points, pieces, ranks), Index{sizeof(double)});
  } else {
    const Index rows = std::min(grid.examples, examples);
    const Index parts = std::clamp(answers.tangents, Index{1}, grid.tangents);
    for (Index part = 0; part < parts; ++part) {
      const Index own = answers.tangents * (part + 1) / parts - answers.tangents * part / parts;
      const Index along = own > 0 ? answers.numbers * own / answers.tangents : 0;
      const Index bytes = Index{sizeof(float)} * (along + (part == 0 ? answers.calls + answers.dense : 0));
      for_branches(part * rows, (part + 1) * rows, rows * parts, ranks,
                   [&](Index, Index, Index rank) { send(rank, bytes); });
    }
  }
  StepTraffic traffic{.reply = answers.calls * kMessageHead +
                               Index{sizeof(float)} * (answers.calls + answers.numbers + answers.dense)};
  for (Index rank = 0; rank < ranks; ++rank) {
    const Index own = sent[static_cast<std::size_t>(rank)];
    const Index each = own + children_of(rank, ranks).count() * traffic.reply;
    traffic.up += own;
    traffic.all += each;
    traffic.most = std::max(traffic.most, each);
  }
  return traffic;
}

}  // namespace slopewise
