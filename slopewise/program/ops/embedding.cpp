// embedding: y = table[index].  ẏ = V[index], for V = u wᵀ that is u[index] w.  The pullback adds ȳ to the rows picked.
// An index that is calculated has no slope: y jumps with it.
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

class Embedding final : public OpRules<Embedding> {
 public:
  static constexpr std::string_view kName = "embedding";
  Embedding(const Node& indices, const Node& table) {
    if (table.shape().rank() != 2 || !table.shared()) {
      throw ShapeError(fmt::format(
          "embedding: expected indices and a table (count, width) shared by all examples, found '{}' {} and {}",
          indices.name(), indices.shape().to_string(), table.shape().to_string()));
    }
    count_ = table.shape()[0];
    width_ = table.shape()[1];
  }

  Shape shape(std::span<const InputInfo> in) const override {
    std::vector<Index> extents = in[0].shape.extents();
    extents.push_back(width_);
    return Shape(extents);
  }
  OpCost cost(std::span<const InputInfo> in, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.tangent = in[1].rank_one ? entries : 0, .pullback = entries};
  }
  bool curves(std::span<const InputInfo>) const override { return false; }
  OpTraits traits() const override { return {.keeps_zeros = true}; }
  InputTraits takes(std::size_t input) const override {
    return {.varies = input != 0, .integer = input == 0, .rank_one = input == 1};
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& indices = visit.in[0];
    const Jet<T>& table = visit.in[1];
    const Jet<T>& y = visit.out;
    const Index positions = y.rows * indices.size;
    for (Index i = 0; i < positions; ++i) {
      const Index picked = index_at(indices, i);
      std::copy_n(table.value + picked * width_, width_, y.value + i * width_);
      for (Index k = 0; k < visit.tangents; ++k) {
        T* y_dot = y.tangent + k * y.plane + i * width_;
        if (table.tangent) std::copy_n(table.tangent + (k * count_ + picked) * width_, width_, y_dot);
        if (table.rank_one.left) {
          const T left = table.rank_one.left[k * count_ + picked];
          for (Index j = 0; j < width_; ++j) y_dot[j] = left * table.rank_one.right[k * width_ + j];
        }
        if (y.second)
          std::copy_n(table.second + (k * count_ + picked) * width_, width_, y.second + k * y.plane + i * width_);
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Cotangent<T>& target = visit.in_cotangents[1];
    if (!target) return;
    if (!target.accumulate) std::fill_n(target.data, count_ * width_, T{0});
    for (Index i = 0; i < visit.out.rows * visit.in[0].size; ++i) {
      axpy(T{1}, visit.cotangent + i * width_, target.data + index_at(visit.in[0], i) * width_, width_);
    }
  }

 private:
  // Numbers are taken for the whole ones next to them.
  template <class T>
  Index index_at(const Jet<T>& indices, Index position) const {
    if (indices.index) {
      const Index index = indices.index[position];
      if (index >= 0 && index < count_) return index;
      throw ArgumentError(
          fmt::format("embedding: index {} at position {}: expected 0 to {}", index, position, count_ - 1));
    }
    const T number = std::nearbyint(indices.value[position]);
    if (number >= 0 && number < static_cast<T>(count_)) return static_cast<Index>(number);
    throw ArgumentError(fmt::format("embedding: index {} at position {}: expected 0 to {}", indices.value[position],
                                    position, count_ - 1));
  }
  Index count_ = 0, width_ = 0;
};

}  // namespace

Node embedding(const Node& indices, const Node& table) {
  return Builder(indices).apply(std::make_shared<Embedding>(indices, table), {indices, table});
}
Node embedding(const Node& indices, Index count, Index width) {
  const std::string name = indices.graph()->numbered("embedding");
  return embedding(indices, Builder(indices).parameter(name + ".weight", {count, width},
                                                       {.kind = Initializer::Kind::kNormal}, count));
}

std::vector<OpEntry> embedding_examples() {
  std::vector<OpEntry> ops;
  ops.push_back(
      {"embedding",
       {{"new table",
         {2, 3},
         [](const Node& x) { return mul(x, embedding(Builder(x).indices("token", {2}), 5, 3)); },
         -2,
         2,
         5},
        {"table computed from weights",
         {3},
         [](const Node& x) {
           return mul(x, reshape(embedding(Builder(x).indices("token", {1}), square(shared(x, "t", {4, 3}, 4))), {3}));
         },
         -2,
         2,
         4},
        {"index that is calculated",
         {3},
         [](const Node& x) {
           const Node table = Builder(x).parameter("t", {4, 3}, {.kind = Initializer::Kind::kNormal}, 4);
           return mul(x, embedding(floor(clip(abs(x), 0, 3)), table));
         },
         -4,
         4}}});
  return ops;
}

}  // namespace slopewise
