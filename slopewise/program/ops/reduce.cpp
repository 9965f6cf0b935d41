// sum and mean over axes: y[o] = c Σ x[i] over the entries i that fall on o, with c = 1 or one over their number.
#include <numeric>

#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
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

}  // namespace

Node sum(const Node& x, std::vector<Index> axes) {
  return Builder(x).apply(std::make_shared<Reduce<false>>(x.shape(), axes), {x});
}
Node mean(const Node& x, std::vector<Index> axes) {
  return Builder(x).apply(std::make_shared<Reduce<true>>(x.shape(), axes), {x});
}

std::vector<OpEntry> reduce_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"sum",
                 {{"all", {2, 3}, [](const Node& x) { return sum(square(x)); }},
                  {"one axis", {2, 3, 2}, [](const Node& x) { return sum(square(x), {1}); }},
                  {"empty axis", {2, 0}, [](const Node& x) { return sum(x, {1}); }}}});
  ops.push_back({"mean",
                 {{"all", {2, 3}, [](const Node& x) { return mean(square(x)); }},
                  {"two axes",
                   {2, 3, 2},
                   [](const Node& x) {
                     return mean(x, {0, -1});
                   }},
                  {"squared error", {4}, [](const Node& x) { return mean_squared_error(x, square(x)); }}}});
  return ops;
}

}  // namespace slopewise
