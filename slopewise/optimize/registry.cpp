// Every optimizer by name.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/optimize/families.hpp"

namespace slopewise {
namespace {

template <class T>
using Make = std::unique_ptr<Optimizer<T>> (*)(Index, const OptimizerOptions&);

struct Entry {
  std::string_view name;
  std::string_view summary;
  Make<float> make_float;
  Make<double> make_double;
};

constexpr Entry kOptimizers[] = {
    {"sgd", "plain gradient descent; needs no memory", sgd_optimizer<float>, sgd_optimizer<double>},
    {"momentum", "heavy-ball momentum", momentum_optimizer<float>, momentum_optimizer<double>},
    {"nesterov", "Nesterov's momentum", nesterov_optimizer<float>, nesterov_optimizer<double>},
    {"adam", "mean gradient over its root mean square, entry by entry", adam_optimizer<float>, adam_optimizer<double>},
    {"adamw", "Adam with decoupled weight decay", adamw_optimizer<float>, adamw_optimizer<double>},
};

const Entry& find(std::string_view name) {
  const auto* entry = std::find_if(std::begin(kOptimizers), std::end(kOptimizers),
                                   [&](const Entry& known) { return known.name == name; });
  if (entry == std::end(kOptimizers))
    throw ArgumentError(fmt::format("optimizer '{}': expected one of {}", name, fmt::join(optimizer_names(), ", ")));
  return *entry;
}

}  // namespace

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Entry& entry : kOptimizers) all.emplace_back(entry.name);
    return all;
  }();
  return names;
}

std::string_view optimizer_summary(std::string_view name) {
  return find(name).summary;
}

template <>
std::unique_ptr<Optimizer<float>> make_optimizer<float>(std::string_view name, Index size,
                                                        const OptimizerOptions& options) {
  return find(name).make_float(size, options);
}
template <>
std::unique_ptr<Optimizer<double>> make_optimizer<double>(std::string_view name, Index size,
                                                          const OptimizerOptions& options) {
  return find(name).make_double(size, options);
}

}  // namespace slopewise
