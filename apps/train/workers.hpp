// How a run comes by ranks: by mpirun, which --workers starts. Of a build with MPI; in one without, either is refused.
#pragma once

#include <memory>

#include "slopewise/objective/pieces.hpp"

namespace slopewise {

// Becomes mpirun with so many ranks of this command on this machine, where it is not one of them already. Throws
// ArgumentError where the build has no MPI, Error where mpirun is not found.
void start_workers(Index count);
// The ranks that this process is one of, with the processors shared out among those on one machine; null where it is
// alone. `patience`: seconds that rank 0 waits for an answer.
std::unique_ptr<Team> join_team(double patience);

}  // namespace slopewise
