// Every estimator by name, and what wraps it.
#include "slopewise/base/error.hpp"
#include "slopewise/base/named.hpp"
#include "slopewise/estimate/families.hpp"
#include "slopewise/estimate/wrappers.hpp"
#include "slopewise/program/stream.hpp"

namespace slopewise {
namespace {

NamedTable<EstimatorFamily>& estimators() {
  static NamedTable<EstimatorFamily> table(
      "estimator",
      {forward_family(), shrunk_family(), projection_family(), frame_family(), central_family(), one_sided_family(),
       blocks_family(), momentum_family(), momentum_fitted_family(), momentum_tangent_family(), block_scales_family(),
       entry_scales_family(), guided_family(), input_span_family(), activities_family(), exact_family()});
  return table;
}

template <class T>
std::unique_ptr<Estimator<T>> make(const EstimatorFamily& family, const EstimatorTarget& target,
                                   const EstimatorOptions& options) {
  std::unique_ptr<Estimator<T>> estimator;
  if constexpr (std::is_same_v<T, float>) estimator = family.make_float(target, options);
  if constexpr (std::is_same_v<T, double>) estimator = family.make_double(target, options);
  const bool clips = options.clip_slope < std::numeric_limits<double>::infinity() || options.clip_quantile < 1;
  if (options.per_deviation) {
    if (clips || options.auto_rate)
      throw ArgumentError("per deviation: expected neither clipped slopes nor an automatic rate beside it");
    return per_deviation_estimator<T>(std::move(estimator), options.tangents);
  }
  if (options.auto_rate && clips) throw ArgumentError("learning rate auto: expected no clipping beside its own");
  if (options.auto_rate) return auto_rate_estimator<T>(std::move(estimator));
  if (!clips) return estimator;
  if (estimator->slopes() + estimator->losses() == 0 || family.sees_to_head)
    throw ArgumentError(
        fmt::format("{}: expected an estimator along tangents of weights to clip the slopes of", family.name));
  return clipped_estimator<T>(std::move(estimator), options.clip_slope, options.clip_quantile);
}

}  // namespace

void register_estimator(EstimatorFamily family) {
  estimators().add(std::move(family));
}
const std::vector<std::string>& estimator_names() {
  return estimators().names();
}
std::string_view estimator_summary(std::string_view name) {
  return estimators().summary(name);
}
bool takes_losses_alone(std::string_view name) {
  return estimators().find(name).losses_alone;
}

template <class T>
std::unique_ptr<Estimator<T>> make_estimator(std::string_view name, const EstimatorTarget& target,
                                             const EstimatorOptions& options) {
  const EstimatorFamily& family = estimators().find(name);
  EstimatorTarget seen = target;
  if (options.exact_blocks) {
    target.require_sites("exact blocks");
    if (options.exact_head == false)
      throw ArgumentError("exact blocks: expected an exact head, found an estimated one");
    seen.sites = sites_below(*target.program, target.sites, *options.exact_blocks);
  }
  if (family.sees_to_head || !options.exact_head.value_or(options.exact_blocks.has_value()))
    return make<T>(family, seen, options);
  return exact_head_estimator<T>(seen, [&](const EstimatorTarget& body) { return make<T>(family, body, options); });
}

template std::unique_ptr<Estimator<float>> make_estimator(std::string_view, const EstimatorTarget&,
                                                          const EstimatorOptions&);
template std::unique_ptr<Estimator<double>> make_estimator(std::string_view, const EstimatorTarget&,
                                                           const EstimatorOptions&);

}  // namespace slopewise
