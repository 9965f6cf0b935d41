#include "slopewise/objective/answers.hpp"

#include <fmt/format.h>

#include <utility>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

[[noreturn]] void refuse(const char* what) {
  throw ArgumentError(fmt::format("answers along tangents: expected slopes to be asked for alone, found {}", what));
}

}  // namespace

template <class T>
Answers RecordingObjective<T>::take() {
  return std::exchange(kept_, {});
}

template <class T>
Slopes RecordingObjective<T>::keep(Slopes found) {
  const auto rounded = [&](std::vector<double>& values) {
    for (double& value : values) value = kept_.numbers.emplace_back(static_cast<float>(value));
  };
  kept_.loss = static_cast<float>(found.loss);
  found.loss = kept_.loss;
  rounded(found.slopes);
  if (kinds_.curvatures) rounded(found.curvatures);
  if (kinds_.examples) {
    rounded(found.example_squares);
  } else {
    found.example_squares.clear();
    found.examples = 0;
  }
  return found;
}

template <class T>
Slopes RecordingObjective<T>::slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  return keep(asked_.slopes(parameters, tangents));
}
template <class T>
Slopes RecordingObjective<T>::curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  if (!kinds_.curvatures) refuse("second-order terms");
  return keep(asked_.curvatures(parameters, tangents));
}
template <class T>
Slopes RecordingObjective<T>::differences(Parameters<T>& parameters, const Moves<T>& moves) {
  if (moves.curvatures && !kinds_.curvatures) refuse("second-order terms");
  return keep(asked_.differences(parameters, moves));
}
template <class T>
double RecordingObjective<T>::loss(const Parameters<T>&) {
  refuse("a loss");
}
template <class T>
double RecordingObjective<T>::gradient(const Parameters<T>&, std::span<T>) {
  refuse("a gradient");
}

template <class T>
void ReplayingObjective<T>::set(Answers answers) {
  answers_ = std::move(answers);
  at_ = 0;
}

template <class T>
std::vector<double> ReplayingObjective<T>::next(Index count) {
  if (static_cast<std::size_t>(count) > answers_.numbers.size() - at_) {
    throw ArgumentError(fmt::format("answers along tangents: expected at least {} numbers, found {}",
                                    at_ + static_cast<std::size_t>(count), answers_.numbers.size()));
  }
  const auto from = answers_.numbers.begin() + static_cast<std::ptrdiff_t>(at_);
  at_ += static_cast<std::size_t>(count);
  return {from, from + count};
}

template <class T>
Slopes ReplayingObjective<T>::answer(Index tangents, bool curvatures) {
  Slopes found{.loss = answers_.loss, .slopes = next(tangents)};
  if (curvatures) found.curvatures = next(tangents);
  if (kinds_.examples) {
    found.example_squares = next(tangents);
    found.examples = examples_;
  }
  return found;
}

template <class T>
Slopes ReplayingObjective<T>::slopes(const Parameters<T>&, const Tangents<T>& tangents) {
  return answer(tangents.count(), false);
}
template <class T>
Slopes ReplayingObjective<T>::curvatures(const Parameters<T>&, const Tangents<T>& tangents) {
  if (!kinds_.curvatures) refuse("second-order terms");
  return answer(tangents.count(), true);
}
template <class T>
Slopes ReplayingObjective<T>::differences(Parameters<T>& parameters, const Moves<T>& moves) {
  walk<T>(moves, parameters, [] {});
  if (moves.curvatures && !kinds_.curvatures) refuse("second-order terms");
  return answer(moves.count, moves.curvatures);
}
template <class T>
double ReplayingObjective<T>::loss(const Parameters<T>&) {
  refuse("a loss");
}
template <class T>
double ReplayingObjective<T>::gradient(const Parameters<T>&, std::span<T>) {
  refuse("a gradient");
}

template class RecordingObjective<float>;
template class RecordingObjective<double>;
template class ReplayingObjective<float>;
template class ReplayingObjective<double>;

}  // namespace slopewise
