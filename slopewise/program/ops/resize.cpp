// resize: y[o] = Σ w x over one entry (nearest), two (linear) or four (cubic) of each spatial axis: a linear map.
// depth_to_space and space_to_depth move entries.
#include "slopewise/program/ops/resize.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// What one entry along one axis is made of.
struct Source {
  std::array<Index, 4> entry{};
  std::array<double, 4> weight{1};
  Index count = 1;
};

double place(Index o, Index from, Index to, double scale, ResizeOptions::Coordinates coordinates) {
  const auto at = static_cast<double>(o);
  switch (coordinates) {
    case ResizeOptions::Coordinates::kPytorchHalfPixel:
      return to > 1 ? (at + 0.5) / scale - 0.5 : 0;
    case ResizeOptions::Coordinates::kAlignCorners:
      return to > 1 ? at * static_cast<double>(from - 1) / static_cast<double>(to - 1) : 0;
    case ResizeOptions::Coordinates::kAsymmetric:
      return at / scale;
    default:
      return (at + 0.5) / scale - 0.5;
  }
}

double rounded(double at, ResizeOptions::Rounding rounding) {
  switch (rounding) {
    case ResizeOptions::Rounding::kPreferCeil:
      return std::floor(at + 0.5);
    case ResizeOptions::Rounding::kFloor:
      return std::floor(at);
    case ResizeOptions::Rounding::kCeil:
      return std::ceil(at);
    default:
      return std::ceil(at - 0.5);
  }
}

// Keys' kernel at a distance d from 0 to 2.
double cubic_kernel(double a, double d) {
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

Source cubic_source(double at, Index from, const ResizeOptions& options) {
  Source found{.count = 4};
  const double low = std::floor(at), last = static_cast<double>(from - 1);
  double sum = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const double entry = low - 1 + static_cast<double>(i);
    const bool outside = entry < 0 || entry > last;
    found.entry[i] = static_cast<Index>(std::clamp(entry, 0.0, last));
    found.weight[i] = outside && options.exclude_outside ? 0 : cubic_kernel(options.cubic, std::fabs(at - entry));
    sum += found.weight[i];
  }
  if (options.exclude_outside) {
    for (double& weight : found.weight) weight /= sum;
  }
  return found;
}

Source source(Index o, Index from, Index to, double scale, const ResizeOptions& options) {
  const double last = static_cast<double>(from - 1);
  const double at = place(o, from, to, scale, options.coordinates);
  if (options.mode == ResizeOptions::Mode::kNearest)
    return {.entry = {static_cast<Index>(std::clamp(rounded(at, options.rounding), 0.0, last)), 0}};
  if (options.mode == ResizeOptions::Mode::kCubic) return cubic_source(at, from, options);
  const double inside = std::clamp(at, 0.0, last), low = std::floor(inside), part = inside - low;
  const auto first = static_cast<Index>(low);
  if (part == 0) return {.entry = {first, 0}};
  return {.entry = {first, first + 1}, .weight = {1 - part, part}, .count = 2};
}

class Resize final : public LinearMap<Resize> {
 public:
  static constexpr std::string_view kName = "resize";
  Resize(const Shape& x, const std::vector<Index>& sizes, const ResizeOptions& options) {
    const Index rank = x.rank() - 1;
    if (rank < 1 || rank > 3 || static_cast<Index>(sizes.size()) != rank ||
        (!options.scales.empty() && options.scales.size() != sizes.size())) {
      throw ShapeError(
          fmt::format("resize: expected x (spatial…, channels) of 1 to 3 spatial axes with a size, and a "
                      "scale if any, for each, found {}, {} sizes and {} scales",
                      x.to_string(), sizes.size(), options.scales.size()));
    }
    channels_ = x[-1];
    std::vector<Index> extents;
    for (Index i = 0; i < rank; ++i) {
      const auto axis = static_cast<std::size_t>(i);
      const double scale =
          options.scales.empty() ? static_cast<double>(sizes[axis]) / static_cast<double>(x[i]) : options.scales[axis];
      if (x[i] < 1 || sizes[axis] < 1 || !(scale > 0)) {
        throw ShapeError(fmt::format("resize: expected extents, sizes and scales above 0, found {} to {} by {} of x {}",
                                     x[i], sizes[axis], scale, x.to_string()));
      }
      const std::size_t at = 3 - static_cast<std::size_t>(rank) + axis;
      from_[at] = x[i];
      sources_[at].clear();
      for (Index o = 0; o < sizes[axis]; ++o) sources_[at].push_back(source(o, x[i], sizes[axis], scale, options));
      extents.push_back(sizes[axis]);
    }
    extents.push_back(channels_);
    shape_ = Shape(extents);
  }

  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    Index terms = 2;  // a product and a sum for each
    for (const auto& sources : sources_) {
      Index most = 1;
      for (const Source& source : sources) most = std::max(most, source.count);
      terms *= most;
    }
    const double entries = static_cast<double>(terms * out.size());
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    std::fill_n(out, shape_.size(), T{0});
    each_term([&](Index to, Index from, double weight) {
      axpy(static_cast<T>(weight), in[0] + from * channels_, out + to * channels_, channels_);
    });
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    each_term([&](Index from, Index to, double weight) {
      axpy(static_cast<T>(weight), cotangent + from * channels_, target + to * channels_, channels_);
    });
  }

 private:
  // Calls visit(place in y, place in x, weight) for all terms.
  template <class F>
  void each_term(F visit) const {
    Index to = 0;
    for (const Source& z : sources_[0]) {
      for (const Source& y : sources_[1]) {
        for (const Source& x : sources_[2]) {
          for (std::size_t term = 0; term < static_cast<std::size_t>(z.count * y.count * x.count); ++term) {
            const auto counts = std::array{static_cast<std::size_t>(x.count), static_cast<std::size_t>(y.count)};
            const std::size_t i = term % counts[0], j = term / counts[0] % counts[1], k = term / counts[0] / counts[1];
            visit(to, (z.entry[k] * from_[1] + y.entry[j]) * from_[2] + x.entry[i],
                  z.weight[k] * y.weight[j] * x.weight[i]);
          }
          ++to;
        }
      }
    }
  }

  std::array<Index, 3> from_{1, 1, 1};
  // Of the axes (depth, height, width); those that x lacks have one entry.
  std::array<std::vector<Source>, 3> sources_{std::vector<Source>(1), std::vector<Source>(1), std::vector<Source>(1)};
  Index channels_ = 0;
  Shape shape_;
};

}  // namespace

