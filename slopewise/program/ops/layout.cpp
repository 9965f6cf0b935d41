// reshape, transpose, concatenate, slice: entries move, nothing is computed.
#include <fmt/format.h>

#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

// Each entry of the output is one entry of one input: y[i] = x[source[i]]. The transpose adds ȳ back there.
template <class Derived>
class Rearrangement : public LinearMap<Derived> {
 public:
  Shape shape(std::span<const InputInfo>) const final { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape&) const final { return {}; }
  OpTraits traits() const override { return {.keeps_zeros = true}; }

 protected:
  explicit Rearrangement(Shape shape) : shape_(std::move(shape)) {}
  Shape shape_;
};

class Reshape final : public Rearrangement<Reshape> {
 public:
  static constexpr std::string_view kName = "reshape";
  Reshape(const Shape& from, Shape to) : Rearrangement(std::move(to)), size_(shape_.size()) {
    if (from.size() != size_) {
      throw ShapeError(fmt::format("reshape: {} has {} entries, {} has {}", from.to_string(), from.size(),
                                   shape_.to_string(), size_));
    }
  }
  // Where an axis of the input has as many entries, and as many stand before it.
  std::optional<NarrowOp> narrowed(std::span<const InputInfo> in, const Shape& out, const Range& at) const override {
    const auto before = [](const Shape& shape, Index axis) {
      Index count = 1;
      for (Index i = 0; i < axis; ++i) count *= shape[i];
      return count;
    };
    const Shape& from = in[0].shape;
    for (Index axis = 0; axis < from.rank(); ++axis) {
      if (from[axis] != out[at.axis] || before(from, axis) != before(out, at.axis)) continue;
      const auto cut = [&](const Shape& shape, Index along) {
        std::vector<Index> extents = shape.extents();
        extents[along] = at.end - at.begin;
        return Shape(extents);
      };
      return NarrowOp{.op = std::make_shared<Reshape>(cut(from, axis), cut(out, at.axis)), .axes = {axis}};
    }
    return {};
  }
  // Entry i is entry i, so it may lie where its input lies; nothing is then copied.
  OpTraits traits() const override { return {.elementwise = true, .keeps_zeros = true}; }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    if (in[0] != out) std::copy_n(in[0], size_, out);
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    for (Index i = 0; i < size_; ++i) target[i] += cotangent[i];
  }
  template <class T>
  void pullback(const Pull<T>& visit) const {
    if (visit.in_cotangents[0].data != visit.cotangent) LinearMap<Reshape>::pullback(visit);
  }

 private:
  Index size_;
};

class Transpose final : public Rearrangement<Transpose> {
 public:
  static constexpr std::string_view kName = "transpose";
  Transpose(const Shape& from, const std::vector<Index>& order) : Rearrangement(permuted(from, order)), order_(order) {
    const auto rank = static_cast<std::size_t>(from.rank());
    std::vector<Index> strides(rank, 1);
    for (std::size_t axis = rank; axis-- > 1;) strides[axis - 1] = strides[axis] * from[static_cast<Index>(axis)];
    source_.resize(static_cast<std::size_t>(from.size()));
    std::vector<Index> at(rank, 0);  // the output's position, counted up
    for (Index& source : source_) {
      source = 0;
      for (std::size_t axis = 0; axis < rank; ++axis) source += at[axis] * strides[order[axis]];
      for (std::size_t axis = rank; axis-- > 0;) {
        if (++at[axis] < shape_[static_cast<Index>(axis)]) break;
        at[axis] = 0;
      }
    }
  }
  std::optional<NarrowOp> narrowed(std::span<const InputInfo> in, const Shape&, const Range& at) const override {
    const Index axis = order_[at.axis];
    std::vector<Index> extents = in[0].shape.extents();
    extents[axis] = at.end - at.begin;
    return NarrowOp{.op = std::make_shared<Transpose>(Shape(extents), order_), .axes = {axis}};
  }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    for (std::size_t i = 0; i < source_.size(); ++i) out[i] = in[0][source_[i]];
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    for (std::size_t i = 0; i < source_.size(); ++i) target[source_[i]] += cotangent[i];
  }

 private:
  static Shape permuted(const Shape& from, const std::vector<Index>& order) {
    std::vector<Index> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<Index> all(static_cast<std::size_t>(from.rank()));
    std::iota(all.begin(), all.end(), 0);
    if (sorted != all) {
      throw ShapeError(fmt::format("transpose of {}: expected each axis 0 to {} once in the order", from.to_string(),
                                   from.rank() - 1));
    }
    std::vector<Index> extents;
    for (const Index axis : order) extents.push_back(from[axis]);
    return Shape(extents);
  }
  std::vector<Index> order_;
  std::vector<Index> source_;  // y[i] = x[source[i]]
};

