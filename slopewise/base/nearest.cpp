#include "slopewise/base/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "slopewise/base/lower_case.hpp"

namespace slopewise {
namespace {

std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before(to.size() + 1), previous(to.size() + 1), current(to.size() + 1);
  std::iota(previous.begin(), previous.end(), 0);
  for (std::size_t i = 1; i <= from.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (from[i - 1] != to[j - 1])});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[to.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> names) {
  const auto begins = [&](const std::string& name) { return name.starts_with(word); };
  if (word.size() > 1 && std::ranges::count_if(names, begins) == 1) return *std::ranges::find_if(names, begins);
  const auto same = std::ranges::find(names, lower_case(word), lower_case);
  if (same != names.end()) return *same;
  std::optional<std::string> best;
  const std::size_t wrong = word.size() < 3 ? 0 : std::max<std::size_t>(1, word.size() / 4);
  std::size_t least = wrong + 1;
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(word, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

std::string suggestion(std::string_view word, std::span<const std::string> names) {
  const std::optional<std::string> meant = nearest(word, names);
  return meant ? "; did you mean " + *meant + "?" : "";
}

}  // namespace slopewise
