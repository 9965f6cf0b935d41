#include "slopewise/onnx/loss.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/named.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

struct Entry {
  std::string name, summary;
  OnnxLoss loss;
};
const NamedTable<Entry>& losses() {
  static const NamedTable<Entry> table(
      "loss", {{"cross-entropy", "of labels, averaged over the positions of the output", OnnxLoss::kCrossEntropy},
               {"squared", "mean squared difference from targets", OnnxLoss::kSquared},
               {"huber", "squared up to a difference of 1, then linear", OnnxLoss::kHuber},
               {"output", "the output itself, one number an example", OnnxLoss::kOutput}});
  return table;
}

// Those of (…, classes) that have a label.
Shape positions_of(const Shape& shape) {
  std::vector<Index> extents = shape.extents();
  extents.pop_back();
  return Shape(extents);
}

}  // namespace

OnnxLoss onnx_loss(std::string_view name) {
  return losses().find(name).loss;
}
std::string onnx_loss_name(OnnxLoss loss) {
  return std::ranges::find(losses().entries(), loss, &Entry::loss)->name;
}
const std::vector<std::string>& onnx_loss_names() {
  return losses().names();
}

void require_training(const OnnxModel& model) {
  if (model.layout().size == 0) throw ArgumentError(fmt::format("{}: nothing trains", model.file().string()));
}

OnnxProgram onnx_program(const OnnxModel& model, const OnnxLossOptions& loss) {
  // The loss's own nodes go into a graph of their own.
  const Node output(std::make_shared<Graph>(*model.output().graph()), model.output().number());
  const Shape& shape = output.shape();
  if (loss.kind != OnnxLoss::kCrossEntropy && (loss.label_smoothing > 0 || loss.ignored)) {
    throw ArgumentError(fmt::format("{}: expected labels, for {}", model.file().string(),
                                    loss.ignored ? "one that is ignored" : "label smoothing"));
  }
  switch (loss.kind) {
    case OnnxLoss::kCrossEntropy:
      if (shape.rank() < 1 || shape.size() == 0) {
        throw ArgumentError(fmt::format("{}: the output has the shape {}, expected classes along its last axis",
                                        model.file().string(), shape.to_string()));
      }
      if (shape[-1] < 2) {
        throw ArgumentError(
            fmt::format("{}: the output has the shape {}, expected at least 2 classes along its last axis; "
                        "--loss squared or output, or another --output?",
                        model.file().string(), shape.to_string()));
      }
      return {Program(cross_entropy(output, Builder(output).indices("label", positions_of(shape)),
                                    CrossEntropyOptions{.smoothing = loss.label_smoothing, .ignored = loss.ignored})),
              output.number()};
    case OnnxLoss::kSquared:
      return {Program(mean_squared_error(output, Builder(output).input("target", shape))), output.number()};
    case OnnxLoss::kHuber:
      return {Program(huber(output, Builder(output).input("target", shape))), output.number()};
    case OnnxLoss::kOutput:
      break;
  }
  if (shape.size() != 1) {
    throw ArgumentError(fmt::format("{}: the output has the shape {}, expected one number to be the loss",
                                    model.file().string(), shape.to_string()));
  }
  return {Program(output), output.number()};
}

}  // namespace slopewise
