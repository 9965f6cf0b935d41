// What a study, a training run or a comparison leaves in its directory.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <variant>
#include <vector>

namespace slopewise {

struct RunFiles {
  std::filesystem::path directory;
  nlohmann::ordered_json results;               // results.json
  std::vector<nlohmann::ordered_json> metrics;  // metrics.jsonl, one object a line; empty if there is no such file

  bool is_study() const;
  // Whether a training run took the exact gradient of one loss in all that trains: neither a loss for every block nor
  // the last blocks alone.
  bool is_backprop() const;
};

// What `slopewise compare` leaves.
struct ComparisonFiles {
  std::filesystem::path directory;
  nlohmann::ordered_json document;  // compare.json
  std::vector<RunFiles> runs;       // the first of each row's, in the order of its rows
};

// What `slopewise audit` leaves.
struct AuditFiles {
  std::filesystem::path directory;
  nlohmann::ordered_json document;  // audit.json
};

// One of these, in whatever directory it lies.
using ReportFiles = std::variant<RunFiles, ComparisonFiles, AuditFiles>;

// Reads them. A last line of metrics.jsonl that was cut off, as by a process that was killed, is left out. Throws
// FileError where results.json is missing, where either breaks its format, and for a schema that no report is known
// for.
RunFiles read_run(const std::filesystem::path& directory);

// Whether a comparison is in the directory.
bool holds_comparison(const std::filesystem::path& directory);
// Reads it. A run that is not there, as after an interruption, leaves no trace but its row. Throws FileError as
// read_run does.
ComparisonFiles read_comparison(const std::filesystem::path& directory);

// The same of an audit.
bool holds_audit(const std::filesystem::path& directory);
AuditFiles read_audit(const std::filesystem::path& directory);

// What is in the directory, with the same errors.
ReportFiles read_report_files(const std::filesystem::path& directory);

}  // namespace slopewise
