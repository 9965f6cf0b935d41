#include "slopewise/tensor/state.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise::detail {
namespace {

template <class Vectors>
std::vector<std::string_view> names_of(const Vectors& vectors) {
  std::vector<std::string_view> names;
  for (const auto& vector : vectors) names.push_back(vector.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

template <class T>
void copy_state(std::string_view owner, const StateView<T>& state, std::vector<NamedVector<T>>& vectors) {
  if (state.steps < 0)
    throw ArgumentError(fmt::format("{}: state: expected at least 0 steps, found {}", owner, state.steps));
  const auto expected = names_of(vectors), found = names_of(state.vectors);
  if (found != expected) {
    throw ArgumentError(fmt::format("{}: state: expected the vectors [{}], found [{}]", owner,
                                    fmt::join(expected, ", "), fmt::join(found, ", ")));
  }
  const auto by_name = [&](const NamedVector<T>& vector) {
    return std::find_if(state.vectors.begin(), state.vectors.end(),
                        [&](const auto& saved) { return saved.name == vector.name; })
        ->values;
  };
  for (const auto& vector : vectors) {
    const std::size_t size = by_name(vector).size();
    if (size != vector.values.size()) {
      throw ShapeError(
          fmt::format("{}: state: {}: expected {} entries, found {}", owner, vector.name, vector.values.size(), size));
    }
  }
  for (auto& vector : vectors) std::ranges::copy(by_name(vector), vector.values.begin());
}

template void copy_state(std::string_view, const StateView<float>&, std::vector<NamedVector<float>>&);
template void copy_state(std::string_view, const StateView<double>&, std::vector<NamedVector<double>>&);

}  // namespace slopewise::detail
