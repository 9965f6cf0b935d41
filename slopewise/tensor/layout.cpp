#include "slopewise/tensor/layout.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {

Index ParameterLayout::add(std::string name, Shape shape, Initializer initializer, Index matrix_rows) {
  const Index count = shape.size();
  if (matrix_rows < 1 || count % matrix_rows != 0) {
    throw ShapeError(fmt::format("parameter '{}' of shape {}: cannot be seen as a matrix of {} rows", name,
                                 shape.to_string(), matrix_rows));
  }
  const Index number = static_cast<Index>(segments.size());
  blocks.push_back({.weight = number, .rows = matrix_rows, .columns = count / matrix_rows});
  segments.push_back({.name = std::move(name),
                      .shape = std::move(shape),
                      .offset = size,
                      .initializer = initializer,
                      .block = static_cast<Index>(blocks.size()) - 1});
  size += count;
  return number;
}

Index ParameterLayout::add_bias(std::string name, Index weight) {
  const Index block = segments[weight].block;
  Block& matrix = blocks[block];
  if (matrix.bias >= 0 || matrix.weight != weight) {
    throw ArgumentError(fmt::format("bias '{}': '{}' {}", name, segments[weight].name,
                                    matrix.weight == weight ? "has one already" : "is a bias itself"));
  }
  const Index number = static_cast<Index>(segments.size());
  matrix.bias = number;
  segments.push_back(
      {.name = std::move(name), .shape = {matrix.rows}, .offset = size, .initializer = {}, .block = block});
  size += matrix.rows;
  return number;
}

bool ParameterLayout::same_shapes(const ParameterLayout& other) const {
  const auto same_segment = [](const Segment& a, const Segment& b) {
    return a.shape == b.shape && a.offset == b.offset && a.block == b.block;
  };
  return std::equal(segments.begin(), segments.end(), other.segments.begin(), other.segments.end(), same_segment) &&
         blocks == other.blocks;
}

ParameterLayout ParameterLayout::first(Index count) const {
  ParameterLayout part;
  part.segments.assign(segments.begin(), segments.begin() + count);
  for (const Segment& segment : part.segments) part.size += segment.size();
  for (const Block& block : blocks) {
    if (std::min(block.weight, block.bias < 0 ? block.weight : block.bias) >= count) continue;
    if (std::max(block.weight, block.bias) >= count)
      throw ArgumentError(fmt::format("layout: the first {} segments part a weight from its bias", count));
    part.blocks.push_back(block);
  }
  return part;
}

ParameterLayout ParameterLayout::vector(Index n) {
  ParameterLayout layout;
  layout.add("theta", {n}, {}, n);
  return layout;
}

}  // namespace slopewise
