#include "slopewise/objective/function_objective.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace detail {

void check_point(std::string_view what, Index n, Index found) {
  if (found != n) throw ShapeError(fmt::format("{}: expected {} entries, found {}", what, n, found));
}

double checked_finite(std::string_view what, double number) {
  if (!std::isfinite(number)) throw NumericError(fmt::format("{} is {}", what, number));
  return number;
}

std::vector<double> expand_all(const Tangents<double>& tangents) {
  const Index n = tangents.layout().size;
  std::vector<double> rows(static_cast<std::size_t>(tangents.count() * n));
  for (Index k = 0; k < tangents.count(); ++k) {
    tangents.expand(k, std::span(rows).subspan(static_cast<std::size_t>(k * n), static_cast<std::size_t>(n)));
  }
  return rows;
}

}  // namespace detail

BlackBoxObjective::BlackBoxObjective(std::function<double(std::span<const double>)> function, Index n, double epsilon)
    : function_(std::move(function)), layout_(ParameterLayout::vector(n)), epsilon_(epsilon) {}

double BlackBoxObjective::loss(const Parameters<double>& parameters) {
  detail::check_point("black box", layout_.size, parameters.size());
  return detail::checked_finite("the black box's value", function_(parameters.values()));
}

Slopes BlackBoxObjective::slopes(const Parameters<double>& parameters, const Tangents<double>& tangents) {
  return central_differences(*this, parameters, tangents, epsilon_);
}

double BlackBoxObjective::gradient(const Parameters<double>&, std::span<double>) {
  throw ArgumentError("black box: it gives values only and has no exact gradient");
}

}  // namespace slopewise
