// Pooling over windows of x (height, width, channels).
#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Max pooling numbers a window's entries in float, exact below 2^24.
constexpr Index kLargestWindow = 4096;

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
    if (window > kLargestWindow) {
      throw ShapeError(fmt::format("{}: expected a window of at most {}, found {}", op, kLargestWindow, window));
    }
    height = x[0];
    width = x[1];
    channels = x[2];
    out_height = (height - window) / stride + 1;
    out_width = (width - window) / stride + 1;
  }
  Shape out() const { return {out_height, out_width, channels}; }

  // Calls visit(output entry, input entry) for the first channel of every window.
  template <class F>
  void each(F visit) const {
    for (Index oy = 0; oy < out_height; ++oy) {
      for (Index ox = 0; ox < out_width; ++ox) {
        visit((oy * out_width + ox) * channels, (oy * width + ox) * stride * channels);
      }
    }
  }
  // Calls visit(number, input entry) for every entry of a window after its first, in order, with entries counted from
  // the first.
  template <class F>
  void each_other(F visit) const {
    for (Index number = 1; number < window * window; ++number) {
      visit(number, (number / window * width + number % window) * channels);
    }
  }
  // Calls visit(first channel, V()) for the channels, V being a register's worth of them or a single one.
  template <class T, class F>
  void each_channel(F visit) const {
    Index c = 0;
    for (; c + kLanes<T> <= channels; c += kLanes<T>) visit(c, Lanes<T>{});
    for (; c < channels; ++c) visit(c, T{});
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
    const double compared = static_cast<double>(out.size()) * static_cast<double>(windows_.window * windows_.window);
    return {.value = compared, .tangent = compared, .pullback = 2 * compared};
  }
  bool curves(std::span<const InputInfo>) const override { return false; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    for (Index r = 0; r < y.rows; ++r) {
      each_largest(x.value_row(r), [&](Index out, Index in, auto value, auto largest) {
        store(value, y.value_row(r) + out);
        for (Index k = 0; k < visit.tangents; ++k) {
          store(take(x.tangent_row(k, r) + in, largest), y.tangent_row(k, r) + out);
          if (y.second) store(take(x.second_row(k, r) + in, largest), y.second_row(k, r) + out);
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
      each_largest(x.value_row(r), [&](Index out, Index in, auto, auto largest) {
        give(visit.cotangent + r * visit.out.size + out, largest, target.data + x.row(r) + in);
      });
    }
  }

 private:
  // Calls visit(output entry, input entry, largest value, number of the entry that has it) for every window. Selections
  // stand in place of jumps, here and below.
  template <class T, class F>
  void each_largest(const T* x, F visit) const {
    windows_.each([&](Index out, Index in) {
      windows_.each_channel<T>([&](Index channel, auto zero) {
        using V = decltype(zero);
        V value = load<V>(x + in + channel);
        V largest = zero;
        windows_.each_other([&](Index number, Index entry) {
          const V other = load<V>(x + in + channel + entry);
          const auto stays = (other <= value) | (value != value);  // a NaN displaces, and is not displaced
          value = stays ? value : other;
          largest = stays ? largest : zero + static_cast<T>(number);
        });
        visit(out + channel, in + channel, value, largest);
      });
    });
  }
  // The entry of x that is the largest.
  template <class T, class V>
  V take(const T* x, V largest) const {
    V taken = load<V>(x);
    windows_.each_other([&](Index number, Index entry) {
      taken = largest == V{} + static_cast<T>(number) ? load<V>(x + entry) : taken;
    });
    return taken;
  }
  // Its transpose.
  template <class T, class V>
  void give(const T* cotangent, V largest, T* x) const {
    const auto give_to = [&](Index number, Index entry) {
      const V given = largest == V{} + static_cast<T>(number) ? load<V>(cotangent) : V{};
      store<V>(load<V>(x + entry) + given, x + entry);
    };
    give_to(0, 0);
    windows_.each_other(give_to);
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
    windows_.each([&](Index to, Index from) {
      windows_.each_channel<T>([&](Index channel, auto sum) {
        using V = decltype(sum);
        const T* first = in[0] + from + channel;
        sum = load<V>(first);
        windows_.each_other([&](Index, Index entry) { sum += load<V>(first + entry); });
        store<V>(share * sum, out + to + channel);
      });
    });
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    const T share = T{1} / static_cast<T>(windows_.window * windows_.window);
    windows_.each([&](Index from, Index to) {
      axpy(share, cotangent + from, target + to, windows_.channels);
      windows_.each_other(
          [&](Index, Index entry) { axpy(share, cotangent + from, target + to + entry, windows_.channels); });
    });
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

std::vector<OpEntry> pool_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"max_pool",
                 {{"2 by 2", {4, 4, 2}, [](const Node& x) { return max_pool(square(x), 2); }},
                  {"overlapping", {5, 4, 1}, [](const Node& x) { return max_pool(x, 3, 1); }}}});
  ops.push_back({"average_pool",
                 {{"2 by 2", {4, 4, 2}, [](const Node& x) { return average_pool(square(x), 2); }},
                  {"overlapping", {5, 4, 1}, [](const Node& x) { return average_pool(x, 3, 1); }}}});
  return ops;
}

}  // namespace slopewise
