// Nodes whose inputs are all known, calculated once by the ops that would calculate them in every run: tables of
// positions, masks, indices.
#include <algorithm>

#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {
namespace {

// Numbers that one node may make beforehand, and all of a file's.
constexpr Index kMostMade = Index{1} << 24, kMostCalculated = Index{1} << 26;

// What a node made of constants alone holds.
std::vector<double> value_of(const Node& node) {
  const Node output = add(flatten(node), Builder(node).input("nothing", {}));  // a row for each example, of which 1 is
  const Program program(sum(equal(output, output)));                           // finite, whatever the value
  const std::vector<double> nothing{0};
  Runner<double> runner(program, {.batch = 1, .outputs = {output.number()}});
  runner.run(Parameters<double>(Index{0}), {.rows = 1, .inputs = {std::span(nothing)}});
  const auto values = runner.output(0);
  return {values.begin(), values.end()};
}

bool depends_on_batch(const Known& known) {
  return batch_axis(known.dims) >= 0 || std::ranges::find(known.batch, true) != known.batch.end();
}

}  // namespace

bool Importer::give_known(ImportStep& step, const OnnxRule& rule) {
  const OnnxNode& node = step.node();
  Importer alone(*this, Builder());
  bool any = false;
  OnnxType type = OnnxType::kInteger;
  for (std::size_t i = 0; i < step.inputs(); ++i) {
    if (!step.has(i)) continue;
    if (!step.is_known(i)) return false;
    const Known known = step.known(i);
    if (depends_on_batch(known)) return false;
    const bool whole = known.type == OnnxType::kInteger || known.type == OnnxType::kBoolean;
    if (!whole || !any) type = known.type;
    alone.set(node.inputs[i], known);
    any = true;
  }
  if (!any || !node.domain.empty()) return false;
  ImportStep inner(alone, node);
  rule.apply(inner);
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (!step.wants(i)) continue;
    const OnnxValue& made = alone.get(node.outputs[i]);
    const auto* placed = std::get_if<Placed>(&made);
    if (!placed) continue;
    const Index count = count_of(placed->dims);
    if (count > kMostMade || count > kMostCalculated - calculated_) return false;
    calculated_ += count;
  }
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (!step.wants(i)) continue;
    const OnnxValue& made = alone.get(node.outputs[i]);
    if (const auto* placed = std::get_if<Placed>(&made)) {
      const bool place = node.op.starts_with("Arg");  // of an entry, whatever the entries are
      step.give(Known{place ? OnnxType::kInteger : type, placed->dims, value_of(arrange(*placed)), {}}, i);
    } else {
      step.give(made, i);
    }
  }
  return true;
}

}  // namespace slopewise