Node resize(const Node& x, const std::vector<Index>& sizes, const ResizeOptions& options) {
  return Builder(x).apply(std::make_shared<Resize>(x.shape(), sizes, options), {x});
}

Node depth_to_space(const Node& x, Index block, bool depth_first) {
  const Shape shape = x.shape();  // ops made below move where nodes are
  if (shape.rank() != 3 || block < 1 || block > std::max<Index>(shape[2], 1) || shape[2] % (block * block) != 0) {
    throw ShapeError(
        fmt::format("depth_to_space: expected x (height, width, channels) with channels that are a multiple "
                    "of block², found {} and a block of {}",
                    shape.to_string(), block));
  }
  const Index height = shape[0], width = shape[1], channels = shape[2] / (block * block);
  const Node y = depth_first ? transpose(reshape(x, {height, width, channels, block, block}), {0, 3, 1, 4, 2})
                             : transpose(reshape(x, {height, width, block, block, channels}), {0, 2, 1, 3, 4});
  return reshape(y, {height * block, width * block, channels});
}

Node space_to_depth(const Node& x, Index block) {
  const Shape shape = x.shape();  // ops made below move where nodes are
  if (shape.rank() != 3 || block < 1 || shape[0] % block != 0 || shape[1] % block != 0) {
    throw ShapeError(
        fmt::format("space_to_depth: expected x (height, width, channels) with height and width that are "
                    "multiples of the block, found {} and a block of {}",
                    shape.to_string(), block));
  }
  const Index height = shape[0] / block, width = shape[1] / block, channels = shape[2];
  const Node y = transpose(reshape(x, {height, block, width, block, channels}), {0, 2, 1, 3, 4});
  return reshape(y, {height, width, block * block * channels});
}

std::vector<OpEntry> resize_examples() {
  using Mode = ResizeOptions::Mode;
  using Coordinates = ResizeOptions::Coordinates;
  std::vector<OpEntry> ops;
  ops.push_back(
      {"resize",
       {{"nearest, twice as large",
         {2, 3, 2},
         [](const Node& x) {
           return resize(square(x), {4, 6});
         }},
        {"linear, one axis smaller and one larger",
         {4, 3, 2},
         [](const Node& x) {
           return resize(x, {3, 5}, {.mode = Mode::kLinear, .coordinates = Coordinates::kPytorchHalfPixel});
         }},
        {"linear, one axis, by a scale",
         {5, 3},
         [](const Node& x) {
           return resize(x, {7}, {.mode = Mode::kLinear, .coordinates = Coordinates::kAsymmetric, .scales = {1.5}});
         }},
        {"cubic, one axis smaller and one larger",
         {5, 3, 2},
         [](const Node& x) {
           return resize(x, {3, 7}, {.mode = Mode::kCubic});
         }},
        {"cubic, nothing from outside",
         {4, 3},
         [](const Node& x) { return resize(x, {7}, {.mode = Mode::kCubic, .cubic = -0.5, .exclude_outside = true}); }},
        {"linear, three axes, corners aligned", {2, 3, 2, 1}, [](const Node& x) {
           return resize(x, {3, 2, 1}, {.mode = Mode::kLinear, .coordinates = Coordinates::kAlignCorners});
         }}}});
  return ops;
}

}  // namespace slopewise
