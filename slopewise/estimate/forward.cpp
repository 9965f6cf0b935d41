// The forward gradient, g = (1/K) Σ_k s_k v_k, with slopes from one forward pass ("forward"), or from losses alone
// ("central"). E[g] = ∇ as E[v vᵀ] = I; its variance is the law's (probe/laws.cpp, probe/rank_one.cpp). "shrunk" is c g
// with c = SNR/(1 + SNR), where E‖c g − ∇‖² = c² tr V + (1 − c)² ‖∇‖² is least, (1 − c) ‖∇‖²; 1/(n + κ − 1) for one
// tangent of independent entries.
//
// Central differences add rounding of order 1/ε and a bias. For Gaussian v their mean is, by Stein's lemma, the
// gradient of the smoothed loss E L(θ + εv): where L is smooth ∇ + O(ε²), but for each rectified unit of an example, a
// = ∂L/∂h, −sgn(z) Φ(−|z| / ε‖∂z/∂θ‖) a ∂z/∂θ more. Such units are a share of order ε of all and their signs are mixed,
// so that the bias falls as √ε, until none is left: on networks of two rectified layers of 8 and 32 units and 64 digits
// it is .29 ‖∇‖ at ε = 1e-2 and about .1 ‖∇‖ at 1e-3, with tanh .02 and .0002. The prediction knows L by its gradient
// alone and leaves the bias out.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Forward : public Estimator<T> {
 public:
  Forward(const EstimatorTarget& target, const EstimatorOptions& options, std::string_view name = "forward")
      : source_(target.layout, options), name_(name) {}
  std::string_view name() const override { return name_; }
  Index slopes() const override { return source_.count(); }
  AnswerKinds asks() const override { return {.tangents = source_.count()}; }
  std::vector<double> mean(const GradientView& gradient) const override {
    std::vector<double> mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= factor_;
    return mean;
  }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    std::vector<double> variances(static_cast<std::size_t>(gradient.size()));
    for (std::size_t i = 0; i < variances.size(); ++i) {
      variances[i] =
          factor_ * factor_ * source_.probe().entry_variance(gradient, static_cast<Index>(i), source_.count());
    }
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    return factor_ * factor_ * source_.probe().total_variance(gradient, source_.count());
  }
  double mean_cosine(const GradientView&) const override {
    return detail::mean_cosine(source_.probe(), source_.count());
  }
  Demand demand(Objective<T>& objective) const override { return source_.demand(objective); }
  bool slopes_are_gaussian() const override { return source_.probe().gaussian(); }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    const auto [draw, tangents] = source_.draw(step);
    Slopes found = measure(objective, parameters, tangents);
    std::vector<double> coefficients = found.slopes;
    for (double& coefficient : coefficients) coefficient *= factor_ / static_cast<double>(source_.count());
    NoiseEstimate noise = estimate_noise(source_.probe(), found.slopes);
    noise.snr_low /= factor_ * factor_;
    noise.snr_high /= factor_ * factor_;
    return {std::move(found), std::move(coefficients), draw, noise};
  }

 protected:
  const Probe& probe() const { return source_.probe(); }
  Index tangent_bytes() const { return source_.bytes(); }
  void scale(double factor) { factor_ = factor; }
  virtual Slopes measure(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents) {
    return objective.slopes(parameters, tangents);
  }

 private:
  detail::TangentSource<T> source_;
  std::string_view name_;
  double factor_ = 1;
};

template <class T>
class Shrunk final : public Forward<T> {
 public:
  Shrunk(const EstimatorTarget& target, const EstimatorOptions& options) : Forward<T>(target, options, "shrunk") {
    const double snr = this->probe().snr(options.tangents).low;
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

template <class T>
class Central final : public Forward<T> {
 public:
  Central(const EstimatorTarget& target, const EstimatorOptions& options)
      : Forward<T>(target, options, "central"), epsilon_(options.epsilon) {
    if (!(epsilon_ > 0))
      throw ArgumentError(fmt::format("central: expected a step epsilon above 0, found {}", epsilon_));
  }
  Index slopes() const override { return 0; }
  Index losses() const override { return 2 * Forward<T>::slopes() + 1; }
  bool slopes_are_gaussian() const override { return false; }
  Demand demand(Objective<T>& objective) const override {
    Demand demand = Estimator<T>::demand(objective);
    // The tangents, one of them written out, and θ moved along it, packed once more.
    demand.bytes += Forward<T>::tangent_bytes() + 2 * objective.size() * static_cast<Index>(sizeof(T)) + demand.packed;
    return demand;
  }

 private:
  Slopes measure(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents) override {
    return objective.differences(parameters, tangents, epsilon_);
  }
  double epsilon_;
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
EstimatorFamily central_family() {
  return estimator_family<Central>("central", "central differences of the loss along K tangents (SPSA, MeZO)");
}

}  // namespace slopewise
