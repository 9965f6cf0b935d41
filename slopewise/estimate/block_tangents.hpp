// Tangents that are zero outside one block of the parameters: a slope for each block.
#pragma once

#include <memory>
#include <vector>

#include "slopewise/estimate/estimator.hpp"

namespace slopewise::detail {

// K tangents for each block, by a law over that block alone. Tangent b K + k of the draw is tangent k of block b.
template <class T>
class BlockTangents {
 public:
  // Throws ArgumentError for a law there is not, or K it does not take for every block.
  BlockTangents(const ParameterLayout& layout, std::string_view law, Index count, std::uint64_t seed,
                const LawOptions& options);

  Index count() const { return count_; }
  Index blocks() const { return static_cast<Index>(layout_.blocks.size()); }
  const ParameterLayout& layout() const { return layout_; }
  // The law over block b, its entries in the order of θ.
  const Probe& probe(Index b) const { return *probes_[b]; }
  // The entries of `whole` (n) that block b has, in the order of θ.
  std::vector<double> part(Index b, std::span<const double> whole) const;
  // Writes them back.
  void put(Index b, std::span<const double> part, std::span<double> whole) const;

  // Loss and slopes (b K + k) of one step, one visit of the objective a block, and the draw.
  struct Step {
    Slopes found;
    std::shared_ptr<const Draw> draw;
  };
  Step measure(Objective<T>& objective, const Parameters<T>& parameters, std::uint32_t step) const;
  // What that needs.
  Demand demand(Objective<T>& objective) const;

 private:
  ParameterLayout layout_;
  Index count_;
  std::vector<std::shared_ptr<const Probe>> probes_;
};

}  // namespace slopewise::detail
