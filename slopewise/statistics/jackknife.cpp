#include "slopewise/statistics/jackknife.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/moments.hpp"

namespace slopewise {

Measured function_of_means(std::span<const std::vector<double>> columns,
                           const std::function<double(std::span<const double>)>& f, Index blocks) {
  const std::size_t count = columns.empty() ? 0 : columns[0].size();
  const auto parts = static_cast<std::size_t>(blocks);
  for (const std::vector<double>& column : columns) {
    if (column.size() != count)
      throw ArgumentError(fmt::format("jackknife: columns of {} and {} samples", count, column.size()));
  }
  if (parts < 2 || count < parts)
    throw ArgumentError(fmt::format("jackknife: expected at least {} samples, found {}", parts, count));

  std::vector<double> totals(columns.size(), 0.0);
  std::vector<std::vector<double>> sums(parts, std::vector<double>(columns.size(), 0.0));
  for (std::size_t c = 0; c < columns.size(); ++c) {
    for (std::size_t b = 0; b < parts; ++b) {
      for (std::size_t i = count * b / parts; i < count * (b + 1) / parts; ++i) sums[b][c] += columns[c][i];
      totals[c] += sums[b][c];
    }
  }
  std::vector<double> means(columns.size());
  for (std::size_t c = 0; c < means.size(); ++c) means[c] = totals[c] / static_cast<double>(count);
  const double value = f(means);
  Moments left_out;
  for (std::size_t b = 0; b < parts; ++b) {
    const std::size_t size = count * (b + 1) / parts - count * b / parts;
    for (std::size_t c = 0; c < means.size(); ++c)
      means[c] = (totals[c] - sums[b][c]) / static_cast<double>(count - size);
    left_out.add(f(means));
  }
  const auto b = static_cast<double>(parts);
  return {.value = value, .error = std::sqrt((b - 1) * (b - 1) / b * left_out.variance()), .degrees = b - 1};
}

Measured mean_of(const std::vector<double>& column) {
  Moments moments;
  moments.add(column);
  return {.value = moments.mean(), .error = moments.mean_error(), .degrees = static_cast<double>(column.size()) - 1};
}

}  // namespace slopewise
