// The directory that a run writes: its own while it runs, and never over another run unasked.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/settings.hpp"
#include "slopewise/base/directory_lock.hpp"

namespace slopewise {

inline constexpr const char* kTrainDirectory = "runs/train";
inline constexpr const char* kAuditDirectory = "runs/audit";
inline constexpr const char* kStudyDirectory = "runs/study";
inline constexpr const char* kCompareDirectory = "runs/compare";

struct RunDirectoryOptions {
  std::string out;         // empty: the standard name, or the first of NAME-2, NAME-3, … that is not taken
  bool overwrite = false;  // replace the run that `out`, or the standard directory, holds
  bool beside = false;     // count up from `out` too, as a rerun does
};

// Adds --out, --overwrite and, hidden, --beside. `standard`, which must live as long as the table, is the directory
// without --out; empty: there is none then.
void add_run_directory_options(Settings& settings, RunDirectoryOptions& options, std::string_view standard);

class RunDirectory {
 public:
  // Makes the directory of a new run and holds it. Throws ArgumentError if it holds a run that is not to be
  // overwritten, naming what goes on with it, Error if another process holds it, FileError if it cannot be written to;
  // then nothing is left that was not there.
  RunDirectory(const RunDirectoryOptions& options, const std::string& standard);
  // Holds the directory of a run that goes on. Throws Error if another process does.
  explicit RunDirectory(const std::filesystem::path& resumed);
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Throws ArgumentError where `input`, which the run reads, is a file that clear() removes.
  void require_kept(const std::filesystem::path& input) const;
  // Removes what an earlier run has left, a comparison's runs included, but for files that the new one has written
  // already. Called where the new one begins to write, so that one that fails before costs nothing.
  void clear(std::initializer_list<std::string_view> written = {}) const;

 private:
  void make(const std::filesystem::path& directory);

  // Directories that were made, from the outermost in; gone with this where nothing is in them.
  struct Made {
    std::vector<std::filesystem::path> paths;
    ~Made();
  };

  std::filesystem::path path_;
  Made made_;
  std::optional<DirectoryLock> lock_;
};

}  // namespace slopewise
