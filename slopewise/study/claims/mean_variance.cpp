// The average entry variance is ‖∇‖² (n + 1)/n: the note's sanity check on MNIST.
#include <fmt/format.h>

#include "slopewise/study/claims/claims.hpp"
#include "slopewise/study/context.hpp"

namespace slopewise {
namespace {

ClaimResult measure_mean_variance(StudyContext& context) {
  const double square = context.subject().gradient().squared_norm();
  const auto n = static_cast<double>(context.subject().size());
  std::vector<double> column = context.pool().squared_gradient_norms();
  // Σ_i V[g_i] = E‖g‖² − ‖∇‖².
  for (double& value : column) value = (value - square) / (n * square);
  ClaimResult result = judge("mean entry variance / ‖∇‖²", (n + 1) / n, mean_of(column));
  result.condition = fmt::format("n = {}, over {} forward gradients", context.subject().size(), context.pool().count());
  return result;
}

}  // namespace

Claim mean_variance_claim() {
  return {.name = "mean-variance",
          .statement = "Averaged over the entries, the variance is the squared norm of the gradient times (n + 1)/n",
          .equation = "9",
          .weight = 0.1,
          .run = measure_mean_variance};
}

}  // namespace slopewise
