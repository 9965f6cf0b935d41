#include "slopewise/estimate/prior.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using Vector = std::vector<double>;

class FixedPrior final : public Prior {
 public:
  explicit FixedPrior(Vector m) : m_(std::make_shared<const Vector>(std::move(m))) {}
  std::shared_ptr<const Vector> vector() const override { return m_; }

 private:
  std::shared_ptr<const Vector> m_;
};

class RunningMeanPrior final : public Prior {
 public:
  RunningMeanPrior(Index size, double share)
      : share_(share), m_(std::make_shared<Vector>(static_cast<std::size_t>(size))) {
    if (!(share > 0 && share <= 1))
      throw ArgumentError(fmt::format("running mean: share: expected a number above 0 and up to 1, found {}", share));
  }
  std::shared_ptr<const Vector> vector() const override { return steps_ > 0 ? m_ : nullptr; }

  void learn(const GradientEstimate& estimate) override {
    Vector& m = own();
    for (double& entry : m) entry *= 1 - share_;
    estimate.add_to(std::span(m), share_);
    ++steps_;
  }
  StateView<double> state() const override { return {.steps = steps_, .vectors = {{"prior", *m_}}}; }
  void restore(const StateView<double>& state) override {
    std::ranges::copy(state.vectors[0].values, own().begin());
    steps_ = state.steps;
  }

 private:
  // m to change; a copy where an estimate still reads the old one.
  Vector& own() {
    if (m_.use_count() > 1) m_ = std::make_shared<Vector>(*m_);
    return *m_;
  }

  double share_;
  Index steps_ = 0;
  std::shared_ptr<Vector> m_;
};

}  // namespace

std::unique_ptr<Prior> fixed_prior(std::vector<double> m) {
  return std::make_unique<FixedPrior>(std::move(m));
}
std::unique_ptr<Prior> running_mean_prior(Index size, double share) {
  return std::make_unique<RunningMeanPrior>(size, share);
}

}  // namespace slopewise