// Seen as (outer, inner) arrays with the axis inside `inner`: part p of a concatenation, or a slice, is a run of each
// row.
class Concatenate final : public Rearrangement<Concatenate> {
 public:
  static constexpr std::string_view kName = "concatenate";
  Concatenate(const std::vector<Shape>& parts, Index axis) : Rearrangement(joined(parts, axis)) {
    const std::size_t along = parts[0].axis_index(axis);
    for (std::size_t i = 0; i < along; ++i) outer_ *= parts[0][static_cast<Index>(i)];
    for (const Shape& part : parts) {
      Index run = 1;
      for (auto i = static_cast<Index>(along); i < part.rank(); ++i) run *= part[i];
      starts_.push_back(inner_);
      runs_.push_back(run);
      inner_ += run;
    }
  }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    for (std::size_t p = 0; p < in.size(); ++p) {
      for (Index o = 0; o < outer_; ++o) {
        T* to = out + o * inner_ + starts_[p];
        if (in[p]) {
          std::copy_n(in[p] + o * runs_[p], runs_[p], to);
        } else {
          std::fill_n(to, runs_[p], T{0});
        }
      }
    }
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t p, T* target) const {
    for (Index o = 0; o < outer_; ++o) {
      for (Index i = 0; i < runs_[p]; ++i) target[o * runs_[p] + i] += cotangent[o * inner_ + starts_[p] + i];
    }
  }

 private:
  static Shape joined(const std::vector<Shape>& parts, Index axis) {
    std::vector<Index> extents = parts[0].extents();
    const std::size_t along = parts[0].axis_index(axis);
    for (std::size_t p = 1; p < parts.size(); ++p) {
      std::vector<Index> expected = parts[p].extents();
      if (expected.size() == extents.size()) expected[along] = parts[0].extents()[along];
      if (expected != parts[0].extents()) {
        throw ShapeError(fmt::format("concatenate along axis {}: {} and {} differ elsewhere", axis,
                                     parts[0].to_string(), parts[p].to_string()));
      }
      extents[along] += parts[p].extents()[along];
    }
    return Shape(extents);
  }
  Index outer_ = 1;
  Index inner_ = 0;
  std::vector<Index> starts_, runs_;
};

class Slice final : public Rearrangement<Slice> {
 public:
  static constexpr std::string_view kName = "slice";
  Slice(const Shape& from, Index axis, Index begin, Index end)
      : Rearrangement(cut(from, axis, begin, end)), range_{static_cast<Index>(from.axis_index(axis)), begin, end} {
    const std::size_t along = from.axis_index(axis);
    Index below = 1;
    for (std::size_t i = 0; i < along; ++i) outer_ *= from[static_cast<Index>(i)];
    for (auto i = static_cast<Index>(along) + 1; i < from.rank(); ++i) below *= from[i];
    inner_ = from[static_cast<Index>(along)] * below;
    start_ = begin * below;
    run_ = (end - begin) * below;
  }
  const Range& range() const { return range_; }
  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    for (Index o = 0; o < outer_; ++o) std::copy_n(in[0] + o * inner_ + start_, run_, out + o * run_);
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    for (Index o = 0; o < outer_; ++o) {
      for (Index i = 0; i < run_; ++i) target[o * inner_ + start_ + i] += cotangent[o * run_ + i];
    }
  }

 private:
  static Shape cut(const Shape& from, Index axis, Index begin, Index end) {
    std::vector<Index> extents = from.extents();
    Index& along = extents[from.axis_index(axis)];
    if (begin < 0 || end < begin || end > along) {
      throw ShapeError(fmt::format("slice of {} along axis {}: expected 0 <= begin <= end <= {}, found [{}, {})",
                                   from.to_string(), axis, along, begin, end));
    }
    along = end - begin;
    return Shape(extents);
  }
  Range range_;
  Index outer_ = 1, inner_ = 0, start_ = 0, run_ = 0;
};

}  // namespace

Node reshape(const Node& x, Shape shape) {
  return Builder(x).apply(std::make_shared<Reshape>(x.shape(), std::move(shape)), {x});
}
Node flatten(const Node& x) {
  return reshape(x, {x.shape().size()});
}
Node transpose(const Node& x, std::vector<Index> order) {
  return Builder(x).apply(std::make_shared<Transpose>(x.shape(), order), {x});
}
Node concatenate(const std::vector<Node>& parts, Index axis) {
  if (parts.empty()) throw ArgumentError("concatenate: expected at least one part");
  std::vector<Shape> shapes;
  for (const Node& part : parts) shapes.push_back(part.shape());
  return Builder(parts[0]).apply(std::make_shared<Concatenate>(shapes, axis), parts);
}
std::optional<Range> slice_range(const Op& op) {
  const auto* found = dynamic_cast<const Slice*>(&op);
  return found ? std::optional(found->range()) : std::nullopt;
}
Node slice(const Node& x, Index axis, Index begin, Index end) {
  return Builder(x).apply(std::make_shared<Slice>(x.shape(), axis, begin, end), {x});
}

std::vector<OpEntry> layout_examples() {
  std::vector<OpEntry> ops;
  ops.push_back({"reshape",
                 {{"to rows",
                   {2, 6},
                   [](const Node& x) {
                     return reshape(square(x), {3, 4});
                   }},
                  {"flatten", {2, 2, 2}, [](const Node& x) { return flatten(x); }}}});
  ops.push_back({"transpose", {{"three axes", {2, 3, 4}, [](const Node& x) {
                                  return transpose(square(x), {2, 0, 1});
                                }}}});
  ops.push_back({"concatenate",
                 {{"middle axis",
                   {2, 3, 2},
                   [](const Node& x) {
                     return concatenate({x, square(x), slice(x, 1, 0, 1)}, 1);
                   }},
                  {"with shared", {2, 2}, [](const Node& x) {
                     return concatenate({x, shared(x, "w", {1, 2}, 1)}, 0);
                   }}}});
  ops.push_back({"slice",
                 {{"last axis", {2, 5}, [](const Node& x) { return slice(square(x), -1, 1, 4); }},
                  {"nothing", {3}, [](const Node& x) { return slice(x, 0, 1, 1); }}}});
  return ops;
}

}  // namespace slopewise
