// One process at a time in a directory.
#pragma once

#include <filesystem>

namespace slopewise {

// Holds a directory for this process, by a lock (flock) on the file ".slopewise.lock" in it, which says the process's
// number and goes with the lock. The system gives the lock back when the process ends, however it ends. Where the file
// system knows no locks, nothing is held.
class DirectoryLock {
 public:
  // Throws Error that names the directory, and the process where that is known, if another one holds it; FileError if
  // the file cannot be made.
  explicit DirectoryLock(const std::filesystem::path& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace slopewise
