#include "slopewise/onnx/fusions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <set>

namespace slopewise {
namespace {

// The graph by its names, as patterns are followed from their last node back.
class Patterns {
 public:
  explicit Patterns(OnnxGraph& graph) : graph_(graph) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const std::string& output : graph.nodes[i].outputs) makers_[output] = i;
      for (const std::string& input : graph.nodes[i].inputs) ++readers_[input];
    }
    for (const OnnxEnd& output : graph.outputs) readers_[output.name] += 2;
  }

  std::map<std::string, int> run() {
    // What comes first may hold what comes later: norms and activations hold products with scalars, attention products.
    each("Gelu", [&](const OnnxNode& node) { return gelu(node); });
    each("Silu", [&](const OnnxNode& node) { return silu(node); });
    each("LayerNorm", [&](const OnnxNode& node) { return layer_norm(node); });
    each("RmsNorm", [&](const OnnxNode& node) { return rms_norm(node); });
    each("Attention", [&](const OnnxNode& node) { return attention(node); });
    each("Linear", [&](const OnnxNode& node) { return linear(node); });
    std::vector<OnnxNode> left;
    for (OnnxNode& node : graph_.nodes) {
      if (!node.op.empty()) left.push_back(std::move(node));
    }
    graph_.nodes = std::move(left);
    return found_;
  }

 private:
  struct Found {
    std::vector<std::string> inputs;
    std::map<std::string, OnnxAttribute> attributes = {};
    std::vector<const OnnxNode*> inside = {};  // every node of the pattern but the last
  };

  // Puts `op` in the place of every node that ends a pattern whose other nodes nobody else reads.
  template <class F>
  void each(const std::string& op, F match) {
    for (OnnxNode& node : graph_.nodes) {
      if (node.op.empty() || node.inputs.size() != 2 || node.outputs.size() != 1) continue;  // every pattern ends so
      const std::optional<Found> found = match(node);
      if (!found || !closed(*found, node)) continue;
      for (const OnnxNode* inner : found->inside) {
        for (const std::string& input : inner->inputs) --readers_[input];
        const_cast<OnnxNode*>(inner)->op.clear();
      }
      for (const std::string& input : node.inputs) --readers_[input];
      for (const std::string& input : found->inputs) ++readers_[input];
      node.op = op;
      node.domain = "slopewise";
      node.inputs = found->inputs;
      node.attributes = found->attributes;
      ++found_[op];
    }
  }

  // Whether what the inner nodes make is read within the pattern alone.
  bool closed(const Found& found, const OnnxNode& last) const {
    std::map<std::string, int> within;
    std::set<const OnnxNode*> inside(found.inside.begin(), found.inside.end());
    for (const OnnxNode* node : inside) {
      for (const std::string& input : node->inputs) ++within[input];
    }
    for (const std::string& input : last.inputs) ++within[input];
    return std::all_of(inside.begin(), inside.end(), [&](const OnnxNode* node) {
      return std::all_of(node->outputs.begin(), node->outputs.end(), [&](const std::string& output) {
        const auto all = readers_.find(output);
        return all == readers_.end() || all->second == within[output];
      });
    });
  }

  const OnnxNode* maker(const std::string& name, std::string_view op) const {
    const auto found = makers_.find(name);
    if (found == makers_.end()) return nullptr;
    const OnnxNode& node = graph_.nodes[found->second];
    const bool two = op == "Add" || op == "Sub" || op == "Mul" || op == "Div" || op == "Pow" || op == "MatMul";
    return node.is(op) && node.inputs.size() >= (op == "Where" ? 3U : two ? 2U : 1U) ? &node : nullptr;
  }
  const OnnxTensor* tensor(const std::string& name) const {
    const auto found = graph_.initializers.find(name);
    return found == graph_.initializers.end() ? nullptr : found->second.get();
  }
  std::optional<double> number(const std::string& name) const {
    const OnnxTensor* held = tensor(name);
    if (!held || held->size() != 1 || !(held->dims.empty() || held->constant)) return std::nullopt;
    return held->as<double>()[0];
  }
  bool is_number(const std::string& name, double expected) const {
    const auto held = number(name);
    return held && std::fabs(*held - expected) <= 1e-6 * std::fabs(expected);
  }
  // The other input of a node of two that reads `name`; nothing where it does not.
  static std::optional<std::string> other(const OnnxNode& node, const std::string& name) {
    if (node.inputs.size() != 2) return std::nullopt;
    if (node.inputs[0] == name) return node.inputs[1];
    if (node.inputs[1] == name) return node.inputs[0];
    return std::nullopt;
  }
  // The input of a commutative node of two beside the number `expected`.
  std::optional<std::string> beside(const OnnxNode* node, double expected) const {
    if (!node || node->inputs.size() != 2) return std::nullopt;
    if (is_number(node->inputs[1], expected)) return node->inputs[0];
    if (is_number(node->inputs[0], expected)) return node->inputs[1];
    return std::nullopt;
  }
  // The input that an inner op of the type made, of a node of two; and that op.
  struct Inner {
    const OnnxNode* node;
    std::string rest;  // the node's other input
  };
  std::vector<Inner> inner(const OnnxNode& node, std::string_view op) const {
    std::vector<Inner> found;
    if (node.inputs.size() != 2) return found;
    for (const std::size_t i : {0, 1}) {
      if (const OnnxNode* made = maker(node.inputs[i], op)) found.push_back({made, node.inputs[1 - i]});
    }
    return found;
  }

  // A ReduceMean over the last axis that keeps it.
  bool over_last(const OnnxNode* node) const {
    if (!node) return false;
    std::vector<std::int64_t> axes;
    if (const auto given = node->attributes.find("axes"); given != node->attributes.end()) {
      if (const auto* held = std::get_if<std::vector<std::int64_t>>(&given->second)) axes = *held;
    } else if (node->inputs.size() > 1 && tensor(node->inputs[1])) {
      axes = tensor(node->inputs[1])->as<std::int64_t>();
    }
    const auto keeps = node->attributes.find("keepdims");
    return axes == std::vector<std::int64_t>{-1} &&
           (keeps == node->attributes.end() || keeps->second == OnnxAttribute(std::int64_t{1}));
  }

  // √(mean(y²) + ε) over the last axis, as a node; gives y and ε.
  struct RootMeanSquare {
    std::string of;
    double epsilon;
    std::vector<const OnnxNode*> nodes;
  };
  std::optional<RootMeanSquare> root_mean_square(const std::string& name) const {
    const OnnxNode* root = maker(name, "Sqrt");
    const OnnxNode* sum = root ? maker(root->inputs[0], "Add") : nullptr;
    if (!sum) return std::nullopt;
    for (const std::size_t i : {0, 1}) {
      const auto epsilon = number(sum->inputs[1 - i]);
      const OnnxNode* mean = maker(sum->inputs[i], "ReduceMean");
      if (!epsilon || !over_last(mean)) continue;
      if (const OnnxNode* power = maker(mean->inputs[0], "Pow"); power && is_number(power->inputs[1], 2))
        return RootMeanSquare{power->inputs[0], *epsilon, {root, sum, mean, power}};
      if (const OnnxNode* product = maker(mean->inputs[0], "Mul"); product && product->inputs[0] == product->inputs[1])
        return RootMeanSquare{product->inputs[0], *epsilon, {root, sum, mean, product}};
    }
    return std::nullopt;
  }

  // A vector of weights along the last axis.
  bool is_gain(const std::string& name) const {
    const OnnxTensor* held = tensor(name);
    return held && held->floating() && held->dims.size() == 1;
  }

  // (x − mean) / √(mean((x − mean)²) + ε) [· gain [+ bias]].
  std::optional<Found> layer_norm(const OnnxNode& last) const {
    if (last.is("Add")) {
      for (const Inner& scaled : inner(last, "Mul")) {
        if (!is_gain(scaled.rest)) continue;
        for (const Inner& norm : inner(*scaled.node, "Div")) {
          auto found = normalized(*norm.node);
          if (!found || !is_gain(norm.rest)) continue;
          found->inputs.insert(found->inputs.end(), {norm.rest, scaled.rest});
          found->inside.insert(found->inside.end(), {norm.node, scaled.node});
          return found;
        }
      }
    }
    if (last.is("Div")) {
      // Left to the whole pattern where gain and bias follow: those are at hand when the last node is looked at.
      if (const auto found = normalized(last); found && !gain_follows(last)) return found;
    }
    return std::nullopt;
  }
  bool gain_follows(const OnnxNode& node) const {
    return std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const OnnxNode& reader) {
      const auto rest = other(reader, node.outputs[0]);
      return reader.is("Mul") && rest && is_gain(*rest);
    });
  }
  std::optional<Found> normalized(const OnnxNode& division) const {
    const OnnxNode* difference = maker(division.inputs[0], "Sub");
    const auto root = root_mean_square(division.inputs[1]);
    if (!difference || !root || root->of != division.inputs[0]) return std::nullopt;
    const OnnxNode* mean = maker(difference->inputs[1], "ReduceMean");
    if (!over_last(mean) || mean->inputs[0] != difference->inputs[0]) return std::nullopt;
    Found found{{difference->inputs[0]}, {{"epsilon", static_cast<float>(root->epsilon)}}, root->nodes};
    found.inside.insert(found.inside.end(), {difference, mean});
    return found;
  }

  // x / √(mean(x²) + ε) · gain.
  std::optional<Found> rms_norm(const OnnxNode& last) const {
    if (!last.is("Mul")) return std::nullopt;
    for (const std::size_t i : {0, 1}) {
      if (!is_gain(last.inputs[1 - i])) continue;
      const auto complete = [&](const std::string& x, const std::string& root_name,
                                std::vector<const OnnxNode*> nodes) -> std::optional<Found> {
        auto root = root_mean_square(root_name);
        if (!root || root->of != x) return std::nullopt;
        nodes.insert(nodes.end(), root->nodes.begin(), root->nodes.end());
        return Found{{x, last.inputs[1 - i]}, {{"epsilon", static_cast<float>(root->epsilon)}}, nodes};
      };
      if (const OnnxNode* division = maker(last.inputs[i], "Div")) {
        if (auto found = complete(division->inputs[0], division->inputs[1], {division})) return found;
      }
      const OnnxNode* scaled = maker(last.inputs[i], "Mul");
      if (!scaled) continue;
      for (const Inner& over : inner(*scaled, "Div")) {
        if (!is_number(over.node->inputs[0], 1)) continue;
        if (auto found = complete(over.rest, over.node->inputs[1], {scaled, over.node})) return found;
      }
      for (const Inner& over : inner(*scaled, "Reciprocal")) {
        if (auto found = complete(over.rest, over.node->inputs[0], {scaled, over.node})) return found;
      }
    }
    return std::nullopt;
  }

  std::optional<Found> silu(const OnnxNode& last) const {
    if (!last.is("Mul")) return std::nullopt;
    for (const Inner& gate : inner(last, "Sigmoid")) {
      if (gate.node->inputs[0] == gate.rest) return Found{{gate.rest}, {}, {gate.node}};
    }
    return std::nullopt;
  }

  // x/2 (1 + f(x)) in the orders exporters write it: (x · ½) · (1 + f), (x · (1 + f)) · ½, and ½ · the same.
  std::optional<Found> gelu(const OnnxNode& last) const {
    if (!last.is("Mul")) return std::nullopt;
    if (const auto whole = beside(&last, 0.5)) {
      if (const OnnxNode* product = maker(*whole, "Mul")) {
        for (const Inner& gate : inner(*product, "Add")) {
          if (auto found = gated(*gate.node, gate.rest)) {
            found->inside.push_back(product);
            return found;
          }
        }
      }
    }
    for (const Inner& gate : inner(last, "Add")) {
      const OnnxNode* half = maker(gate.rest, "Mul");
      const auto x = beside(half, 0.5);
      if (!x) continue;
      if (auto found = gated(*gate.node, *x)) {
        found->inside.push_back(half);
        return found;
      }
    }
    return std::nullopt;
  }
  // 1 + erf(x/√2), or 1 + tanh(√(2/π) (x + 0.044715 x³)).
  std::optional<Found> gated(const OnnxNode& sum, const std::string& x) const {
    const auto f = beside(&sum, 1);
    if (!f) return std::nullopt;
    if (const OnnxNode* erf = maker(*f, "Erf")) {
      const OnnxNode* division = maker(erf->inputs[0], "Div");
      const OnnxNode* product = maker(erf->inputs[0], "Mul");
      const bool divided = division && division->inputs[0] == x && is_number(division->inputs[1], std::sqrt(2.0));
      const bool multiplied = beside(product, std::sqrt(0.5)) == std::optional(x);
      if (!divided && !multiplied) return std::nullopt;
      return Found{{x}, {{"approximate", std::string("none")}}, {&sum, erf, divided ? division : product}};
    }
    const OnnxNode* tanh = maker(*f, "Tanh");
    const OnnxNode* scaled = tanh ? maker(tanh->inputs[0], "Mul") : nullptr;
    const auto inside = beside(scaled, std::sqrt(2 / std::numbers::pi));
    const OnnxNode* added = inside ? maker(*inside, "Add") : nullptr;
    const auto cube = added ? other(*added, x) : std::nullopt;
    if (!cube) return std::nullopt;
    std::vector<const OnnxNode*> nodes{&sum, tanh, scaled, added};
    if (!cubed(*cube, x, nodes)) return std::nullopt;
    return Found{{x}, {{"approximate", std::string("tanh")}}, nodes};
  }
  // Whether `name` is 0.044715 x³, as a power or as products in any order; adds the nodes that make it.
  bool cubed(const std::string& name, const std::string& x, std::vector<const OnnxNode*>& nodes) const {
    int factors = 0, constants = 0;
    std::vector<std::string> open{name};
    while (!open.empty()) {
      const std::string at = open.back();
      open.pop_back();
      if (at == x) {
        ++factors;
      } else if (is_number(at, 0.044715)) {
        ++constants;
      } else if (const OnnxNode* product = maker(at, "Mul")) {
        nodes.push_back(product);
        open.insert(open.end(), product->inputs.begin(), product->inputs.end());
      } else if (const OnnxNode* power = maker(at, "Pow");
                 power && power->inputs[0] == x && is_number(power->inputs[1], 3)) {
        nodes.push_back(power);
        factors += 3;
      } else {
        return false;
      }
      if (factors > 3 || constants > 1) return false;
    }
    return factors == 3 && constants == 1;
  }

  // softmax(q kᵀ · scale + mask) v. Inputs of what stands for it: q, kᵀ, v, the number, the mask, the condition under
  // which a score is −∞; "" for those that are not there.
  std::optional<Found> attention(const OnnxNode& last) const {
    const OnnxNode* softmax = last.is("MatMul") ? maker(last.inputs[0], "Softmax") : nullptr;
    if (!softmax || graph_.opset < 13) return std::nullopt;
    const auto axis = softmax->attributes.find("axis");
    if (axis != softmax->attributes.end() && !(axis->second == OnnxAttribute(std::int64_t{-1}))) return std::nullopt;
    Found found{{"", "", last.inputs[1], "", "", ""}, {{"divides", std::int64_t{0}}}, {softmax}};
    std::string at = softmax->inputs[0];
    const OnnxNode* choice = maker(at, "Where");
    if (choice && tensor(choice->inputs[1]) && number(choice->inputs[1]) == -std::numeric_limits<double>::infinity()) {
      found.inputs[5] = choice->inputs[0];
      found.inside.push_back(choice);
      at = choice->inputs[2];
    } else if (const OnnxNode* sum = maker(at, "Add")) {
      const bool first = scores(sum->inputs[0]);
      found.inputs[4] = sum->inputs[first ? 1 : 0];
      found.inside.push_back(sum);
      at = sum->inputs[first ? 0 : 1];
    }
    for (const std::string_view op : {"Mul", "Div"}) {
      const OnnxNode* scaled = maker(at, op);
      if (!scaled || !number(scaled->inputs[1])) continue;
      found.inputs[3] = scaled->inputs[1];
      found.attributes["divides"] = std::int64_t{op == "Div"};
      found.inside.push_back(scaled);
      at = scaled->inputs[0];
      break;
    }
    const OnnxNode* product = maker(at, "MatMul");
    if (!product || tensor(product->inputs[0]) || tensor(product->inputs[1]) || tensor(last.inputs[1]))
      return std::nullopt;
    found.inputs[0] = product->inputs[0];
    found.inputs[1] = product->inputs[1];
    found.inside.push_back(product);
    return found;
  }
  // Whether a product of matrices, perhaps with a number, made it.
  bool scores(const std::string& name) const {
    if (maker(name, "MatMul")) return true;
    for (const std::string_view op : {"Mul", "Div"}) {
      const OnnxNode* scaled = maker(name, op);
      if (scaled && number(scaled->inputs[1]) && maker(scaled->inputs[0], "MatMul")) return true;
    }
    return false;
  }

  std::optional<Found> linear(const OnnxNode& last) const {
    if (!last.is("Add")) return std::nullopt;
    for (const Inner& product : inner(last, "MatMul")) {
      const OnnxTensor* weight = tensor(product.node->inputs[1]);
      const OnnxTensor* bias = tensor(product.rest);
      if (!weight || !bias || !weight->floating() || !bias->floating() || weight->dims.size() != 2 ||
          bias->dims != std::vector<Index>{weight->dims[1]}) {
        continue;
      }
      return Found{{product.node->inputs[0], product.node->inputs[1], product.rest}, {}, {product.node}};
    }
    return std::nullopt;
  }

  OnnxGraph& graph_;
  std::map<std::string, std::size_t> makers_;
  std::map<std::string, int> readers_;
  std::map<std::string, int> found_;
};

}  // namespace

std::map<std::string, int> fuse(OnnxGraph& graph) {
  return Patterns(graph).run();
}

}  // namespace slopewise
