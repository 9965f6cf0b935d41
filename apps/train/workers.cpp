#include "apps/train/workers.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "apps/train/launcher.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/workers/mpi_team.hpp"

namespace slopewise {

Index started_ranks() {
  return MpiTeam::started();
}

void require_workers() {}

std::unique_ptr<Team> join_team(double patience) {
  if (MpiTeam::started() < 2) return nullptr;
  int here = 1;
  if (const char* local = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE"))
    std::from_chars(local, local + std::strlen(local), here);
  set_thread_count(std::max(1, thread_count() / std::max(here, 1)));
  return std::make_unique<MpiTeam>(patience, LauncherLink::exists());
}

}  // namespace slopewise
