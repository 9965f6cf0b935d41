// Norms that are made of normalize, pooling and arithmetic.
#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/windows.hpp"

namespace slopewise {
namespace {

// A number that every entry of a shape is added to.
Node number(const Node& like, double value) {
  return Builder(like).constant({}, std::vector<double>{value});
}

void check_channels(std::string_view op, const Shape& x, std::initializer_list<Shape> of_channels) {
  for (const Shape& found : of_channels) {
    if (x.rank() >= 1 && found == Shape{x[-1]}) continue;
    throw ShapeError(fmt::format("{}: expected x (…, channels) and a number for each channel, found {} and {}", op,
                                 x.to_string(), found.to_string()));
  }
}

}  // namespace

Node layer_norm(const Node& x, const Node& gain, const std::optional<Node>& bias, Index axes, double epsilon) {
  const Shape shape = x.shape();  // ops made below move where nodes are
  if (axes < 1 || axes > shape.rank()) {
    throw ShapeError(
        fmt::format("layer_norm: expected 1 to {} axes of x {}, found {}", shape.rank(), shape.to_string(), axes));
  }
  Node y = x;
  if (axes == 1) {
    y = normalize(x, epsilon);
  } else {
    const Index width = Shape({shape.end() - axes, shape.end()}).size();
    const Index rows = Shape({shape.begin(), shape.end() - axes}).size();
    y = reshape(normalize(reshape(x, {rows, width}), epsilon), shape);
  }
  return bias ? scale_shift(y, gain, *bias) : y * gain;
}

Node rms_norm(const Node& x, const Node& gain, double epsilon) {
  return rms_normalize(x, epsilon) * gain;
}

Node group_norm(const Node& x, Index groups, const Node& gain, const Node& bias, double epsilon) {
  const Shape shape = x.shape();  // ops made below move where nodes are
  check_channels("group_norm", shape, {gain.shape(), bias.shape()});
  const Index channels = shape[-1];
  if (groups < 1 || channels % groups != 0 || channels == 0) {
    throw ShapeError(fmt::format("group_norm: expected groups that divide the channels of x {}, found {}",
                                 shape.to_string(), groups));
  }
  const Index places = shape.size() / channels, own = channels / groups;
  const Node by_group = transpose(reshape(x, {places, groups, own}), {1, 0, 2});
  const Node y = reshape(normalize(reshape(by_group, {groups, places * own}), epsilon), {groups, places, own});
  return scale_shift(reshape(transpose(y, {1, 0, 2}), shape), gain, bias);
}

Node instance_norm(const Node& x, const Node& gain, const Node& bias, double epsilon) {
  check_channels("instance_norm", x.shape(), {gain.shape(), bias.shape()});
  return group_norm(x, x.shape()[-1], gain, bias, epsilon);
}

Node batch_norm(const Node& x, const Node& gain, const Node& bias, const Node& mean, const Node& variance,
                double epsilon) {
  check_channels("batch_norm", x.shape(), {gain.shape(), bias.shape(), mean.shape(), variance.shape()});
  const Node factor = gain / sqrt(variance + number(x, epsilon));
  return scale_shift(x, factor, bias - mean * factor);
}

Node local_response_norm(const Node& x, Index size, double alpha, double beta, double bias) {
  const Shape shape = x.shape();  // ops made below move where nodes are
  if (shape.rank() < 1 || size < 1 || size > kLargestExtent || shape[-1] < 1) {
    throw ShapeError(
        fmt::format("local_response_norm: expected x (…, channels) and a size of at least 1, found {} and {}",
                    shape.to_string(), size));
  }
  const Node rows = reshape(square(x), {shape.size() / shape[-1], shape[-1], 1});
  const Node near = average_pool(
      rows, {1, size}, {.pads_begin = {0, (size - 1) / 2}, .pads_end = {0, size / 2}, .count_include_pad = true});
  const Node total = scale(reshape(near, shape), alpha) + number(x, bias);
  return x / pow(total, number(x, beta));
}

}  // namespace slopewise
