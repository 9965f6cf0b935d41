// Closed forms in 113 bits of the ops that act entry by entry.
#pragma once

#include <limits>
#include <map>
#include <string>

#include "slopewise/program/ops.hpp"
#include "tests/accuracy.hpp"

namespace slopewise {

// What is compared: f, f′ on the way forward, f″, and f′ on the way back; the largest of the terms that a slope and a
// second derivative are sums of, where they may cancel.
struct ExactLocal {
  Quad value, slope, curvature;
  Quad slope_term = 0, curvature_term = 0;
};
// In units in the last place.
struct LocalLimits {
  double value = 4, slope = 4, curvature = 8, pullback = 4;
  // What is smaller than this many of the smallest normal numbers is left out: it has factors that are subnormal.
  double least = 0;
};
struct UnaryReference {
  Node (*op)(const Node&);
  ExactLocal (*exact)(Quad);
  LocalLimits limits = {};
};

inline Quad quad_sigmoid(Quad x) {
  return x < 0 ? expq(x) / (1 + expq(x)) : 1 / (1 + expq(-x));
}

inline constexpr double kAnything = std::numeric_limits<double>::infinity();

inline std::map<std::string, UnaryReference> unary_references() {
  return {
      {"relu",
       {relu,
        [](Quad x) {
          return ExactLocal{x > 0 ? x : 0, Quad(x > 0), 0};
        }}},
      {"leaky_relu",
       {[](const Node& x) { return leaky_relu(x, 0.25); },
        [](Quad x) {
          return ExactLocal{x > 0 ? x : x / 4, x > 0 ? Quad(1) : Quad(0.25), 0};
        }}},
      // The C library's erfc is off by up to 5 units.
      {"gelu",
       {gelu,
        [](Quad x) {
          const Quad cumulative = erfcq(-x / sqrtq(2)) / 2, density = expq(-x * x / 2) / sqrtq(8 * atanq(1));
          return ExactLocal{x * cumulative, cumulative + x * density, density * (2 - x * x), cumulative, 2 * density};
        },
        {.value = 8, .slope = 8, .pullback = 8, .least = 4096}}},
      {"gelu_tanh",
       {gelu_tanh,
        [](Quad x) {
          const Quad root = 2 * sqrtq(2) / sqrtq(4 * atanq(1)), cubic = Quad(44715) / 1000000;
          const Quad g = root * (x + cubic * x * x * x), g1 = root * (1 + 3 * cubic * x * x), g2 = 6 * root * cubic * x;
          const Quad s = quad_sigmoid(g), s1 = s * quad_sigmoid(-g), s2 = s1 * tanhq(-g / 2);
          return ExactLocal{x * s, s + x * s1 * g1, 2 * s1 * g1 + x * (s2 * g1 * g1 + s1 * g2),
                            fmaxq(s, fabsq(x * s1 * g1)), 2 * s1 * g1};
        },
        {.least = 4096}}},
      // The pullback has y alone, which near ±1 no longer tells 1 − y.
      {"tanh",
       {tanh,
        [](Quad x) {
          const Quad y = tanhq(x), slope = 1 / (coshq(x) * coshq(x));
          return ExactLocal{y, slope, -2 * y * slope};
        },
        {.pullback = kAnything}}},
      {"sigmoid",
       {sigmoid,
        [](Quad x) {
          const Quad y = quad_sigmoid(x), slope = y * quad_sigmoid(-x);
          return ExactLocal{y, slope, -slope * tanhq(x / 2)};
        }}},
      {"softplus",
       {softplus,
        [](Quad x) {
          const Quad y = quad_sigmoid(x);
          return ExactLocal{(x > 0 ? x : 0) + log1pq(expq(-fabsq(x))), y, y * quad_sigmoid(-x)};
        }}},
      {"exp",
       {exp,
        [](Quad x) {
          return ExactLocal{expq(x), expq(x), expq(x)};
        }}},
      {"log",
       {log,
        [](Quad x) {
          return ExactLocal{logq(x), 1 / x, -1 / (x * x)};
        }}},
      {"sqrt",
       {sqrt,
        [](Quad x) {
          return ExactLocal{sqrtq(x), 1 / (2 * sqrtq(x)), -1 / (4 * x * sqrtq(x))};
        }}},
      {"square",
       {square,
        [](Quad x) {
          return ExactLocal{x * x, 2 * x, 2};
        }}},
      // Units of pieces: at a point where pieces meet, the slope that the rule says.
      {"thresholded_relu",
       {[](const Node& x) { return thresholded_relu(x, 1); },
        [](Quad x) {
          return ExactLocal{x > 1 ? x : 0, Quad(x > 1), 0};
        }}},
      {"clip",
       {[](const Node& x) { return clip(x, -1, 2); },
        [](Quad x) {
          return ExactLocal{fminq(fmaxq(x, -1), 2), Quad(x > -1 && x < 2), 0};
        }}},
      {"hard_sigmoid",
       {[](const Node& x) { return hard_sigmoid(x, 0.25, 0.5); },
        [](Quad x) {
          return ExactLocal{fminq(fmaxq(x / 4 + Quad(0.5), 0), 1), x > -2 && x < 2 ? Quad(0.25) : 0, 0};
        }}},
      {"hard_swish",
       {hard_swish,
        [](Quad x) {
          const bool inside = x > -3 && x < 3;
          return ExactLocal{inside ? x * (x + 3) / 6 : fmaxq(x, 0) * (x > 0), inside ? (2 * x + 3) / 6 : Quad(x > 0),
                            inside ? Quad(1) / 3 : 0};
        }}},
      {"shrink",
       {[](const Node& x) { return shrink(x, 0.5, 0.25); },
        [](Quad x) {
          const Quad half = 0.5, bias = 0.25;
          return ExactLocal{x > half ? x - bias : (x < -half ? x + bias : 0), Quad(fabsq(x) > half), 0};
        }}},
      {"elu",
       {[](const Node& x) { return elu(x, 1.5); },
        [](Quad x) {
          const Quad a = 1.5;
          return x > 0 ? ExactLocal{x, 1, 0} : ExactLocal{a * expm1q(x), a * expq(x), a * expq(x)};
        }}},
      {"celu",
       {[](const Node& x) { return celu(x, 1.75); },
        [](Quad x) {
          const Quad a = 1.75;
          return x > 0 ? ExactLocal{x, 1, 0} : ExactLocal{a * expm1q(x / a), expq(x / a), expq(x / a) / a};
        },
        {.least = 64}}},
      {"selu",
       {[](const Node& x) { return selu(x, 1.5, 1.25); },
        [](Quad x) {
          const Quad s = 1.25, sa = 1.875;
          return x > 0 ? ExactLocal{s * x, s, 0} : ExactLocal{sa * expm1q(x), sa * expq(x), sa * expq(x)};
        }}},
      // Smooth units.
      {"silu",
       {silu,
        [](Quad x) {
          const Quad s = quad_sigmoid(x), s1 = s * quad_sigmoid(-x), tilt = -tanhq(x / 2);
          return ExactLocal{x * s, s + x * s1, s1 * (2 + x * tilt), fmaxq(s, fabsq(x * s1)), 2 * s1};
        },
        {.least = 4096}}},
      {"mish",
       {mish,
        [](Quad x) {
          const Quad s = quad_sigmoid(x), s1 = s * quad_sigmoid(-x), e = expq(-fabsq(x));
          const Quad n = x > 0 ? 1 + 2 * e : e * (e + 2), rest = x > 0 ? 2 * e * e : 2, w = n / (n + rest);
          const Quad flat = rest / (n + rest) * (1 + w), w1 = flat * s, w2 = flat * (s1 - 2 * w * s * s);
          return ExactLocal{x * w, w + x * w1, 2 * w1 + x * w2, fmaxq(w, fabsq(x * w1)),
                            fmaxq(2 * w1, fabsq(x) * flat * fmaxq(s1, 2 * w * s * s))};
        },
        {.value = 6, .slope = 8, .curvature = 16, .pullback = 8, .least = 4096}}},
      {"softsign",
       {softsign,
        [](Quad x) {
          const Quad r = 1 / (1 + fabsq(x)), bend = -2 * r * r * r;
          return ExactLocal{x * r, r * r, x > 0 ? bend : (x < 0 ? -bend : 0)};
        },
        {.least = 64}}},
      // Functions.
      {"abs",
       {abs,
        [](Quad x) {
          return ExactLocal{fabsq(x), Quad((x > 0) - (x < 0)), 0};
        }}},
      {"sign",
       {sign,
        [](Quad x) {
          return ExactLocal{Quad((x > 0) - (x < 0)), 0, 0};
        }}},
      {"floor",
       {floor,
        [](Quad x) {
          return ExactLocal{floorq(x), 0, 0};
        }}},
      {"ceil",
       {ceil,
        [](Quad x) {
          return ExactLocal{ceilq(x), 0, 0};
        }}},
      {"round",
       {round,
        [](Quad x) {
          return ExactLocal{rintq(x), 0, 0};
        }}},
      {"logical_not",
       {logical_not,
        [](Quad x) {
          return ExactLocal{Quad(x == 0), 0, 0};
        }}},
      {"reciprocal",
       {reciprocal,
        [](Quad x) {
          return ExactLocal{1 / x, -1 / (x * x), 2 / (x * x * x)};
        },
        {.least = 64}}},
      {"erf",
       {erf,
        [](Quad x) {
          const Quad slope = expq(-x * x) / sqrtq(atanq(1));
          return ExactLocal{erfq(x), slope, -2 * x * slope};
        },
        {.least = 4096}}},
      {"sin",
       {sin,
        [](Quad x) {
          return ExactLocal{sinq(x), cosq(x), -sinq(x)};
        }}},
      {"cos",
       {cos,
        [](Quad x) {
          return ExactLocal{cosq(x), -sinq(x), -cosq(x)};
        }}},
      {"tan",
       {tan,
        [](Quad x) {
          const Quad t = tanq(x), slope = 1 + t * t;
          return ExactLocal{t, slope, 2 * t * slope};
        }}},
      {"asin",
       {asin,
        [](Quad x) {
          const Quad rest = 1 - x * x, slope = 1 / sqrtq(rest);
          return ExactLocal{asinq(x), slope, slope * x / rest};
        }}},
      {"acos",
       {acos,
        [](Quad x) {
          const Quad rest = 1 - x * x, slope = -1 / sqrtq(rest);
          return ExactLocal{acosq(x), slope, slope * x / rest};
        }}},
      {"atan",
       {atan,
        [](Quad x) {
          const Quad slope = 1 / (1 + x * x);
          return ExactLocal{atanq(x), slope, -2 * x * slope * slope};
        },
        {.least = 64}}},
      {"sinh",
       {sinh,
        [](Quad x) {
          return ExactLocal{sinhq(x), coshq(x), sinhq(x)};
        }}},
      {"cosh",
       {cosh,
        [](Quad x) {
          return ExactLocal{coshq(x), sinhq(x), coshq(x)};
        }}},
      {"asinh",
       {asinh,
        [](Quad x) {
          const Quad slope = 1 / sqrtq(1 + x * x);
          return ExactLocal{asinhq(x), slope, -x * slope * slope * slope};
        },
        {.least = 64}}},
      {"acosh",
       {acosh,
        [](Quad x) {
          const Quad slope = 1 / sqrtq((x - 1) * (x + 1));
          return ExactLocal{acoshq(x), x < 1 ? nanq("") : slope, -x * slope * slope * slope};
        },
        {.least = 64}}},
      {"atanh",
       {atanh,
        [](Quad x) {
          const Quad slope = 1 / (1 - x * x);
          return ExactLocal{atanhq(x), slope, 2 * x * slope * slope};
        }}},
  };
}

}  // namespace slopewise
