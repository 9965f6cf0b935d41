// Every estimator by name.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
using Make = std::unique_ptr<Estimator<T>> (*)(const ParameterLayout&, const EstimatorOptions&);

struct Entry {
  std::string_view name;
  std::string_view summary;
  Make<float> make_float;
  Make<double> make_double;
};

constexpr Entry kEstimators[] = {
    {"forward", "mean of K slopes times their tangents", forward_estimator<float>, forward_estimator<double>},
    {"shrunk", "forward gradient times SNR/(1 + SNR), the least mean squared error (biased)", shrunk_estimator<float>,
     shrunk_estimator<double>},
    {"projection", "projection of the gradient on the span of K tangents (biased)", projection_estimator<float>,
     projection_estimator<double>},
    {"frame", "forward gradient along K orthogonal tangents", frame_estimator<float>, frame_estimator<double>},
    {"central", "central differences of the loss along K tangents (SPSA, MeZO)", central_estimator<float>,
     central_estimator<double>},
    {"blocks", "K slopes for each block of parameters alone", blocks_estimator<float>, blocks_estimator<double>},
    {"momentum", "running mean as control variate", momentum_estimator<float>, momentum_estimator<double>},
    {"momentum-fitted", "running mean as control variate, its scale fitted to earlier slopes",
     momentum_fitted_estimator<float>, momentum_fitted_estimator<double>},
    {"momentum-tangent", "running mean as control variate, its scale from a slope along it",
     momentum_tangent_estimator<float>, momentum_tangent_estimator<double>},
    {"block-scales", "tangents scaled to the gradient's norm in each block", block_scales_estimator<float>,
     block_scales_estimator<double>},
    {"entry-scales", "tangents scaled to the running mean's entries", entry_scales_estimator<float>,
     entry_scales_estimator<double>},
    {"guided", "tangents partly in the span of past estimates (biased)", guided_estimator<float>,
     guided_estimator<double>},
    {"exact", "the exact gradient, by pullback", exact_estimator<float>, exact_estimator<double>},
};

const Entry& find(std::string_view name) {
  const auto* entry = std::find_if(std::begin(kEstimators), std::end(kEstimators),
                                   [&](const Entry& known) { return known.name == name; });
  if (entry == std::end(kEstimators))
    throw ArgumentError(fmt::format("estimator '{}': expected one of {}", name, fmt::join(estimator_names(), ", ")));
  return *entry;
}

}  // namespace

const std::vector<std::string>& estimator_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Entry& entry : kEstimators) all.emplace_back(entry.name);
    return all;
  }();
  return names;
}

std::string_view estimator_summary(std::string_view name) {
  return find(name).summary;
}

template <>
std::unique_ptr<Estimator<float>> make_estimator<float>(std::string_view name, const ParameterLayout& layout,
                                                        const EstimatorOptions& options) {
  return find(name).make_float(layout, options);
}
template <>
std::unique_ptr<Estimator<double>> make_estimator<double>(std::string_view name, const ParameterLayout& layout,
                                                          const EstimatorOptions& options) {
  return find(name).make_double(layout, options);
}

}  // namespace slopewise
