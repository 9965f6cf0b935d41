// Ops that are linear in each of their first two inputs, y = B(a, b), and may add a bias:
//   ẏ = B(ȧ, b) + B(a, ḃ),  ÿ = B(ä, b) + 2 B(ȧ, ḃ) + B(a, b̈).
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>

#include "slopewise/base/error.hpp"
#include "slopewise/program/op.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

// Whether ÿ is non-zero although ä and b̈ are zero.
inline bool bilinear_curves(std::span<const InputInfo> in) {
  return in[0].active && in[1].active;
}

// Fills value, tangents and second-order terms of visit.out by calls product(a, b, factor, accumulate, y), each of
// which sets y, or adds to it, factor B(a, b): for all rows, of which row r starts at Jet::row(r).
template <class T, class Product>
void push_bilinear(const Push<T>& visit, Product product) {
  const Jet<T>& a = visit.in[0];
  const Jet<T>& b = visit.in[1];
  const Jet<T>& y = visit.out;
  product(a.value, b.value, T{1}, false, y.value);
  for (Index k = 0; k < visit.tangents; ++k) {
    const auto of = [k](const Jet<T>& jet, T* planes) -> T* { return planes ? planes + k * jet.plane : nullptr; };
    struct Term {
      const T *a, *b;
      T factor;
    };
    const auto fill = [&](T* to, std::initializer_list<Term> terms) {
      bool written = false;
      for (const Term& term : terms) {
        if (!term.a || !term.b) continue;
        product(term.a, term.b, term.factor, written, to);
        written = true;
      }
      if (!written) std::fill_n(to, y.rows * y.size, T{0});
    };
    const T *a_dot = of(a, a.tangent), *b_dot = of(b, b.tangent);
    fill(of(y, y.tangent), {{a_dot, b.value, T{1}}, {a.value, b_dot, T{1}}});
    if (!y.second) continue;
    fill(of(y, y.second), {{of(a, a.second), b.value, T{1}}, {a_dot, b_dot, T{2}}, {a.value, of(b, b.second), T{1}}});
  }
}

// Throws ShapeError unless input 2, where there is one, is a bias (channels) shared by all examples.
inline void check_bias(std::string_view op, std::span<const InputInfo> in, Index channels) {
  if (in.size() < 3 || (in[2].shape == Shape{channels} && in[2].shared)) return;
  throw ShapeError(fmt::format("{}: expected a bias of shape ({}) shared by all examples, found {}", op, channels,
                               in[2].shape.to_string()));
}

// Adds a bias (channels) to every run of so many entries of visit.out, with its tangents and second-order terms.
template <class T>
void push_bias(const Push<T>& visit, const Jet<T>& bias) {
  const Jet<T>& y = visit.out;
  const Index channels = bias.size;
  const auto add = [&](const T* from, T* to) {
    if (!from) return;
    for (Index at = 0; at < y.rows * y.size; at += channels) axpy(T{1}, from, to + at, channels);
  };
  if (channels == 0) return;
  add(bias.value, y.value);
  for (Index k = 0; k < visit.tangents; ++k) {
    if (bias.tangent) add(bias.tangent_row(k, 0), y.tangent + k * y.plane);
    if (bias.second) add(bias.second_row(k, 0), y.second + k * y.plane);
  }
}

// Its cotangent: the sum of those runs.
template <class T>
void pull_bias(const Pull<T>& visit, std::size_t number) {
  const Cotangent<T>& target = visit.in_cotangents[number];
  if (!target) return;
  const Index channels = visit.in[number].size;
  if (!target.accumulate) std::fill_n(target.data, channels, T{0});
  if (channels == 0) return;
  for (Index at = 0; at < visit.out.rows * visit.out.size; at += channels)
    axpy(T{1}, visit.cotangent + at, target.data, channels);
}

}  // namespace slopewise
