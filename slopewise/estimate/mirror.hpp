// The weight mirror; make_activity_prior (activity_prior.hpp) makes it by name.
#pragma once

#include "slopewise/estimate/activity_prior.hpp"

namespace slopewise {

template <class T>
std::unique_ptr<ActivityPrior<T>> mirror_prior(const Program& program, const ActivitySites& sites, std::uint64_t seed);

}  // namespace slopewise
