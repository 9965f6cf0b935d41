#include "slopewise/train/block_cosines.hpp"

#include <fmt/format.h>

#include <cmath>

#include "slopewise/program/stream.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

std::vector<std::pair<std::string, double>> block_cosines(const Program& program, Index logits,
                                                          std::span<const float> estimate,
                                                          std::span<const float> gradient) {
  const Stream stream = find_stream(program, logits);
  const std::size_t parts = stream.cuts.size() + 1;
  // Of each segment the first part that it is in.
  std::vector<std::size_t> part(program.layout().segments.size(), parts - 1);
  for (std::size_t cut = stream.cuts.size(); cut-- > 0;) {
    const std::vector<bool> below = ancestors(program, stream.cuts[cut]);
    for (std::size_t i = 0; i < below.size(); ++i) {
      const GraphNode& node = program.nodes()[i];
      if (below[i] && node.kind == GraphNode::Kind::kParameter) part[node.slot] = cut;
    }
  }
  struct Sums {
    double product = 0, estimate = 0, gradient = 0;
  };
  std::vector<Sums> sums(parts);
  for (std::size_t i = 0; i < part.size(); ++i) {
    const Segment& segment = program.layout().segments[i];
    const float* g = estimate.data() + segment.offset;
    const float* truth = gradient.data() + segment.offset;
    sums[part[i]].product += static_cast<double>(dot(g, truth, segment.size()));
    sums[part[i]].estimate += static_cast<double>(dot(g, g, segment.size()));
    sums[part[i]].gradient += static_cast<double>(dot(truth, truth, segment.size()));
  }
  std::vector<std::pair<std::string, double>> cosines;
  for (std::size_t p = 0; p < parts; ++p) {
    const double norms = std::sqrt(sums[p].estimate * sums[p].gradient);
    if (!(norms > 0)) continue;
    cosines.emplace_back(p + 1 == parts ? "head"
                         : p == 0       ? "stem"
                                        : fmt::format("block{}", p),
                         sums[p].product / norms);
  }
  return cosines;
}

}  // namespace slopewise
