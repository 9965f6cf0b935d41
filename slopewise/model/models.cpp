#include "slopewise/model/models.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

Model classifier(const Node& features, Index classes) {
  if (classes < 2) throw ArgumentError(fmt::format("model: expected at least 2 classes, found {}", classes));
  const Node logits = linear(features, classes);
  return {.program = Program(cross_entropy(logits, Builder(logits).indices("label", {}))), .logits = logits.number()};
}

}  // namespace

Model logistic(Index inputs, Index classes) {
  return mlp(inputs, {}, classes);
}

Model mlp(Index inputs, std::span<const Index> hidden, Index classes) {
  const NetworkSpec spec{.family = "mlp", .hidden = {hidden.begin(), hidden.end()}};
  const ChainBlock whole = make_chain(spec, {inputs}, classes, false).front();
  return {.program = *whole.program, .logits = whole.sites.logits};
}

Model mnist_cnn(const Shape& image, Index classes) {
  Node h = Builder().input("image", image);
  for (const Index channels : {32, 64}) h = relu(conv2d(h, channels, 3));
  return classifier(relu(linear(flatten(max_pool(h, 2)), 128)), classes);
}

Model baydin_cnn(const Shape& image, Index classes) {
  Node h = Builder().input("image", image);
  for (int stage = 0; stage < 2; ++stage) h = max_pool(relu(conv2d(relu(conv2d(h, 64, 3)), 64, 3)), 2);
  return classifier(relu(linear(flatten(h), 1024)), classes);
}

}  // namespace slopewise
