// Heavy-ball momentum and Nesterov's: u = μu + cg + λθ, c the clip's factor; then θ −= ηu, or θ −= η(cg + λθ + μu). The
// rate is outside u, so that a schedule acts at once.
#include "slopewise/optimize/entrywise.hpp"
#include "slopewise/optimize/families.hpp"

namespace slopewise {
namespace {

enum class Lookahead : bool { kNo, kYes };

template <class T, Lookahead kLookahead>
class Momentum final : public EntrywiseOptimizer<T> {
 public:
  Momentum(Index size, const OptimizerOptions& options) : EntrywiseOptimizer<T>(size, options, {"velocity"}) {}
  std::string_view name() const override { return kLookahead == Lookahead::kYes ? "nesterov" : "momentum"; }

 private:
  void update(Index first, Index count, double rate, T* __restrict step) override {
    const auto momentum = static_cast<T>(this->options().momentum);
    const auto eta = static_cast<T>(rate);
    T* __restrict velocity = this->memory(0) + first;
    for (Index i = 0; i < count; ++i) {
      const T g = step[i];
      velocity[i] = momentum * velocity[i] + g;
      step[i] = -eta * (kLookahead == Lookahead::kYes ? g + momentum * velocity[i] : velocity[i]);
    }
  }
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> momentum_optimizer(Index size, const OptimizerOptions& options) {
  return std::make_unique<Momentum<T, Lookahead::kNo>>(size, options);
}
template <class T>
std::unique_ptr<Optimizer<T>> nesterov_optimizer(Index size, const OptimizerOptions& options) {
  return std::make_unique<Momentum<T, Lookahead::kYes>>(size, options);
}

template std::unique_ptr<Optimizer<float>> momentum_optimizer<float>(Index, const OptimizerOptions&);
template std::unique_ptr<Optimizer<double>> momentum_optimizer<double>(Index, const OptimizerOptions&);
template std::unique_ptr<Optimizer<float>> nesterov_optimizer<float>(Index, const OptimizerOptions&);
template std::unique_ptr<Optimizer<double>> nesterov_optimizer<double>(Index, const OptimizerOptions&);

}  // namespace slopewise
