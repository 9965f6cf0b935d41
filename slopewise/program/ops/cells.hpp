// One unit of a recurrent network's step: from what the input gives its gates (x), what the other units give them (a),
// and its own states, to its next states. A cell states it once for numbers with first- and second-order terms, and its
// transpose; recurrent.cpp carries it over time.
#pragma once

#include <array>
#include <cmath>
#include <string_view>

#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/exponential.hpp"

namespace slopewise {

// A number along one direction, up to second order.
template <class T>
struct Number {
  T value{0}, dot{0}, second{0};

  friend Number operator+(const Number& a, const Number& b) {
    return {a.value + b.value, a.dot + b.dot, a.second + b.second};
  }
  friend Number operator*(const Number& a, const Number& b) {
    return {a.value * b.value, a.dot * b.value + a.value * b.dot,
            a.second * b.value + T{2} * a.dot * b.dot + a.value * b.second};
  }
};
// f(a), where f and its slopes at a are known.
template <class T>
Number<T> through(const Local<T>& at, const Number<T>& a) {
  return {at.value, at.slope * a.dot, at.curvature * a.dot * a.dot + at.slope * a.second};
}

template <class T>
Local<T> sigmoid_at(T x) {
  const T small = exponential(-std::abs(x)), most = T{1} / (T{1} + small), least = small * most;
  const T y = x < T{0} ? least : most;
  const T slope = most * least;
  return {.value = y, .slope = slope, .curvature = slope * (x < T{0} ? most - least : least - most)};
}
template <class T>
Local<T> tanh_at(T x) {
  const T y = std::tanh(x), slope = (T{1} - y) * (T{1} + y);
  return {.value = y, .slope = slope, .curvature = T{-2} * y * slope};
}
template <class T>
Local<T> relu_at(T x) {  // NaN stays NaN
  return {.value = x < T{0} ? T{0} : x, .slope = x > T{0} ? T{1} : T{0}, .curvature = T{0}};
}

// c′ = σ(f) c + σ(i) tanh(g),  h′ = σ(o) tanh(c′); states h, c.
struct LstmCell {
  static constexpr std::string_view kName = "lstm";
  static constexpr Index kGates = 4, kStates = 2;
  static constexpr bool kResetsFirst = false;
  template <class T>
  struct At {
    Local<T> i, o, f, g, c;
  };
  template <class T>
  At<T> at(const T* x, const T* a, const T* state) const {
    At<T> at{sigmoid_at(x[0] + a[0]), sigmoid_at(x[1] + a[1]), sigmoid_at(x[2] + a[2]), tanh_at(x[3] + a[3]), {}};
    at.c = tanh_at(at.f.value * state[1] + at.i.value * at.g.value);
    return at;
  }
  template <class T>
  void next(const At<T>& at, const Number<T>* x, const Number<T>* a, const Number<T>* state, Number<T>* to) const {
    to[1] = through(at.f, x[2] + a[2]) * state[1] + through(at.i, x[0] + a[0]) * through(at.g, x[3] + a[3]);
    to[0] = through(at.o, x[1] + a[1]) * through(at.c, to[1]);
  }
  // From the cotangents of the next states: those of x and a, and of the states as they are read here.
  template <class T>
  void back(const At<T>& at, const T*, const T* state, const T* from, T* x, T* a, T* to) const {
    const T c = from[1] + from[0] * at.o.value * at.c.slope;
    x[0] = a[0] = c * at.g.value * at.i.slope;
    x[1] = a[1] = from[0] * at.c.value * at.o.slope;
    x[2] = a[2] = c * state[1] * at.f.slope;
    x[3] = a[3] = c * at.i.value * at.g.slope;
    to[0] = T{0};
    to[1] = c * at.f.value;
  }
};

// h′ = h̃ + σ(z) (h − h̃),  h̃ = tanh(x + σ(r) a) where linear before the reset, else tanh(x + a) of an a that is made of
// σ(r) h in place of h.
template <bool LinearBeforeReset>
struct GruCell {
  static constexpr std::string_view kName = "gru";
  static constexpr Index kGates = 3, kStates = 1;
  static constexpr bool kResetsFirst = !LinearBeforeReset;
  template <class T>
  struct At {
    Local<T> z, r, h;
  };
  template <class T>
  At<T> at(const T* x, const T* a, const T*) const {
    At<T> at{sigmoid_at(x[0] + a[0]), sigmoid_at(x[1] + a[1]), {}};
    at.h = tanh_at(x[2] + (LinearBeforeReset ? at.r.value : T{1}) * a[2]);
    return at;
  }
  template <class T>
  void next(const At<T>& at, const Number<T>* x, const Number<T>* a, const Number<T>* state, Number<T>* to) const {
    const Number<T> z = through(at.z, x[0] + a[0]);
    const Number<T> minus{T{-1}, T{0}, T{0}};
    const Number<T> h = through(at.h, x[2] + (LinearBeforeReset ? through(at.r, x[1] + a[1]) * a[2] : a[2]));
    to[0] = h + z * (state[0] + minus * h);
  }
  template <class T>
  void back(const At<T>& at, const T* a_in, const T* state, const T* from, T* x, T* a, T* to) const {
    x[0] = a[0] = from[0] * (state[0] - at.h.value) * at.z.slope;
    x[2] = from[0] * (T{1} - at.z.value) * at.h.slope;
    a[2] = (LinearBeforeReset ? at.r.value : T{1}) * x[2];
    x[1] = a[1] = LinearBeforeReset ? x[2] * a_in[2] * at.r.slope : T{0};
    to[0] = from[0] * at.z.value;
  }
};

// h′ = f(x + a).
template <bool Relu>
struct RnnCell {
  static constexpr std::string_view kName = "rnn";
  static constexpr Index kGates = 1, kStates = 1;
  static constexpr bool kResetsFirst = false;
  template <class T>
  struct At {
    Local<T> h;
  };
  template <class T>
  At<T> at(const T* x, const T* a, const T*) const {
    return {Relu ? relu_at(x[0] + a[0]) : tanh_at(x[0] + a[0])};
  }
  template <class T>
  void next(const At<T>& at, const Number<T>* x, const Number<T>* a, const Number<T>*, Number<T>* to) const {
    to[0] = through(at.h, x[0] + a[0]);
  }
  template <class T>
  void back(const At<T>& at, const T*, const T*, const T* from, T* x, T* a, T* to) const {
    x[0] = a[0] = from[0] * at.h.slope;
    to[0] = T{0};
  }
};

}  // namespace slopewise
