#include "slopewise/report/run_files.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <sstream>

#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/results.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kOldStudy = "slopewise.study/1";
constexpr const char* kStudy = "slopewise.study/2";
constexpr const char* kTraining = "slopewise.train/1";
constexpr const char* kComparison = "slopewise.compare/1";
constexpr const char* kAudit = "slopewise.audit/1";

Json read_results(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw FileError(fmt::format("{}: cannot read: expected the directory of a study or a training run", path.string()));
  return read_json(path);
}

std::vector<Json> read_lines(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return lines;
  std::istringstream file(read_text(path));
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const bool cut_off = file.eof();  // no line break at its end
    const std::string source = fmt::format("{}, line {}", path.string(), number);
    Json object = parse_json(line, source);
    if (object.is_object()) {
      lines.push_back(std::move(object));
    } else if (!cut_off) {
      throw FileError(fmt::format("{}: expected a JSON object, found {:.40}", source, line));
    }
  }
  return lines;
}

// The directory of a row's first run: the one of the lowest seed.
std::optional<std::filesystem::path> first_run(const std::filesystem::path& directory, const std::string& row) {
  const std::string beginning = row + "-seed";
  std::optional<std::filesystem::path> first;
  std::uint64_t least = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(beginning) || !std::filesystem::exists(entry.path() / "results.json")) continue;
    std::uint64_t seed = 0;
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + beginning.size(), end, seed);
    if (error != std::errc() || rest != end || (first && least <= seed)) continue;
    first = entry.path();
    least = seed;
  }
  return first;
}

}  // namespace

bool RunFiles::is_study() const {
  return results["schema"] == kStudy || results["schema"] == kOldStudy;
}

bool RunFiles::is_backprop() const {
  const Json config = results.value("config", Json::object());
  return text(results, "method") == "exact" && !(number(config, "block-layers") > 0) &&
         !(number(config, "exact-blocks") >= 0);
}

RunFiles read_run(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "results.json";
  RunFiles run{.directory = directory, .results = read_results(path)};
  const Json schema = run.results.is_object() ? run.results.value("schema", Json()) : Json("nothing");
  if (schema != kStudy && schema != kOldStudy && schema != kTraining) {
    throw FileError(fmt::format("{}: expected the schema \"{}\" or \"{}\", found {}", path.string(), kStudy, kTraining,
                                schema.dump()));
  }
  run.metrics = read_lines(directory / "metrics.jsonl");
  return run;
}

bool holds_audit(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / "audit.json");
}

AuditFiles read_audit(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "audit.json";
  AuditFiles audit{.directory = directory, .document = read_results(path)};
  const Json schema = audit.document.is_object() ? audit.document.value("schema", Json()) : Json("nothing");
  if (schema != kAudit)
    throw FileError(fmt::format("{}: expected the schema \"{}\", found {}", path.string(), kAudit, schema.dump()));
  return audit;
}

bool holds_comparison(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / "compare.json");
}

ComparisonFiles read_comparison(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "compare.json";
  ComparisonFiles comparison{.directory = directory, .document = read_results(path), .runs = {}};
  const Json& document = comparison.document;
  const Json schema = document.is_object() ? document.value("schema", Json()) : Json("nothing");
  if (schema != kComparison) {
    throw FileError(fmt::format("{}: expected the schema \"{}\", found {}", path.string(), kComparison, schema.dump()));
  }
  for (const Json& row : document.value("rows", Json::array())) {
    const std::string name = row.is_object() ? row.value("name", "") : "";
    const auto run = first_run(directory, name);
    if (!run) continue;
    comparison.runs.push_back(read_run(*run));
    comparison.runs.back().results["name"] = name;
  }
  return comparison;
}

ReportFiles read_report_files(const std::filesystem::path& directory) {
  if (holds_comparison(directory)) return read_comparison(directory);
  if (holds_audit(directory)) return read_audit(directory);
  return read_run(directory);
}

}  // namespace slopewise
