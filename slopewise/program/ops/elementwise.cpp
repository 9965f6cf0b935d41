#include "slopewise/program/ops/elementwise.hpp"

#include <cmath>
#include <numbers>

#include "slopewise/program/ops.hpp"

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

// Beyond this the normal distribution is 0 or 1 to the last bit, and powers of x may overflow.
template <class V>
constexpr V kSaturated = V{50};

// gelu: y = x Φ(x).  y′ = Φ + x φ,  y″ = φ (2 − x²), with Φ, φ the normal distribution and density.
// At −inf the value is −inf · 0, taken as 0; at +inf it is +inf with slope 1.
struct Gelu {
  static constexpr std::string_view kName = "gelu";
  template <class V>
  Local<V> local(V x) const {
    if (std::abs(x) > kSaturated<V>) {
      return {.value = x > V{0} ? x : V{0}, .slope = x > V{0} ? V{1} : V{0}, .curvature = V{0}};
    }
    const V cumulative = std::erfc(-x * static_cast<V>(std::numbers::sqrt2 / 2)) / V{2};
    const V density = std::exp(-x * x / V{2}) * static_cast<V>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    return {.value = x * cumulative, .slope = cumulative + x * density, .curvature = density * (V{2} - x * x)};
  }
};

// gelu, tanh form: y = x (1 + t) / 2, t = tanh(g), g = √(2/π) (x + 0.044715 x³).
// y′ = (1 + t) / 2 + x d g′ / 2,  y″ = d g′ + x (d g″ − 2 t d g′²) / 2,  d = 1 − t².  At ±inf as gelu.
struct GeluTanh {
  static constexpr std::string_view kName = "gelu_tanh";
  template <class V>
  Local<V> local(V x) const {
    if (std::abs(x) > kSaturated<V>) {
      return {.value = x > V{0} ? x : V{0}, .slope = x > V{0} ? V{1} : V{0}, .curvature = V{0}};
    }
    const V root = static_cast<V>(std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
    const V cubic = static_cast<V>(0.044715);
    const V t = std::tanh(root * x * (V{1} + cubic * x * x));
    const V d = V{1} - t * t;
    const V inner = root * (V{1} + V{3} * cubic * x * x);
    const V inner_slope = root * V{6} * cubic * x;
    return {.value = x * (V{1} + t) / V{2},
            .slope = (V{1} + t + x * d * inner) / V{2},
            .curvature = d * inner + x * (d * inner_slope - V{2} * t * d * inner * inner) / V{2}};
  }
};

// tanh: y′ = 1 − y²,  y″ = −2 y (1 − y²).  At ±inf the value is ±1 and the slope 0.
struct Tanh {
  static constexpr std::string_view kName = "tanh";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::tanh(x);
    const V slope = slope_at_output(y);
    return {.value = y, .slope = slope, .curvature = V{-2} * y * slope};
  }
  template <class V>
  V slope_at_output(V y) const {
    return V{1} - y * y;
  }
};

// sigmoid: y = 1 / (1 + e^−x).  y′ = y (1 − y),  y″ = y′ (1 − 2 y).
struct Sigmoid {
  static constexpr std::string_view kName = "sigmoid";
  template <class V>
  Local<V> local(V x) const {
    const V e = std::exp(-std::abs(x));  // never overflows
    const V y = (x < V{0} ? e : V{1}) / (V{1} + e);
    const V slope = e / ((V{1} + e) * (V{1} + e));  // y (1 − y), without cancellation for large x
    return {.value = y, .slope = slope, .curvature = slope * (V{1} - V{2} * y)};
  }
};

// softplus: y = log(1 + e^x).  y′ = sigmoid(x),  y″ = y′ (1 − y′).
struct Softplus {
  static constexpr std::string_view kName = "softplus";
  template <class V>
  Local<V> local(V x) const {
    const Local<V> gate = Sigmoid{}.local(x);
    const V value = (x > V{0} ? x : V{0}) + std::log1p(std::exp(-std::abs(x)));
    return {.value = std::isnan(x) ? x : value, .slope = gate.value, .curvature = gate.slope};
  }
};

// exp: y′ = y″ = y.
struct Exp {
  static constexpr std::string_view kName = "exp";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::exp(x);
    return {.value = y, .slope = y, .curvature = y};
  }
  template <class V>
  V slope_at_output(V y) const {
    return y;
  }
};

// log: y′ = 1 / x,  y″ = −1 / x².  At 0 the value is −inf and the slope +inf; below 0 all are NaN.
struct Log {
  static constexpr std::string_view kName = "log";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::log(x);
    const V slope = x < V{0} ? y : V{1} / x;
    return {.value = y, .slope = slope, .curvature = -slope * slope};
  }
};

// sqrt: y′ = 1 / (2 y),  y″ = −y′ / (2 x).  At 0 the slope is +inf; below 0 all are NaN.
struct Sqrt {
  static constexpr std::string_view kName = "sqrt";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::sqrt(x);
    const V slope = slope_at_output(y);
    return {.value = y, .slope = slope, .curvature = -slope / (V{2} * x)};
  }
  template <class V>
  V slope_at_output(V y) const {
    return V{0.5} / y;
  }
};

// square: y = x²,  y′ = 2 x,  y″ = 2.
struct Square {
  static constexpr std::string_view kName = "square";
  template <class V>
  Local<V> local(V x) const {
    return {.value = x * x, .slope = V{2} * x, .curvature = V{2}};
  }
};

}  // namespace

Node relu(const Node& x) {
  return unary(x, Relu{});
}
Node leaky_relu(const Node& x, double negative_slope) {
  return unary(x, LeakyRelu{negative_slope});
}
Node gelu(const Node& x) {
  return unary(x, Gelu{});
}
Node gelu_tanh(const Node& x) {
  return unary(x, GeluTanh{});
}
Node tanh(const Node& x) {
  return unary(x, Tanh{});
}
Node sigmoid(const Node& x) {
  return unary(x, Sigmoid{});
}
Node softplus(const Node& x) {
  return unary(x, Softplus{});
}
Node exp(const Node& x) {
  return unary(x, Exp{});
}
Node log(const Node& x) {
  return unary(x, Log{});
}
Node sqrt(const Node& x) {
  return unary(x, Sqrt{});
}
Node square(const Node& x) {
  return unary(x, Square{});
}

}  // namespace slopewise
