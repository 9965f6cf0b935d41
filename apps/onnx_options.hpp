// What verbs ask of a model from an ONNX file.
#pragma once

#include <string>
#include <vector>

#include "apps/settings.hpp"
#include "slopewise/onnx/model.hpp"

namespace slopewise {

struct OnnxSettings {
  std::string train = "all";
  std::vector<std::string> extents;  // "sequence=128"
  std::string output;
  bool unfused = false;
};

// Adds --train, --extent, --output and --unfused under a heading of their own.
void add_onnx_settings(Settings& settings, OnnxSettings& options);
// Throws ArgumentError for an extent that is none.
OnnxOptions onnx_options(const OnnxSettings& settings);

}  // namespace slopewise
