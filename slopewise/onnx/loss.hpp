// A model from an ONNX file with the loss that trains it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/onnx/model.hpp"
#include "slopewise/program/program.hpp"

namespace slopewise {

// What the output is trained to.
enum class OnnxLoss {
  kCrossEntropy,  // of labels, one a position of the output (…, classes), averaged over the positions
  kSquared,       // the mean squared difference from a target of the output's shape
  kHuber,         // Huber's loss of that difference, with delta = 1
  kOutput         // the output itself, which is one number
};
// By name: "cross-entropy", "squared", "huber", "output". Throws ArgumentError, naming the nearest, for another.
OnnxLoss onnx_loss(std::string_view name);
std::string onnx_loss_name(OnnxLoss loss);
const std::vector<std::string>& onnx_loss_names();

struct OnnxLossOptions {
  OnnxLoss kind = OnnxLoss::kCrossEntropy;
  // Of cross entropy: the share of the target that is spread over all classes, and the label of places that do not
  // count.
  double label_smoothing = 0;
  std::optional<std::int32_t> ignored = {};
};

// The model with its loss: a program whose inputs are the model's and then, but for kOutput, "label" or "target".
struct OnnxProgram {
  Program program;
  Index output;  // the node
};
// Throws ArgumentError for an output that the loss does not fit.
OnnxProgram onnx_program(const OnnxModel& model, const OnnxLossOptions& loss);
// Throws ArgumentError for a model in which nothing trains: it has a loss, and no gradient.
void require_training(const OnnxModel& model);

}  // namespace slopewise
