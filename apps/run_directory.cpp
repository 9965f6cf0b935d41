#include "apps/run_directory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

using Path = std::filesystem::path;

// What runs write, of all verbs; any of the first tells that a directory holds a run.
constexpr const char* kTelling[] = {"config.toml", "results.json", "checkpoint.safetensors",
                                    "plan.json",   "bench.json",   "audit.json"};
constexpr const char* kOthers[] = {"weights.safetensors",
                                   "model.onnx",
                                   "metrics.jsonl",
                                   "slopes.log",
                                   "report.html",
                                   "adapter/adapter_model.safetensors",
                                   "adapter/adapter_config.json",
                                   "bench.txt",
                                   "compare.json",
                                   "compare.csv",
                                   "compare.md"};

void require_no_run(const Path& directory, const std::string& resume) {
  std::error_code ignored;
  if (std::ranges::none_of(kTelling,
                           [&](const char* file) { return std::filesystem::exists(directory / file, ignored); }))
    return;
  throw ArgumentError(fmt::format("--out: {} holds a run; expected another directory, or --overwrite to replace it{}",
                                  directory.string(),
                                  resume.empty() ? "" : fmt::format("; to go on with it: {}", resume)));
}

}  // namespace

void add_run_directory_options(Settings& settings, RunDirectoryOptions& options, std::string_view standard) {
  settings.add("out", options.out, text("DIR"),
               standard.empty()
                   ? "Directory of the run"
                   : "Directory of the run; the default's name is followed by -2, -3, ... where it is taken",
               {.letter = 'o', .otherwise = standard.empty() ? "none" : standard});
  settings.flag("overwrite", options.overwrite, "Replace the run that the directory holds", {.in_files = false});
  settings.flag("beside", options.beside, "", {.hidden = true, .in_files = false});
}

RunDirectory::RunDirectory(const RunDirectoryOptions& options, const std::string& standard, const std::string& resume)
    : path_(options.out.empty() ? Path(standard) : Path(options.out)) {
  if ((!options.out.empty() || options.overwrite) && !options.beside) {
    if (!options.overwrite) require_no_run(path_, resume);
    make(path_);
  } else {
    make(path_.parent_path());
    const std::string first = path_.string();
    std::error_code error;
    for (int number = 2; !std::filesystem::create_directory(path_, error) && !error; ++number)
      path_ = fmt::format("{}-{}", first, number);
    // A file of that name is as much in the way as a directory.
    if (error) throw FileError(fmt::format("{}: cannot create the directory: {}", path_.string(), error.message()));
    made_.paths.push_back(path_);
  }
  ensure_writable_directory(path_);
  lock_.emplace(path_);
  if (!options.overwrite) require_no_run(path_, resume);  // another process may have been there between
}

RunDirectory::RunDirectory(const Path& resumed) : path_(resumed) {
  if (!std::filesystem::is_directory(path_)) return;  // what is to go on will not be found
  lock_.emplace(path_);
  remove_leftovers(path_);
}

RunDirectory::Made::~Made() {
  std::error_code not_empty;
  for (; !paths.empty(); paths.pop_back()) {
    if (!std::filesystem::is_empty(paths.back(), not_empty)) return;
    std::filesystem::remove(paths.back(), not_empty);
  }
}

void RunDirectory::require_kept(const Path& input) const {
  const auto require = [&](const char* file) {
    std::error_code missing;
    if (!std::filesystem::equivalent(input, path_ / file, missing)) return;
    throw ArgumentError(fmt::format("--out: {} holds {}, which the run reads; expected another directory",
                                    path_.string(), input.string()));
  };
  std::ranges::for_each(kTelling, require);
  std::ranges::for_each(kOthers, require);
}

void RunDirectory::clear(std::initializer_list<std::string_view> written) const {
  const auto remove = [&](const char* file) {
    if (std::ranges::find(written, file) == written.end()) std::filesystem::remove(path_ / file);
  };
  std::ranges::for_each(kTelling, remove);
  std::ranges::for_each(kOthers, remove);
}

// With its parents, remembering which were missing.
void RunDirectory::make(const Path& directory) {
  std::error_code error;
  if (directory.empty() || std::filesystem::exists(directory, error)) return;
  make(directory.parent_path());
  if (std::filesystem::create_directory(directory, error)) made_.paths.push_back(directory);
}

}  // namespace slopewise
