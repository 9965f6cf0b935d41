#include "slopewise/onnx/broadcast.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace slopewise {

Broadcast broadcast(const ImportStep& step, const std::vector<Placed>& values) {
  std::size_t rank = 0;
  for (const Placed& value : values) rank = std::max(rank, value.dims.size());
  Broadcast result;
  result.dims.resize(rank);
  std::vector<Placed> aligned;
  std::size_t base = 0;
  for (const Placed& value : values) {
    Placed own = padded(value, rank);
    for (std::size_t i = 0; i < rank; ++i) {
      Extent& made = result.dims[i];
      if (!made.unit() && !own.dims[i].unit() && made != own.dims[i]) {
        step.refuse(fmt::format("{} and {} do not go together", to_string(values[0].dims), to_string(value.dims)));
      }
      if (made.unit()) made = own.dims[i];
    }
    const auto size = [](const Placed& one) { return std::pair(!one.shared(), one.node.shape().size()); };
    if (!aligned.empty() && size(own) > size(aligned[base])) base = aligned.size();
    aligned.push_back(std::move(own));
  }
  result.axes = aligned[base].axes;
  for (const Index axis : all_axes(result.dims)) {
    const bool there = std::find(result.axes.begin(), result.axes.end(), axis) != result.axes.end();
    if (!there && result.dims[axis].count != 1) {
      result.axes = all_axes(result.dims);
      break;
    }
  }
  for (std::size_t v = 0; v < aligned.size(); ++v) {
    const Placed& value = aligned[v];
    // Leading axes of one entry are left to the program's own broadcasting.
    const auto extent = [&](Index axis) { return value.dims[axis].count; };
    const auto first =
        std::find_if(result.axes.begin(), result.axes.end(), [&](Index axis) { return extent(axis) != 1; });
    const bool whole = v == base || value.axes == result.axes;
    result.nodes.push_back(arrange(value, whole ? result.axes : std::vector<Index>(first, result.axes.end())));
  }
  return result;
}

Placed broadcast(const ImportStep& step, const Placed& a, const Placed& b, Node (*function)(const Node&, const Node&)) {
  const Broadcast both = broadcast(step, {a, b});
  return both.result(function(both.nodes[0], both.nodes[1]));
}

}  // namespace slopewise
