#include "apps/bench/product.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "slopewise/base/philox.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {
namespace {

class Product {
 public:
  Product(Index batch, ProductKind kind) : batch_(batch), kind_(kind), x_(random(batch)), y_(x_.size()) {
    std::vector<float> weights = random(kProductSide);
    if (kind == ProductKind::kPlain) {
      plain_ = std::move(weights);
      return;
    }
    packed_ = WeightProduct::make(kProductSide, kProductSide);
    packed_->pack(weights.data());
    if (kind == ProductKind::kPacked) return;
    packed_->keep_bfloat16();
    x16_.resize(x_.size());
    to_bfloat16(x_.data(), x16_.data(), static_cast<Index>(x_.size()));
  }

  void run() {
    switch (kind_) {
      case ProductKind::kPacked:
        packed_->multiply(batch_, x_.data(), y_.data());
        break;
      case ProductKind::kBfloat16:
        packed_->multiply_bfloat16(batch_, x16_.data(), y_.data());
        break;
      case ProductKind::kPlain: {
        const Index rows = (batch_ + thread_count() - 1) / thread_count();
        parallel_for((batch_ + rows - 1) / rows, [&](Index piece) {
          const Index first = piece * rows;
          matmul<float>(std::min(rows, batch_ - first), kProductSide, kProductSide, 1,
                        {.data = x_.data() + first * kProductSide, .stride = kProductSide},
                        {.data = plain_.data(), .stride = kProductSide, .transposed = true}, 0,
                        y_.data() + first * kProductSide, kProductSide);
        });
      }
    }
  }

 private:
  static std::vector<float> random(Index rows) {
    RandomStream stream(1);
    std::vector<float> numbers(static_cast<std::size_t>(rows * kProductSide));
    for (float& number : numbers) number = static_cast<float>(stream.uniform(-1, 1));
    return numbers;
  }

  Index batch_;
  ProductKind kind_;
  std::unique_ptr<WeightProduct> packed_;
  std::vector<float> plain_;
  std::vector<float> x_, y_;
  std::vector<Bfloat16> x16_;
};

}  // namespace

std::function<void()> make_product(Index batch, ProductKind kind) {
  return [product = std::make_shared<Product>(batch, kind)] { product->run(); };
}

}  // namespace slopewise
