// The contract of parameters: one contiguous vector θ, cut into named segments.
#pragma once

#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// How a segment starts; the draws themselves are functions of the seed (see initialize in model/initialize.hpp).
struct Initializer {
  enum class Kind { kZero, kOne, kHe, kGlorot, kUniformFan, kNormal };
  Kind kind = Kind::kZero;
  double fan_in = 1;
  double fan_out = 1;
  double gain = 1;  // factor of what is drawn
};

// One named piece of θ, row-major from `offset`.
struct Segment {
  std::string name;
  Shape shape;
  Index offset = 0;
  Initializer initializer;
  Index block = 0;  // the block it belongs to

  Index size() const { return shape.size(); }
};

// What one structured tangent covers: a weight matrix of `rows` × `columns` and, as one more input entry, its bias. A
// segment that is no matrix is a block of its own with one column.
struct Block {
  Index weight = 0;   // segment
  Index bias = -1;    // segment, or −1
  Index rows = 0;     // p: output units
  Index columns = 0;  // q: inputs, the bias's entry not counted

  bool operator==(const Block&) const = default;
  Index columns_with_bias() const { return columns + (bias >= 0 ? 1 : 0); }
};

struct ParameterLayout {
  std::vector<Segment> segments;
  std::vector<Block> blocks;
  Index size = 0;  // n: entries of θ

  // Appends a segment of its own block and returns its number.
  Index add(std::string name, Shape shape, Initializer initializer, Index matrix_rows);
  // Appends a bias that shares the block of segment `weight`; shape (rows of that block). Returns its number. Throws
  // ArgumentError if `weight` has a bias already or is one.
  Index add_bias(std::string name, Index weight);
  // Whether segments and blocks are the same but for names and initializers.
  bool same_shapes(const ParameterLayout& other) const;
  // Segments [0, count) and their blocks. Throws ArgumentError where that would part a block.
  ParameterLayout first(Index count) const;
  // A single segment "theta" of n entries.
  static ParameterLayout vector(Index n);
};

}  // namespace slopewise
