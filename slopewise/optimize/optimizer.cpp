#include "slopewise/optimize/optimizer.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

void require(bool holds, std::string_view option, std::string_view expected, double found) {
  if (!holds) throw ArgumentError(fmt::format("optimizer: {}: expected {}, found {}", option, expected, found));
}

void require_share(std::string_view option, double value) {
  require(value >= 0 && value < 1, option, "a number from 0 to below 1", value);
}

}  // namespace

template <class T>
Optimizer<T>::Optimizer(Index size, const OptimizerOptions& options, std::initializer_list<std::string_view> memory)
    : size_(size), options_(options) {
  require(size >= 0, "size", "at least 0", static_cast<double>(size));
  require_share("momentum", options.momentum);
  require_share("beta1", options.beta1);
  require_share("beta2", options.beta2);
  require(options.epsilon > 0 && std::isfinite(options.epsilon), "epsilon", "a number above 0", options.epsilon);
  require(options.weight_decay >= 0 && std::isfinite(options.weight_decay), "weight_decay", "a number from 0 on",
          options.weight_decay);
  require(options.clip_norm > 0, "clip_norm", "a number above 0, or infinity", options.clip_norm);
  for (const std::string_view vector : memory)
    memory_.push_back({std::string(vector), std::vector<T>(static_cast<std::size_t>(size))});
}

template <class T>
void Optimizer<T>::require_rate(double rate) const {
  if (!(rate >= 0 && std::isfinite(rate)))
    throw ArgumentError(fmt::format("{}: rate: expected a number from 0 on, found {}", name(), rate));
}

template <class T>
void Optimizer<T>::require_sizes(const Parameters<T>& theta, const Gradient& gradient) const {
  if (theta.size() != size_ || gradient.size() != size_) {
    throw ShapeError(fmt::format("{}: expected {} parameters and a gradient of as many entries, found {} and {}",
                                 name(), size_, theta.size(), gradient.size()));
  }
}

template <class T>
void Optimizer<T>::step(Parameters<T>& theta, const Gradient& gradient, double rate) {
  require_rate(rate);
  require_sizes(theta, gradient);
  advance(theta, gradient, rate);
  ++steps_;
}

template <class T>
void Optimizer<T>::step(Parameters<T>& theta, const Gradient& gradient, const RateOf& rate_of) {
  require_sizes(theta, gradient);
  advance(theta, gradient, [&](const StepDirection& direction) {
    const double rate = rate_of(direction);
    require_rate(rate);
    return rate;
  });
  ++steps_;
}

template <class T>
void Optimizer<T>::restore(const StateView<T>& state) {
  detail::copy_state(name(), state, memory_);
  steps_ = state.steps;
}

template <class T>
void Optimizer<T>::require_finite(bool finite) const {
  if (!finite) {
    throw NumericError(fmt::format(
        "{}: step {}: the gradient is NaN or infinite: expected finite entries; θ is left as it was", name(), steps_));
  }
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace slopewise
