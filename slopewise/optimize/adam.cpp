// Adam (Kingma & Ba, ICLR 2015, algorithm 1) and AdamW (Loshchilov & Hutter, ICLR 2019, algorithm 2, with the rate as
// the schedule's multiplier of both terms):
//   g = c∇ (+ λθ in Adam),  m = β₁m + (1 − β₁)g,  v = β₂v + (1 − β₂)g²,
//   θ = (1 − ηλ in AdamW) θ − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε).
#include <cmath>

#include "slopewise/optimize/entrywise.hpp"
#include "slopewise/optimize/families.hpp"

namespace slopewise {
namespace {

enum class Decay { kInGradient, kDecoupled };

template <class T, Decay kDecay>
class Adam final : public EntrywiseOptimizer<T> {
  static constexpr bool kDecoupled = kDecay == Decay::kDecoupled;

 public:
  Adam(Index size, const OptimizerOptions& options)
      : EntrywiseOptimizer<T>(size, options, {"first_moment", "second_moment"}) {}
  bool flattens() const override { return !kDecoupled && EntrywiseOptimizer<T>::flattens(); }
  bool shrinks() const override { return kDecoupled && this->options().weight_decay > 0; }
  std::string_view name() const override { return kDecoupled ? "adamw" : "adam"; }

 private:
  // 1 − βᵗ at this step, what zeros at the start leave of a mean; without cancellation where β is near 1.
  double weight(double beta) const { return -std::expm1(static_cast<double>(this->steps() + 1) * std::log(beta)); }

  T shrink(double rate) const override {
    return kDecoupled ? static_cast<T>(1 - rate * this->options().weight_decay) : T{1};
  }
  void update(Index first, Index count, double rate, T* __restrict step) override {
    const OptimizerOptions& options = this->options();
    const auto beta1 = static_cast<T>(options.beta1), beta2 = static_cast<T>(options.beta2);
    const auto rest1 = static_cast<T>(1 - options.beta1), rest2 = static_cast<T>(1 - options.beta2);
    const auto eta = static_cast<T>(rate / weight(options.beta1));
    const auto root_scale = static_cast<T>(1 / std::sqrt(weight(options.beta2)));
    const auto epsilon = static_cast<T>(options.epsilon);
    T* __restrict m = this->memory(0) + first;
    T* __restrict v = this->memory(1) + first;
    for (Index i = 0; i < count; ++i) {
      const T g = step[i];
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      step[i] = -eta * m[i] / (std::sqrt(v[i]) * root_scale + epsilon);
    }
  }
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> adam_optimizer(Index size, const OptimizerOptions& options) {
  return std::make_unique<Adam<T, Decay::kInGradient>>(size, options);
}
template <class T>
std::unique_ptr<Optimizer<T>> adamw_optimizer(Index size, const OptimizerOptions& options) {
  return std::make_unique<Adam<T, Decay::kDecoupled>>(size, options);
}

template std::unique_ptr<Optimizer<float>> adam_optimizer<float>(Index, const OptimizerOptions&);
template std::unique_ptr<Optimizer<double>> adam_optimizer<double>(Index, const OptimizerOptions&);
template std::unique_ptr<Optimizer<float>> adamw_optimizer<float>(Index, const OptimizerOptions&);
template std::unique_ptr<Optimizer<double>> adamw_optimizer<double>(Index, const OptimizerOptions&);

}  // namespace slopewise
