#include "slopewise/objective/pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/objective/parts.hpp"

namespace slopewise {
namespace {

template <class Number>
std::string text_of(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}
template <class Number>
std::vector<Number> numbers_of(const std::string& text) {
  std::vector<Number> numbers(text.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), text.data(), numbers.size() * sizeof(Number));
  return numbers;
}

// The next `count` of a rank's numbers. Throws TeamError where it has sent fewer.
template <class Number>
std::span<const Number> next_of(const std::vector<std::vector<Number>>& all, std::vector<std::size_t>& taken,
                                Index rank, Index count) {
  const auto of = static_cast<std::size_t>(rank), size = static_cast<std::size_t>(count);
  if (taken[of] + size > all[of].size()) {
    throw TeamError(fmt::format("rank {}: expected at least {} numbers of its pieces, found {}", rank, taken[of] + size,
                                all[of].size()));
  }
  return std::span(all[of]).subspan(std::exchange(taken[of], taken[of] + size), size);
}

std::vector<float> numbers_of_differences(const Slopes& found) {
  std::vector<float> numbers{static_cast<float>(found.loss)};
  for (const auto& some : {found.slopes, found.curvatures}) numbers.insert(numbers.end(), some.begin(), some.end());
  return numbers;
}

std::vector<float> sum_of(std::vector<float> left, const std::vector<float>& right) {
  for (std::size_t i = 0; i < left.size(); ++i) left[i] += right[i];
  return left;
}

}  // namespace

template <class T>
PiecedObjective<T>::PiecedObjective(ProgramObjective<T>& whole, PieceGrid grid, AnswerKinds kinds)
    : whole_(whole), grid_(grid), kinds_(kinds) {
  if (grid.examples < 1 || grid.tangents < 1)
    throw ArgumentError(fmt::format("pieces: expected at least 1, found {}", grid.pieces()));
}

template <class T>
void PiecedObjective<T>::set_team(Team* team) {
  if (team && team->size() > grid_.pieces()) {
    throw ArgumentError(
        fmt::format("pieces: expected at least one for each of {} ranks, found {}", team->size(), grid_.pieces()));
  }
  team_ = team;
}

template <class T>
void PiecedObjective<T>::compact(Parameters<T>& parameters) {
  for (auto& [rows, objective] : by_rows_) objective.compact(parameters);
}

template <class T>
Index PiecedObjective<T>::rows() const {
  const Index parts = std::min(grid_.examples, batch_.rows);
  return (batch_.rows + parts - 1) / parts;
}

template <class T>
Index PiecedObjective<T>::sums_bytes(const AnswerSize& answers) const {
  const Index numbers = answers.calls + answers.numbers + answers.dense;
  const auto depth = std::bit_width(static_cast<std::uint64_t>(grid_.examples - 1));
  return (2 + static_cast<Index>(depth)) * numbers * Index{sizeof(float)};
}

template <class T>
Index PiecedObjective<T>::Question::count() const {
  if (moves) return moves->count;
  if (tangents) return tangents->count();
  return options ? options->tangents : 0;
}

template <class T>
Index PiecedObjective<T>::Question::each(const AnswerKinds& kinds) const {
  if (moves) return moves->curvatures ? 2 : 1;
  if (kind != Kind::kSlopes && kind != Kind::kCurvatures) return 1;
  return 1 + (kind == Kind::kCurvatures ? 1 : 0) + (kinds.examples ? 1 : 0);
}

template <class T>
Index PiecedObjective<T>::Question::dense() const {
  Index size = std::ssize(out);
  if (!sums) return size;
  for (const auto& some : sums->doubles) size += std::ssize(some);
  for (const auto& some : sums->numbers) size += std::ssize(some);
  return size;
}

// How a question's work is cut, and what each part of the tangents answers: a loss and what is dense of the first.
template <class T>
struct PiecedObjective<T>::Share {
  const Question& question;
  PieceGrid grid;
  Index examples, ranks, rank, each;

  Index first_tangent(Index part) const { return question.count() * part / grid.tangents; }
  Index tangents(Index part) const { return first_tangent(part + 1) - first_tangent(part); }
  Index size(Index part) const { return (part == 0 ? 1 + question.dense() : 0) + each * tangents(part); }
  Index rank_of(Index piece) const { return rank_of_piece(piece, grid.pieces(), ranks); }
  Index part(Index piece) const { return piece / grid.examples; }
  Rows rows(Index piece) const {
    const Index of = piece % grid.examples;
    return {.first = examples * of / grid.examples, .end = examples * (of + 1) / grid.examples};
  }
  double weight(Index piece) const { return static_cast<double>(rows(piece).count()) / static_cast<double>(examples); }
  // Calls visit(part, first, end) for the branches of pieces that this rank sends.
  void visit_own(const std::function<void(Index, Index, Index)>& visit) const {
    for (Index part = 0; part < grid.tangents; ++part) {
      for_branches(part * grid.examples, (part + 1) * grid.examples, grid.pieces(), ranks,
                   [&](Index first, Index end, Index of) {
                     if (of == rank) visit(part, first, end);
                   });
    }
  }
};

