#include "slopewise/report/run_files.hpp"

#include <fmt/format.h>

#include <fstream>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kOldStudy = "slopewise.study/1";
constexpr const char* kStudy = "slopewise.study/2";
constexpr const char* kTraining = "slopewise.train/1";

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file)
    throw FileError(fmt::format("{}: cannot read: expected the directory of a study or a training run", path.string()));
  const Json document = Json::parse(file, nullptr, false);
  if (document.is_discarded()) throw FileError(fmt::format("{}: expected JSON, found something else", path.string()));
  return document;
}

std::vector<Json> read_lines(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const bool cut_off = file.eof();  // no line break at its end
    Json object = Json::parse(line, nullptr, false);
    if (object.is_object()) {
      lines.push_back(std::move(object));
    } else if (!cut_off) {
      throw FileError(fmt::format("{}, line {}: expected a JSON object, found {:.40}", path.string(), number, line));
    }
  }
  return lines;
}

}  // namespace

bool RunFiles::is_study() const {
  return results["schema"] == kStudy || results["schema"] == kOldStudy;
}

RunFiles read_run(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "results.json";
  RunFiles run{.directory = directory, .results = read_json(path)};
  const Json schema = run.results.is_object() ? run.results.value("schema", Json()) : Json("nothing");
  if (schema != kStudy && schema != kOldStudy && schema != kTraining) {
    throw FileError(fmt::format("{}: expected the schema \"{}\" or \"{}\", found {}", path.string(), kStudy, kTraining,
                                schema.dump()));
  }
  run.metrics = read_lines(directory / "metrics.jsonl");
  return run;
}

}  // namespace slopewise
