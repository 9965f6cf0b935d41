// Slopes for each block alone: block b of n_b entries gets (1/K) Σ_k s_bk v_bk from K slopes of its own, with the
// variance of a forward gradient of ∇_b in n_b dimensions. In all Σ_b n_b ‖∇_b‖²/K, the noise of one block no longer
// multiplied by the norms of the others, for L K slopes.
#include <algorithm>
#include <cmath>

#include "slopewise/estimate/block_tangents.hpp"
#include "slopewise/estimate/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Blocks final : public Estimator<T> {
 public:
  Blocks(const EstimatorTarget& target, const EstimatorOptions& options)
      : tangents_(target.layout, options.law, options.tangents, options.seed, options.law_options),
        whole_(make_probe(options.law, target.layout, options.seed, options.law_options)) {}
  std::string_view name() const override { return "blocks"; }
  Index slopes() const override { return tangents_.blocks() * tangents_.count(); }
  AnswerKinds asks() const override { return {.tangents = slopes()}; }
  std::vector<double> entry_variances(const GradientView& gradient) const override {
    std::vector<double> variances(static_cast<std::size_t>(gradient.size()));
    for (Index b = 0; b < tangents_.blocks(); ++b) {
      const std::vector<double> part = tangents_.part(b, gradient.values());
      const GradientView view(tangents_.probe(b).layout(), part);
      std::vector<double> of_part(part.size());
      for (std::size_t i = 0; i < part.size(); ++i)
        of_part[i] = tangents_.probe(b).entry_variance(view, static_cast<Index>(i), tangents_.count());
      tangents_.put(b, of_part, variances);
    }
    return variances;
  }
  double total_variance(const GradientView& gradient) const override {
    double total = 0;
    for (Index b = 0; b < tangents_.blocks(); ++b) {
      const std::vector<double> part = tangents_.part(b, gradient.values());
      total += tangents_.probe(b).total_variance(GradientView(tangents_.probe(b).layout(), part), tangents_.count());
    }
    return total;
  }

  Demand demand(Objective<T>& objective) const override { return tangents_.demand(objective); }

  GradientEstimate estimate(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) override {
    auto [found, draw] = tangents_.measure(objective, parameters, step);
    const auto count = static_cast<std::size_t>(tangents_.count());
    std::vector<double> coefficients = found.slopes;
    for (double& coefficient : coefficients) coefficient /= static_cast<double>(count);
    // √Σ_b s_bk² has the mean square of one slope along the whole, and no heavier tails.
    std::vector<double> whole(count);
    for (std::size_t j = 0; j < found.slopes.size(); ++j) whole[j % count] += found.slopes[j] * found.slopes[j];
    for (double& square : whole) square = std::sqrt(square);
    NoiseEstimate noise = estimate_noise(*whole_, whole);
    // ‖∇‖²/tr V is a mean of the blocks' own, weighted by their shares of tr V.
    noise.snr_low = std::numeric_limits<double>::infinity();
    noise.snr_high = 0;
    for (Index b = 0; b < tangents_.blocks(); ++b) {
      const Probe::SnrRange snr = tangents_.probe(b).snr(tangents_.count());
      noise.snr_low = std::min(noise.snr_low, snr.low);
      noise.snr_high = std::max(noise.snr_high, snr.high);
    }
    return {std::move(found), std::move(coefficients), draw, noise};
  }

 private:
  detail::BlockTangents<T> tangents_;
  std::shared_ptr<const Probe> whole_;
};

}  // namespace

EstimatorFamily blocks_family() {
  return estimator_family<Blocks>("blocks", "K slopes for each block of parameters alone");
}

}  // namespace slopewise
