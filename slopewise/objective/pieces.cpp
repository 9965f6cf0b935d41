#include "slopewise/objective/pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// Tangents [first, first + count) as a copy; drawn ones by the same function.
template <class T>
Tangents<T> some_tangents(const Tangents<T>& all, Index first, Index count) {
  Tangents<T> some(all.layout(), count, all.forms());
  for (std::size_t i = 0; i < all.forms().size(); ++i) {
    const Index number = static_cast<Index>(i);
    const Segment& segment = all.layout().segments[i];
    const Block& block = all.layout().blocks[segment.block];
    if (const T* dense = all.dense(number))
      std::copy_n(dense + first * segment.size(), count * segment.size(), some.dense(number));
    if (const RankOne<T> factors = all.rank_one(number); factors.left) {
      std::copy_n(factors.left + first * block.rows, count * block.rows, some.left(number, 0).data());
      std::copy_n(factors.right + first * block.columns, count * block.columns, some.right(number, 0).data());
    }
    if (const Drawn<T> drawn = all.drawn(number); drawn.fill) {
      some.set_fill(
          [fill = drawn.fill, first](Index k, Index from, std::span<T> out) { (*fill)(first + k, from, out); });
    }
  }
  return some;
}

template <class T>
Batch<T> some_rows(const Batch<T>& all, Index first, Index rows) {
  Batch<T> some{.rows = rows, .inputs = {}};
  for (const auto& input : all.inputs) {
    std::visit(
        [&](auto values) {
          const std::size_t each = values.size() / static_cast<std::size_t>(all.rows);
          some.inputs.emplace_back(
              values.subspan(static_cast<std::size_t>(first) * each, static_cast<std::size_t>(rows) * each));
        },
        input);
  }
  return some;
}

// The next `count` of a rank's numbers. Throws TeamError where it has sent fewer.
std::vector<double>::const_iterator next_of(const std::vector<std::vector<double>>& all, std::size_t rank,
                                            std::vector<std::size_t>& taken, std::size_t count) {
  if (taken[rank] + count > all[rank].size()) {
    throw TeamError(fmt::format("rank {}: expected at least {} numbers of its pieces, found {}", rank,
                                taken[rank] + count, all[rank].size()));
  }
  const auto from = all[rank].begin() + static_cast<std::ptrdiff_t>(taken[rank]);
  taken[rank] += count;
  return from;
}

// Where the branch [first, end) parts in two.
Index middle(Index first, Index end) {
  return first + (end - first) / 2;
}

}  // namespace

Index pieces_for(Divide divide, Index ranks, Index examples) {
  const Index least = std::max({Index{4}, ranks, divide == Divide::kExamples ? (examples + 63) / 64 : 0});
  Index pieces = 1;
  while (pieces < least) pieces *= 2;
  return pieces;
}

Index rank_of_piece(Index piece, Index pieces, Index ranks) {
  return ((piece + 1) * ranks - 1) / pieces;
}

void for_branches(Index pieces, Index ranks, const std::function<void(Index, Index, Index)>& visit) {
  const std::function<void(Index, Index)> go = [&](Index first, Index end) {
    const Index rank = rank_of_piece(first, pieces, ranks);
    if (rank == rank_of_piece(end - 1, pieces, ranks)) return visit(first, end, rank);
    go(first, middle(first, end));
    go(middle(first, end), end);
  };
  go(0, pieces);
}

template <class T>
PiecedObjective<T>::PiecedObjective(ProgramObjective<T>& whole, Divide divide, Index pieces, AnswerKinds kinds)
    : whole_(whole), divide_(divide), pieces_(pieces), kinds_(kinds) {
  if (pieces < 1) throw ArgumentError(fmt::format("pieces: expected at least 1, found {}", pieces));
}

template <class T>
void PiecedObjective<T>::set_team(Team* team) {
  if (team && team->size() > pieces_) {
    throw ArgumentError(
        fmt::format("pieces: expected at least one for each of {} ranks, found {}", team->size(), pieces_));
  }
  team_ = team;
}

