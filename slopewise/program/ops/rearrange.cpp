// rearrange, numbers: entries move by a table; integers become numbers.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops/arithmetic.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/program/ops/functions.hpp"
#include "slopewise/program/ops/layout.hpp"

namespace slopewise {
namespace {

// y[i] = x[index[i]], or 0 where index[i] is −1. Kept as runs of entries that follow one another in both.
class Rearrange final : public LinearMap<Rearrange> {
 public:
  static constexpr std::string_view kName = "rearrange";
  Rearrange(const Shape& from, Shape to, std::span<const Index> index) : shape_(std::move(to)) {
    if (static_cast<Index>(index.size()) != shape_.size()) {
      throw ShapeError(fmt::format("rearrange: shape {} has {} entries, found {} in the table", shape_.to_string(),
                                   shape_.size(), index.size()));
    }
    for (const Index source : index) {
      if (source < -1 || source >= from.size()) {
        throw ShapeError(fmt::format("rearrange: {} has entries 0 to {}, the table asks for {}", from.to_string(),
                                     from.size() - 1, source));
      }
      const bool follows = !runs_.empty() && (source < 0 ? runs_.back().source < 0
                                                         : runs_.back().source >= 0 &&
                                                               runs_.back().source + runs_.back().count == source);
      if (follows) {
        ++runs_.back().count;
      } else {
        runs_.push_back({source, 1});
      }
    }
  }
  Shape shape(std::span<const InputInfo>) const override { return shape_; }
  OpCost cost(std::span<const InputInfo>, const Shape&) const override { return {}; }
  OpTraits traits() const override { return {.keeps_zeros = true}; }

  template <class T>
  void apply(std::span<const T* const> in, T* out) const {
    for (const Run& run : runs_) {
      if (run.source < 0) {
        std::fill_n(out, run.count, T{0});
      } else if (run.count == 1) {
        *out = in[0][run.source];
      } else {
        std::copy_n(in[0] + run.source, run.count, out);
      }
      out += run.count;
    }
  }
  template <class T>
  void adjoint(const T* cotangent, std::size_t, T* target) const {
    for (const Run& run : runs_) {
      if (run.source >= 0) {
        for (Index i = 0; i < run.count; ++i) target[run.source + i] += cotangent[i];
      }
      cotangent += run.count;
    }
  }

 private:
  struct Run {
    Index source, count;
  };
  Shape shape_;
  std::vector<Run> runs_;
};

class Numbers final : public OpRules<Numbers> {
 public:
  static constexpr std::string_view kName = "numbers";
  Shape shape(std::span<const InputInfo> in) const override {
    if (!in[0].integer) throw ShapeError("numbers: expected an input that holds integers");
    return in[0].shape;
  }
  OpCost cost(std::span<const InputInfo>, const Shape&) const override { return {}; }
  Needs needs() const override { return {.inputs = false}; }
  bool curves(std::span<const InputInfo>) const override { return false; }
  InputTraits takes(std::size_t) const override { return {.integer = true}; }
  template <class T>
  void pushforward(const Push<T>& visit) const {
    std::copy_n(visit.in[0].index, visit.out.rows * visit.out.size, visit.out.value);
  }
  template <class T>
  void pullback(const Pull<T>&) const {}  // integers have no cotangent
};

}  // namespace

Node rearrange(const Node& x, Shape shape, std::span<const Index> index) {
  return Builder(x).apply(std::make_shared<Rearrange>(x.shape(), std::move(shape), index), {x});
}
Node numbers(const Node& indices) {
  return Builder(indices).apply(std::make_shared<Numbers>(), {indices});
}

std::vector<OpEntry> rearrange_examples() {
  return {{"rearrange",
           {{"reversed, padded, twice",
             {2, 3},
             [](const Node& x) {
               return rearrange(square(x), {9}, std::vector<Index>{-1, 5, 4, 3, 3, 4, 0, -1, -1});
             }},
            {"all of it",
             {4},
             [](const Node& x) {
               return rearrange(x, {2, 2}, std::vector<Index>{0, 1, 2, 3});
             }},
            {"nothing", {3}, [](const Node& x) { return rearrange(x, {0}, {}); }}}},
          {"numbers",
           {{"times numbers",
             {3},
             [](const Node& x) { return mul(x, numbers(Builder(x).indices("count", {3}))); },
             -2,
             2,
             5}}}};
}

}  // namespace slopewise
