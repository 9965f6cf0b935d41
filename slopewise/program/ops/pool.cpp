// Pooling over windows of x (height, width, channels).
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

struct Windows {
  Index height, width, channels;  // of x
  Index window, stride;
  Index out_height, out_width;

  Windows(std::string_view op, const Shape& x, Index window_size, Index step)
      : window(window_size), stride(step > 0 ? step : window_size) {
    if (x.rank() != 3 || window < 1 || step < 0 || x[0] < window || x[1] < window) {
      throw ShapeError(fmt::format("{}: expected x (height, width, channels) of at least the window's {}, found {}", op,
                                   window, x.to_string()));
    }
    if (x.size() >= Index{1} << 24) {  // max pooling keeps entry numbers in float
      throw ShapeError(fmt::format("{}: expected fewer than 2^24 entries, found {}", op, x.to_string()));
    }
    height = x[0];
    width = x[1];
    channels = x[2];
    out_height = (height - window) / stride + 1;
    out_width = (width - window) / stride + 1;
  }
  Shape out() const { return {out_height, out_width, channels}; }

  // Calls visit(output entry, input entry) for every entry of every window, windows in order.
  template <class F>
  void each(F visit) const {
    for (Index oy = 0; oy < out_height; ++oy) {
      for (Index ox = 0; ox < out_width; ++ox) {
        for (Index wy = 0; wy < window; ++wy) {
          for (Index wx = 0; wx < window; ++wx) {
            const Index out = (oy * out_width + ox) * channels;
            const Index in = ((oy * stride + wy) * width + ox * stride + wx) * channels;
            for (Index c = 0; c < channels; ++c) visit(out + c, in + c);
          }
        }
      }
    }
  }
};

// max: y = max over the window.  Tangents and cotangents follow the entry that is largest, the first of equals; a NaN
// in the window is the result.
class MaxPool final : public OpRules<MaxPool> {
 public:
  static constexpr std::string_view kName = "max_pool";
  MaxPool(const Shape& x, Index window, Index stride) : windows_(kName, x, window, stride) {}

  Shape shape(std::span<const InputInfo>) const override { return windows_.out(); }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = entries * static_cast<double>(windows_.window * windows_.window), .pullback = entries};
  }
  bool curves(std::span<const InputInfo>) const override { return false; }
  Index scratch(std::span<const InputInfo>, const Shape& out, const VisitSize&) const override { return out.size(); }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    T* largest =
        visit.scratch;  // the input entry each output took, exact in T: an image has far fewer than 2^24 entries
    for (Index r = 0; r < y.rows; ++r) {
      find_largest(x.value_row(r), largest, y.size);
      take(x.value_row(r), largest, y.value_row(r), y.size);
      for (Index k = 0; k < visit.tangents; ++k) {
        take(x.tangent_row(k, r), largest, y.tangent_row(k, r), y.size);
        if (y.second) take(x.second_row(k, r), largest, y.second_row(k, r), y.size);
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Jet<T>& x = visit.in[0];
    if (!target.accumulate) std::fill_n(target.data, x.rows * x.size, T{0});
    for (Index r = 0; r < visit.out.rows; ++r) {
      find_largest(x.value_row(r), visit.scratch, visit.out.size);
      T* to = target.data + x.row(r);
      const T* c = visit.cotangent + r * visit.out.size;
      for (Index i = 0; i < visit.out.size; ++i) to[static_cast<Index>(visit.scratch[i])] += c[i];
    }
  }

 private:
  template <class T>
  void find_largest(const T* x, T* largest, Index count) const {
    std::fill_n(largest, count, T{-1});
    windows_.each([&](Index out, Index in) {
      if (largest[out] >= T{0}) {
        const T best = x[static_cast<Index>(largest[out])];
        if (std::isnan(best) || x[in] <= best) return;
      }
      largest[out] = static_cast<T>(in);
    });
  }
  template <class T>
  static void take(const T* x, const T* largest, T* y, Index count) {
    for (Index i = 0; i < count; ++i) y[i] = x[static_cast<Index>(largest[i])];
  }
  Windows windows_;
};

// average: y = mean over the window.
class AveragePool final : public LinearMap<AveragePool> {
 public:
  static constexpr std::string_view kName = "average_pool";
  AveragePool(const Shape& x, Index window, Index stride) : windows_(kName, x, window, stride) {}

  Shape shape(std::span<const InputInfo>) const override { return windows_.out(); }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const double entries = static_cast<double>(out.size()) * static_cast<double>(windows_.window * windows_.window);
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    const T share = T{1} / static_cast<T>(windows_.window * windows_.window);
    std::fill_n(out, windows_.out().size(), T{0});
    windows_.each([&](Index to, Index from) { out[to] += share * in[0][from]; });
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    const T share = T{1} / static_cast<T>(windows_.window * windows_.window);
    windows_.each([&](Index out, Index in) { target[in] += share * cotangent[out]; });
  }

 private:
  Windows windows_;
};

}  // namespace

Node max_pool(const Node& x, Index window, Index stride) {
  return Builder(x).apply(std::make_shared<MaxPool>(x.shape(), window, stride), {x});
}
Node average_pool(const Node& x, Index window, Index stride) {
  return Builder(x).apply(std::make_shared<AveragePool>(x.shape(), window, stride), {x});
}

}  // namespace slopewise
