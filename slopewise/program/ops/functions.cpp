// The functions of one number, entry by entry.
#include <cmath>
#include <numbers>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/parts.hpp"

namespace slopewise {
namespace {

// abs: y = |x|.  At 0 the slope is 0, the mean of its two sides.
struct Abs {
  static constexpr std::string_view kName = "abs";
  static constexpr bool kPiecewiseLinear = true;
  template <class V>
  Local<V> local(V x) const {
    return {.value = std::abs(x), .slope = x > V{0} ? V{1} : (x < V{0} ? V{-1} : V{0}), .curvature = V{0}};
  }
};

// Steps: y = step(x), without slope; NaN stays NaN.
template <class Step>
struct Steps {
  static constexpr std::string_view kName = Step::kName;
  static constexpr bool kFlat = true, kPiecewiseLinear = true;
  template <class V>
  Local<V> local(V x) const {
    return {.value = Step::of(x), .slope = V{0}, .curvature = V{0}};
  }
};
struct Sign {
  static constexpr std::string_view kName = "sign";
  template <class V>
  static V of(V x) {
    return x > V{0} ? V{1} : (x < V{0} ? V{-1} : x);
  }
};
struct Floor {
  static constexpr std::string_view kName = "floor";
  template <class V>
  static V of(V x) {
    return std::floor(x);
  }
};
struct Ceil {
  static constexpr std::string_view kName = "ceil";
  template <class V>
  static V of(V x) {
    return std::ceil(x);
  }
};
struct Round {
  static constexpr std::string_view kName = "round";
  template <class V>
  static V of(V x) {
    return std::nearbyint(x);
  }
};

// reciprocal: y = 1 / x.  y′ = −y²,  y″ = 2 y³.  At 0 both are infinite.
struct Reciprocal {
  static constexpr std::string_view kName = "reciprocal";
  template <class V>
  Local<V> local(V x) const {
    const V y = V{1} / x;
    return {.value = y, .slope = -y * y, .curvature = V{2} * (y * y) * y};
  }
  template <class V>
  V slope_at_output(V y) const {
    return -y * y;
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

// log: y′ = 1 / x,  y″ = −1 / x².  At 0 the value is −inf and the slope +inf; below 0 all are NaN. Adding 0 takes the
// sign from −0, here and below.
struct Log {
  static constexpr std::string_view kName = "log";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::log(x);
    const V slope = x < V{0} ? y : V{1} / (x + V{0});
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
    return {.value = y, .slope = slope, .curvature = -slope / (V{2} * (x + V{0}))};
  }
  template <class V>
  V slope_at_output(V y) const {
    return V{0.5} / (y + V{0});
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

// erf: y′ = 2/√π e^(−x²),  y″ = −2 x y′.
struct Erf {
  static constexpr std::string_view kName = "erf";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    constexpr V kFactor = static_cast<V>(2 * std::numbers::inv_sqrtpi_v<long double>);
    const V slope = std::abs(x) > V{50} ? V{0} : kFactor * exp_minus(product(x, x));
    return {.value = std::erf(x), .slope = slope, .curvature = slope == V{0} ? V{0} : V{-2} * x * slope};
  }
};

}  // namespace

Node neg(const Node& x) {
  return scale(x, -1);
}
Node abs(const Node& x) {
  return unary(x, Abs{});
}
Node sign(const Node& x) {
  return unary(x, Steps<Sign>{});
}
Node floor(const Node& x) {
  return unary(x, Steps<Floor>{});
}
Node ceil(const Node& x) {
  return unary(x, Steps<Ceil>{});
}
Node round(const Node& x) {
  return unary(x, Steps<Round>{});
}
Node reciprocal(const Node& x) {
  return unary(x, Reciprocal{});
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
Node erf(const Node& x) {
  return unary(x, Erf{});
}

std::vector<OpEntry> functions_examples() {
  std::vector<OpEntry> ops{elementwise_examples("abs", abs, 0.1, 2),
                           elementwise_examples("reciprocal", reciprocal, 0.5, 3),
                           elementwise_examples("exp", exp),
                           elementwise_examples("log", log, 0.5, 3),
                           elementwise_examples("sqrt", sqrt, 0.5, 3),
                           elementwise_examples("square", square),
                           elementwise_examples("erf", erf)};
  ops[0].examples.push_back({"negative", {5}, abs, -2, -0.1});
  const auto steps = [&](std::string name, Node (*f)(const Node&)) {
    ops.push_back(elementwise_examples(std::move(name), f, 0.1, 0.4));
    ops.back().examples.push_back(
        {"times what varies", {5}, [=](const Node& x) { return x * f(square(x)); }, 0.1, 0.4});
  };
  steps("sign", sign);
  steps("floor", floor);
  steps("ceil", ceil);
  steps("round", round);
  return ops;
}

}  // namespace slopewise
