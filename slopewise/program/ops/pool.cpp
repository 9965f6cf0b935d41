// Pooling over windows of x (spatial…, channels).
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/windows.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Max pooling numbers a window's taps in float, exact up to this.
constexpr Index kMostTaps = Index{1} << 24;

class Windows {
 public:
  Windows(std::string_view op, const Shape& x, const std::vector<Index>& kernel, const PoolOptions& options)
      : axes_(window_axes(op, x, kernel, {options.strides, options.dilations, options.pads_begin, options.pads_end})),
        channels_(x[-1]) {
    count_windows(op, x, axes_);
    for (WindowAxis& axis : axes_) {
      if (options.ceil_mode) add_part_of_one(axis);
      for (Index o = 0; o < axis.out; ++o) {
        if (axis.first_tap(o) < axis.last_tap(o)) continue;
        throw ShapeError(
            fmt::format("{}: window {} of {} taps lies in the padding of x {}", op, o, axis.kernel, x.to_string()));
      }
      if (axis.kernel > kMostTaps / taps_) {
        throw ShapeError(fmt::format("{}: expected a window of at most {} taps, found ({})", op, kMostTaps,
                                     fmt::join(kernel, ", ")));
      }
      taps_ *= axis.kernel;
    }
    out_ = windows_shape(axes_, x, channels_);
  }
  const Shape& out() const { return out_; }
  Index taps() const { return taps_; }

  // Which taps of a window lie inside, [first, last) along each axis, and the first channel of its output.
  struct Window {
    std::array<Index, 3> at, first, last;
    Index out;

    Index inside() const { return (last[0] - first[0]) * (last[1] - first[1]) * (last[2] - first[2]); }
  };
  template <class F>
  void each(F visit) const {
    Window window{};
    for_window(0, window, visit);
  }
  // Calls visit(number, first channel of the entry of x) for the taps of a window that lie inside, in order.
  template <class F>
  [[gnu::always_inline]] void each_tap(const Window& window, F visit) const {
    const auto& [depth, height, width] = axes_;
    for (Index z = window.first[0]; z < window.last[0]; ++z) {
      for (Index y = window.first[1]; y < window.last[1]; ++y) {
        const Index line =
            (depth.entry(window.at[0], z) * height.extent + height.entry(window.at[1], y)) * width.extent;
        Index entry = (line + width.entry(window.at[2], window.first[2])) * channels_;
        Index number = (z * height.kernel + y) * width.kernel + window.first[2];
        for (Index x = window.first[2]; x < window.last[2]; ++x) {
          visit(number++, entry);
          entry += width.dilation * channels_;
        }
      }
    }
  }
  // Taps of a window that lie inside or in the padding, but not beyond it.
  Index with_padding(const Window& window) const {
    Index count = 1;
    for (std::size_t i = 0; i < 3; ++i) {
      const WindowAxis& axis = axes_[i];
      const Index room = axis.before + axis.extent + axis.after - 1 - window.at[i] * axis.stride;
      count *= std::min(axis.kernel, room / axis.dilation + 1);
    }
    return count;
  }
  // Calls visit(first channel, V()) for the channels, V being a register's worth of them or a single one.
  template <class T, class F>
  void each_channel(F visit) const {
    Index c = 0;
    for (; c + kLanes<T> <= channels_; c += kLanes<T>) visit(c, Lanes<T>{});
    for (; c < channels_; ++c) visit(c, T{});
  }
  Index channels() const { return channels_; }

 private:
  // A last window that reaches beyond the padding, where there is room for a part of one that starts inside or in the
  // padding before.
  static void add_part_of_one(WindowAxis& axis) {
    const Index left = (axis.extent + axis.before + axis.after - axis.span()) % axis.stride;
    if (left > 0 && axis.out * axis.stride < axis.extent + axis.before) ++axis.out;
  }
  template <class F>
  void for_window(std::size_t axis, Window& window, F& visit) const {
    if (axis == 3) {
      visit(window);
      window.out += channels_;
      return;
    }
    for (Index o = 0; o < axes_[axis].out; ++o) {
      window.at[axis] = o;
      window.first[axis] = axes_[axis].first_tap(o);
      window.last[axis] = axes_[axis].last_tap(o);
      for_window(axis + 1, window, visit);
    }
  }

