// What fusions.hpp puts in the place of several nodes.
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

// Each is an operator of ONNX under its own name.
template <std::size_t N>
void as(ImportStep& step, const char (&name)[N]) {
  find_rule({.op = name})->apply(step);
}

constexpr OnnxRule kFused[] = {{"Attention", found_attention_rule},
                               {"Gelu", [](ImportStep& step) { as(step, "Gelu"); }},
                               {"LayerNorm", [](ImportStep& step) { as(step, "LayerNormalization"); }},
                               {"Linear", linear_rule},
                               {"RmsNorm", [](ImportStep& step) { as(step, "RMSNormalization"); }},
                               {"Silu", [](ImportStep& step) {
                                  const Placed x = step.placed(0);
                                  step.give(Placed{silu(x.node), x.dims, x.axes});
                                }}};

}  // namespace

std::span<const OnnxRule> fused_rules() {
  return kFused;
}

}  // namespace slopewise
