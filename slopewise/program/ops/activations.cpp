// Smooth units that networks put after a linear map.
#include <cmath>
#include <numbers>
#include <type_traits>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/parts.hpp"

namespace slopewise {
namespace {

// Beyond this the normal distribution is 0 or 1 to the last bit, and powers of x may overflow.
template <class V>
constexpr V kSaturated = V{50};

// gelu: y = x Φ(x).  y′ = Φ + x φ,  y″ = φ (2 − x²), with Φ, φ the normal distribution and density.
// At −inf the value is −inf · 0, taken as 0; at +inf it is +inf with slope 1.
struct Gelu {
  static constexpr std::string_view kName = "gelu";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const bool saturated = std::abs(x) > kSaturated<V>;
    const V given = x;
    x = saturated ? V{1} : x;
    const Parts<V> square = product(x, x);
    const V bell = exp_minus(Parts<V>{square.high / V{2}, square.low / V{2}});  // √(2π) φ
    const V density = bell * static_cast<V>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    const V cumulative = normal_distribution(x, bell);
    const V slope = cumulative + x * density, curvature = density * (V{2} - square.high);
    const bool above = given > V{0};
    return {.value = saturated ? (above ? given : V{0}) : x * cumulative,
            .slope = saturated ? (above ? V{1} : V{0}) : slope,
            .curvature = saturated ? V{0} : curvature};
  }

 private:
  // Φ(x), where bell = e^(−x²/2). For float without a branch: erfc(z) = e^(−z²) t e^q(t) with t = 1 / (1 + z/2),
  // to 1.2e-7 of itself (Press et al. 1992, Numerical Recipes in C, section 6.2).
  template <class V>
  static V normal_distribution(V x, V bell) {
    if constexpr (std::is_same_v<V, float>) {
      const float t = 1 / (1 + std::abs(x) * static_cast<float>(std::numbers::sqrt2 / 4));
      float q = 0.17087277F;
      for (const float c : {-0.82215223F, 1.48851587F, -1.13520398F, 0.27886807F, -0.18628806F, 0.09678418F,
                            0.37409196F, 1.00002368F, -1.26551223F})
        q = std::fma(q, t, c);
      const float tail = t * bell * exponential(q) / 2;
      return x < 0 ? tail : 1 - tail;
    } else {
      const Parts<V> z = times(parts<V>(std::numbers::sqrt2_v<long double> / 2), x);
      const V cumulative = std::erfc(-z.high) / V{2};
      return x < V{-1} ? cumulative + z.low * bell * static_cast<V>(std::numbers::inv_sqrtpi) : cumulative;
    }
  }
};

// gelu, tanh form: y = x (1 + tanh(g / 2)) / 2 = x s with s = sigmoid(g), g = √(8/π) (x + 0.044715 x³).
// y′ = s + x s′ g′,  y″ = 2 s′ g′ + x (s″ g′² + s′ g″).  At ±inf as gelu.
struct GeluTanh {
  static constexpr std::string_view kName = "gelu_tanh";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    constexpr long double kLinear = 2 * std::numbers::sqrt2_v<long double> * std::numbers::inv_sqrtpi_v<long double>;
    constexpr Parts<V> linear = parts<V>(kLinear), cubic = parts<V>(kLinear * 0.044715L);
    // Chosen at the end and not by a branch, so that loops are vectorised.
    const bool saturated = std::abs(x) > kSaturated<V>;
    const V given = x;
    x = saturated ? V{1} : x;
    const V square = x * x;
    const V size = std::abs(x);
    // |g| = |x| (linear + cubic |x| |x|)
    const V e = exp_minus(times(sum(linear, times(times(cubic, size), size)), size));
    const V gate = (x < V{0} ? e : V{1}) / (V{1} + e);
    const V gate_slope = e / ((V{1} + e) * (V{1} + e));
    const V gate_curvature = gate_slope * (x < V{0} ? V{1} - e : e - V{1}) / (V{1} + e);
    const V inner_slope = linear.high + V{3} * cubic.high * square;
    const V inner_curvature = V{6} * cubic.high * x;
    const V slope = gate + x * gate_slope * inner_slope;
    const V curvature = V{2} * gate_slope * inner_slope +
                        x * (gate_curvature * inner_slope * inner_slope + gate_slope * inner_curvature);
    const bool above = given > V{0};
    return {.value = saturated ? (above ? given : V{0}) : x * gate,
            .slope = saturated ? (above ? V{1} : V{0}) : slope,
            .curvature = saturated ? V{0} : curvature};
  }
};

// tanh: y′ = 1 − y²,  y″ = −2 y (1 − y²).  At ±inf the value is ±1 and the slope 0.
// As y nears ±1 the slope is made from e = e^−2|x|, as 4 e / (1 + e)²; a pullback, which has y alone, knows it as well
// as y does.
struct Tanh {
  static constexpr std::string_view kName = "tanh";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    if (std::abs(x) < V{0.5}) {
      const V y = std::tanh(x);
      const V slope = slope_at_output(y);
      return {.value = y, .slope = slope, .curvature = V{-2} * y * slope};
    }
    const V e = std::exp(V{-2} * std::abs(x));
    const V y = std::copysign((V{1} - e) / (V{1} + e), x);
    const V slope = V{4} * e / ((V{1} + e) * (V{1} + e));
    return {.value = y, .slope = slope, .curvature = V{-2} * y * slope};
  }
  template <class V>
  V slope_at_output(V y) const {
    return (V{1} - y) * (V{1} + y);
  }
};

