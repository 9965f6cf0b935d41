// Low-rank adapters alone, as PEFT keeps them (github.com/huggingface/peft).
#pragma once

#include <filesystem>

#include "slopewise/onnx/model.hpp"

namespace slopewise {

bool has_adapters(const OnnxModel& model);

// Writes adapter_model.safetensors, with the adapters of θ as "base_model.model.<module>.lora_A.weight" (rank, inputs)
// and "….lora_B.weight" (units, rank), and adapter_config.json, which says rank, alpha and modules, to a directory that
// is there. Throws FileError.
void save_adapters(const OnnxModel& model, const Parameters<float>& theta, const std::filesystem::path& directory);

}  // namespace slopewise
