// sum and mean over axes: y[o] = c Σ x[i] over the entries i that fall on o, with c = 1 or one over their number.
#include <numeric>

#include "slopewise/program/ops.hpp"

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
    target_.resize(static_cast<std::size_t>(from.size()));
    std::vector<Index> at(gone.size(), 0);  // the input's position, counted up
    for (Index& target : target_) {
      target = 0;
      for (std::size_t axis = 0; axis < gone.size(); ++axis) {
        if (!gone[axis]) target = target * from[static_cast<Index>(axis)] + at[axis];
      }
      for (std::size_t axis = gone.size(); axis-- > 0;) {
        if (++at[axis] < from[static_cast<Index>(axis)]) break;
        at[axis] = 0;
      }
    }
    if (Mean && from.size() > 0) factor_ = static_cast<double>(shape_.size()) / static_cast<double>(from.size());
  }

  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape&) const override {
    const auto entries = static_cast<double>(target_.size());
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    std::fill_n(out, shape_.size(), T{0});
    for (std::size_t i = 0; i < target_.size(); ++i) out[target_[i]] += in[0][i];
    for (Index o = 0; o < shape_.size(); ++o) out[o] *= static_cast<T>(factor_);
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    for (std::size_t i = 0; i < target_.size(); ++i) target[i] += static_cast<T>(factor_) * cotangent[target_[i]];
  }

 private:
  Shape shape_;
  std::vector<Index> target_;  // x[i] is added to y[target[i]]
  double factor_ = 1;
};

}  // namespace

Node sum(const Node& x, std::vector<Index> axes) {
  return Builder(x).apply(std::make_shared<Reduce<false>>(x.shape(), axes), {x});
}
Node mean(const Node& x, std::vector<Index> axes) {
  return Builder(x).apply(std::make_shared<Reduce<true>>(x.shape(), axes), {x});
}
Node mean_squared_error(const Node& x, const Node& target) {
  return mean(square(sub(x, target)));
}

}  // namespace slopewise
