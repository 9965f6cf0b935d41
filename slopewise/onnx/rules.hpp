// The table from ONNX's operators to rules, each in the operator's own words; and what can be known before a run.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/onnx/importer.hpp"

namespace slopewise {

struct OnnxRule {
  std::string_view op;
  void (*apply)(ImportStep&);
  std::string_view limits = "";  // what of the operator is not taken
};

// All operators that are taken, by family.
std::span<const OnnxRule> elementwise_rules();
std::span<const OnnxRule> reduction_rules();
std::span<const OnnxRule> layout_rules();
std::span<const OnnxRule> move_rules();
std::span<const OnnxRule> product_rules();
std::span<const OnnxRule> window_rules();
std::span<const OnnxRule> normalization_rules();
std::span<const OnnxRule> attention_rules();
std::span<const OnnxRule> recurrent_rules();
std::span<const OnnxRule> fused_rules();
// A matrix that all examples share with the vector that is added: what a fusion makes of MatMul and Add.
void linear_rule(ImportStep& step);
// Products around a softmax, which a fusion has found.
void found_attention_rule(ImportStep& step);
// The product of matrices a (…, m, k) and b (…, k, n), none of them a weight.
Placed product(ImportStep& step, const Placed& a, const Placed& b);
// Sorted by name; those of the domain "slopewise" are not among them.
const std::vector<OnnxRule>& onnx_rules();
// The rule of a node; null where there is none.
const OnnxRule* find_rule(const OnnxNode& node);

// The value of a node whose inputs are all known, where that can be had without a run.
std::optional<Known> fold(const ImportStep& step);

}  // namespace slopewise