template <class T>
void PiecedObjective<T>::compact(Parameters<T>& parameters) {
  for (auto& [rows, objective] : by_rows_) objective.compact(parameters);
}

template <class T>
Index PiecedObjective<T>::Question::each(const AnswerKinds& kinds) const {
  if (kind == Kind::kLoss) return 0;
  return 1 + (kind == Kind::kCurvatures ? 1 : 0) + (kinds.examples ? 1 : 0);
}

template <class T>
std::size_t PiecedObjective<T>::Question::size(const AnswerKinds& kinds) const {
  if (moves) return static_cast<std::size_t>(moves->points());
  return static_cast<std::size_t>(1 + (tangents ? tangents->count() * each(kinds) : 0));
}

template <class T>
Index PiecedObjective<T>::rank_of(Index piece, Index pieces) const {
  return team_ ? rank_of_piece(piece, pieces, team_->size()) : 0;
}

template <class T>
std::vector<double> PiecedObjective<T>::ask(ProgramObjective<T>& objective, const Question& question,
                                            const Tangents<T>* tangents) {
  if (question.kind == Kind::kLoss) return {objective.loss(question.theta)};
  const Slopes found = question.kind == Kind::kSlopes ? objective.slopes(question.theta, *tangents)
                                                      : objective.curvatures(question.theta, *tangents);
  std::vector<double> numbers{found.loss};
  numbers.insert(numbers.end(), found.slopes.begin(), found.slopes.end());
  numbers.insert(numbers.end(), found.curvatures.begin(), found.curvatures.end());
  if (kinds_.examples) numbers.insert(numbers.end(), found.example_squares.begin(), found.example_squares.end());
  return numbers;
}

// A rank whose numbers are not finite sends NaNs, as the others wait for it.
template <class T>
std::vector<float> PiecedObjective<T>::settle(const Question& question, Numbers& own, const std::function<void()>& make,
                                              const Whole& whole) {
  const auto made = [&](const std::vector<Numbers>& all) {
    if (team_) require_finite(question, all);
    Numbers numbers = whole(all);
    if (question.moves) {
      const Slopes found = slopes_of(*question.moves, numbers);
      numbers.assign(1, found.loss);
      numbers.insert(numbers.end(), found.slopes.begin(), found.slopes.end());
    }
    return std::vector<float>(numbers.begin(), numbers.end());
  };
  if (!team_) {
    make();
    return made({own});
  }
  try {
    make();
  } catch (const NumericError&) {
    std::ranges::fill(own, std::numeric_limits<double>::quiet_NaN());
  }
  return team_->settle(own, made);
}

// On rank 0, which makes the pieces itself where another's numbers are not finite: so it knows a run that diverges from
// a rank that errs.
template <class T>
void PiecedObjective<T>::require_finite(const Question& question, const std::vector<Numbers>& all) {
  const auto finite = [](const auto& numbers) {
    return std::ranges::all_of(numbers, [](double x) { return std::isfinite(x); });
  };
  const auto found = std::ranges::find_if_not(all, finite);
  if (found == all.end()) return;
  const Index rank = found - all.begin();
  const std::string what = fmt::format("rank {}: the loss or a slope is NaN or infinite", rank);
  if (rank > 0) {
    Team* team = std::exchange(team_, nullptr);
    bool errs = false;
    try {
      errs = finite(ask_all(question));
    } catch (const NumericError&) {  // it is so here too
    }
    team_ = team;
    if (errs) throw RankLost(rank, what + "; rank 0 finds numbers in its place");
  }
  throw NumericError(what);
}

