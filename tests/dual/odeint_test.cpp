// Duals in a library that knows nothing of them: the adaptive steppers of Boost.odeint.
#include <gtest/gtest.h>

#include <boost/numeric/odeint.hpp>
#include <cmath>
#include <vector>

#include "slopewise/dual/functions.hpp"

namespace slopewise {
namespace {

namespace odeint = boost::numeric::odeint;
using D = Dual<double, 1>;
using State = std::vector<D>;

// ẏ = −r y from y(0) = 1, r = 0.7 + ε: y(2) = exp(−2 r), and ∂y/∂r = −2 exp(−2 r).
struct Decay {
  D rate{0.7, 1.0};
  template <class Time>
  void operator()(const State& y, State& slope, const Time&) const {
    slope[0] = -rate * y[0];
  }
};

void expect_decayed(const D& y) {
  EXPECT_NEAR(y.value, std::exp(-1.4), 1e-8);
  EXPECT_NEAR(y.tangent[0], -2 * std::exp(-1.4), 1e-7);
}

// All of its numbers are duals.
template <class Stepper>
D at_two(Stepper stepper) {
  State y{D(1.0)};
  odeint::integrate_adaptive(stepper, Decay{}, y, D(0.0), D(2.0), D(0.1));
  return y[0];
}

TEST(Odeint, AdaptiveSteppersTakeDuals) {
  using Dopri = odeint::runge_kutta_dopri5<State, D, State, D>;
  const D tolerance(1e-10);
  expect_decayed(at_two(odeint::make_controlled(tolerance, tolerance, Dopri())));
  expect_decayed(at_two(odeint::make_dense_output(tolerance, tolerance, Dopri())));
  expect_decayed(
      at_two(odeint::make_controlled(tolerance, tolerance, odeint::runge_kutta_cash_karp54<State, D, State, D>())));
  expect_decayed(
      at_two(odeint::make_controlled(tolerance, tolerance, odeint::runge_kutta_fehlberg78<State, D, State, D>())));
  expect_decayed(at_two(odeint::bulirsch_stoer<State, D, State, D>(tolerance, tolerance)));
  expect_decayed(at_two(odeint::bulirsch_stoer_dense_out<State, D, State, D>(tolerance, tolerance)));
}

}  // namespace
}  // namespace slopewise
