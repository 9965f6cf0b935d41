// Plain gradient descent: θ −= η(cg + λθ), c the clip's factor. Nothing is remembered and g is never written out.
#include <cmath>

#include "slopewise/optimize/clip.hpp"
#include "slopewise/optimize/families.hpp"

namespace slopewise {
namespace {

template <class T>
class Sgd final : public Optimizer<T> {
 public:
  Sgd(Index size, const OptimizerOptions& options) : Optimizer<T>(size, options, {}) {}
  std::string_view name() const override { return "sgd"; }

 private:
  void advance(Parameters<T>& theta, const Gradient& gradient, double rate) override {
    const double clip_norm = this->options().clip_norm, weight_decay = this->options().weight_decay;
    this->require_finite(gradient.finite());
    double factor = -rate;
    if (std::isfinite(clip_norm)) {
      const double squared_norm = gradient.squared_norm();
      this->require_finite(std::isfinite(squared_norm));
      factor *= norm_factor(squared_norm, clip_norm);
    }
    if (weight_decay > 0) theta.scale(static_cast<T>(1 - rate * weight_decay));
    gradient.add_to(theta, factor);
  }
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> sgd_optimizer(Index size, const OptimizerOptions& options) {
  return std::make_unique<Sgd<T>>(size, options);
}

template std::unique_ptr<Optimizer<float>> sgd_optimizer<float>(Index, const OptimizerOptions&);
template std::unique_ptr<Optimizer<double>> sgd_optimizer<double>(Index, const OptimizerOptions&);

}  // namespace slopewise