  WindowAxes axes_;
  Index channels_;
  Index taps_ = 1;  // of a whole window
  Shape out_;
};

// max: y = max over the window, without padding.  Tangents and cotangents follow the entry that is largest, the first
// of equals; a NaN in the window is the result.
class MaxPool final : public OpRules<MaxPool> {
 public:
  static constexpr std::string_view kName = "max_pool";
  MaxPool(const Shape& x, const std::vector<Index>& kernel, const PoolOptions& options)
      : windows_(kName, x, kernel, options) {}

  Shape shape(std::span<const InputInfo>) const override { return windows_.out(); }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const double compared = static_cast<double>(out.size()) * static_cast<double>(windows_.taps());
    return {.value = compared, .tangent = compared, .pullback = 2 * compared};
  }
  bool curves(std::span<const InputInfo>) const override { return false; }
  OpTraits traits() const override { return {.keeps_zeros = true}; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    for (Index r = 0; r < y.rows; ++r) {
      each_largest(x.value_row(r), [&](const Window& window, Index channel, auto value, auto largest) {
        const Index out = window.out + channel;
        store(value, y.value_row(r) + out);
        for (Index k = 0; k < visit.tangents; ++k) {
          store(take(window, x.tangent_row(k, r) + channel, largest), y.tangent_row(k, r) + out);
          if (y.second) store(take(window, x.second_row(k, r) + channel, largest), y.second_row(k, r) + out);
        }
      });
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Jet<T>& x = visit.in[0];
    if (!target.accumulate) std::fill_n(target.data, x.rows * x.size, T{0});
    for (Index r = 0; r < visit.out.rows; ++r) {
      each_largest(x.value_row(r), [&](const Window& window, Index channel, auto, auto largest) {
        give(window, visit.cotangent + r * visit.out.size + window.out + channel, largest,
             target.data + x.row(r) + channel);
      });
    }
  }

 private:
  using Window = Windows::Window;

  // Calls visit(window, channel, largest value, number of the tap that has it) for every window and channel. Selections
  // stand in place of jumps, here and below.
  template <class T, class F>
  void each_largest(const T* x, F visit) const {
    windows_.each([&](const Window& window) {
      windows_.each_channel<T>([&](Index channel, auto zero) {
        using V = decltype(zero);
        V value = zero - std::numeric_limits<T>::infinity();
        V largest = zero - T{1};  // none yet
        windows_.each_tap(window, [&](Index number, Index entry) {
          const V other = load<V>(x + channel + entry);
          // A NaN displaces, and is not displaced; of −inf the first.
          const auto stays = ((other <= value) & (largest >= zero)) | (value != value);
          value = stays ? value : other;
          largest = stays ? largest : zero + static_cast<T>(number);
        });
        visit(window, channel, value, largest);
      });
    });
  }
  // The entry of x that is the largest.
  template <class T, class V>
  V take(const Window& window, const T* x, V largest) const {
    V taken{};
    windows_.each_tap(window, [&](Index number, Index entry) {
      taken = largest == V{} + static_cast<T>(number) ? load<V>(x + entry) : taken;
    });
    return taken;
  }
  // Its transpose.
  template <class T, class V>
  void give(const Window& window, const T* cotangent, V largest, T* x) const {
    windows_.each_tap(window, [&](Index number, Index entry) {
      const V given = largest == V{} + static_cast<T>(number) ? load<V>(cotangent) : V{};
      store<V>(load<V>(x + entry) + given, x + entry);
    });
  }
  Windows windows_;
};

