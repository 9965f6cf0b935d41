#include "slopewise/audit/noise.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/statistics/moments.hpp"

namespace slopewise {
namespace {

// Gradients of mini-batches that are kept, where memory is free, and not made twice: 64 MiB.
constexpr Index kKeptEntries = Index{1} << 24;

double product_of(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

// Of m vectors g_b with the sum S: ‖g_b‖², g_b·S and ‖S‖².
struct PairProducts {
  std::vector<double> squares, with_sum;
  double sum = 0;

  // The mean of g_b·g_c over pairs b ≠ c, an unbiased estimate of ‖E g‖²; `left_out`: without that vector.
  double mean(std::ptrdiff_t left_out = -1) const {
    double total = sum, own = 0, count = 0;
    for (std::size_t b = 0; b < squares.size(); ++b) {
      if (std::ptrdiff_t(b) == left_out) continue;
      own += squares[b];
      ++count;
    }
    if (left_out >= 0) {
      const auto at = static_cast<std::size_t>(left_out);
      total += squares[at] - 2 * with_sum[at];
    }
    return count == 1 ? own : (total - own) / (count * (count - 1));
  }
  double mean_square(std::ptrdiff_t left_out = -1) const {
    double total = 0, count = 0;
    for (std::size_t b = 0; b < squares.size(); ++b) {
      if (std::ptrdiff_t(b) == left_out) continue;
      total += squares[b];
      ++count;
    }
    return total / count;
  }
};

// With the jackknife's error over the vectors; 0 for a single one, which is all there is, NaN for two.
template <class Figure>
Measured jackknifed(const PairProducts& products, Figure figure) {
  const auto count = std::ssize(products.squares);
  Measured measured{.value = figure(std::ptrdiff_t{-1}), .error = count == 1 ? 0 : kUnknown, .degrees = 1};
  if (count < 3) return measured;
  Moments left_out;
  for (std::ptrdiff_t b = 0; b < count; ++b) left_out.add(figure(b));
  const auto m = static_cast<double>(count);
  measured.error = std::sqrt((m - 1) / m * left_out.central().m2);
  measured.degrees = m - 1;
  return measured;
}

void measure_exactly(AuditSubject& subject, AuditNoise& noise) {
  const ParameterLayout& layout = subject.layout();
  const auto n = static_cast<std::size_t>(layout.size);
  std::vector<float> gradient(n), sum(n);
  const bool keep = subject.memory() == 0 && subject.batches() * layout.size <= kKeptEntries;
  std::vector<std::vector<float>> kept;
  const auto make = [&](Index batch) {
    check_interrupted("measuring gradients of mini-batches");
    if (batch < std::ssize(kept)) {
      gradient.swap(kept[batch]);
    } else {
      subject.objective(batch).gradient(subject.theta(), gradient);
    }
  };
  PairProducts whole;
  std::vector<PairProducts> blocks(layout.blocks.size());
  const auto part = [](const Segment& segment, std::span<const float> of) {
    return of.subspan(static_cast<std::size_t>(segment.offset), static_cast<std::size_t>(segment.size()));
  };
  for (Index batch = 0; batch < subject.batches(); ++batch) {
    make(batch);
    for (std::size_t i = 0; i < n; ++i) sum[i] += gradient[i];
    whole.squares.push_back(product_of(gradient, gradient));
    for (PairProducts& block : blocks) block.squares.push_back(0), block.with_sum.push_back(0);
    for (const Segment& segment : layout.segments) {
      const auto of = part(segment, gradient);
      blocks[segment.block].squares.back() += product_of(of, of);
    }
    if (keep) kept.push_back(gradient);
  }
  for (Index batch = 0; batch < subject.batches(); ++batch) {
    make(batch);
    whole.with_sum.push_back(product_of(gradient, sum));
  }
  whole.sum = product_of(sum, sum);
  for (const Segment& segment : layout.segments) {
    const auto of = part(segment, sum);
    blocks[segment.block].sum += product_of(of, of);
  }
  noise.squared_norm = jackknifed(whole, [&](std::ptrdiff_t out) { return whole.mean(out); });
  noise.batch_squared_norm = jackknifed(whole, [&](std::ptrdiff_t out) { return whole.mean_square(out); });
  noise.batch_factor = jackknifed(whole, [&](std::ptrdiff_t out) { return whole.mean_square(out) / whole.mean(out); });
  const double all = noise.batch_squared_norm.value;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    BlockNoise& block = noise.blocks[b];
    block.batch_squared_norm = blocks[b].mean_square();
    block.squared_norm = blocks[b].mean();
    const double variance =
        static_cast<double>(block.parameters) * all + 2 * block.batch_squared_norm - block.squared_norm;
    block.snr = std::max(0.0, block.squared_norm) / variance;
  }
  const auto batches = static_cast<float>(subject.batches());
  for (float& entry : sum) entry /= batches;
  noise.gradient = std::move(sum);
}

// E‖∇_B‖² of each block, from one slope for each of them along tangents that are 0 elsewhere.
void measure_blocks_by_slopes(AuditSubject& subject, Index rounds, std::uint64_t seed, AuditNoise& noise) {
  const auto estimator = make_estimator<float>("blocks", subject.layout(), {.law = "gaussian", .seed = seed});
  for (BlockNoise& block : noise.blocks) block.squared_norm = block.snr = kUnknown;
  for (Index round = 0; round < rounds; ++round) {
    check_interrupted("measuring slopes of blocks");
    const GradientEstimate estimate = estimator->estimate(subject.objective(round % subject.batches()), subject.theta(),
                                                          static_cast<std::uint32_t>(round));
    for (std::size_t b = 0; b < noise.blocks.size(); ++b)
      noise.blocks[b].batch_squared_norm += estimate.slopes()[b] * estimate.slopes()[b] / static_cast<double>(rounds);
  }
}

}  // namespace

// The slopes of one tangent on two mini-batches have the mean product ‖∇‖².
AuditNoise measure_audit_noise(AuditSubject& subject, Index tangents, std::uint64_t seed) {
  AuditNoise noise{.reference = subject.reference()};
  const ParameterLayout& layout = subject.layout();
  for (const Block& block : layout.blocks) {
    const auto& weight = layout.segments[block.weight];
    noise.blocks.push_back({.name = weight.name, .parameters = block.rows * block.columns_with_bias()});
  }
  const auto probe = make_probe("gaussian", layout, derive_seed(seed, 1));
  Tangents<float> tangent(layout, 1, probe->forms());
  std::vector<std::vector<double>> columns(2);  // of each tangent: the mean of s², and s s′
  Moments moments;
  for (Index draw = 0; draw < tangents; ++draw) {
    check_interrupted("measuring slopes");
    probe->draw(static_cast<std::uint32_t>(draw), 1)->write(tangent);
    const auto slope_on = [&](Index batch) {
      return subject.objective(batch % subject.batches()).slopes(subject.theta(), tangent).slopes[0];
    };
    const double slope = slope_on(draw), other = subject.batches() > 1 ? slope_on(draw + 1) : slope;
    moments.add(slope);
    if (subject.batches() > 1) moments.add(other);
    columns[0].push_back((slope * slope + other * other) / 2);
    columns[1].push_back(slope * other);
  }
  noise.slopes = moments.count();
  noise.kurtosis = moments.count() >= 4 ? moments.kurtosis() : kUnknown;
  const double mean_square = moments.variance() + moments.mean() * moments.mean();
  noise.largest_slope = std::max(std::abs(moments.min()), std::abs(moments.max())) / std::sqrt(mean_square);
  if (noise.reference == Reference::kSlopes) {
    noise.batch_squared_norm = mean_of(columns[0]);
    noise.squared_norm = mean_of(columns[1]);
    noise.batch_factor = function_of_means(columns, [](std::span<const double> mean) { return mean[0] / mean[1]; });
    measure_blocks_by_slopes(subject, tangents, derive_seed(seed, 2), noise);
  } else {
    measure_exactly(subject, noise);
  }
  if (!(noise.batch_squared_norm.value > 0)) {
    throw NumericError(
        "audit: the gradient is 0 at these weights, so there is nothing to step along; start from others");
  }
  return noise;
}

}  // namespace slopewise