template <class T>
std::vector<float> PiecedObjective<T>::by_examples(const Question& question) {
  const Index pieces = std::min(pieces_, batch_.rows), rank = team_ ? team_->rank() : 0;
  const std::size_t size = question.size(kinds_);
  const auto first_row = [&](Index piece) { return batch_.rows * piece / pieces; };
  const auto whole = [&](Index first, Index end) { return rank_of(first, pieces) == rank_of(end - 1, pieces); };
  const auto sum_of = [](Numbers left, const Numbers& right) {
    for (std::size_t i = 0; i < left.size(); ++i) left[i] += right[i];
    return left;
  };
  const auto ask_piece = [&](Index piece) {
    const Index row = first_row(piece), rows = first_row(piece + 1) - row;
    const auto objective = by_rows_.try_emplace(rows, whole_.for_batch({})).first;
    objective->second.bind(some_rows(batch_, row, rows));
    Numbers numbers = ask(objective->second, question, question.tangents);
    for (double& number : numbers) number *= static_cast<double>(rows) / static_cast<double>(batch_.rows);
    return numbers;
  };
  std::map<Index, Numbers> walked;  // by own piece: its losses on a walk
  // The sum over a branch whose pieces are all made here.
  const std::function<Numbers(Index, Index)> make = [&](Index first, Index end) -> Numbers {
    if (end - first > 1) return sum_of(make(first, middle(first, end)), make(middle(first, end), end));
    return question.moves ? walked.at(first) : ask_piece(first);
  };
  const auto own_branches = [&](const std::function<void(Index, Index)>& visit) {
    for_branches(pieces, team_ ? team_->size() : 1, [&](Index first, Index end, Index of) {
      if (of == rank) visit(first, end);
    });
  };
  Numbers own;
  own_branches([&](Index, Index) { own.resize(own.size() + size); });
  const auto make_own = [&] {
    if (question.moves) {
      walk<T>(*question.moves, *question.moved, [&] {
        for (Index piece = 0; piece < pieces; ++piece) {
          if (rank_of(piece, pieces) == rank) walked[piece].push_back(ask_piece(piece)[0]);
        }
      });
    }
    std::size_t at = 0;
    own_branches([&](Index first, Index end) {
      std::ranges::copy(make(first, end), own.begin() + static_cast<std::ptrdiff_t>(at));
      at += size;
    });
  };
  return settle(question, own, make_own, [&](const std::vector<Numbers>& all) {
    std::vector<std::size_t> taken(all.size());
    const std::function<Numbers(Index, Index)> sum = [&](Index first, Index end) -> Numbers {
      if (!whole(first, end)) {
        Numbers left = sum(first, middle(first, end));
        return sum_of(std::move(left), sum(middle(first, end), end));
      }
      const auto of = static_cast<std::size_t>(rank_of(first, pieces));
      const auto from = next_of(all, of, taken, size);
      return {from, from + static_cast<std::ptrdiff_t>(size)};
    };
    return sum(0, pieces);
  });
}

template <class T>
std::vector<float> PiecedObjective<T>::by_tangents(const Question& question) {
  whole_.bind(batch_);
  if (!question.tangents) return {static_cast<float>(ask(whole_, question, nullptr)[0])};
  const Index tangents = question.tangents->count(), pieces = std::min(pieces_, tangents);
  const auto each = static_cast<std::size_t>(question.each(kinds_));
  const auto first_of = [&](Index piece) { return tangents * piece / pieces; };
  const auto room = [&](Index piece) {
    return (piece == 0 ? 1 : 0) + each * static_cast<std::size_t>(first_of(piece + 1) - first_of(piece));
  };
  const Index rank = team_ ? team_->rank() : 0;
  Numbers own;
  for (Index piece = 0; piece < pieces; ++piece) {
    if (rank_of(piece, pieces) == rank) own.resize(own.size() + room(piece));
  }
  const auto make_own = [&] {
    auto to = own.begin();
    for (Index piece = 0; piece < pieces; ++piece) {
      if (rank_of(piece, pieces) != rank) continue;
      const Tangents<T> some =
          some_tangents(*question.tangents, first_of(piece), first_of(piece + 1) - first_of(piece));
      const std::vector<double> found = ask(whole_, question, &some);
      to = std::copy(found.begin() + (piece == 0 ? 0 : 1), found.end(), to);  // the loss is the first piece's
    }
  };
  // From kinds within pieces to kinds of all tangents.
  return settle(question, own, make_own, [&](const std::vector<Numbers>& all) {
    Numbers numbers(1 + each * static_cast<std::size_t>(tangents));
    std::vector<std::size_t> taken(all.size());
    for (Index piece = 0; piece < pieces; ++piece) {
      const auto of = static_cast<std::size_t>(rank_of(piece, pieces));
      if (piece == 0) numbers[0] = *next_of(all, of, taken, 1);
      const Index count = first_of(piece + 1) - first_of(piece);
      for (std::size_t kind = 0; kind < each; ++kind) {
        std::copy_n(next_of(all, of, taken, static_cast<std::size_t>(count)), count,
                    numbers.begin() + 1 + static_cast<Index>(kind) * tangents + first_of(piece));
      }
    }
    return numbers;
  });
}

