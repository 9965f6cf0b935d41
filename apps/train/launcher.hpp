// `slopewise train --workers`: starts the ranks by mpirun, watches them, and starts the run again without one that is
// lost. No MPI here: a rank tells the launcher who it is through a socket, which ends with it.
#pragma once

#include <filesystem>
#include <string>

#include "apps/train/options.hpp"

namespace slopewise {

// Runs this command by `workers` ranks on this machine, each of which finds a LauncherLink, and returns its exit code.
// Ctrl-C is passed on to rank 0, which ends as a run by itself does; a second one ends all. A rank that is lost is
// named; with `elastic` the run then goes on from its checkpoint and log with one rank less. Throws Error where mpirun
// cannot be started, or where a rank is lost and the run does not go on.
int launch_workers(const TrainOptions& options, const Settings& settings);

// A rank's side of that.
class LauncherLink {
 public:
  // Whether a launcher has started this process.
  static bool exists();

  // Says which rank this is. Does nothing, nor do the others, where there is no launcher.
  LauncherLink();
  ~LauncherLink();
  LauncherLink(const LauncherLink&) = delete;
  LauncherLink& operator=(const LauncherLink&) = delete;

  // From rank 0: its run can go on from what this directory holds.
  void begun(const std::filesystem::path& directory) const;
  // A rank that the others go on without.
  void lost(Index rank) const;

 private:
  void say(char what, const std::string& text) const;
  int socket_ = -1;
};

}  // namespace slopewise
