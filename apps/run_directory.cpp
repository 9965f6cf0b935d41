#include "apps/run_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "apps/arguments.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/report/json.hpp"

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

bool holds(const Path& directory, const char* file) {
  std::error_code ignored;
  return std::filesystem::exists(directory / file, ignored);
}

void require_no_run(const Path& directory) {
  if (std::ranges::none_of(kTelling, [&](const char* file) { return holds(directory, file); })) return;
  // By what is there, whatever is to be written now.
  const char* const verb = holds(directory, "checkpoint.safetensors") ? "train"
                           : holds(directory, "plan.json")            ? "compare"
                                                                      : nullptr;
  throw ArgumentError(fmt::format(
      "--out: {} holds a run; expected another directory, or --overwrite to replace it{}", directory.string(),
      verb ? fmt::format("; to go on with it: slopewise {} --resume {}", verb, shell_word(directory.string())) : ""));
}

// The names of a comparison's rows, as its plan has them; none where there is no plan that says.
std::set<std::string> rows_of_comparison(const Path& directory) {
  std::set<std::string> names;
  if (!holds(directory, "plan.json")) return names;
  try {
    const nlohmann::ordered_json plan = read_json(directory / "plan.json");
    for (const auto& row : plan.at("rows")) names.insert(row.at("name").get<std::string>());
  } catch (const std::exception&) {
    names.clear();  // not ours to read: then nothing is known to be its
  }
  return names;
}

// Directories of the runs that a comparison has made in its own: ROW-seedN and tuning/ROW-xF of its rows.
std::vector<Path> runs_of_comparison(const Path& directory) {
  const std::set<std::string> rows = rows_of_comparison(directory);
  std::vector<Path> runs;
  const auto add = [&](const Path& within, const std::string& mark, const char* digits) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(within, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      const std::size_t at = name.rfind(mark);
      std::error_code ignored;
      const bool own = at != std::string::npos && rows.contains(name.substr(0, at)) && at + mark.size() < name.size() &&
                       name.find_first_not_of(digits, at + mark.size()) == std::string::npos;
      if (own && entry->symlink_status(ignored).type() == std::filesystem::file_type::directory)
        runs.push_back(entry->path());
    }
  };
  add(directory, "-seed", "0123456789");
  add(directory / "tuning", "-x", "0123456789.");
  return runs;
}

// Calls visit(name) for whatever a run may have written in its directory.
template <class Visit>
void visit_files(Visit visit) {
  for (const char* const file : kOthers) visit(file);
  for (const char* const file : kTelling) visit(file);
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

RunDirectory::RunDirectory(const RunDirectoryOptions& options, const std::string& standard)
    : path_(options.out.empty() ? Path(standard) : Path(options.out)) {
  if ((!options.out.empty() || options.overwrite) && !options.beside) {
    if (!options.overwrite) require_no_run(path_);
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
  if (!options.overwrite) require_no_run(path_);  // another process may have been there between
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
  std::vector<Path> directories = runs_of_comparison(path_);
  directories.push_back(path_);
  for (const Path& directory : directories) {
    visit_files([&](const char* file) {
      std::error_code missing;
      if (!std::filesystem::equivalent(input, directory / file, missing)) return;
      throw ArgumentError(fmt::format("--out: {} holds {}, which the run reads; expected another directory",
                                      path_.string(), input.string()));
    });
  }
}

void RunDirectory::clear(std::initializer_list<std::string_view> written) const {
  const std::vector<Path> runs = runs_of_comparison(path_);
  std::error_code not_empty;
  for (const Path& run : runs) {
    visit_files([&](const char* file) { std::filesystem::remove(run / file); });
    std::filesystem::remove(run / "adapter", not_empty);
    std::filesystem::remove(run, not_empty);
  }
  if (!runs.empty()) std::filesystem::remove(path_ / "tuning", not_empty);
  visit_files([&](const char* file) {
    if (std::ranges::find(written, file) == written.end()) std::filesystem::remove(path_ / file);
  });
}

// With its parents, remembering which were missing.
void RunDirectory::make(const Path& directory) {
  std::error_code error;
  if (directory.empty() || std::filesystem::exists(directory, error)) return;
  make(directory.parent_path());
  if (std::filesystem::create_directory(directory, error)) made_.paths.push_back(directory);
}

}  // namespace slopewise
