// Ranks of a training run: rank 0 is the run, with its directory; the others make their pieces of its steps.
#pragma once

#include "apps/train/options.hpp"
#include "slopewise/train/trainer.hpp"

namespace slopewise {

// Rank 0: the others are told the options, make the same trainer, and share its steps from now on; null: there are no
// others. Throws Error where a rank has another version or weights or, unless `mixed`, another processor; one that is
// mixed says so on standard error, unless `quiet`.
void lead(Team* team, const std::string& config, Trainer& trainer, bool mixed, bool quiet);
// The others: returns once rank 0 has ended, which is the one to say how. `resumed`: the directory of a run that goes
// on; empty: a new one. Throws RankLost for what fails on this rank alone once the run has begun.
int follow(Team& team, const std::string& resumed);

}  // namespace slopewise
