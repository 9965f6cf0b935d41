// What a study or a training run leaves in its directory.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace slopewise {

struct RunFiles {
  std::filesystem::path directory;
  nlohmann::ordered_json results;               // results.json
  std::vector<nlohmann::ordered_json> metrics;  // metrics.jsonl, one object a line; empty if there is no such file

  bool is_study() const;
};

// Reads them. A last line of metrics.jsonl that was cut off, as by a process that was killed, is left out. Throws
// FileError where results.json is missing, where either breaks its format, and for a schema that no report is known
// for.
RunFiles read_run(const std::filesystem::path& directory);

}  // namespace slopewise
