#include "slopewise/onnx/adapters.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/data/safetensors.hpp"

namespace slopewise {

bool has_adapters(const OnnxModel& model) {
  return std::ranges::any_of(model.parameters(), &OnnxParameter::is_adapter);
}

void save_adapters(const OnnxModel& model, const Parameters<float>& theta, const std::filesystem::path& directory) {
  std::vector<SafetensorView> tensors;
  std::set<std::string> modules;
  Index rank = 0;
  double alpha = 0;
  for (std::size_t i = 0; i < model.parameters().size(); ++i) {
    const OnnxParameter& parameter = model.parameters()[i];
    if (!parameter.is_adapter()) continue;
    const Segment& segment = model.layout().segments[i];
    tensors.push_back(
        {"base_model.model." + segment.name, segment.shape, theta.values(segment.offset, segment.size())});
    if (parameter.role != Role::kAdapterIn) continue;
    rank = segment.shape[0];
    alpha = parameter.scale * static_cast<double>(rank);
    modules.insert(segment.name.substr(0, segment.name.rfind(".lora_A")));
  }
  save_safetensors(directory / "adapter_model.safetensors", tensors, {{"format", "pt"}});
  const nlohmann::ordered_json config{{"peft_type", "LORA"},
                                      {"r", rank},
                                      {"lora_alpha", alpha},
                                      {"lora_dropout", 0.0},
                                      {"bias", "none"},
                                      {"fan_in_fan_out", false},
                                      {"target_modules", modules},
                                      {"inference_mode", true},
                                      {"base_model_name_or_path", model.file().filename().string()}};
  write_text(directory / "adapter_config.json", config.dump(2) + "\n");
}

}  // namespace slopewise
