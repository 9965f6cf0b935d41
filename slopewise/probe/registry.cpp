// Every law by name.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/probe/laws.hpp"

namespace slopewise {
namespace {

struct Entry {
  std::string_view name;
  std::string_view summary;
  std::shared_ptr<const Probe> (*make)(const ParameterLayout&, std::uint64_t);
};

constexpr Entry kLaws[] = {
    {"gaussian", "independent standard normal entries", gaussian_probe},
    {"rademacher", "independent entries +1 and -1", rademacher_probe},
    {"uniform", "independent entries uniform with variance 1", uniform_probe},
    {"sphere", "uniform on the sphere of radius sqrt(n)", sphere_probe},
    {"coordinate", "sqrt(n) times a random coordinate direction", coordinate_probe},
    {"frame", "K orthogonal directions of length sqrt(n)", frame_probe},
    {"rank-one", "u w^T per weight matrix, entries +1 and -1: two thirds of a dense tangent's products",
     rank_one_rademacher_probe},
    {"rank-one-gaussian", "u w^T per weight matrix, normal entries", rank_one_gaussian_probe},
};

const Entry& find(std::string_view name) {
  const auto* entry =
      std::find_if(std::begin(kLaws), std::end(kLaws), [&](const Entry& law) { return law.name == name; });
  if (entry == std::end(kLaws))
    throw ArgumentError(fmt::format("law '{}': expected one of {}", name, fmt::join(probe_names(), ", ")));
  return *entry;
}

}  // namespace

const std::vector<std::string>& probe_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Entry& law : kLaws) all.emplace_back(law.name);
    return all;
  }();
  return names;
}

std::string_view probe_summary(std::string_view name) {
  return find(name).summary;
}

std::shared_ptr<const Probe> make_probe(std::string_view name, const ParameterLayout& layout, std::uint64_t seed) {
  const Entry& law = find(name);
  if (layout.size == 0)
    throw ArgumentError(fmt::format("law '{}': there are no parameters to draw tangents for", name));
  return law.make(layout, seed);
}

}  // namespace slopewise
