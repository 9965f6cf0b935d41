// One walk through an ONNX graph that makes a program's nodes: what a rule sees of it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "slopewise/onnx/graph.hpp"
#include "slopewise/onnx/value.hpp"

namespace slopewise {

// What a weight is to the op that reads it first; `--train norms` and its like go by it. State (running statistics)
// never trains.
enum class Role { kMatrix, kBias, kNorm, kEmbedding, kOther, kState, kAdapterIn, kAdapterOut };

// A piece of θ and the initializer it came from.
struct OnnxParameter {
  std::string segment;      // its name in θ
  std::string initializer;  // its name in the file; of an adapter, that of the matrix it is added to
  Role role = Role::kOther;
  std::vector<Index> order;  // axis j of the segment, or of that matrix, is the initializer's axis order[j]
  std::shared_ptr<const OnnxTensor> tensor;  // the initializer
  bool is_adapter() const { return role == Role::kAdapterIn || role == Role::kAdapterOut; }
  double scale = 1;  // of an adapter: what B A is multiplied by
};

// Low-rank adapters of matrices: W + (alpha / rank) B A (Hu et al. 2021, arXiv 2106.09685).
struct LowRank {
  Index rank = 0;  // 0: none
  double alpha = 0;
  std::string pattern;  // of the matrices' names; empty: all
};

struct ImportSettings {
  std::function<bool(const std::string& name, Role role, bool head)> trains;
  LowRank adapters;
  Index batch = -1;  // the extent of the batch axis where the file fixes one; −1: a symbol
};

struct OnnxRule;
class ImportStep;

class Importer {
 public:
  Importer(const OnnxGraph& graph, Builder builder, ImportSettings settings);

  const OnnxGraph& graph() const { return graph_; }
  Builder& builder() { return builder_; }
  const ImportSettings& settings() const { return settings_; }
  // Gives a name its value, of a type of ONNX's: the graph's inputs before the walk.
  void set(const std::string& name, OnnxValue value, OnnxType type = OnnxType::kFloat);
  const OnnxValue& get(const std::string& name) const;
  // Makes constants of these weights.
  void freeze(const std::map<std::string, std::string>& names);
  // Goes through the nodes. Throws ArgumentError, naming the node, for what is not supported, ShapeError for shapes
  // that do not fit.
  void run() { walk(graph_.nodes); }
  void walk(std::span<const OnnxNode> nodes);
  // A node that holds these values; integers become numbers, known ones constants.
  Placed placed(const std::string& name);
  // A weight as a parameter or constant with its axes in this order, where no op has read it before.
  Placed placed(Weight& weight, const std::vector<Index>& order, Role role);
  // A bias of the rows of `matrix`: where both are parameters, they share a structured tangent.
  Placed bias(Weight& weight, const Node& matrix);
  // x Wᵀ + b over the last axis of x, W (units, inputs), with the adapters asked for: of `weight`, whose axes W has in
  // this order; null: none.
  Node linear_map(const Node& x, const Node& matrix, const Node* bias, const Weight* weight,
                  const std::vector<Index>& order);
  const std::vector<OnnxParameter>& parameters() const { return parameters_; }
  // The type of a name's values, whatever the run calculates them in.
  OnnxType type(const std::string& name) const;
  // That of what a node gives.
  OnnxType made_type(const ImportStep& step) const;
  // Whether any op may make a parameter of it, and none has.
  bool would_train(const Weight& weight, Role role) const;
  // The weight's name to people: its own, or, where an exporter made one up, that of the node that reads it.
  std::string name_of(const Weight& weight) const;

 private:
  void find_head();
  // One of the same graph that has come across no value yet.
  Importer(const Importer& other, Builder builder)
      : graph_(other.graph_), builder_(std::move(builder)), settings_(other.settings_) {}
  // Gives the values of a node whose inputs are all known; false where they are not, or are too many.
  bool give_known(ImportStep& step, const OnnxRule& rule);
  std::string segment_name(const Weight& weight) const;

  const OnnxGraph& graph_;
  Builder builder_;
  ImportSettings settings_;
  std::map<std::string, OnnxValue> values_;
  std::map<std::string, std::string> readers_;  // of initializers: the name of the first node that reads each
  std::map<std::string, bool> head_;            // initializers of the last matrix before the output
  std::map<std::string, Placed> constants_;     // known numbers that were made nodes
  std::map<std::string, OnnxType> types_;       // of inputs and outputs that are not in float32
  Index calculated_ = 0;                        // numbers that give_known has given
  std::vector<OnnxParameter> parameters_;
};

// One ONNX node as its rule sees it.
class ImportStep {
 public:
  ImportStep(Importer& importer, const OnnxNode& node) : importer_(importer), node_(node) {}

  const OnnxNode& node() const { return node_; }
  Importer& importer() { return importer_; }
  Builder& builder() { return importer_.builder(); }
  int opset() const { return importer_.graph().opset; }

  std::size_t inputs() const { return node_.inputs.size(); }
  bool has(std::size_t i) const { return i < node_.inputs.size() && !node_.inputs[i].empty(); }
  const OnnxValue& value(std::size_t i) const;
  // Extents of input i.
  Extents dims(std::size_t i) const;
  // Whether input i is known beforehand, and its numbers.
  bool is_known(std::size_t i) const;
  // Whether input i is of an integer type, or of Booleans.
  bool whole(std::size_t i) const { return has(i) && importer_.type(node_.inputs[i]) == OnnxType::kInteger; }
  bool boolean(std::size_t i) const { return has(i) && importer_.type(node_.inputs[i]) == OnnxType::kBoolean; }
  Known known(std::size_t i, std::string_view what = "") const;
  // Known integers, none of which may count examples.
  std::vector<Index> integers(std::size_t i, std::string_view what) const;
  double number(std::size_t i, std::string_view what) const;
  // Input i as a node.
  Placed placed(std::size_t i);
  // Input i as a node with its axes in this order, where it is a weight that nobody has read before; `role` says what
  // it is.
  Placed weight(std::size_t i, const std::vector<Index>& order, Role role);
  // The weight that input i is; null where it is something else.
  Weight* unread_weight(std::size_t i) const;

  Index integer(const std::string& name, Index otherwise) const;
  double number(const std::string& name, double otherwise) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
  std::optional<std::vector<Index>> integers(const std::string& name) const;
  bool has_attribute(const std::string& name) const { return node_.attributes.contains(name); }
  // Axes from an attribute, or from input i where later operator sets have them; none where neither is there. Counted
  // from 0, sorted.
  std::optional<std::vector<Index>> axes(std::size_t i, std::size_t rank) const;
  // An axis attribute, counted from 0.
  Index axis(const std::string& name, Index otherwise, std::size_t rank) const;

  void give(OnnxValue value, std::size_t output = 0);
  bool wants(std::size_t output) const { return output < node_.outputs.size() && !node_.outputs[output].empty(); }

  // Refuses the node: "model.onnx: node '/layer/Loop' (Loop): …".
  [[noreturn]] void refuse(const std::string& why) const;
  // Refuses an op that would mix examples along this axis.
  void require_one_example(const Extents& dims, Index axis) const;

 private:
  Importer& importer_;
  const OnnxNode& node_;
};

}  // namespace slopewise
