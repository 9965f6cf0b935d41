// sum and mean over axes, and cumsum along one. Reduced, y[o] = c Σ x[i] over the entries i that fall on o, with c = 1
// or one over their number.
#include <numeric>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/rows.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

template <bool Mean>
class Reduce final : public LinearMap<Reduce<Mean>> {
 public:
  static constexpr std::string_view kName = Mean ? "mean" : "sum";
  Reduce(const Shape& from, const std::vector<Index>& axes) {
    std::vector<bool> gone(static_cast<std::size_t>(from.rank()), axes.empty());
    for (const Index axis : axes) gone[from.axis_index(axis)] = true;
    std::vector<Index> kept;
    for (std::size_t axis = 0; axis < gone.size(); ++axis) {
      if (!gone[axis]) kept.push_back(from[static_cast<Index>(axis)]);
    }
    shape_ = Shape(kept);
    // The last axes, as long as they go or stay together, are runs of neighbours.
    std::size_t outer = gone.size();
    while (outer > 0 && gone[outer - 1] == gone.back()) run_ *= from[static_cast<Index>(--outer)];
    run_goes_ = !gone.empty() && gone.back();
    target_.resize(static_cast<std::size_t>(run_ > 0 ? from.size() / run_ : 0));
    std::vector<Index> at(outer, 0);  // the run's position, counted up
    for (Index& target : target_) {
      target = 0;
      for (std::size_t axis = 0; axis < outer; ++axis) {
        if (!gone[axis]) target = target * from[static_cast<Index>(axis)] + at[axis];
      }
      if (!run_goes_) target *= run_;
      for (std::size_t axis = outer; axis-- > 0;) {
        if (++at[axis] < from[static_cast<Index>(axis)]) break;
        at[axis] = 0;
      }
    }
    if (Mean && from.size() > 0) factor_ = static_cast<double>(shape_.size()) / static_cast<double>(from.size());
  }

  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape&) const override {
    const auto entries = static_cast<double>(target_.size()) * static_cast<double>(run_);
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  OpTraits traits() const override { return {.keeps_zeros = true}; }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    std::fill_n(out, shape_.size(), T{0});
    const T* from = in[0];
    for (const Index target : target_) {
      if (run_goes_) {
        out[target] += sum_of(from, run_);
      } else {
        axpy(T{1}, from, out + target, run_);
      }
      from += run_;
    }
    for (Index o = 0; o < shape_.size(); ++o) out[o] *= static_cast<T>(factor_);
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* to) const {
    const T factor = static_cast<T>(factor_);
    for (const Index target : target_) {
      for (Index i = 0; i < run_; ++i) to[i] += factor * cotangent[run_goes_ ? target : target + i];
      to += run_;
    }
  }

 private:
  Shape shape_;
  Index run_ = 1;              // entries of one run
  bool run_goes_ = false;      // a run becomes one entry; else it stays a run
  std::vector<Index> target_;  // where in y run r is added
  double factor_ = 1;
};

// cumsum: y[j] = Σ x[i] over i ≤ j along one axis, i < j where exclusive, from the other end where reverse. Its
// transpose goes the other way.
class CumSum final : public LinearMap<CumSum> {
 public:
  static constexpr std::string_view kName = "cumsum";
  CumSum(const Shape& shape, Index axis, bool exclusive, bool reverse)
      : shape_(shape), exclusive_(exclusive), reverse_(reverse) {
    const std::size_t along = shape.axis_index(axis);
    for (std::size_t i = 0; i < shape.extents().size(); ++i) {
      (i < along ? outer_ : i == along ? length_ : inner_) *= shape.extents()[i];
    }
  }
  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  OpTraits traits() const override { return {.keeps_zeros = true}; }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    std::fill_n(out, outer_ * length_ * inner_, T{0});
    walk(in[0], out, reverse_);
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    walk(cotangent, target, !reverse_);
  }

 private:
  template <class T>
  void walk(const T* from, T* to, bool back) const {
    for (Index o = 0; o < outer_; ++o) {
      for (Index i = 0; i < inner_; ++i) {
        T sum{0};
        for (Index j = 0; j < length_; ++j) {
          const Index at = (o * length_ + (back ? length_ - 1 - j : j)) * inner_ + i;
          const T before = sum;
          sum += from[at];
          to[at] += exclusive_ ? before : sum;
        }
      }
    }
  }
  Shape shape_;
  bool exclusive_, reverse_;
  Index outer_ = 1, length_ = 1, inner_ = 1;
};

template <bool Mean>
Node reduced(const Node& x, const std::vector<Index>& axes, bool keep) {
  const Node y = Builder(x).apply(std::make_shared<Reduce<Mean>>(x.shape(), axes), {x});
  return keep ? reshape(y, kept_shape(x.shape(), axes)) : y;
}

}  // namespace

Node sum(const Node& x, const std::vector<Index>& axes, bool keep) {
  return reduced<false>(x, axes, keep);
}
Node mean(const Node& x, const std::vector<Index>& axes, bool keep) {
  return reduced<true>(x, axes, keep);
}
Node reduce_l1(const Node& x, const std::vector<Index>& axes, bool keep) {
  return sum(abs(x), axes, keep);
}
Node reduce_l2(const Node& x, const std::vector<Index>& axes, bool keep) {
  return sqrt(sum(square(x), axes, keep));
}
Node cumsum(const Node& x, Index axis, bool exclusive, bool reverse) {
  return Builder(x).apply(std::make_shared<CumSum>(x.shape(), axis, exclusive, reverse), {x});
}

std::vector<OpEntry> reduce_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"sum",
                 {{"all", {2, 3}, [](const Node& x) { return sum(square(x)); }},
                  {"one axis", {2, 3, 2}, [](const Node& x) { return sum(square(x), {1}); }},
                  {"kept", {2, 3}, [](const Node& x) { return x * sum(square(x), {1}, true); }},
                  {"empty axis", {2, 0}, [](const Node& x) { return sum(x, {1}); }}}});
  ops.push_back({"mean",
                 {{"all", {2, 3}, [](const Node& x) { return mean(square(x)); }},
                  {"two axes",
                   {2, 3, 2},
                   [](const Node& x) {
                     return mean(x, {0, -1});
                   }},
                  {"squared error", {4}, [](const Node& x) { return mean_squared_error(x, square(x)); }}}});
  ops.push_back({"cumsum",
                 {{"last axis", {2, 3}, [](const Node& x) { return cumsum(square(x), -1); }},
                  {"exclusive", {2, 3, 2}, [](const Node& x) { return cumsum(x, 1, true); }},
                  {"reverse", {3}, [](const Node& x) { return cumsum(square(x), 0, false, true); }},
                  {"exclusive, reverse", {3, 2}, [](const Node& x) { return cumsum(x, 0, true, true); }},
                  {"empty", {0, 2}, [](const Node& x) { return cumsum(x, 0); }}}});
  return ops;
}

}  // namespace slopewise
