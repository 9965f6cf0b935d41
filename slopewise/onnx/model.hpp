// A model from an ONNX file: a program to differentiate, its inputs, and the weights it starts with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "slopewise/onnx/importer.hpp"
#include "slopewise/tensor/parameters.hpp"

namespace slopewise {

struct OnnxOptions {
  // What trains: "all"; "head", the last matrix before the output with its bias; "norms", gains and biases of
  // normalisations; "biases"; "lora:R" or "lora:R:REGEX", low-rank adapters of all matrices or those whose names match
  // (scaled by alpha = R); or a regular expression that names match somewhere. The rest are constants of the program:
  // no tangents, no part of n.
  std::string train = "all";
  std::optional<Index> blocks =
      std::nullopt;  // of these only what lies in the last so many blocks (stream.hpp) and after
  std::map<std::string, Index> extents = {};  // of symbolic axes that do not count examples
  std::string output = "";                    // the output to take; empty: the first
  // Inputs that are the same for every example and every run: masks, positions, what decides a shape.
  std::map<std::string, std::shared_ptr<const OnnxTensor>> fixed = {};
  // Whether the first input, where it is images (batch, channels, height, width), is given as (height, width,
  // channels).
  bool channels_last = false;
  // The initializers that may train, by their names in the file, where whoever wrote it knows them; the rest are
  // constants. Nothing said: every tensor that does not look like a mask or a table (OnnxModel::constants).
  std::optional<std::set<std::string>> weights = std::nullopt;
  bool whole = false;  // no axis of the inputs counts examples: each example is all of them
  bool fuse = true;    // find norms, activations and linear maps in their parts again
};

struct OnnxInput {
  std::string name;
  Shape shape;           // of one example
  bool integer = false;  // takes integers
};

class OnnxModel {
 public:
  const std::filesystem::path& file() const { return graph_.file; }
  // The graph after fusions, for people.
  const OnnxGraph& graph() const { return graph_; }
  const std::map<std::string, int>& fusions() const { return fusions_; }
  const std::vector<OnnxInput>& inputs() const { return inputs_; }
  // The output taken: a node of one example's shape, and its extents in the graph.
  const Node& output() const { return output_->node; }
  const Extents& output_extents() const { return output_->dims; }
  // θ by segments, in order.
  const std::vector<OnnxParameter>& parameters() const { return parameters_; }
  const ParameterLayout& layout() const { return output_->node.graph()->layout; }
  // The names of weights that never train, with the reason: masks, tables of sines.
  const std::map<std::string, std::string>& constants() const { return constants_; }
  // θ as the file has it; adapters are drawn from the seed.
  template <class T>
  Parameters<T> initial(std::uint64_t seed = 1) const;
  // The file's bytes, without those of data beside it, and their CRC-32 when it was loaded. Throws FileError where it
  // can no longer be read or has changed since.
  std::vector<std::uint8_t> bytes() const;
  std::uint32_t checksum() const { return checksum_; }
  // Whether it was loaded from bytes, so that file() is a name alone.
  bool in_memory() const { return !bytes_.empty(); }

 private:
  friend OnnxModel load_onnx(const std::filesystem::path& file, const OnnxOptions& options);
  friend OnnxModel load_onnx(std::span<const std::uint8_t> bytes, const std::string& name, const OnnxOptions& options);
  explicit OnnxModel(OnnxGraph graph) : graph_(std::move(graph)) {}
  void build(const OnnxOptions& options);

  OnnxGraph graph_;
  std::map<std::string, int> fusions_;
  std::vector<OnnxInput> inputs_;
  std::optional<Placed> output_;
  std::vector<OnnxParameter> parameters_;
  std::map<std::string, std::string> constants_;
  std::vector<std::uint8_t> bytes_;  // of a model that came from memory; else empty
  std::uint32_t checksum_ = 0;
};

// Unless an example is the whole, the first axis of every input counts examples, whether the file has a symbol there or
// a number; a file for one example at a time is taken for any number of them. Throws FileError as read_onnx does;
// ArgumentError, naming file, node and operator, for what is not supported or would mix examples.
OnnxModel load_onnx(const std::filesystem::path& file, const OnnxOptions& options = {});
// The same of a file's bytes, which messages call `name` and the model keeps for save_onnx.
OnnxModel load_onnx(std::span<const std::uint8_t> bytes, const std::string& name, const OnnxOptions& options = {});

// Why θ cannot be put back into the model's file, naming the weight; "" where it can. Throws FileError where the file
// can no longer be read.
std::string why_not_saved(const OnnxModel& model);
// Writes a copy of the model's file to `path` with θ in place of the initializers it came from, in the type and order
// they have there; every other byte is the file's own. Throws FileError where a weight cannot be put back, as
// why_not_saved says: data outside the file, or adapters of a matrix that is read elsewhere too. Adapters are merged
// into the matrices they are added to.
void save_onnx(const OnnxModel& model, const Parameters<float>& theta, const std::filesystem::path& path);

}  // namespace slopewise