// The loss, slopes, gradient and sums of a pass whose cotangents are given, each piece for itself: its rows are the
// batch that the giver sees, but for their numbers.
template <class T>
std::vector<double> PiecedObjective<T>::ask_given(ProgramObjective<T>& objective, const Question& question,
                                                  const Tangents<T>* tangents, Index first) {
  GivenOptions options = *question.options;
  if (tangents) options.tangents = tangents->count();
  Perturbation<T> perturbation;
  if (*question.perturbation) {
    perturbation = [&](std::size_t i, Index example, std::span<const T> value, std::span<T> out) {
      (*question.perturbation)(i, first + example, value, out);
    };
  }
  Giver<T> giver;
  if (*question.giver) {
    giver = [&](const GivenView<T>& view) {
      GivenView<T> moved = view;
      moved.first += first;
      (*question.giver)(moved);
    };
  }
  for (const auto& some : question.sums->doubles) std::ranges::fill(some, 0.0);
  for (const auto& some : question.sums->numbers) std::ranges::fill(some, T{0});
  const RunResult<T> found = objective.given(options, question.theta, tangents, perturbation, giver, question.out);
  std::vector<double> numbers{found.loss};
  numbers.insert(numbers.end(), found.slopes.begin(), found.slopes.end());
  return numbers;
}

// The objective of a piece's rows, which are [first, end) of the batch.
template <class T>
ProgramObjective<T>& PiecedObjective<T>::objective_of(const Rows& rows) {
  ProgramObjective<T>& objective = by_rows_.try_emplace(rows.count(), whole_.for_batch({})).first->second;
  objective.bind(some_rows(batch_, rows.first, rows.count()));
  return objective;
}

template <class T>
void PiecedObjective<T>::keep_output(const ProgramObjective<T>& objective, const Rows& rows) {
  if (!is_read()) return;
  const std::span<const T> read = objective.output();
  const Index each = std::ssize(read) / rows.count();
  output_.resize(static_cast<std::size_t>(each * batch_.rows));
  std::ranges::copy(read, output_.begin() + each * rows.first);
}

// What one piece adds to an answer.
template <class T>
typename PiecedObjective<T>::Numbers PiecedObjective<T>::ask(const Share& share, Index piece,
                                                             const Tangents<T>* tangents) {
  const Question& question = share.question;
  const Rows rows = share.rows(piece);
  ProgramObjective<T>& objective = objective_of(rows);
  std::vector<double> found;
  switch (question.kind) {
    case Kind::kLoss:
      found = {objective.loss(question.theta)};
      break;
    case Kind::kSlopes:
    case Kind::kCurvatures: {
      const Slopes along = question.kind == Kind::kSlopes ? objective.slopes(question.theta, *tangents)
                                                          : objective.curvatures(question.theta, *tangents);
      found = {along.loss};
      for (const auto* some : {&along.slopes, &along.curvatures}) found.insert(found.end(), some->begin(), some->end());
      if (kinds_.examples) found.insert(found.end(), along.example_squares.begin(), along.example_squares.end());
      break;
    }
    case Kind::kGradient:
      found = {objective.gradient(question.theta, question.out)};
      break;
    case Kind::kGiven:
      found = ask_given(objective, question, tangents, rows.first);
      break;
  }
  keep_output(objective, rows);
  const double weight = share.weight(piece);
  const bool first = share.part(piece) == 0;
  Numbers numbers;
  numbers.reserve(static_cast<std::size_t>(share.size(share.part(piece))));
  for (auto number = found.begin() + (first ? 0 : 1); number != found.end(); ++number)
    numbers.push_back(static_cast<float>(weight * *number));
  if (!first) return numbers;
  for (const T entry : question.out) numbers.push_back(static_cast<float>(weight * static_cast<double>(entry)));
  if (!question.sums) return numbers;
  for (const auto& some : question.sums->doubles) {
    for (const double sum : some) numbers.push_back(static_cast<float>(sum));
  }
  for (const auto& some : question.sums->numbers) {
    for (const T sum : some) numbers.push_back(static_cast<float>(sum));
  }
  return numbers;
}

