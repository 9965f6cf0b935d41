// dropout: y = x ∘ mask, where the mask is drawn, not stored, wherever it is needed. The tangents of an entry that is
// dropped are 0, were they infinite.
#include <fmt/format.h>

#include <numbers>
#include <span>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/random.hpp"

namespace slopewise {
namespace {

class Dropout final : public OpRules<Dropout> {
 public:
  static constexpr std::string_view kName = "dropout";
  // `place` tells dropouts of one program apart.
  Dropout(double rate, std::uint32_t place) : rate_(rate), place_(place) {
    if (!(rate >= 0 && rate < 1))
      throw ArgumentError(fmt::format("dropout: expected a rate in [0, 1), found {}", rate));
  }

  Shape shape(std::span<const InputInfo> in) const override {
    if (in[0].integer || in[0].shared || !in[1].integer || in[1].shape.size() != 1) {
      throw ShapeError(fmt::format("dropout: expected a row an example and one integer, found {} and {}{}",
                                   in[0].shape.to_string(), in[1].integer ? "integers " : "", in[1].shape.to_string()));
    }
    return in[0].shape;
  }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  Needs needs() const override { return {.inputs = false, .output = false}; }
  bool curves(std::span<const InputInfo>) const override { return false; }
  OpTraits traits() const override { return {.keeps_zeros = true}; }
  InputTraits takes(std::size_t input) const override { return {.integer = input == 1}; }
  Index scratch(std::span<const InputInfo> in, const Shape&, const VisitSize&) const override {
    return in[0].shape.size();
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& x = visit.in[0];
    const Jet<T>& y = visit.out;
    for (Index r = 0; r < y.rows; ++r) {
      const T* mask = draw(visit.in[1], r, y.size, visit.scratch);
      const auto through = [&](const T* from, T* to) {
        for (Index j = 0; j < y.size; ++j) to[j] = pull_through(mask[j], from[j]);
      };
      for (Index j = 0; j < y.size; ++j) y.value_row(r)[j] = mask[j] * x.value_row(r)[j];
      for (Index k = 0; k < visit.tangents; ++k) {
        if (y.tangent) through(x.tangent_row(k, r), y.tangent_row(k, r));
        if (y.second) through(x.second_row(k, r), y.second_row(k, r));
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[0];
    if (!target) return;
    const Index size = visit.out.size;
    for (Index r = 0; r < visit.out.rows; ++r) {
      const T* mask = draw(visit.in[1], r, size, visit.scratch);
      T* to = target.data + r * size;
      const T* from = visit.cotangent + r * size;
      for (Index j = 0; j < size; ++j) to[j] = (target.accumulate ? to[j] : T{0}) + pull_through(mask[j], from[j]);
    }
  }

 private:
  // The mask of row r: 0 or 1 / (1 − rate).
  template <class T>
  const T* draw(const Jet<T>& noise, Index r, Index size, T* mask) const {
    const std::int32_t number = noise.index[noise.row(r)];
    if (number < 0 || rate_ == 0) {
      std::fill_n(mask, size, T{1});
      return mask;
    }
    fill_uniform({.seed = kDropout, .step = static_cast<std::uint32_t>(number), .stream = place_}, 0,
                 std::span(mask, static_cast<std::size_t>(size)));
    const T least = static_cast<T>(std::numbers::sqrt3 * (2 * rate_ - 1));  // a share `rate` of (−√3, √3) is below
    const T kept = static_cast<T>(1 / (1 - rate_));
    for (Index j = 0; j < size; ++j) mask[j] = mask[j] > least ? kept : T{0};
    return mask;
  }

  static constexpr std::uint64_t kDropout = 0x64726F70;
  double rate_;
  std::uint32_t place_;
};

}  // namespace

Node dropout(const Node& x, const Node& noise, double rate) {
  return Builder(x).apply(std::make_shared<Dropout>(rate, static_cast<std::uint32_t>(x.number())), {x, noise});
}

std::vector<OpEntry> dropout_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"dropout",
                 {{"of squares",
                   {70},
                   [](const Node& x) { return dropout(square(x), Builder(x).indices("noise", {}), 0.4); },
                   -2,
                   2,
                   1000},
                  {"empty", {0}, [](const Node& x) { return dropout(x, Builder(x).indices("noise", {}), 0.4); }}}});
  return ops;
}

}  // namespace slopewise
