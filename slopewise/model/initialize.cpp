#include "slopewise/model/initialize.hpp"

#include <algorithm>
#include <cmath>

#include "slopewise/tensor/random.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kInitialization = 0x696E6974;

// Standard deviation, and whether the draw is normal rather than uniform.
struct Spread {
  double deviation;
  bool normal;
};

Spread spread(const Initializer& initializer) {
  switch (initializer.kind) {
    case Initializer::Kind::kHe:
      return {std::sqrt(2 / initializer.fan_in), true};
    case Initializer::Kind::kGlorot:
      return {std::sqrt(2 / (initializer.fan_in + initializer.fan_out)), false};
    case Initializer::Kind::kUniformFan:
      return {std::sqrt(1 / (3 * initializer.fan_in)), false};
    case Initializer::Kind::kNormal:
      return {1, true};
    case Initializer::Kind::kZero:
    case Initializer::Kind::kOne:
      break;
  }
  return {0, true};
}

}  // namespace

template <class T>
Parameters<T> initialize(const ParameterLayout& layout, std::uint64_t seed) {
  Parameters<T> parameters(layout.size);
  const std::span<T> theta = parameters.edit();
  const std::uint64_t key = derive_seed(seed, kInitialization);
  for (std::size_t i = 0; i < layout.segments.size(); ++i) {
    const Segment& segment = layout.segments[i];
    const std::span<T> part =
        theta.subspan(static_cast<std::size_t>(segment.offset), static_cast<std::size_t>(segment.size()));
    const Spread draw = spread(segment.initializer);
    if (draw.deviation == 0) {
      std::fill(part.begin(), part.end(), segment.initializer.kind == Initializer::Kind::kOne ? T{1} : T{0});
      continue;
    }
    const double deviation = segment.initializer.gain * draw.deviation;
    const RandomKey stream{.seed = key, .step = 0, .stream = static_cast<std::uint32_t>(i)};
    if (draw.normal) {
      fill_gaussian(stream, 0, part);
    } else {
      fill_uniform(stream, 0, part);
    }
    for (T& value : part) value = static_cast<T>(double{value} * deviation);
  }
  return parameters;
}

template Parameters<float> initialize<float>(const ParameterLayout&, std::uint64_t);
template Parameters<double> initialize<double>(const ParameterLayout&, std::uint64_t);

}  // namespace slopewise
