#include "slopewise/objective/objective.hpp"

#include <fmt/format.h>

#include <numeric>

#include "slopewise/base/error.hpp"

namespace slopewise {

template <class T>
Slopes Objective<T>::curvatures(const Parameters<T>&, const Tangents<T>&) {
  throw ArgumentError("curvatures: expected an objective that has second-order terms: a program's");
}

template <class T>
Slopes Objective<T>::differences(Parameters<T>& parameters, const Moves<T>& moves) {
  std::vector<double> losses;
  walk<T>(moves, parameters, [&] { losses.push_back(loss(parameters)); });
  if (is_read()) loss(parameters);
  return slopes_of(moves, losses);
}

template <class T>
RunResult<T> Objective<T>::given(const GivenOptions&, const Parameters<T>&, const Tangents<T>*, const Perturbation<T>&,
                                 const Giver<T>&, std::span<T>, const GivenSums<T>&) {
  throw ArgumentError("given: expected an objective with activities: a program's");
}

template <class T>
std::vector<std::vector<T>> Objective<T>::values(const Parameters<T>&, std::span<const Index>, std::span<const Index>) {
  throw ArgumentError("values: expected an objective with activities: a program's");
}

template <class T>
std::shared_ptr<DenseGradient<T>> Objective<T>::room(Index size) {
  if (!room_ || room_.use_count() > 1 || room_->size() != size) {
    room_.reset();
    room_ = std::make_shared<DenseGradient<T>>(size);
  }
  return room_;
}

template class Objective<float>;
template class Objective<double>;

template <class T>
void walk(const Moves<T>& moves, Parameters<T>& theta, const std::function<void()>& visit) {
  if (!(moves.epsilon > 0))
    throw ArgumentError(fmt::format("differences of losses: expected a step above 0, found {}", moves.epsilon));
  if (moves.count < 1)
    throw ArgumentError(fmt::format("differences of losses: expected at least 1 direction, found {}", moves.count));
  double away = 0;  // along the direction under way
  Index k = 0;
  const auto move_to = [&](double place) {
    moves.along(theta, k, place - away);
    away = place;
  };
  try {
    if (!moves.both_sides || moves.curvatures) visit();
    for (k = 0; k < moves.count; ++k) {
      move_to(moves.epsilon);
      visit();
      if (moves.both_sides) {
        move_to(-moves.epsilon);
        visit();
      }
      move_to(0);
    }
  } catch (...) {
    if (away != 0) move_to(0);
    throw;
  }
}

template <class T>
Slopes slopes_of(const Moves<T>& moves, std::span<const double> losses) {
  if (static_cast<Index>(losses.size()) != moves.points()) {
    throw ShapeError(fmt::format("differences of losses: expected {} losses, found {}", moves.points(), losses.size()));
  }
  Slopes found;
  if (!moves.both_sides) {
    found.loss = losses[0];
    for (const double ahead : losses.subspan(1)) found.slopes.push_back((ahead - found.loss) / moves.epsilon);
    return found;
  }
  const std::span<const double> sides = losses.subspan(moves.curvatures ? 1 : 0);
  found.loss = moves.curvatures ? losses[0]
                                : std::accumulate(sides.begin(), sides.end(), 0.0) / static_cast<double>(sides.size());
  for (std::size_t k = 0; k < static_cast<std::size_t>(moves.count); ++k) {
    const double ahead = sides[2 * k], behind = sides[2 * k + 1];
    found.slopes.push_back((ahead - behind) / (2 * moves.epsilon));
    if (moves.curvatures)
      found.curvatures.push_back((ahead + behind - 2 * found.loss) / (moves.epsilon * moves.epsilon));
  }
  return found;
}

template <class T>
Slopes central_differences(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents,
                           double epsilon) {
  if (parameters.size() != objective.size()) {
    throw ShapeError(
        fmt::format("central differences: expected {} entries, found {}", objective.size(), parameters.size()));
  }
  if (tangents.layout().size != objective.size()) {
    throw ShapeError(fmt::format("central differences: expected tangents of {} entries, found {}", objective.size(),
                                 tangents.layout().size));
  }
  Parameters<T> moved(parameters);
  std::vector<T> direction(static_cast<std::size_t>(objective.size()));
  const auto along = [&](Parameters<T>& theta, Index k, double factor) {
    tangents.expand(k, direction);
    theta.add(0, theta.size(), static_cast<T>(factor),
              [&](Index first, Index, T*) -> const T* { return direction.data() + first; });
  };
  const Moves<T> moves{.count = tangents.count(), .along = along, .epsilon = epsilon};
  std::vector<double> losses;
  walk<T>(moves, moved, [&] { losses.push_back(objective.loss(moved)); });
  Slopes found = slopes_of(moves, losses);
  found.loss = objective.loss(parameters);
  return found;
}

template void walk<float>(const Moves<float>&, Parameters<float>&, const std::function<void()>&);
template void walk<double>(const Moves<double>&, Parameters<double>&, const std::function<void()>&);
template Slopes slopes_of<float>(const Moves<float>&, std::span<const double>);
template Slopes slopes_of<double>(const Moves<double>&, std::span<const double>);
template Slopes central_differences<float>(Objective<float>&, const Parameters<float>&, const Tangents<float>&, double);
template Slopes central_differences<double>(Objective<double>&, const Parameters<double>&, const Tangents<double>&,
                                            double);

}  // namespace slopewise
