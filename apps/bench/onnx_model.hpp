// A subject's network as an ONNX file, for another engine to run.
#pragma once

#include <filesystem>
#include <span>

#include "apps/bench/subject.hpp"

namespace slopewise {

// The network with θ and its loss, the mean cross entropy, for the subject's number of examples: inputs "image",
// float32 and (batch, pixels) or (batch, channels, height, width), and "label", int32 and (batch); output "loss".
// Opset 15. Throws FileError.
void write_onnx_model(const std::filesystem::path& file, const BenchSubject& subject, std::span<const float> theta);

}  // namespace slopewise
