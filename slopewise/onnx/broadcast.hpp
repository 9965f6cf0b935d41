// Values of different shapes that an entrywise operator reads together.
#pragma once

#include <vector>

#include "slopewise/onnx/importer.hpp"

namespace slopewise {

struct Broadcast {
  std::vector<Node> nodes;  // of shapes that broadcast in the program
  Extents dims;
  std::vector<Index> axes;

  Placed result(Node node) const { return {std::move(node), dims, axes}; }
};

// The values lined up by ONNX's rule (NumPy's), in the order of axes of the one with the most entries. Refuses the step
// where they do not fit.
Broadcast broadcast(const ImportStep& step, const std::vector<Placed>& values);
// An entrywise function of two of them.
Placed broadcast(const ImportStep& step, const Placed& a, const Placed& b, Node (*function)(const Node&, const Node&));

}  // namespace slopewise
