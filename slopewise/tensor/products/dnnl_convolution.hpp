// oneDNN's convolutions of images whose channels are the last axis (brgconv, for AVX-512), as products/convolution.hpp
// states them.
#pragma once

#include "slopewise/tensor/products/convolution.hpp"

namespace slopewise {

Index dnnl_filter_block(const Convolution& of);
void dnnl_convolve(const Convolution& of, const float* filters, const float* x, bool accumulate, float* y);
Index dnnl_filter_gradient_scratch(const Convolution& of, Index images);
void dnnl_filter_gradient(const Convolution& of, Index images, const float* x, const float* cotangent, float* gradient,
                          float* scratch);

}  // namespace slopewise
