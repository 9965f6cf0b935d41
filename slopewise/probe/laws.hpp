// The laws one by one; make_probe (probe.hpp) picks one by name.
#pragma once

#include "slopewise/probe/probe.hpp"

namespace slopewise {

// Independent entries: standard normal; ±1; uniform on [−√3, √3).
std::shared_ptr<const Probe> gaussian_probe(const ParameterLayout& layout, std::uint64_t seed);
std::shared_ptr<const Probe> rademacher_probe(const ParameterLayout& layout, std::uint64_t seed);
std::shared_ptr<const Probe> uniform_probe(const ParameterLayout& layout, std::uint64_t seed);
// Uniform on the sphere of radius √n.
std::shared_ptr<const Probe> sphere_probe(const ParameterLayout& layout, std::uint64_t seed);
// √n times a coordinate direction chosen uniformly, each of the K on its own.
std::shared_ptr<const Probe> coordinate_probe(const ParameterLayout& layout, std::uint64_t seed);
// K orthogonal directions of length √n, uniform among all such frames.
std::shared_ptr<const Probe> frame_probe(const ParameterLayout& layout, std::uint64_t seed);
// For each weight matrix, its bias as one more column, u wᵀ with independent entries of u and w: ±1, or standard
// normal. What is no matrix gets independent entries. Kernels never see the matrix (contract 2 of the design).
std::shared_ptr<const Probe> rank_one_rademacher_probe(const ParameterLayout& layout, std::uint64_t seed);
std::shared_ptr<const Probe> rank_one_gaussian_probe(const ParameterLayout& layout, std::uint64_t seed);
// For each weight matrix U Wᵀ/√r with standard normal entries; what is no matrix gets independent ones.
std::shared_ptr<const Probe> low_rank_probe(const ParameterLayout& layout, std::uint64_t seed,
                                            const LawOptions& options);

// The second moments of a uniform random projector P of rank K in n dimensions: E[(P∇)_i²] = (α + β) ∇_i² + β ‖∇‖².
struct ProjectorMoments {
  double alpha, beta;
};
ProjectorMoments projector_moments(Index size, Index count);

// VᵀV of a draw's K tangents, (K, K), lower half, row-major.
std::vector<double> gram_matrix(const Draw& draw);

}  // namespace slopewise
