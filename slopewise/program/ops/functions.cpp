// The functions of one number, entry by entry.
#include <cmath>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

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

}  // namespace

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

std::vector<OpEntry> functions_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(elementwise_examples("exp", exp));
  ops.push_back(elementwise_examples("log", log, 0.5, 3));
  ops.push_back(elementwise_examples("sqrt", sqrt, 0.5, 3));
  ops.push_back(elementwise_examples("square", square));
  return ops;
}

}  // namespace slopewise
