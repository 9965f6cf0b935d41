// Units made of pieces: linear ones, and linear ones that saturate as exponentials do.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/binary.hpp"
#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

// relu: y = max(x, 0).  At 0 the slope is 0; NaN stays NaN.
struct Relu {
  static constexpr std::string_view kName = "relu";
  static constexpr bool kPiecewiseLinear = true;
  template <class V>
  Local<V> local(V x) const {
    return {.value = x < V{0} ? V{0} : x, .slope = x > V{0} ? V{1} : V{0}, .curvature = V{0}};
  }
  template <class V>
  V slope_at_output(V y) const {
    return y > V{0} ? V{1} : V{0};
  }
};

// leaky relu: y = x for x > 0, a x otherwise.  At 0 the slope is a.
struct LeakyRelu {
  static constexpr std::string_view kName = "leaky_relu";
  static constexpr bool kPiecewiseLinear = true;
  double negative_slope;
  template <class V>
  Local<V> local(V x) const {
    const V slope = x > V{0} ? V{1} : static_cast<V>(negative_slope);
    return {.value = slope * x, .slope = slope, .curvature = V{0}};
  }
};

// prelu: the same with a an input.  f_a = x for x ≤ 0, and there f_xa = 1.
struct PRelu : PairRule {
  static constexpr std::string_view kName = "prelu";
  static constexpr bool kSlopesAtHand = true;
  static constexpr bool curves(bool x, bool slope) { return x && slope; }
  template <class V>
  PairLocal<V> local(V x, V a) const {
    const bool kept = x > V{0};
    return {.value = kept ? x : a * x,
            .slope_a = kept ? V{1} : a,
            .slope_b = kept ? V{0} : x,
            .curve_aa = V{0},
            .curve_ab = kept ? V{0} : V{1},
            .curve_bb = V{0}};
  }
};

// thresholded relu: y = x for x > a, 0 otherwise, at a too.
struct ThresholdedRelu {
  static constexpr std::string_view kName = "thresholded_relu";
  static constexpr bool kPiecewiseLinear = true;
  double alpha;
  template <class V>
  Local<V> local(V x) const {
    const bool zero = x <= static_cast<V>(alpha);
    return {.value = zero ? V{0} : x, .slope = zero ? V{0} : V{1}, .curvature = V{0}};
  }
};

// clip: y = min(max(x, low), high).  At the bounds, as beyond them, the slope is 0, as that of relu is.
struct Clip {
  static constexpr std::string_view kName = "clip";
  static constexpr bool kPiecewiseLinear = true;
  double low, high;
  template <class V>
  Local<V> local(V x) const {
    const V least = static_cast<V>(low), most = static_cast<V>(high);
    return {.value = x < least ? least : (x > most ? most : x),
            .slope = x > least && x < most ? V{1} : V{0},
            .curvature = V{0}};
  }
};

// hard sigmoid: y = min(max(a x + b, 0), 1).  Where it turns the slope is 0.
struct HardSigmoid {
  static constexpr std::string_view kName = "hard_sigmoid";
  static constexpr bool kPiecewiseLinear = true;
  double alpha, beta;
  template <class V>
  Local<V> local(V x) const {
    const V line = std::fma(static_cast<V>(alpha), x, static_cast<V>(beta));
    return {.value = line < V{0} ? V{0} : (line > V{1} ? V{1} : line),
            .slope = line > V{0} && line < V{1} ? static_cast<V>(alpha) : V{0},
            .curvature = V{0}};
  }
};

// hard swish: y = x min(max(x + 3, 0), 6) / 6.  Between −3 and 3, y′ = (2x + 3) / 6 and y″ = 1/3; at −3 the slope is 0,
// at 3 it is 1, and neither bends.
struct HardSwish {
  static constexpr std::string_view kName = "hard_swish";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const bool below = x <= V{-3}, above = x >= V{3};
    return {.value = below ? V{0} : (above ? x : x * (x + V{3}) / V{6}),
            .slope = below ? V{0} : (above ? V{1} : std::fma(V{2}, x, V{3}) / V{6}),
            .curvature = below || above ? V{0} : V{1} / V{3}};
  }
};

// shrink: y = x + b for x < −a, x − b for x > a, 0 between, at ±a too.
struct Shrink {
  static constexpr std::string_view kName = "shrink";
  static constexpr bool kPiecewiseLinear = true;
  double threshold, bias;
  template <class V>
  Local<V> local(V x) const {
    const bool zero = std::abs(x) <= static_cast<V>(threshold);
    return {.value = zero ? V{0} : x - std::copysign(static_cast<V>(bias), x),
            .slope = zero ? V{0} : V{1},
            .curvature = V{0}};
  }
};

