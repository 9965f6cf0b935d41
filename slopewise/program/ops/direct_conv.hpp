// Convolutions made by a library that reads images as they lie (tensor/products/convolution.hpp): the same rules as
// conv.cpp's, without patches.
#pragma once

#include "slopewise/program/op.hpp"
#include "slopewise/tensor/products/convolution.hpp"

namespace slopewise {

class DirectConv {
 public:
  DirectConv() = default;
  explicit DirectConv(const Convolution& of);

  // Whether it makes this visit, which has to be in float and to first order; with pushforward(), the op's rule.
  bool makes(const Push<float>& visit) const;
  // Images go one by one, so that the bits of one do not depend on those beside it.
  void pushforward(const Push<float>& visit) const;
  // Entries of scratch that a visit with K tangents takes; `rank_one`: the weight's tangents are.
  Index scratch(Index tangents, bool rank_one) const;

  // The way back to x: whether it is made here, and the entries of scratch that it takes.
  bool pulls_input() const { return back_block_ > 0; }
  Index input_scratch() const;
  void pull_input(const Pull<float>& visit, const Cotangent<float>& target) const;
  // The same to the weight, for so many images at a time: writes the images' [first, last) W̄ (outputs, columns).
  bool pulls_weight(Index images) const;
  Index weight_scratch() const { return gradient_scratch_; }
  void pull_weight(const Pull<float>& visit, Index first, Index last, float* gradient, float* scratch) const;

 private:
  // w ⋆ x for K tangents' right factors w.
  Convolution projection(Index tangents) const;

  Convolution of_;
  Index block_ = 0;   // of W as filters; 0: patches are quicker, or no library convolves
  Convolution back_;  // x̄ as a convolution of ȳ
  Index back_block_ = 0;
  Index gradient_scratch_ = 0;
};

}  // namespace slopewise
