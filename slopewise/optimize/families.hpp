// The optimizers one by one; make_optimizer (optimizer.hpp) picks one by name.
#pragma once

#include "slopewise/optimize/optimizer.hpp"

namespace slopewise {

template <class T>
std::unique_ptr<Optimizer<T>> sgd_optimizer(Index size, const OptimizerOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> momentum_optimizer(Index size, const OptimizerOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> nesterov_optimizer(Index size, const OptimizerOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> adam_optimizer(Index size, const OptimizerOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> adamw_optimizer(Index size, const OptimizerOptions& options);

}  // namespace slopewise
