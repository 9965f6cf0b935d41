// What a checkpoint keeps beside θ, so that a run goes on bit for bit.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

template <class T>
struct NamedVector {
  std::string name;
  std::vector<T> values;
};

// A count of steps and flat vectors by name. As a view it is valid until its owner's next change.
template <class T>
struct StateView {
  struct Vector {
    std::string_view name;
    std::span<const T> values;
  };
  Index steps = 0;
  std::vector<Vector> vectors;
};

// One of the states of an owner that has several.
struct StatePart {
  std::string name;
  std::variant<StateView<float>, StateView<double>> state;
  // Of the vectors.
  Index bytes() const;
};

namespace detail {

// The part of that name. Throws ArgumentError, in the name of `owner`, where there is none or its numbers are not Ts.
template <class T>
const StateView<T>& part_of(std::string_view owner, const std::vector<StatePart>& parts, std::string_view name);

template <class T>
StateView<T> view_of(Index steps, const std::vector<NamedVector<T>>& vectors) {
  StateView<T> view{.steps = steps};
  for (const auto& vector : vectors) view.vectors.push_back({vector.name, vector.values});
  return view;
}

// Throws, in the name of `owner`, ArgumentError for a negative count of steps or other names than `expected` has,
// ShapeError for other sizes.
template <class T>
void check_state(std::string_view owner, const StateView<T>& state, const StateView<T>& expected);

// Copies state.vectors into the vectors of the same names. Throws as check_state does,
// before anything is changed.
template <class T>
void copy_state(std::string_view owner, const StateView<T>& state, std::vector<NamedVector<T>>& vectors);

}  // namespace detail
}  // namespace slopewise