// The same of this rank's pieces in a walk, by piece.
template <class T>
std::map<Index, typename PiecedObjective<T>::Numbers> PiecedObjective<T>::walk_pieces(const Share& share) {
  const Question& question = share.question;
  std::map<Index, std::vector<double>> losses;
  const auto visit = [&](const auto& use) {
    for (Index piece = 0; piece < share.grid.pieces(); ++piece) {
      if (share.rank_of(piece) != share.rank) continue;
      ProgramObjective<T>& objective = objective_of(share.rows(piece));
      use(piece, objective, share.weight(piece) * objective.loss(question.theta));
    }
  };
  walk<T>(*question.moves, *question.moved,
          [&] { visit([&](Index piece, const auto&, double loss) { losses[piece].push_back(loss); }); });
  if (is_read()) {  // at θ
    visit(
        [&](Index piece, const ProgramObjective<T>& objective, double) { keep_output(objective, share.rows(piece)); });
  }
  std::map<Index, Numbers> found;
  for (const auto& [piece, own] : losses) {
    const Slopes slopes = slopes_of(*question.moves, std::span<const double>(own));
    found[piece] = numbers_of_differences(slopes);
  }
  return found;
}

// A rank whose numbers are not finite sends NaNs, as the others wait for it.
template <class T>
template <class Number>
typename PiecedObjective<T>::Numbers PiecedObjective<T>::settle(
    const Question& question, std::vector<Number> own, const std::function<void(std::vector<Number>&)>& make,
    const std::function<Numbers(const std::vector<std::vector<Number>>& all)>& whole) {
  std::vector<std::vector<Number>> all(1);
  if (!team_) {
    make(own);
    all[0] = std::move(own);
    return whole(all);
  }
  try {
    make(own);
  } catch (const NumericError&) {
    std::ranges::fill(own, std::numeric_limits<Number>::quiet_NaN());
  }
  return numbers_of<float>(team_->settle(text_of(own), [&](const std::vector<std::string>& found) {
    all.clear();
    for (const std::string& text : found) all.push_back(numbers_of<Number>(text));
    require_finite(question, all);
    return text_of(whole(all));
  }));
}

