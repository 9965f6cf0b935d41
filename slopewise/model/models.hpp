// Programs people use, ended by the cross entropy of the labels. Inputs, in order: "image" and "label".
#pragma once

#include <span>

#include "slopewise/program/program.hpp"

namespace slopewise {

struct Model {
  Program program;
  Index logits;  // the node (classes) before the loss
};

// Multinomial logistic regression on flattened images.
Model logistic(Index inputs, Index classes);

// A multilayer perceptron: linear layers of the given widths, each with ReLU, then a linear layer to the classes.
// He initialisation. Throws ArgumentError for a width below 1.
Model mlp(Index inputs, std::span<const Index> hidden, Index classes);

// The convolutional network of PyTorch's MNIST example, without its dropout: 3×3 convolutions to 32 and 64 channels
// with ReLU, 2×2 max pooling, 128 units with ReLU, the classes. `image` is (height, width, channels); 28×28×1 has
// 1,199,882 parameters.
Model mnist_cnn(const Shape& image, Index classes);

// The convolutional network of Baydin et al. 2022 (arXiv 2202.08587, section 5.2.2): four 3×3 convolutions of 64
// channels with ReLU, 2×2 max pooling after the second and fourth, 1024 units with ReLU, the classes.
Model baydin_cnn(const Shape& image, Index classes);

}  // namespace slopewise
