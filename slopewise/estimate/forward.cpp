// The forward gradient, g = (1/K) Σ_k s_k v_k, with slopes from one forward pass. E[g] = ∇ as E[v vᵀ] = I; its variance
// is the law's (probe/laws.cpp, probe/rank_one.cpp). "shrunk" is c g with c = SNR/(1 + SNR), where E‖c g − ∇‖² = c² tr
// V
// + (1 − c)² ‖∇‖² is least, (1 − c) ‖∇‖²; 1/(n + κ − 1) for one tangent of independent entries.
#include <cmath>

#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Forward : public detail::AlongLaw<T> {
 public:
  Forward(const EstimatorTarget& target, const EstimatorOptions& options, std::string_view name = "forward")
      : detail::AlongLaw<T>(target.layout, options), source_(this->probe(), options), name_(name) {}
  std::string_view name() const override { return name_; }
  Index slopes() const override { return this->count(); }
  Demand demand(Objective<T>& objective) const override { return source_.demand(objective); }
  bool slopes_are_gaussian() const override { return this->probe()->gaussian(); }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    const auto [draw, tangents] = source_.draw(step);
    return this->estimate_from(objective.slopes(parameters, tangents), draw);
  }

 private:
  detail::TangentSource<T> source_;
  std::string_view name_;
};

template <class T>
class Shrunk final : public Forward<T> {
 public:
  Shrunk(const EstimatorTarget& target, const EstimatorOptions& options) : Forward<T>(target, options, "shrunk") {
    const double snr = this->probe()->snr(options.tangents).low;
    if (std::isfinite(snr)) this->scale(snr / (1 + snr));
  }
  bool slopes_are_gaussian() const override { return false; }
};

template <class T>
class Frame final : public Forward<T> {
 public:
  Frame(const EstimatorTarget& target, EstimatorOptions options) : Forward<T>(target, along_frame(options), "frame") {}

 private:
  static EstimatorOptions& along_frame(EstimatorOptions& options) {
    options.law = "frame";
    return options;
  }
};

}  // namespace

EstimatorFamily forward_family() {
  return estimator_family<Forward>("forward", "mean of K slopes times their tangents");
}
EstimatorFamily shrunk_family() {
  return estimator_family<Shrunk>("shrunk",
                                  "forward gradient times SNR/(1 + SNR), the least mean squared error (biased)");
}
EstimatorFamily frame_family() {
  return estimator_family<Frame>("frame", "forward gradient along K orthogonal tangents");
}

}  // namespace slopewise
