// conv of each channel by itself: y[p, c] = Σ_t w[c, t] x[p at t, c] + b[c], bilinear in x and w.
//   x̄[p at t, c] = Σ w[c, t] ȳ[p, c],  w̄[c, t] = Σ_p x[p at t, c] ȳ[p, c].
// A product for each channel would be as wide as one number; the loops here are over channels, a register's worth at
// a time, and read w with channels innermost.
#include "slopewise/program/ops/depthwise.hpp"

#include "slopewise/program/ops/bilinear.hpp"

namespace slopewise {
namespace {

class DepthwiseConv final : public OpRules<DepthwiseConv> {
 public:
  static constexpr std::string_view kName = "conv";
  DepthwiseConv(const Shape& x, const WindowAxes& axes)
      : axes_(axes), out_(windows_shape(axes, x, x[-1])), channels_(x[-1]) {
    for (const WindowAxis& axis : axes) taps_ *= axis.kernel;
  }

  Shape shape(std::span<const InputInfo> in) const override {
    check_bias(kName, in, channels_);
    return out_;
  }
  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const double product = 2 * static_cast<double>(out.size()) * static_cast<double>(taps_);
    return {.value = product,
            .tangent = product * (in[0].active + in[1].active),
            .pullback = product * (in[0].active + in[1].active)};
  }
  bool curves(std::span<const InputInfo> in) const override { return bilinear_curves(in); }
  // A weight with channels innermost, or its cotangent.
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize&) const override { return taps_ * channels_; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Index rows = visit.out.rows;
    push_bilinear(visit, [&](const T* x, const T* weight, T factor, bool accumulate, T* y) {
      turn(weight, visit.scratch);
      for (Index r = 0; r < rows; ++r) {
        convolve(x + visit.in[0].row(r), visit.scratch, factor, accumulate, y + r * visit.out.size);
      }
    });
    if (visit.in.size() > 2) push_bias(visit, visit.in[2]);
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Index rows = visit.out.rows;
    if (const Cotangent<T>& target = visit.in_cotangents[0]) {
      if (!target.accumulate) std::fill_n(target.data, x.rows * x.size, T{0});
      turn(visit.in[1].value, visit.scratch);
      for (Index r = 0; r < rows; ++r) {
        const T* c = visit.cotangent + r * visit.out.size;
        each_tap([&](Index position, Index entry, Index tap) {
          multiply_add(visit.scratch + tap * channels_, c + position * channels_,
                       target.data + x.row(r) + entry * channels_);
        });
      }
    }
    if (const Cotangent<T>& target = visit.in_cotangents[1]) {
      std::fill_n(visit.scratch, taps_ * channels_, T{0});
      for (Index r = 0; r < rows; ++r) {
        const T* c = visit.cotangent + r * visit.out.size;
        each_tap([&](Index position, Index entry, Index tap) {
          multiply_add(x.value_row(r) + entry * channels_, c + position * channels_, visit.scratch + tap * channels_);
        });
      }
      for (Index i = 0; i < taps_ * channels_; ++i) {
        T& to = target.data[i % channels_ * taps_ + i / channels_];
        to = (target.accumulate ? to : T{0}) + visit.scratch[i];
      }
    }
    if (visit.in.size() > 2) pull_bias(visit, 2);
  }

 private:
  // (channels, taps) to (taps, channels).
  template <class T>
  void turn(const T* weight, T* turned) const {
    for (Index c = 0; c < channels_; ++c) {
      for (Index t = 0; t < taps_; ++t) turned[t * channels_ + c] = weight[c * taps_ + t];
    }
  }
  // y += a b, channel by channel.
  template <class T>
  void multiply_add(const T* a, const T* b, T* y) const {
    for (Index c = 0; c < channels_; ++c) y[c] += a[c] * b[c];
  }

  // Calls visit(position) for all positions, in order, with what each_tap_of takes.
  template <class F>
  void each_position(F visit) const {
    std::array<Index, 3> at;
    for (at[0] = 0; at[0] < axes_[0].out; ++at[0]) {
      for (at[1] = 0; at[1] < axes_[1].out; ++at[1]) {
        for (at[2] = 0; at[2] < axes_[2].out; ++at[2]) visit(at);
      }
    }
  }
  // Calls visit(entry of x, tap) for the taps of a window that lie inside.
  template <class F>
  void each_tap_of(const std::array<Index, 3>& at, F visit) const {
    const auto& [depth, height, width] = axes_;
    const Index first = width.first_tap(at[2]), last = width.last_tap(at[2]);
    for (Index kz = depth.first_tap(at[0]); kz < depth.last_tap(at[0]); ++kz) {
      for (Index ky = height.first_tap(at[1]); ky < height.last_tap(at[1]); ++ky) {
        const Index line = (depth.entry(at[0], kz) * height.extent + height.entry(at[1], ky)) * width.extent;
        const Index tap = (kz * height.kernel + ky) * width.kernel;
        for (Index kx = first; kx < last; ++kx) visit(line + width.entry(at[2], kx), tap + kx);
      }
    }
  }
  // Calls visit(position, entry of x, tap) for all of them.
  template <class F>
  void each_tap(F visit) const {
    Index position = 0;
    each_position([&](const std::array<Index, 3>& at) {
      each_tap_of(at, [&](Index entry, Index tap) { visit(position, entry, tap); });
      ++position;
    });
  }

  template <class T>
  void convolve(const T* x, const T* weight, T factor, bool accumulate, T* y) const {
    constexpr Index kTogether = 4;  // registers, so that finding a window's taps costs little
    each_position([&](const std::array<Index, 3>& at) {
      const auto channels_from = [&]<class V, Index kCount>(Index first) {
        constexpr Index kStep = static_cast<Index>(sizeof(V) / sizeof(T));
        V sums[kCount] = {};
        each_tap_of(at, [&](Index entry, Index tap) {
          const T *from = x + entry * channels_ + first, *by = weight + tap * channels_ + first;
          for (Index i = 0; i < kCount; ++i) sums[i] += load<V>(from + i * kStep) * load<V>(by + i * kStep);
        });
        for (Index i = 0; i < kCount; ++i) {
          T* to = y + first + i * kStep;
          store<V>(accumulate ? load<V>(to) + factor * sums[i] : factor * sums[i], to);
        }
      };
      constexpr Index kLane = kLanes<T>;
      Index c = 0;
      for (; c + kTogether * kLane <= channels_; c += kTogether * kLane)
        channels_from.template operator()<Lanes<T>, kTogether>(c);
      for (; c + kLane <= channels_; c += kLane) channels_from.template operator()<Lanes<T>, 1>(c);
      for (; c < channels_; ++c) channels_from.template operator()<T, 1>(c);
      y += channels_;
    });
  }

  WindowAxes axes_;
  Shape out_;
  Index channels_;
  Index taps_ = 1;
};

}  // namespace

std::shared_ptr<const Op> depthwise_conv(const Shape& x, const WindowAxes& axes) {
  return std::make_shared<DepthwiseConv>(x, axes);
}

}  // namespace slopewise