// On rank 0, which makes the pieces itself where another's numbers are not finite: so it knows a run that diverges from
// a rank that errs.
template <class T>
template <class Number>
void PiecedObjective<T>::require_finite(const Question& question, const std::vector<std::vector<Number>>& all) {
  const auto finite = [](const auto& numbers) {
    return std::ranges::all_of(numbers, [](auto x) { return std::isfinite(x); });
  };
  const auto found = std::ranges::find_if_not(all, finite);
  if (found == all.end()) return;
  const Index rank = found - all.begin();
  const std::string what = fmt::format("rank {}: the loss, a slope or the gradient is NaN or infinite", rank);
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
typename PiecedObjective<T>::Numbers PiecedObjective<T>::by_grid(const Question& question) {
  const Index count = question.count();
  const Share share{.question = question,
                    .grid = {.examples = std::min(grid_.examples, batch_.rows),
                             .tangents = question.tangents ? std::clamp(count, Index{1}, grid_.tangents) : Index{1}},
                    .examples = batch_.rows,
                    .ranks = ranks(),
                    .rank = rank(),
                    .each = question.each(kinds_)};
  Numbers own;
  share.visit_own(
      [&](Index part, Index, Index) { own.resize(own.size() + static_cast<std::size_t>(share.size(part))); });
  const auto make_own = [&](Numbers& numbers) {
    std::map<Index, Numbers> walked;
    if (question.moves) walked = walk_pieces(share);
    std::optional<Tangents<T>> some;  // of a part
    // The sum over a branch whose pieces are all made here.
    const std::function<Numbers(Index, Index)> make = [&](Index first, Index end) -> Numbers {
      if (end - first > 1) {
        Numbers left = make(first, middle(first, end));
        return sum_of(std::move(left), make(middle(first, end), end));
      }
      if (question.moves) return std::move(walked.at(first));
      return ask(share, first, some ? &*some : question.tangents);
    };
    auto to = numbers.begin();
    Index of = -1;
    share.visit_own([&](Index part, Index first, Index end) {
      if (share.grid.tangents > 1 && std::exchange(of, part) != part)
        some.emplace(some_tangents(*question.tangents, share.first_tangent(part), share.tangents(part)));
      to = std::ranges::copy(make(first, end), to).out;
    });
  };
  return settle<float>(question, std::move(own), make_own, [&](const std::vector<Numbers>& all) {
    std::vector<std::size_t> taken(all.size());
    Numbers numbers(static_cast<std::size_t>(1 + share.each * count + question.dense()));
    for (Index part = 0; part < share.grid.tangents; ++part) {
      const std::function<Numbers(Index, Index)> sum = [&](Index first, Index end) -> Numbers {
        if (share.rank_of(first) != share.rank_of(end - 1)) {
          Numbers left = sum(first, middle(first, end));
          return sum_of(std::move(left), sum(middle(first, end), end));
        }
        const auto found = next_of(all, taken, share.rank_of(first), share.size(part));
        return {found.begin(), found.end()};
      };
      const Numbers found = sum(part * share.grid.examples, (part + 1) * share.grid.examples);
      // From kinds within parts to kinds of all tangents.
      auto from = found.begin();
      if (part == 0) numbers[0] = *from++;
      for (Index kind = 0; kind < share.each; ++kind) {
        std::copy_n(from, share.tangents(part), numbers.begin() + 1 + kind * count + share.first_tangent(part));
        from += share.tangents(part);
      }
      if (part == 0) std::copy(from, found.end(), numbers.begin() + 1 + share.each * count);
    }
    return numbers;
  });
}

// Pieces are points of the walk that follow each other.
template <class T>
typename PiecedObjective<T>::Numbers PiecedObjective<T>::by_points(const Question& question) {
  ProgramObjective<T>& objective = objective_of({.first = 0, .end = batch_.rows});
  const Index points = question.moves->points(), pieces = std::min(grid_.tangents, points);
  const auto rank_at = [&](Index point) { return rank_of_piece(((point + 1) * pieces - 1) / points, pieces, ranks()); };
  std::vector<double> own;
  for (Index point = 0; point < points; ++point) {
    if (rank_at(point) == rank()) own.push_back(0);
  }
  const auto make_own = [&](std::vector<double>& losses) {
    Index point = 0;
    auto to = losses.begin();
    walk<T>(*question.moves, *question.moved, [&] {
      if (rank_at(point++) == rank()) *to++ = objective.loss(question.theta);
    });
  };
  return settle<double>(question, std::move(own), make_own, [&](const std::vector<std::vector<double>>& all) {
    std::vector<std::size_t> taken(all.size());
    std::vector<double> losses;
    for (Index point = 0; point < points; ++point) losses.push_back(next_of(all, taken, rank_at(point), 1)[0]);
    return numbers_of_differences(slopes_of(*question.moves, std::span<const double>(losses)));
  });
}

template <class T>
typename PiecedObjective<T>::Numbers PiecedObjective<T>::ask_all(const Question& question) {
  return question.moves && grid_.tangents > 1 ? by_points(question) : by_grid(question);
}

template <class T>
Slopes PiecedObjective<T>::answer(const Question& question) {
  const Numbers numbers = ask_all(question);
  Slopes found{.loss = numbers[0], .slopes = {}};
  auto next = numbers.begin() + 1;
  const auto take = [&] {
    const auto from = std::exchange(next, next + question.count());
    return std::vector<double>(from, next);
  };
  found.slopes = take();
  if (question.kind == Kind::kCurvatures || (question.moves && question.moves->curvatures)) found.curvatures = take();
  if (!question.moves && question.each(kinds_) > 1 && kinds_.examples) {
    found.example_squares = take();
    found.examples = batch_.rows;
  }
  const auto copy = [&](auto some) {
    for (auto& entry : some) entry = *next++;
  };
  copy(question.out);
  if (!question.sums) return found;
  for (const auto& some : question.sums->doubles) copy(some);
  for (const auto& some : question.sums->numbers) copy(some);
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
  if (grid_.examples > 1 && grid_.tangents > 1) {
    throw ArgumentError(
        "pieces: expected slopes where both examples and tangents are divided, found differences of losses");
  }
  return answer({.kind = Kind::kLoss, .theta = parameters, .moves = &moves, .moved = &parameters});
}
template <class T>
double PiecedObjective<T>::gradient(const Parameters<T>& parameters, std::span<T> out) {
  return answer({.kind = Kind::kGradient, .theta = parameters, .out = out}).loss;
}
template <class T>
RunResult<T> PiecedObjective<T>::given(const GivenOptions& options, const Parameters<T>& parameters,
                                       const Tangents<T>* tangents, const Perturbation<T>& perturbation,
                                       const Giver<T>& giver, std::span<T> out, const GivenSums<T>& sums) {
  Slopes found = answer({.kind = Kind::kGiven,
                         .theta = parameters,
                         .tangents = tangents,
                         .out = out,
                         .options = &options,
                         .perturbation = &perturbation,
                         .giver = &giver,
                         .sums = &sums});
  RunResult<T> result;
  result.loss = found.loss;
  result.slopes = std::move(found.slopes);
  return result;
}
template <class T>
std::vector<std::vector<T>> PiecedObjective<T>::values(const Parameters<T>& parameters, std::span<const Index> nodes,
                                                       std::span<const Index> rows) {
  whole_.bind(batch_);
  return whole_.values(parameters, nodes, rows);
}

template class PiecedObjective<float>;
template class PiecedObjective<double>;

}  // namespace slopewise
