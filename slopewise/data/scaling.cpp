#include "slopewise/data/scaling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::size_t kNumbersAtOnce = std::size_t{1} << 17;

// Calls visit(first example, numbers) for all of a set, as they are stored.
template <class Visit>
void visit_stored(const Dataset& set, Visit visit) {
  const Index size = set.image_shape.size();
  const Index rows = std::max<Index>(1, static_cast<Index>(kNumbersAtOnce) / std::max<Index>(1, size));
  std::vector<Index> indices;
  std::vector<double> numbers;
  for (Index first = 0; first < set.count(); first += rows) {
    indices.resize(static_cast<std::size_t>(std::min(rows, set.count() - first)));
    std::iota(indices.begin(), indices.end(), first);
    numbers.resize(indices.size() * static_cast<std::size_t>(size));
    gather_stored<double>(set, indices, numbers);
    visit(first, std::span<const double>(numbers));
  }
}

// Mean, squared deviations from it and count of one column or channel (Welford 1962).
struct Moments {
  double count = 0, mean = 0, squares = 0;
  void add(double x) {
    const double before = x - mean;
    mean += before / ++count;
    squares += before * (x - mean);
  }
};

void refuse_unless_finite(double x, Index example, std::size_t column, const std::string& where) {
  if (!std::isfinite(x)) {
    throw FileError(
        fmt::format("{}: example {}, number {}: found {}, expected a finite number", where, example, column, x));
  }
}

// Calls visit(first row, numbers) for all rows as they are stored.
template <class Visit>
void visit_rows(const Rows& rows, Visit visit) {
  const Index at_once = std::max<Index>(1, static_cast<Index>(kNumbersAtOnce) / std::max<Index>(1, rows.row_size()));
  std::vector<Index> indices;
  std::vector<double> numbers;
  for (Index first = 0; first < rows.count(); first += at_once) {
    indices.resize(static_cast<std::size_t>(std::min(at_once, rows.count() - first)));
    std::iota(indices.begin(), indices.end(), first);
    numbers.resize(indices.size() * static_cast<std::size_t>(rows.row_size()));
    rows.read<double>(indices, numbers);
    visit(first, std::span<const double>(numbers));
  }
}

// Refuses what is no whole number that fits an index.
void require_whole(const Rows& rows, const std::string& name, const std::string& where) {
  visit_rows(rows, [&](Index first, std::span<const double> numbers) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double x = numbers[i];
      if (x == std::trunc(x) && std::abs(x) <= std::numeric_limits<std::int32_t>::max()) continue;
      throw FileError(fmt::format(
          "{}: example {} of the input {}: found {:g}, expected whole numbers of 32 bits, as the model reads", where,
          first + static_cast<Index>(i) / rows.row_size(), name, x));
    }
  });
}

}  // namespace

void require_whole(const Dataset& set, const std::string& where) {
  if (set.integers) require_whole(set.inputs, set.input_name, where);
  for (const OtherInput& other : set.others) {
    if (other.integers) require_whole(other.rows, other.name, where);
  }
}

void require_finite_others(const Dataset& set, const std::string& where) {
  for (const OtherInput& other : set.others) {
    if (other.integers || !is_floating(other.rows.type())) continue;
    visit_rows(other.rows, [&](Index first, std::span<const double> numbers) {
      const auto size = static_cast<std::size_t>(other.rows.row_size());
      for (std::size_t i = 0; i < numbers.size(); ++i)
        refuse_unless_finite(numbers[i], first + static_cast<Index>(i / size), i % size,
                             where + ", input " + other.name);
    });
  }
}

void require_finite(const Dataset& set, const std::string& where) {
  if (!is_floating(set.inputs.type())) return;
  const auto size = static_cast<std::size_t>(set.image_shape.size());
  visit_stored(set, [&](Index first, std::span<const double> numbers) {
    for (std::size_t i = 0; i < numbers.size(); ++i)
      refuse_unless_finite(numbers[i], first + static_cast<Index>(i / size), i % size, where);
  });
}

// What never varies is 0 whatever it is divided by; less than rounding is no variation.
double scale_of(double mean, double deviation) {
  return deviation > 1e-12 * std::abs(mean) && deviation > 0 ? deviation : 1;
}

Scaling choose_scaling(const Dataset& train, bool bytes, std::optional<Scaling::Rule> rule, const std::string& where) {
  const bool table = train.image_shape.rank() == 1;
  if (!rule && bytes && !table) rule = Scaling::Rule::kBytes;
  if (rule && *rule != Scaling::Rule::kStandard) {
    require_finite(train, where);
    return {.rule = *rule};
  }
  const auto size = static_cast<std::size_t>(train.image_shape.size());
  std::vector<Moments> moments(static_cast<std::size_t>(train.image_shape[-1]));
  double least = std::numeric_limits<double>::infinity(), most = -least;
  visit_stored(train, [&](Index first, std::span<const double> numbers) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      refuse_unless_finite(numbers[i], first + static_cast<Index>(i / size), i % size, where);
      least = std::min(least, numbers[i]);
      most = std::max(most, numbers[i]);
      moments[i % moments.size()].add(numbers[i]);
    }
  });
  if (!rule && !table && least >= -1 && most <= 1) return {.rule = Scaling::Rule::kNone};
  if (!rule && !table && least >= 0 && most <= 255 && most > 127) return {.rule = Scaling::Rule::kBytes};
  Scaling scaling{.rule = Scaling::Rule::kStandard};
  for (const Moments& column : moments) {
    const double deviation = std::sqrt(column.squares / column.count);
    scaling.mean.push_back(column.mean);
    scaling.deviation.push_back(scale_of(column.mean, deviation));
  }
  return scaling;
}

}  // namespace slopewise