// average: y = mean over the window, where the padding is 0 and counts or does not.
class AveragePool final : public LinearMap<AveragePool> {
 public:
  static constexpr std::string_view kName = "average_pool";
  AveragePool(const Shape& x, const std::vector<Index>& kernel, const PoolOptions& options)
      : windows_(kName, x, kernel, options), count_padding_(options.count_include_pad) {}

  Shape shape(std::span<const InputInfo>) const override { return windows_.out(); }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const double entries = static_cast<double>(out.size()) * static_cast<double>(windows_.taps());
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  OpTraits traits() const override { return {.keeps_zeros = true}; }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    windows_.each([&](const Windows::Window& window) {
      const T share = T{1} / static_cast<T>(count(window));
      windows_.each_channel<T>([&](Index channel, auto sum) {
        using V = decltype(sum);
        windows_.each_tap(window, [&](Index, Index entry) { sum += load<V>(in[0] + entry + channel); });
        store<V>(share * sum, out + window.out + channel);
      });
    });
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    windows_.each([&](const Windows::Window& window) {
      const T share = T{1} / static_cast<T>(count(window));
      windows_.each_tap(window, [&](Index, Index entry) {
        axpy(share, cotangent + window.out, target + entry, windows_.channels());
      });
    });
  }

 private:
  Index count(const Windows::Window& window) const {
    return count_padding_ ? windows_.with_padding(window) : window.inside();
  }

  Windows windows_;
  bool count_padding_;
};

// A square window of images.
std::vector<Index> square_of(Index size) {
  return {size, size};
}
PoolOptions stride_of(Index window, Index stride) {
  return {.strides = square_of(stride == 0 ? window : stride)};
}

}  // namespace

Node max_pool(const Node& x, const std::vector<Index>& kernel, const PoolOptions& options) {
  return Builder(x).apply(std::make_shared<MaxPool>(x.shape(), kernel, options), {x});
}
Node average_pool(const Node& x, const std::vector<Index>& kernel, const PoolOptions& options) {
  return Builder(x).apply(std::make_shared<AveragePool>(x.shape(), kernel, options), {x});
}
Node max_pool2d(const Node& x, Index window, Index stride) {
  return max_pool(x, square_of(window), stride_of(window, stride));
}
Node average_pool2d(const Node& x, Index window, Index stride) {
  return average_pool(x, square_of(window), stride_of(window, stride));
}

std::vector<OpEntry> pool_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"max_pool",
       {{"2 by 2", {4, 4, 2}, [](const Node& x) { return max_pool2d(square(x), 2); }},
        {"overlapping", {5, 4, 1}, [](const Node& x) { return max_pool2d(x, 3, 1); }},
        {"one axis, dilated, padded",
         {9, 3},
         [](const Node& x) {
           return max_pool(x, {3}, {.strides = {2}, .dilations = {2}, .pads_begin = {2}, .pads_end = {1}});
         }},
        {"three axes, parts of windows", {3, 4, 5, 9}, [](const Node& x) {
           return max_pool(square(x), {2, 2, 3}, {.strides = {2, 3, 2}, .pads_begin = {1, 0, 0}, .ceil_mode = true});
         }}}});
  ops.push_back({"average_pool",
                 {{"2 by 2", {4, 4, 2}, [](const Node& x) { return average_pool2d(square(x), 2); }},
                  {"overlapping", {5, 4, 1}, [](const Node& x) { return average_pool2d(x, 3, 1); }},
                  {"padding that counts, parts of windows",
                   {6, 4, 10},
                   [](const Node& x) {
                     return average_pool(square(x), {3, 2},
                                         {.strides = {2, 3},
                                          .pads_begin = {1, 1},
                                          .pads_end = {1, 0},
                                          .ceil_mode = true,
                                          .count_include_pad = true});
                   }},
                  {"three axes, dilated, padding that does not count", {3, 3, 4, 1}, [](const Node& x) {
                     return average_pool(x, {2, 2, 2}, {.dilations = {1, 2, 1}, .pads_end = {1, 1, 1}});
                   }}}});
  return ops;
}

}  // namespace slopewise