// sigmoid: y = 1 / (1 + e^−x).  y′ = y (1 − y),  y″ = y′ (1 − 2 y).
struct Sigmoid {
  static constexpr std::string_view kName = "sigmoid";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const V e = exponential(-std::abs(x));  // never overflows
    const V y = (x < V{0} ? e : V{1}) / (V{1} + e);
    const V slope = e / ((V{1} + e) * (V{1} + e));         // y (1 − y), without cancellation for large x
    const V tilt = std::expm1(-std::abs(x)) / (V{1} + e);  // −|1 − 2 y|, without cancellation for small x
    return {.value = y, .slope = slope, .curvature = slope * std::copysign(tilt, -x)};
  }
};

// softplus: y = log(1 + e^x).  y′ = sigmoid(x),  y″ = y′ (1 − y′).
struct Softplus {
  static constexpr std::string_view kName = "softplus";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const Local<V> gate = Sigmoid{}.local(x);
    const V value = (x > V{0} ? x : V{0}) + std::log1p(std::exp(-std::abs(x)));
    return {.value = std::isnan(x) ? x : value, .slope = gate.value, .curvature = gate.slope};
  }
};

// silu: y = x s with s = sigmoid(x).  y′ = s + x s′,  y″ = s′ (2 + x (1 − 2s)).  At ±inf as gelu.
struct Silu {
  static constexpr std::string_view kName = "silu";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const bool infinite = std::isinf(x);
    const V given = x;
    x = infinite ? V{1} : x;
    const Local<V> gate = Sigmoid{}.local(x);
    const V tilt = std::copysign(std::expm1(-std::abs(x)) / (V{1} + exponential(-std::abs(x))), -x);  // 1 − 2s
    const V slope = gate.value + x * gate.slope, curvature = gate.slope * (V{2} + x * tilt);
    const bool above = given > V{0};
    return {.value = infinite ? (above ? given : V{0}) : x * gate.value,
            .slope = infinite ? (above ? V{1} : V{0}) : slope,
            .curvature = infinite ? V{0} : curvature};
  }
};

// mish: y = x w with w = tanh(softplus(x)) = n / (n + 2), n = e^x (e^x + 2).  With s = sigmoid(x),
// w′ = (1 − w²) s, w″ = (1 − w²) (s′ − 2 w s²), and y′ = w + x w′,  y″ = 2 w′ + x w″.  At ±inf as gelu.
struct Mish {
  static constexpr std::string_view kName = "mish";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    if (std::isinf(x)) return {.value = x > V{0} ? x : V{0}, .slope = x > V{0} ? V{1} : V{0}, .curvature = V{0}};
    const Local<V> gate = Sigmoid{}.local(x);
    const V e = std::exp(-std::abs(x));  // n and n + 2, divided by e^2x where x > 0
    const V n = x > V{0} ? V{1} + V{2} * e : e * (e + V{2});
    const V rest = x > V{0} ? V{2} * e * e : V{2};
    const V w = n / (n + rest);
    const V flat = rest / (n + rest) * (V{1} + w);  // 1 − w²
    const V first = flat * gate.value;
    return {.value = x * w,
            .slope = w + x * first,
            .curvature = V{2} * first + x * (flat * (gate.slope - V{2} * w * gate.value * gate.value))};
  }
};

// softsign: y = x / (1 + |x|).  y′ = 1 / (1 + |x|)²,  y″ = −2 sign(x) / (1 + |x|)³, at 0 the mean of its two sides.
struct Softsign {
  static constexpr std::string_view kName = "softsign";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const V r = V{1} / (V{1} + std::abs(x));
    return {.value = std::isinf(x) ? std::copysign(V{1}, x) : x / (V{1} + std::abs(x)),
            .slope = r * r,
            .curvature = x == V{0} ? V{0} : std::copysign(V{2} * r * r * r, -x)};
  }
};

}  // namespace

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
Node silu(const Node& x) {
  return unary(x, Silu{});
}
Node mish(const Node& x) {
  return unary(x, Mish{});
}
Node softsign(const Node& x) {
  return unary(x, Softsign{});
}

std::vector<OpEntry> activations_examples() {
  return {elementwise_examples("gelu", gelu),         elementwise_examples("gelu_tanh", gelu_tanh),
          elementwise_examples("tanh", tanh),         elementwise_examples("sigmoid", sigmoid),
          elementwise_examples("softplus", softplus), elementwise_examples("silu", silu),
          elementwise_examples("mish", mish),         elementwise_examples("softsign", softsign, 0.1, 2)};
}

}  // namespace slopewise
