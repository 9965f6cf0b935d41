// What a library that multiplies must give: one file of this directory, and a row in backends() (backend.cpp).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/products/convolution.hpp"
#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {

// C = alpha A B + beta C, as matmul (tensor/matmul.hpp) takes it; no extent of C is 0.
template <class T>
struct PlainProduct {
  Index m, n, k;
  T alpha;
  Operand<T> a, b;
  T beta;
  T* c;
  Index c_stride;
};

class ProductBackend {
 public:
  virtual ~ProductBackend() = default;

  // With its version.
  virtual std::string name() const = 0;
  // The kernels it runs on this processor, in its own words; empty where it has none that serve here, and then it is
  // asked for nothing else.
  virtual std::string kernels() const = 0;

  // Whether it should make this plain product; the first back end that says so does. May depend on the extents alone.
  virtual bool takes(const PlainProduct<float>& product) const = 0;
  virtual bool takes(const PlainProduct<double>&) const { return false; }
  // On the calling thread.
  virtual void multiply(const PlainProduct<float>& product) const = 0;
  virtual void multiply(const PlainProduct<double>&) const { throw Error(name() + " multiplies no doubles"); }

  // As the functions of convolution.hpp; it is asked for nothing whose block or scratch is 0.
  virtual Index filter_block(const Convolution&) const { return 0; }
  virtual void convolve(const Convolution&, const float*, const float*, bool, float*) const {
    throw Error(name() + " makes no convolutions");
  }
  virtual Index filter_gradient_scratch(const Convolution&, Index /*images*/) const { return 0; }
  virtual void filter_gradient(const Convolution&, Index, const float*, const float*, float*, float*) const {
    throw Error(name() + " makes no gradients of filters");
  }

  // Of matrices that are kept for many products.
  virtual bool has_bfloat16() const = 0;
  virtual std::unique_ptr<WeightProduct> weights(Index rows, Index columns) const = 0;
  virtual bool suits(Index rows, Index columns) const = 0;
  virtual Index bytes(Index rows, Index columns, bool bfloat16) const = 0;
  // As the functions of weight_product.hpp.
  virtual void multiply_used_once(Index count, Index height, Index columns, float factor, const float* x,
                                  const RowSource& a, float* y, Index y_stride, bool accumulate,
                                  float* scratch) const = 0;
  virtual Index scratch_used_once(Index count, Index columns) const = 0;
};

// Those that run on this processor, the one preferred first.
std::span<const ProductBackend* const> backends();

// One line: what multiplies, and by which kernels.
std::string describe_products();

const ProductBackend& dnnl_products();
const ProductBackend& openblas_products();

}  // namespace slopewise
