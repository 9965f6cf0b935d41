// Cholesky factors of small symmetric matrices: the K × K systems of K tangents.
#pragma once

#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// The lower factor L (n, n) of A = L Lᵀ, row-major; only A's lower half is read. Throws NumericError if A is not
// positive definite: for a Gram matrix, if its vectors are linearly dependent.
std::vector<double> cholesky(const std::vector<double>& a, Index n);
// The same; empty where A is not positive definite.
std::vector<double> try_cholesky(const std::vector<double>& a, Index n);

// x with L Lᵀ x = b.
std::vector<double> cholesky_solve(const std::vector<double>& lower, std::vector<double> b);

// L⁻¹ (n, n), row-major, lower.
std::vector<double> invert_lower(const std::vector<double>& lower, Index n);

}  // namespace slopewise
