// An ONNX graph as it is read from a file, free of protobuf: nodes in order, initializers, what goes in and out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

enum class OnnxType { kFloat, kDouble, kHalf, kBfloat16, kInteger, kBoolean, kOther };

// A tensor of the file: row-major numbers in the width they are stored in.
struct OnnxTensor {
  OnnxType type = OnnxType::kFloat;
  std::vector<Index> dims;
  std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>> numbers;
  bool constant = false;  // from a Constant node: no weight

  Index size() const;
  bool floating() const;
  // The numbers in another width.
  template <class T>
  std::vector<T> as() const;
};

struct OnnxBranch;
using OnnxAttribute =
    std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>,
                 std::vector<std::string>, std::shared_ptr<const OnnxTensor>, std::shared_ptr<const OnnxBranch>>;

// `op` is the operator's type. What the branches of an If read from outside, and their constants, are among its inputs,
// after its own. Operators of this house that stand for several nodes (fusions.hpp) have the domain
// "slopewise".
struct OnnxNode {
  std::string op, domain = {}, name = {};
  std::vector<std::string> inputs = {}, outputs = {};  // "" where an optional one is left out
  std::map<std::string, OnnxAttribute> attributes = {};

  bool is(std::string_view type) const { return op == type && domain != "slopewise"; }
};

// A graph within a node: its nodes, each after those it reads. Its constants are the graph's.
struct OnnxBranch {
  std::vector<OnnxNode> nodes;
  std::vector<std::string> outputs;
};

// What goes in or comes out. An axis has an extent, or a symbol ("batch"), or neither: −1 and "".
struct OnnxEnd {
  struct Axis {
    Index extent = -1;
    std::string symbol = {};
  };
  std::string name;
  OnnxType type = OnnxType::kFloat;
  std::vector<Axis> axes = {};
  bool has_shape = true;  // false: the file does not say what axes there are
};

struct OnnxGraph {
  std::filesystem::path file;  // as messages name it
  std::string producer;
  int opset = 0;
  std::vector<OnnxNode> nodes;  // each after those it reads
  std::vector<OnnxEnd> inputs, outputs;
  std::set<std::pair<std::string, std::string>> functions;  // operators that the file itself defines: domain, name
  std::map<std::string, std::shared_ptr<const OnnxTensor>> initializers;
};

// All bytes of a file, and the CRC-32 of bytes, as zlib has it. Throws FileError where it cannot be read.
std::vector<std::uint8_t> read_bytes(const std::filesystem::path& file);
std::uint32_t checksum_of(std::span<const std::uint8_t> bytes);

// Reads a file. External data must lie in the file's own folder. Throws FileError, naming the file and where known the
// tensor or node, for what is no ONNX, is cut short, breaks its own sizes, has nodes in a circle, or would not fit in
// memory.
OnnxGraph read_onnx(const std::filesystem::path& file);
// The same of a file's bytes, which messages call `name`; there is no folder that external data could lie in.
OnnxGraph read_onnx(std::span<const std::uint8_t> bytes, const std::string& name);

}  // namespace slopewise
