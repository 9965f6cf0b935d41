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

  // Whether it makes this visit: in float, to first order. The bits of a visit do not depend on how many rows it has.
  bool makes(const Push<float>& visit) const;
  // Entries of scratch that a visit with K tangents takes; `rank_one`: they are of the weight's.
  Index scratch(Index tangents, bool rank_one) const;
  void pushforward(const Push<float>& visit) const;

  // The way back: whether it makes the cotangent of x and that of the weight, with the entries of scratch that they
  // take.
  bool pulls_input() const { return back_block_ > 0; }
  Index input_scratch() const;
  void pull_input(const Pull<float>& visit, const Cotangent<float>& target) const;
  bool pulls_weight() const { return gradient_scratch_ > 0; }
  Index weight_scratch() const { return gradient_scratch_; }
  // Writes W̄ of the images [first, last), row-major.
  void pull_weight(const Pull<float>& visit, Index first, Index last, float* gradient, float* scratch) const;

 private:
  Convolution projection(Index tangents) const;

  Convolution of_;
  Index block_ = 0;   // of W as filters; 0: patches are quicker, or no library convolves
  Convolution back_;  // x̄ as a convolution of ȳ
  Index back_block_ = 0;
  Index gradient_scratch_ = 0;
};

}  // namespace slopewise
