// What verbs ask of a model from an ONNX file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/arguments.hpp"
#include "apps/settings.hpp"
#include "slopewise/onnx/network.hpp"

namespace slopewise {

struct OnnxSettings {
  std::string train = "all";
  std::optional<Index> blocks = {};  // of it what lies in the last so many blocks
  std::vector<std::string> extents;  // "sequence=128"
  std::string output;
  std::string loss = "cross-entropy";
  std::vector<Index> ignored;  // none or one label
  bool unfused = false;
};

// Whether --model names a file and not a family.
bool is_onnx(const std::string& model);

// Add, under a heading of their own, what says how a file is read, --extent, --output, --loss, --ignore-label,
// --unfused, and, of verbs that read `data`, where its inputs lie, --input; with --train, what trains.
void add_onnx_reading(Settings& settings, OnnxSettings& options, DataOptions* data);
void add_onnx_settings(Settings& settings, OnnxSettings& options, DataOptions* data);
// Refuse them where no file is read. Throw ArgumentError.
void refuse_onnx_reading(const Settings& given, const std::string& condition = "a model from an ONNX file");
void refuse_onnx_settings(const Settings& given);

// Throw ArgumentError for an extent that is none, and for more than one label to ignore.
OnnxOptions onnx_options(const OnnxSettings& settings);
// The same with images that have their channels last, as data sets do.
OnnxOptions training_options(const OnnxSettings& settings);
OnnxLossOptions onnx_loss_options(const OnnxSettings& settings);

// The model in a file to train, images with their channels last. Throws as onnx_network does, and where nothing trains.
OnnxNetwork open_onnx(const std::string& file, const OnnxSettings& settings, double label_smoothing = 0);

}  // namespace slopewise
