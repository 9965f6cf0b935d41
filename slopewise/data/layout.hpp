// Which axes of an image's array are what.
#pragma once

#include <optional>
#include <string>

#include "slopewise/data/load.hpp"

namespace slopewise::detail {

struct ImageLayout {
  Shape image_shape;  // as a Dataset has it
  bool channels_first = false;
};

// The layout of examples of this shape: (columns) are a table's, (height, width) an image's; of three axes a first or
// last one of at most four is that of the channels where the other two are longer, and where both ends are longer, the
// one that leaves a square. Throws FileError for other numbers of axes, ArgumentError where it is not evident and no
// `layout` says. `where` names the array.
ImageLayout find_layout(const Shape& example, std::optional<Layout> layout, const std::string& where);

// Whether two shapes have the same axes, those of extent 1 left out.
bool same_but_for_ones(const Shape& a, const Shape& b);

// The layout of examples of this shape for a model that reads `like`, where it is evident: rows may be given as images;
// images of three axes with their channels first or last.
std::optional<ImageLayout> layout_for(const Dataset& like, const Shape& example);

}  // namespace slopewise::detail
