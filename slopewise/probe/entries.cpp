#include "slopewise/probe/entries.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

struct Law {
  Entries law;
  std::string_view name;
  double kurtosis;
};

constexpr Law kLaws[] = {
    {Entries::kGaussian, "gaussian", 3}, {Entries::kRademacher, "rademacher", 1}, {Entries::kUniform, "uniform", 1.8}};

const Law& find(Entries law) {
  return *std::ranges::find(kLaws, law, &Law::law);
}

template <class T>
void fill(Entries law, const RandomKey& key, Index first, std::span<T> out) {
  switch (law) {
    case Entries::kGaussian:
      return fill_gaussian(key, first, out);
    case Entries::kRademacher:
      return fill_rademacher(key, first, out);
    case Entries::kUniform:
      return fill_uniform(key, first, out);
  }
}

}  // namespace

std::string_view entries_name(Entries law) {
  return find(law).name;
}

Entries entries_named(std::string_view name) {
  const auto* law = std::ranges::find(kLaws, name, &Law::name);
  if (law == std::end(kLaws)) {
    std::vector<std::string_view> names;
    for (const Law& each : kLaws) names.push_back(each.name);
    throw ArgumentError(fmt::format("law '{}': expected one of independent entries: {}", name, fmt::join(names, ", ")));
  }
  return law->law;
}

double entries_kurtosis(Entries law) {
  return find(law).kurtosis;
}

void fill_entries(Entries law, const RandomKey& key, Index first, std::span<float> out) {
  fill(law, key, first, out);
}
void fill_entries(Entries law, const RandomKey& key, Index first, std::span<double> out) {
  fill(law, key, first, out);
}

}  // namespace slopewise
