#include "slopewise/tensor/state.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {

Index StatePart::bytes() const {
  return std::visit(
      []<class T>(const StateView<T>& view) {
        std::size_t bytes = 0;
        for (const auto& vector : view.vectors) bytes += vector.values.size_bytes();
        return static_cast<Index>(bytes);
      },
      state);
}

namespace detail {
namespace {

template <class T>
std::vector<std::string_view> names_of(const StateView<T>& state) {
  std::vector<std::string_view> names;
  for (const auto& vector : state.vectors) names.push_back(vector.name);
  std::sort(names.begin(), names.end());
  return names;
}

template <class T>
std::span<const T> values_of(const StateView<T>& state, std::string_view name) {
  return std::find_if(state.vectors.begin(), state.vectors.end(),
                      [&](const auto& vector) { return vector.name == name; })
      ->values;
}

}  // namespace

template <class T>
const StateView<T>& part_of(std::string_view owner, const std::vector<StatePart>& parts, std::string_view name) {
  const auto found = std::ranges::find(parts, name, &StatePart::name);
  const auto* state = found == parts.end() ? nullptr : std::get_if<StateView<T>>(&found->state);
  if (!state) throw ArgumentError(fmt::format("{}: state: expected a part '{}', found none", owner, name));
  return *state;
}

template <class T>
void check_state(std::string_view owner, const StateView<T>& state, const StateView<T>& expected) {
  if (state.steps < 0)
    throw ArgumentError(fmt::format("{}: state: expected at least 0 steps, found {}", owner, state.steps));
  const auto names = names_of(expected), found = names_of(state);
  if (found != names) {
    throw ArgumentError(fmt::format("{}: state: expected the vectors [{}], found [{}]", owner, fmt::join(names, ", "),
                                    fmt::join(found, ", ")));
  }
  for (const auto& vector : expected.vectors) {
    const std::size_t size = values_of(state, vector.name).size();
    if (size != vector.values.size()) {
      throw ShapeError(
          fmt::format("{}: state: {}: expected {} entries, found {}", owner, vector.name, vector.values.size(), size));
    }
  }
}

template <class T>
void copy_state(std::string_view owner, const StateView<T>& state, std::vector<NamedVector<T>>& vectors) {
  check_state(owner, state, view_of(0, vectors));
  for (auto& vector : vectors) std::ranges::copy(values_of(state, vector.name), vector.values.begin());
}

template const StateView<float>& part_of(std::string_view, const std::vector<StatePart>&, std::string_view);
template const StateView<double>& part_of(std::string_view, const std::vector<StatePart>&, std::string_view);
template void check_state(std::string_view, const StateView<float>&, const StateView<float>&);
template void check_state(std::string_view, const StateView<double>&, const StateView<double>&);
template void copy_state(std::string_view, const StateView<float>&, std::vector<NamedVector<float>>&);
template void copy_state(std::string_view, const StateView<double>&, std::vector<NamedVector<double>>&);

}  // namespace detail
}  // namespace slopewise
