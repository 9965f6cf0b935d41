// Residual feedback: in h_{l+1} = h_l + f_l(h_l) the gradient by h_l is (I + J_l)ᵀ … (I + J_{L−1})ᵀ g, with g that at
// the top of the stream. Taking the factors above a block as I gives g itself: the prior "residual", biased, and known
// without a way back through the blocks above. Each block is then taken back through itself alone.
#pragma once

#include <memory>

#include "slopewise/estimate/activity_options.hpp"
#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/program/program.hpp"
#include "slopewise/program/sites.hpp"

namespace slopewise {

// Whether a prior is one of those below.
bool feeds_stream(const ActivityOptions& options);
// The cuts of the stream (stream.hpp) at which such a prior stands, ActivityOptions::group blocks apart and with
// something that trains before each, and the top of the stream as the logits: what the exact head follows, or, where
// that is of another size, as with a class token, the last cut of the size of those below. Throws ArgumentError for a
// program without a residual stream, and for groups that leave no cut.
ActivitySites stream_sites(const Program& program, const ActivitySites& sites, const ActivityOptions& options);

// "residual": m = g at every cut. "residual-learned": m = A g at every position (last axis), with a matrix A a cut, I
// at first, learnt from the residuals r by normalised least mean squares, A += γ Σ r gᵀ / Σ |g|².
template <class T>
std::unique_ptr<ActivityPrior<T>> residual_prior(const Program& program, const ActivitySites& sites,
                                                 std::uint64_t seed);
template <class T>
std::unique_ptr<ActivityPrior<T>> learned_residual_prior(const Program& program, const ActivitySites& sites,
                                                         std::uint64_t seed);

}  // namespace slopewise
