#include "apps/onnx_options.hpp"

#include <fmt/format.h>

#include <charconv>

#include "slopewise/base/error.hpp"

namespace slopewise {

void add_onnx_settings(Settings& settings, OnnxSettings& options) {
  settings.begin("An ONNX model", Part::kTask);
  settings.add("train", options.train, text_like("WHAT", {"all", "head", "norms", "biases", "lora:8"}),
               "Weights that train: all, head, norms, biases, lora:RANK[:REGEX], or a regular expression of names");
  settings.add("extent", options.extents, text("NAME=N"), "Extent of an axis that the file leaves open",
               {.otherwise = "none"});
  settings.add("output", options.output, text("NAME"), "Output that is trained", {.otherwise = "the first"});
  settings.flag("unfused", options.unfused, "Take the graph's nodes as they are", {.rare = true});
}

OnnxOptions onnx_options(const OnnxSettings& settings) {
  OnnxOptions options{.train = settings.train, .output = settings.output, .fuse = !settings.unfused};
  for (const std::string& text : settings.extents) {
    const std::size_t equals = text.rfind('=');
    Index extent = 0;
    const char* end = text.data() + text.size();
    const bool parted = equals != std::string::npos && equals > 0;
    const auto read = parted ? std::from_chars(text.data() + equals + 1, end, extent)
                             : std::from_chars_result{end, std::errc::invalid_argument};
    if (read.ec != std::errc() || read.ptr != end || extent < 1)
      throw ArgumentError(fmt::format("--extent: expected NAME=N with N from 1 on, found '{}'", text));
    options.extents[text.substr(0, equals)] = extent;
  }
  return options;
}

}  // namespace slopewise
