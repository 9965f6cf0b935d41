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
  bool shrinks() const override { return this->options().weight_decay > 0; }

 private:
  void advance(Parameters<T>& theta, const Gradient& gradient, double rate) override {
    move(theta, gradient, rate, clip_factor(gradient));
  }
  void advance(Parameters<T>& theta, const Gradient& gradient, const RateOf& rate_of) override {
    const double factor = clip_factor(gradient);
    move(theta, gradient, rate_of({gradient, factor}), factor);
  }

  double clip_factor(const Gradient& gradient) const {
    this->require_finite(gradient.finite());
    if (!std::isfinite(this->options().clip_norm)) return 1;
    const double squared_norm = gradient.squared_norm();
    this->require_finite(std::isfinite(squared_norm));
    return norm_factor(squared_norm, this->options().clip_norm);
  }
  void move(Parameters<T>& theta, const Gradient& gradient, double rate, double factor) const {
    const double weight_decay = this->options().weight_decay;
    if (weight_decay > 0) theta.scale(static_cast<T>(1 - rate * weight_decay));
    gradient.add_to(theta, -rate * factor);
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
