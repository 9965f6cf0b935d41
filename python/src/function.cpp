#include "python/src/function.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {

PythonFunction::PythonFunction(py::function function, Index n, bool vectorised, double epsilon)
    : function_(std::move(function)), layout_(ParameterLayout::vector(n)), vectorised_(vectorised), epsilon_(epsilon) {
  if (!(epsilon > 0) || !std::isfinite(epsilon))
    throw ArgumentError(fmt::format("epsilon: expected a step above 0, found {}", epsilon));
}

PythonFunction::~PythonFunction() {
  const py::gil_scoped_acquire acquire;
  function_ = py::function();
}

std::vector<double> PythonFunction::values(std::span<const double> points) {
  const py::gil_scoped_acquire acquire;
  const Index n = layout_.size, count = std::ssize(points) / n;
  std::vector<double> found;
  if (vectorised_) {
    py::array_t<double> all({count, n});
    std::ranges::copy(points, all.mutable_data());
    const auto returned = array_of<double>(function_(std::move(all)), "the function's values");
    if (returned.ndim() != 1 || returned.size() != count) {
      throw ShapeError(fmt::format("the function's values at ({}, {}) points: expected the shape ({},), found {}",
                                   count, n, count, shape_text(returned)));
    }
    found.assign(returned.data(), returned.data() + count);
  } else {
    for (Index i = 0; i < count; ++i) {
      const auto point = points.subspan(static_cast<std::size_t>(i * n), static_cast<std::size_t>(n));
      found.push_back(py::float_(function_(array_from(point))).cast<double>());
    }
  }
  for (const double value : found) {
    if (!std::isfinite(value)) throw NumericError(fmt::format("the function's value is {}", value));
  }
  return found;
}

double PythonFunction::loss(const Parameters<double>& parameters) {
  return values(parameters.values())[0];
}

// As central_differences, with all points in one call where the function takes them: θ, and θ ± ε v_k in pairs.
Slopes PythonFunction::slopes(const Parameters<double>& parameters, const Tangents<double>& tangents) {
  if (!vectorised_) return central_differences(*this, parameters, tangents, epsilon_);
  const auto n = static_cast<std::size_t>(layout_.size);
  const auto count = static_cast<std::size_t>(tangents.count());
  std::vector<double> points((2 * count + 1) * n), direction(n);
  std::ranges::copy(parameters.values(), points.begin());
  for (std::size_t k = 0; k < count; ++k) {
    tangents.expand(static_cast<Index>(k), direction);
    for (std::size_t i = 0; i < n; ++i) {
      points[(2 * k + 1) * n + i] = points[i] + epsilon_ * direction[i];
      points[(2 * k + 2) * n + i] = points[i] - epsilon_ * direction[i];
    }
  }
  const std::vector<double> found = values(points);
  Slopes slopes{.loss = found[0]};
  for (std::size_t k = 0; k < count; ++k)
    slopes.slopes.push_back((found[2 * k + 1] - found[2 * k + 2]) / (2 * epsilon_));
  return slopes;
}

double PythonFunction::gradient(const Parameters<double>&, std::span<double>) {
  throw ArgumentError("a Python function gives values only and has no exact gradient");
}

}  // namespace slopewise
