#include "slopewise/objective/objective.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {

template <class T>
Slopes Objective<T>::curvatures(const Parameters<T>&, const Tangents<T>&) {
  throw ArgumentError("curvatures: expected an objective that has second-order terms: a program's");
}

template <class T>
Slopes Objective<T>::differences(const Parameters<T>& parameters, const Tangents<T>& tangents, double epsilon) {
  return central_differences(*this, parameters, tangents, epsilon);
}

template <class T>
RunResult<T> Objective<T>::given(const GivenOptions&, const Parameters<T>&, const Tangents<T>*, const Perturbation<T>&,
                                 const Giver<T>&, std::span<T>) {
  throw ArgumentError("given: expected an objective with activities: a program's");
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
Slopes central_differences(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents,
                           double epsilon) {
  if (!(epsilon > 0))
    throw ArgumentError(fmt::format("central differences: expected a step above 0, found {}", epsilon));
  if (tangents.layout().size != objective.size()) {
    throw ShapeError(fmt::format("central differences: expected tangents of {} entries, found {}", objective.size(),
                                 tangents.layout().size));
  }
  Slopes result;
  Parameters<T> moved(objective.size());
  std::vector<T> direction(static_cast<std::size_t>(objective.size()));
  for (Index k = 0; k < tangents.count(); ++k) {
    tangents.expand(k, direction);
    const auto loss_at = [&](double step) {
      const std::span<T> theta = moved.edit();
      for (std::size_t i = 0; i < theta.size(); ++i)
        theta[i] = parameters.values()[i] + static_cast<T>(step) * direction[i];
      return objective.loss(moved);
    };
    const double ahead = loss_at(epsilon);
    result.slopes.push_back((ahead - loss_at(-epsilon)) / (2 * epsilon));
  }
  result.loss = objective.loss(parameters);  // the last, so that the objective's output is that at θ
  return result;
}

template Slopes central_differences<float>(Objective<float>&, const Parameters<float>&, const Tangents<float>&, double);
template Slopes central_differences<double>(Objective<double>&, const Parameters<double>&, const Tangents<double>&,
                                            double);

}  // namespace slopewise
