#include "slopewise/onnx/rules.hpp"

#include <algorithm>

namespace slopewise {
namespace {

// What is known beforehand or not at all.
void known_alone(ImportStep& step) {
  step.refuse("its inputs depend on what goes into the model; it is taken where they are known beforehand");
}

// The branch that a condition known beforehand takes.
void if_rule(ImportStep& step) {
  const Known condition = step.known(0, "the condition");
  if (condition.numbers.size() != 1 || condition.counts_batch(0))
    step.refuse("expected one condition that does not depend on the number of examples");
  const auto branch = step.node().attributes.find(condition.numbers[0] != 0 ? "then_branch" : "else_branch");
  if (branch == step.node().attributes.end()) step.refuse("it lacks a branch");
  const auto* graph = std::get_if<std::shared_ptr<const OnnxBranch>>(&branch->second);
  if (!graph || (*graph)->outputs.size() != step.node().outputs.size())
    step.refuse("its branches are no graphs of its outputs");
  step.importer().walk((*graph)->nodes);
  for (std::size_t i = 0; i < step.node().outputs.size(); ++i) {
    const std::string& made = (*graph)->outputs[i];
    if (step.wants(i))
      step.importer().set(step.node().outputs[i], step.importer().get(made), step.importer().type(made));
  }
}

constexpr OnnxRule kKnown[] = {{"ConstantOfShape", known_alone, "known beforehand"},
                               {"If", if_rule, "a condition known beforehand"},
                               {"NonZero", known_alone, "known beforehand"},
                               {"Range", known_alone, "known beforehand"},
                               {"Shape", known_alone},
                               {"Size", known_alone}};

std::vector<OnnxRule> all_rules() {
  std::vector<OnnxRule> rules;
  for (const std::span<const OnnxRule> family :
       {std::span<const OnnxRule>(kKnown), elementwise_rules(), reduction_rules(), layout_rules(), move_rules(),
        product_rules(), window_rules(), normalization_rules(), attention_rules(), recurrent_rules()}) {
    rules.insert(rules.end(), family.begin(), family.end());
  }
  std::sort(rules.begin(), rules.end(), [](const OnnxRule& a, const OnnxRule& b) { return a.op < b.op; });
  return rules;
}

}  // namespace

const std::vector<OnnxRule>& onnx_rules() {
  static const std::vector<OnnxRule> rules = all_rules();
  return rules;
}

const OnnxRule* find_rule(const OnnxNode& node) {
  const auto named = [&](const OnnxRule& rule) { return rule.op == node.op; };
  if (node.domain == "slopewise") {
    const auto fused = fused_rules();
    const auto found = std::find_if(fused.begin(), fused.end(), named);
    return found == fused.end() ? nullptr : &*found;
  }
  if (!node.domain.empty()) return nullptr;
  const auto found = std::find_if(onnx_rules().begin(), onnx_rules().end(), named);
  return found == onnx_rules().end() ? nullptr : &*found;
}

}  // namespace slopewise
