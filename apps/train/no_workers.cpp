#include "apps/train/workers.hpp"

#include <cstdlib>
#include <cstring>

namespace slopewise {

void start_workers(Index count) {
  if (count < 2) return;
  throw ArgumentError("--workers: this slopewise was built without Open MPI (Debian: libopenmpi-dev)");
}

std::unique_ptr<Team> join_team(double) {
  const char* ranks = std::getenv("OMPI_COMM_WORLD_SIZE");
  if (ranks && std::strcmp(ranks, "1") != 0)
    throw ArgumentError("mpirun: this slopewise was built without Open MPI (Debian: libopenmpi-dev)");
  return nullptr;
}

}  // namespace slopewise
