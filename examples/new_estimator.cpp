// Adds an estimator from outside the library, with the prediction that every estimator owes, and holds it to that.
//
// The forward gradient g is unbiased and long: E‖g − ∇‖² = ‖∇‖² / SNR, about n ‖∇‖² / K. Shrunk to c g it is biased and
// has E‖c g − ∇‖² = (c² / SNR + (1 − c)²) ‖∇‖², least at c = SNR / (1 + SNR), where it is (1 − c) ‖∇‖². For laws whose
// SNR does not depend on ∇ this c is known beforehand; for one Gaussian tangent it is 1 / (n + 2).
#include <cmath>
#include <cstdio>
#include <vector>

#include "slopewise/dual/test_functions.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/objective/function_objective.hpp"
#include "slopewise/statistics/intervals.hpp"

namespace sw = slopewise;

class Shrunk final : public sw::Estimator<double> {
 public:
  Shrunk(std::shared_ptr<const sw::Probe> probe, sw::Index tangents)
      : probe_(std::move(probe)), tangents_(probe_->layout(), tangents, probe_->forms()) {
    const double snr = probe_->snr(tangents).low;
    factor_ = snr / (1 + snr);
  }

  std::string_view name() const override { return "shrunk"; }
  sw::Index slopes() const override { return tangents_.count(); }

  // The prediction: E[c g] = c ∇ and V[c g] = c² V[g].
  double factor() const { return factor_; }
  std::vector<double> mean(const sw::GradientView& gradient) const override {
    std::vector<double> mean(gradient.values().begin(), gradient.values().end());
    for (double& entry : mean) entry *= factor_;
    return mean;
  }
  std::vector<double> entry_variances(const sw::GradientView& gradient) const override {
    std::vector<double> variances(static_cast<std::size_t>(gradient.size()));
    for (std::size_t i = 0; i < variances.size(); ++i) {
      variances[i] = factor_ * factor_ * probe_->entry_variance(gradient, static_cast<sw::Index>(i), slopes());
    }
    return variances;
  }
  double total_variance(const sw::GradientView& gradient) const override {
    return factor_ * factor_ * probe_->total_variance(gradient, slopes());
  }

  sw::GradientEstimate estimate(sw::Objective<double>& objective, const sw::Parameters<double>& parameters,
                                std::uint32_t step) override {
    const std::shared_ptr<const sw::Draw> draw = probe_->draw(step, slopes());
    draw->write(tangents_);
    sw::Slopes found = objective.slopes(parameters, tangents_);
    std::vector<double> coefficients = found.slopes;
    for (double& coefficient : coefficients) coefficient *= factor_ / static_cast<double>(slopes());
    sw::NoiseEstimate noise = sw::estimate_noise(*probe_, found.slopes);
    noise.snr_low = noise.snr_high = noise.snr_low / (factor_ * factor_);
    return {std::move(found), std::move(coefficients), draw, noise};
  }

 private:
  std::shared_ptr<const sw::Probe> probe_;
  sw::Tangents<double> tangents_;
  double factor_;
};

// Prints a prediction beside its measurement; false if the interval misses it.
bool compare(const char* what, double predicted, const sw::Interval& measured) {
  const bool holds = measured.contains(predicted);
  std::printf("%-24s %10.4f  [%.4f, %.4f]  %s\n", what, predicted, measured.low, measured.high,
              holds ? "ok" : "MISSED");
  return holds;
}

int main() {
  constexpr sw::Index kSize = 6;
  constexpr std::uint32_t kDraws = 100000;
  constexpr double kConfidence = 1 - 1e-7;  // so that 14 intervals all hold in all but 1.4e-6 of runs

  sw::FunctionObjective objective(sw::Rosenbrock{}, kSize);
  const sw::Parameters<double> theta({0.4, 0.1, 0.3, 0.2, 0.1, 0.3});
  std::vector<double> exact(kSize);
  objective.gradient(theta, exact);
  const sw::GradientView gradient(objective.layout(), exact);
  const double scale = gradient.squared_norm();

  Shrunk shrunk(sw::make_probe("gaussian", objective.layout(), 1), 2);
  sw::MomentsArray entries(kSize, 4);
  sw::Moments squared_error, spread;
  std::vector<double> g(kSize);
  for (std::uint32_t step = 0; step < kDraws; ++step) {
    shrunk.estimate(objective, theta, step).materialize(g);
    double error = 0, deviation = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      error += (g[i] - exact[i]) * (g[i] - exact[i]);
      deviation += std::pow(g[i] - shrunk.factor() * exact[i], 2);
    }
    entries.add(g);
    squared_error.add(error / scale);
    spread.add(deviation / scale);
  }

  std::printf("g times %.4f, %u draws     predicted  measured\n", shrunk.factor(), kDraws);
  bool holds = compare("E|g - E g|^2 / |grad|^2", shrunk.total_variance(gradient) / scale,
                       sw::mean_interval(spread.central(), kConfidence));
  holds &=
      compare("E|g - grad|^2 / |grad|^2", 1 - shrunk.factor(), sw::mean_interval(squared_error.central(), kConfidence));
  const std::vector<double> mean = shrunk.mean(gradient), variances = shrunk.entry_variances(gradient);
  for (std::size_t i = 0; i < kSize; ++i) {
    const sw::CentralMoments entry = entries.entry(i);
    holds &= compare("mean of an entry", mean[i], sw::mean_interval(entry, kConfidence));
    holds &= compare("variance of an entry", variances[i], sw::variance_interval(entry, kConfidence));
  }
  return holds ? 0 : 1;
}