// elu, celu, selu: y = s x for x > 0, s a (e^(x/c) − 1) otherwise.  y′ = (s a / c) e^(x/c), y″ = y′ / c; at 0 too.
// elu has c = s = 1, celu c = a and s = 1, selu c = 1.
template <class Name>
struct Exponential {
  static constexpr std::string_view kName = Name::kName;
  static constexpr bool kBoundedSlope = true;
  double alpha, width = 1, gain = 1;
  template <class V>
  Local<V> local(V x) const {
    const V s = static_cast<V>(gain), a = static_cast<V>(alpha), c = static_cast<V>(width);
    if (x > V{0}) return {.value = s * x, .slope = s, .curvature = V{0}};
    const V z = x / c;
    const V lost = std::isinf(z) ? V{0} : std::fma(-z, c, x) / c;
    const V power = std::exp(z);
    const V slope = s * (a / c) * (power + power * lost);
    return {.value = s * a * std::expm1(z), .slope = slope, .curvature = slope / c};
  }
};
struct EluName {
  static constexpr std::string_view kName = "elu";
};
struct CeluName {
  static constexpr std::string_view kName = "celu";
};
struct SeluName {
  static constexpr std::string_view kName = "selu";
};

}  // namespace

Node relu(const Node& x) {
  return unary(x, Relu{});
}
Node leaky_relu(const Node& x, double negative_slope) {
  return unary(x, LeakyRelu{negative_slope});
}
Node prelu(const Node& x, const Node& slope) {
  return binary<PRelu>(x, slope);
}
Node thresholded_relu(const Node& x, double alpha) {
  return unary(x, ThresholdedRelu{alpha});
}
Node clip(const Node& x, double low, double high) {
  if (!(low <= high)) throw ArgumentError(fmt::format("clip: expected low <= high, found {} and {}", low, high));
  return unary(x, Clip{low, high});
}
Node hard_sigmoid(const Node& x, double alpha, double beta) {
  return unary(x, HardSigmoid{alpha, beta});
}
Node hard_swish(const Node& x) {
  return unary(x, HardSwish{});
}
Node shrink(const Node& x, double threshold, double bias) {
  if (!(threshold >= 0))
    throw ArgumentError(fmt::format("shrink: expected a threshold from 0 on, found {}", threshold));
  return unary(x, Shrink{threshold, bias});
}
Node elu(const Node& x, double alpha) {
  return unary(x, Exponential<EluName>{.alpha = alpha});
}
Node celu(const Node& x, double alpha) {
  if (!(alpha > 0)) throw ArgumentError(fmt::format("celu: expected an alpha above 0, found {}", alpha));
  return unary(x, Exponential<CeluName>{.alpha = alpha, .width = alpha});
}
Node selu(const Node& x, double alpha, double gamma) {
  return unary(x, Exponential<SeluName>{.alpha = alpha, .gain = gamma});
}

std::vector<OpEntry> rectifiers_examples() {
  // The same on each piece, away from where they meet.
  const auto pieces = [](std::string name, Node (*f)(const Node&), std::vector<std::pair<double, double>> ranges) {
    OpEntry entry = elementwise_examples(std::move(name), f, ranges[0].first, ranges[0].second);
    for (std::size_t i = 1; i < ranges.size(); ++i)
      entry.examples.push_back({fmt::format("piece {}", i + 1), {5}, f, ranges[i].first, ranges[i].second});
    return entry;
  };
  std::vector<OpEntry> ops;
  ops.push_back(pieces("relu", relu, {{0.1, 2}, {-2, -0.1}}));
  ops.push_back(pieces("leaky_relu", [](const Node& x) { return leaky_relu(x, 0.3); }, {{0.1, 2}, {-2, -0.1}}));
  ops.push_back({"prelu",
                 {{"a number", {2, 3}, [](const Node& x) { return prelu(x, shared(x, "a", {}, 1)); }, 0.1, 2},
                  {"one a channel", {2, 3}, [](const Node& x) { return prelu(x, shared(x, "a", {3}, 3)); }, -2, -0.1},
                  {"one an example", {3}, [](const Node& x) { return prelu(x, square(x)); }, -2, -0.1},
                  {"empty", {0}, [](const Node& x) { return prelu(x, shared(x, "a", {1}, 1)); }}}});
  ops.push_back(
      pieces("thresholded_relu", [](const Node& x) { return thresholded_relu(x, 1); }, {{1.1, 2}, {-2, 0.9}}));
  ops.push_back(pieces("clip", [](const Node& x) { return clip(x, -1, 2); }, {{-0.9, 1.9}, {-2, -1.1}, {2.1, 3}}));
  ops.push_back(pieces("hard_sigmoid", [](const Node& x) { return hard_sigmoid(x, 0.25, 0.5); },
                       {{-1.9, 1.9}, {-4, -2.1}, {2.1, 4}}));
  ops.push_back(pieces("hard_swish", hard_swish, {{-2.9, 2.9}, {-5, -3.1}, {3.1, 5}}));
  ops.push_back(
      pieces("shrink", [](const Node& x) { return shrink(x, 0.5, 0.25); }, {{0.6, 2}, {-2, -0.6}, {-0.4, 0.4}}));
  ops.push_back(pieces("elu", [](const Node& x) { return elu(x, 1.5); }, {{-2, -0.1}, {0.1, 2}}));
  ops.push_back(pieces("celu", [](const Node& x) { return celu(x, 1.5); }, {{-2, -0.1}, {0.1, 2}}));
  ops.push_back(pieces("selu", [](const Node& x) { return selu(x); }, {{-2, -0.1}, {0.1, 2}}));
  return ops;
}

}  // namespace slopewise