// Pieces are points of the walk that follow each other.
template <class T>
std::vector<float> PiecedObjective<T>::by_points(const Question& question) {
  whole_.bind(batch_);
  const Index points = question.moves->points(), pieces = std::min(pieces_, points);
  const Index rank = team_ ? team_->rank() : 0;
  const auto rank_at = [&](Index point) { return rank_of(((point + 1) * pieces - 1) / points, pieces); };
  Numbers own;
  for (Index point = 0; point < points; ++point) {
    if (rank_at(point) == rank) own.push_back(0);
  }
  const auto make_own = [&] {
    Index point = 0;
    auto to = own.begin();
    walk<T>(*question.moves, *question.moved, [&] {
      if (rank_at(point++) == rank) *to++ = whole_.loss(question.theta);
    });
  };
  return settle(question, own, make_own, [&](const std::vector<Numbers>& all) {
    Numbers losses;
    std::vector<std::size_t> taken(all.size());
    for (Index point = 0; point < points; ++point)
      losses.push_back(*next_of(all, static_cast<std::size_t>(rank_at(point)), taken, 1));
    return losses;
  });
}

template <class T>
std::vector<float> PiecedObjective<T>::ask_all(const Question& question) {
  if (divide_ == Divide::kExamples) return by_examples(question);
  return question.moves ? by_points(question) : by_tangents(question);
}

template <class T>
Slopes PiecedObjective<T>::answer(const Question& question) {
  const std::vector<float> numbers = ask_all(question);
  Slopes found{.loss = numbers[0], .slopes = {}};
  if (!question.tangents && !question.moves) return found;
  const Index tangents = question.moves ? question.moves->count : question.tangents->count();
  auto next = numbers.begin() + 1;
  const auto take = [&] {
    const auto from = std::exchange(next, next + tangents);
    return std::vector<double>(from, next);
  };
  found.slopes = take();
  if (question.kind == Kind::kCurvatures) found.curvatures = take();
  if (next != numbers.end()) {
    found.example_squares = take();
    found.examples = batch_.rows;
  }
  return found;
}

template <class T>
double PiecedObjective<T>::loss(const Parameters<T>& parameters) {
  return answer({.kind = Kind::kLoss, .theta = parameters}).loss;
}
template <class T>
Slopes PiecedObjective<T>::slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  return answer({.kind = Kind::kSlopes, .theta = parameters, .tangents = &tangents});
}
template <class T>
Slopes PiecedObjective<T>::curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  return answer({.kind = Kind::kCurvatures, .theta = parameters, .tangents = &tangents});
}
template <class T>
Slopes PiecedObjective<T>::differences(Parameters<T>& parameters, const Moves<T>& moves) {
  return answer({.kind = Kind::kLoss, .theta = parameters, .moves = &moves, .moved = &parameters});
}
template <class T>
double PiecedObjective<T>::gradient(const Parameters<T>&, std::span<T>) {
  throw ArgumentError("pieces: expected slopes to be asked for, found a gradient");
}

template class PiecedObjective<float>;
template class PiecedObjective<double>;

}  // namespace slopewise
