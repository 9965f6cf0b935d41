// A model from an ONNX file with the loss that trains it.
#pragma once

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
  kOutput         // the output itself, which is one number
};
// By name: "cross-entropy", "squared", "output". Throws ArgumentError, naming the nearest, for another.
OnnxLoss onnx_loss(std::string_view name);
const std::vector<std::string>& onnx_loss_names();

// The model with its loss: a program whose inputs are the model's and then, but for kOutput, "label" or "target".
struct OnnxProgram {
  Program program;
  Index output;  // the node
};
// Throws ArgumentError for an output that the loss does not fit, and where nothing trains.
OnnxProgram onnx_program(const OnnxModel& model, OnnxLoss loss);

}  // namespace slopewise
