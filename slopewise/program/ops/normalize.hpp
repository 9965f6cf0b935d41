// Normalization (ops/normalize.cpp, ops/scale_shift.cpp), and what is made of it (ops/norms.cpp). Channels are the last
// axis; gains and biases, means and variances are nodes, shared or one an example.
#pragma once

#include <optional>

#include "slopewise/program/graph.hpp"

namespace slopewise {

// (x − mean) / √(variance + epsilon) over the last axis, without gain and bias.
Node normalize(const Node& x, double epsilon = 1e-5);
// x / √(mean(x²) + epsilon) over the last axis.
Node rms_normalize(const Node& x, double epsilon = 1e-5);

// x gain + bias in each place, gain and bias of the shape of x's last axes, as norms end; what `mul` and `add` make of
// other shapes, and where gain or bias are not shared.
Node scale_shift(const Node& x, const Node& gain, const Node& bias);

// Layer norm (Ba, Kiros, Hinton 2016): normalize, times a new gain "layer_normN.weight" (ones), plus
// "layer_normN.bias".
Node layer_norm(const Node& x, double epsilon = 1e-5);
// The same over the last `axes` axes together, with a gain and perhaps a bias of a shape that `mul` and `add` repeat.
Node layer_norm(const Node& x, const Node& gain, const std::optional<Node>& bias = {}, Index axes = 1,
                double epsilon = 1e-5);
// RMS norm (Zhang and Sennrich 2019, arXiv 1910.07467): rms_normalize times a gain.
Node rms_norm(const Node& x, const Node& gain, double epsilon = 1e-5);
// Group norm (Wu and He 2018, arXiv 1803.08494) on x (…, channels): each group of consecutive channels is normalized
// over all axes together; gain and bias (channels).
Node group_norm(const Node& x, Index groups, const Node& gain, const Node& bias, double epsilon = 1e-5);
// Instance norm (Ulyanov et al. 2016, arXiv 1607.08022): a group for each channel.
Node instance_norm(const Node& x, const Node& gain, const Node& bias, double epsilon = 1e-5);
// Batch norm as it is once trained (Ioffe and Szegedy 2015, arXiv 1502.03167), on x (…, channels): (x − mean) gain /
// √(variance + epsilon) + bias, where mean and variance (channels) are given: a constant for each channel that is
// multiplied by, and one that is added, made once a run where all four are shared.
Node batch_norm(const Node& x, const Node& gain, const Node& bias, const Node& mean, const Node& variance,
                double epsilon = 1e-5);
// Local response normalization (Krizhevsky et al. 2012) on x (…, channels): x / (bias + alpha · m)^beta, where m is the
// sum of x² over `size` neighbouring channels, (size − 1) / 2 before, over `size`; there is nothing beyond the
// channels.
Node local_response_norm(const Node& x, Index size, double alpha = 1e-4, double beta = 0.75, double bias = 1);

}  // namespace slopewise
