#include "apps/bench/product.hpp"

#include <memory>
#include <vector>

#include "slopewise/base/philox.hpp"
#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {
namespace {

class Product {
 public:
  Product(Index batch, bool bfloat16)
      : batch_(batch),
        bfloat16_(bfloat16),
        weights_(WeightProduct::make(kProductSide, kProductSide)),
        x_(random(batch)),
        y_(x_.size()) {
    weights_->pack(random(kProductSide).data());
    if (!bfloat16) return;
    weights_->keep_bfloat16();
    x16_.resize(x_.size());
    to_bfloat16(x_.data(), x16_.data(), static_cast<Index>(x_.size()));
  }

  void run() {
    if (bfloat16_) {
      weights_->multiply_bfloat16(batch_, x16_.data(), y_.data());
    } else {
      weights_->multiply(batch_, x_.data(), y_.data());
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
  bool bfloat16_;
  std::unique_ptr<WeightProduct> weights_;
  std::vector<float> x_, y_;
  std::vector<Bfloat16> x16_;
};

}  // namespace

std::function<void()> make_product(Index batch, bool bfloat16) {
  return [product = std::make_shared<Product>(batch, bfloat16)] { product->run(); };
}

}  // namespace slopewise
