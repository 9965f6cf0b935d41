// The claims, one file each; select_claims (claim.hpp) gives them in order.
#pragma once

#include "slopewise/study/claim.hpp"

namespace slopewise {

Claim unbiased_claim();
Claim variance_law_claim();
Claim mean_variance_claim();
Claim uncorrelated_terms_claim();
Claim snr_scaling_claim();
Claim alignment_claim();
Claim minibatch_claim();
Claim slowdown_claim();
Claim heavy_tails_claim();
Claim norm_skew_claim();
Claim learning_rate_claim();
Claim backward_cost_claim();
Claim crossover_claim();
Claim memory_claim();
Claim distributions_claim();
Claim prior_claim();
Claim activity_claim();
Claim learned_prior_claim();
Claim clipping_claim();
Claim special_optimizer_claim();
Claim ranks_claim();
Claim second_order_claim();

}  // namespace slopewise
