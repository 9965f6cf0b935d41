// How a run comes by ranks: by mpirun, which --workers starts. Of a build with MPI; in one without, either is refused.
#pragma once

#include <memory>

#include "slopewise/objective/pieces.hpp"

namespace slopewise {

// Ranks that mpirun started this process among; 0 where it did not. Throws ArgumentError for two or more where the
// build has no MPI.
Index started_ranks();
// Throws ArgumentError where the build has no MPI.
void require_workers();
// The ranks that this process is one of, with the processors shared out among those on one machine; null where it is
// alone. `patience`: seconds that rank 0 waits for an answer.
std::unique_ptr<Team> join_team(double patience);

}  // namespace slopewise
