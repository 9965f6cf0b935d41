// rope: pairs of entries turn by an angle of their position: a linear map, and its transpose turns them back.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

class Rope final : public LinearMap<Rope> {
 public:
  static constexpr std::string_view kName = "rope";
  Rope(const Shape& x, std::vector<double> cosines, std::vector<double> sines, RopePairs pairs, bool heads_second)
      : shape_(x), cosines_(std::move(cosines)), sines_(std::move(sines)) {
    const Index least = heads_second ? 3 : 2;
    if (x.rank() < least || (heads_second && x.rank() != 3)) {
      throw ShapeError(fmt::format("rope: expected x {}, found {}",
                                   heads_second ? "(T, heads, width)" : "(…, T, width)", x.to_string()));
    }
    width_ = x[-1];
    positions_ = x[-least];
    repeats_ = heads_second ? x[1] : 1;
    const auto entries = static_cast<Index>(cosines_.size());
    pairs_ = positions_ == 0 ? 0 : entries / positions_;
    if (cosines_.size() != sines_.size() || pairs_ * positions_ != entries || 2 * pairs_ > width_) {
      throw ShapeError(
          fmt::format("rope: expected cosines and sines for {} positions and at most {} pairs, found {} and "
                      "{} entries for x {}",
                      positions_, width_ / 2, cosines_.size(), sines_.size(), x.to_string()));
    }
    neighbours_ = pairs == RopePairs::kNeighbours;
  }

  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const double entries = 3 * static_cast<double>(out.size());
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    std::copy_n(in[0], shape_.size(), out);
    each_pair([&](Index a, Index b, std::size_t at) {
      const T cosine = static_cast<T>(cosines_[at]), sine = static_cast<T>(sines_[at]);
      out[a] = cosine * in[0][a] - sine * in[0][b];
      out[b] = sine * in[0][a] + cosine * in[0][b];
    });
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    each_pair([&](Index a, Index b, std::size_t at) {
      const T cosine = static_cast<T>(cosines_[at]), sine = static_cast<T>(sines_[at]);
      target[a] += cosine * cotangent[a] + sine * cotangent[b];
      target[b] += cosine * cotangent[b] - sine * cotangent[a];
    });
    for (Index first = 2 * pairs_; first < shape_.size(); first += width_) {
      for (Index i = 0; i < width_ - 2 * pairs_; ++i) target[first + i] += cotangent[first + i];
    }
  }

 private:
  // Calls visit(entry a, entry b, entry of the tables) for all pairs.
  template <class F>
  void each_pair(F visit) const {
    const Index rows = width_ == 0 ? 0 : shape_.size() / width_;
    for (Index row = 0; row < rows; ++row) {
      const Index first = row * width_, position = row / repeats_ % positions_;
      for (Index i = 0; i < pairs_; ++i) {
        const Index a = first + (neighbours_ ? 2 * i : i);
        visit(a, a + (neighbours_ ? 1 : pairs_), static_cast<std::size_t>(position * pairs_ + i));
      }
    }
  }

  Shape shape_;
  std::vector<double> cosines_, sines_;
  Index width_ = 0, positions_ = 0, repeats_ = 1, pairs_ = 0;
  bool neighbours_ = true;
};

}  // namespace

Node rope(const Node& x, std::vector<double> cosines, std::vector<double> sines, RopePairs pairs, bool heads_second) {
  return Builder(x).apply(std::make_shared<Rope>(x.shape(), std::move(cosines), std::move(sines), pairs, heads_second),
                          {x});
}

std::vector<OpEntry> rope_examples() {
  const std::vector<double> cosines{1, 1, 0.6, 0.8, -0.28, 0.96}, sines{0, 0, 0.8, 0.6, 0.96, -0.28};
  std::vector<OpEntry> ops;
  ops.push_back({"rope",
                 {{"neighbours", {2, 3, 4}, [=](const Node& x) { return rope(square(x), cosines, sines); }},
                  {"halves, heads second, entries that stay",
                   {3, 2, 5},
                   [=](const Node& x) { return rope(x, cosines, sines, RopePairs::kHalves, true); }},
                  {"no heads", {3, 4}, [=](const Node& x) { return rope(x, cosines, sines, RopePairs::kHalves); }},
                  {"empty", {0, 4}, [](const Node& x) { return rope(x, {}, {}); }}}});
  return ops;
}

}  // namespace slopewise
