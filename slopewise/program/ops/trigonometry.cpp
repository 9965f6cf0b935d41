// sin, cos, tan, sinh, cosh and their inverses. Formulas of slopes as in dual/functions.hpp.
#include <cmath>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

// sin: y′ = cos x,  y″ = −y.
struct Sin {
  static constexpr std::string_view kName = "sin";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const V y = std::sin(x);
    return {.value = y, .slope = std::cos(x), .curvature = -y};
  }
};

// cos: y′ = −sin x,  y″ = −y.
struct Cos {
  static constexpr std::string_view kName = "cos";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const V y = std::cos(x);
    return {.value = y, .slope = -std::sin(x), .curvature = -y};
  }
};

// tan: y′ = 1 + y²,  y″ = 2 y y′.
struct Tan {
  static constexpr std::string_view kName = "tan";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::tan(x);
    const V slope = slope_at_output(y);
    return {.value = y, .slope = slope, .curvature = V{2} * y * slope};
  }
  template <class V>
  V slope_at_output(V y) const {
    return V{1} + y * y;
  }
};

// asin, acos: y′ = ±1 / √(1 − x²),  y″ = y′ x / (1 − x²).  At ±1 the slope is infinite; fma rounds 1 − x² once, however
// near 1 x is.
template <int Sign>
struct ArcSin {
  static constexpr std::string_view kName = Sign > 0 ? "asin" : "acos";
  template <class V>
  Local<V> local(V x) const {
    const V rest = std::fma(-x, x, V{1});
    const V slope = V{Sign} / std::sqrt(rest);
    return {.value = Sign > 0 ? std::asin(x) : std::acos(x), .slope = slope, .curvature = slope * (x / rest)};
  }
};

// atan: y′ = 1 / (1 + x²),  y″ = −2 x y′².
struct Atan {
  static constexpr std::string_view kName = "atan";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const V r = std::hypot(V{1}, x);
    const V slope = V{1} / r / r;
    return {.value = std::atan(x), .slope = slope, .curvature = V{-2} * (x / r / r) * slope};
  }
};

// sinh: y′ = cosh x,  y″ = y.
struct Sinh {
  static constexpr std::string_view kName = "sinh";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::sinh(x);
    return {.value = y, .slope = std::cosh(x), .curvature = y};
  }
};

// cosh: y′ = sinh x,  y″ = y.
struct Cosh {
  static constexpr std::string_view kName = "cosh";
  template <class V>
  Local<V> local(V x) const {
    const V y = std::cosh(x);
    return {.value = y, .slope = std::sinh(x), .curvature = y};
  }
};

// asinh: y′ = 1 / √(1 + x²),  y″ = −x y′³.
struct Asinh {
  static constexpr std::string_view kName = "asinh";
  static constexpr bool kBoundedSlope = true;
  template <class V>
  Local<V> local(V x) const {
    const V slope = V{1} / std::hypot(V{1}, x);
    return {.value = std::asinh(x), .slope = slope, .curvature = -(x * slope) * slope * slope};
  }
};

// acosh: y′ = 1 / √(x² − 1),  y″ = −x y′³.  At 1 the slope is +inf.
struct Acosh {
  static constexpr std::string_view kName = "acosh";
  template <class V>
  Local<V> local(V x) const {
    const V slope = V{1} / (std::sqrt(x - V{1}) * std::sqrt(x + V{1}));
    return {.value = std::acosh(x), .slope = slope, .curvature = -(x * slope) / ((x - V{1}) * (x + V{1}))};
  }
};

// atanh: y′ = 1 / (1 − x²),  y″ = 2 x y′².  At ±1 the slope is +inf.
struct Atanh {
  static constexpr std::string_view kName = "atanh";
  template <class V>
  Local<V> local(V x) const {
    const V slope = V{1} / std::fma(-x, x, V{1});
    const V y = std::atanh(x);
    return {.value = y, .slope = std::isnan(y) ? y : slope, .curvature = V{2} * x * slope * slope};
  }
};

}  // namespace

Node sin(const Node& x) {
  return unary(x, Sin{});
}
Node cos(const Node& x) {
  return unary(x, Cos{});
}
Node tan(const Node& x) {
  return unary(x, Tan{});
}
Node asin(const Node& x) {
  return unary(x, ArcSin<1>{});
}
Node acos(const Node& x) {
  return unary(x, ArcSin<-1>{});
}
Node atan(const Node& x) {
  return unary(x, Atan{});
}
Node sinh(const Node& x) {
  return unary(x, Sinh{});
}
Node cosh(const Node& x) {
  return unary(x, Cosh{});
}
Node asinh(const Node& x) {
  return unary(x, Asinh{});
}
Node acosh(const Node& x) {
  return unary(x, Acosh{});
}
Node atanh(const Node& x) {
  return unary(x, Atanh{});
}

std::vector<OpEntry> trigonometry_examples() {
  return {elementwise_examples("sin", sin),
          elementwise_examples("cos", cos),
          elementwise_examples("tan", tan, -1, 1),
          elementwise_examples("asin", asin, -0.8, 0.8),
          elementwise_examples("acos", acos, -0.8, 0.8),
          elementwise_examples("atan", atan),
          elementwise_examples("sinh", sinh),
          elementwise_examples("cosh", cosh),
          elementwise_examples("asinh", asinh),
          elementwise_examples("acosh", acosh, 1.5, 3),
          elementwise_examples("atanh", atanh, -0.7, 0.7)};
}

}  // namespace slopewise
