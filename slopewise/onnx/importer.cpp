#include "slopewise/onnx/importer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/onnx/read_tensor.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops/arithmetic.hpp"
#include "slopewise/program/ops/layout.hpp"
#include "slopewise/program/ops/linear.hpp"

namespace slopewise {
namespace {

// Whether an exporter made the name up ("onnx::MatMul_887", "1234", "const_fold_opt__12").
bool made_up(const std::string& name) {
  if (name.size() > 1000) return false;  // a regular expression goes as deep as its text is long
  static const std::regex pattern("onnx::.*|[0-9]+|const_fold_opt__.*|.*__[0-9]+");
  return std::regex_match(name, pattern);
}

// Whether an operator may make a fraction of whole numbers, which an integer type then cuts towards zero.
bool makes_fractions(std::string_view op) {
  constexpr std::string_view kOperators[] = {"Div", "Pow", "ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"};
  return std::ranges::find(kOperators, op) != std::end(kOperators);
}

}  // namespace

Importer::Importer(const OnnxGraph& graph, Builder builder, ImportSettings settings)
    : graph_(graph), builder_(std::move(builder)), settings_(std::move(settings)) {
  for (const auto& [name, tensor] : graph.initializers) {
    // What is no weight is known at once, so that shapes can be calculated with it.
    if (!tensor->floating() || tensor->constant || tensor->dims.empty()) {
      Extents dims;
      for (const Index extent : tensor->dims) dims.push_back({extent});
      set(name, Known{tensor->type, std::move(dims), tensor->as<double>()});
    } else {
      set(name, std::make_shared<Weight>(Weight{name, tensor, true}));
    }
  }
  for (const OnnxNode& node : graph.nodes) {
    for (const std::string& input : node.inputs) readers_.try_emplace(input, node.name);
  }
  find_head();
}

void Importer::set(const std::string& name, OnnxValue value, OnnxType type) {
  if (type != OnnxType::kFloat) types_[name] = type;
  values_.insert_or_assign(name, std::move(value));
}

const OnnxValue& Importer::get(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    throw ArgumentError(fmt::format("{}: '{}' is an output that is not made", graph_.file.string(), name));
  }
  return found->second;
}

void Importer::freeze(const std::map<std::string, std::string>& names) {
  for (const auto& [name, reason] : names) {
    if (auto* weight = std::get_if<std::shared_ptr<Weight>>(&values_.at(name))) (*weight)->may_train = false;
  }
}

// The weights of the last matrix before the output, and of what follows it.
void Importer::find_head() {
  std::map<std::string, const OnnxNode*> makers;
  for (const OnnxNode& node : graph_.nodes) {
    for (const std::string& output : node.outputs) {
      if (!output.empty()) makers[output] = &node;
    }
  }
  std::string at = graph_.outputs[0].name;
  for (auto found = makers.find(at); found != makers.end(); found = makers.find(at)) {
    bool matrix = false;
    std::string next;
    for (std::size_t i = found->second->is("If") ? 1 : 0; i < found->second->inputs.size(); ++i) {
      const std::string& input = found->second->inputs[i];
      const auto weight = graph_.initializers.find(input);
      if (weight == graph_.initializers.end()) {
        if (next.empty() && makers.contains(input)) next = input;
        continue;
      }
      head_[input] = true;
      matrix = matrix || (weight->second->floating() && weight->second->dims.size() >= 2);
    }
    if (matrix) return;
    at = next;
  }
}

std::string Importer::name_of(const Weight& weight) const {
  if (!made_up(weight.name)) return weight.name;
  const auto reader = readers_.find(weight.name);
  if (reader == readers_.end()) return weight.name;
  std::string path = reader->second;
  const std::size_t last = path.find_last_of('/');
  if (last == std::string::npos || last == 0) return weight.name;
  path = path.substr(path[0] == '/' ? 1 : 0, last - (path[0] == '/' ? 1 : 0));
  std::replace(path.begin(), path.end(), '/', '.');
  return path + (weight.tensor->dims.size() >= 2 ? ".weight" : ".bias");
}

bool Importer::would_train(const Weight& weight, Role role) const {
  return weight.may_train && role != Role::kState &&
         settings_.trains(name_of(weight), role, head_.contains(weight.name));
}

Placed Importer::placed(Weight& weight, const std::vector<Index>& order, Role role) {
  if (weight.placed) return *weight.placed;
  Extents dims;
  for (const Index extent : weight.tensor->dims) dims.push_back({extent});
  std::vector<Index> extents;
  for (const Index axis : order) {
    if (axis >= static_cast<Index>(dims.size()))
      throw ShapeError(fmt::format("'{}' has {} axes", weight.name, dims.size()));
    extents.push_back(dims[number_of(axis)].count);
  }
  const Shape shape(extents);
  if (shape.size() != weight.tensor->size())
    throw ShapeError(fmt::format("'{}' has the shape {}", weight.name, to_string(dims)));
  const std::string name = segment_name(weight);
  if (would_train(weight, role)) {
    // A structured tangent sees a matrix by its first axis of more than one entry.
    const auto rows = std::find_if(extents.begin(), extents.end(), [](Index extent) { return extent > 1; });
    const Node node = builder_.parameter(name, shape, {}, rows == extents.end() ? shape.size() : *rows);
    parameters_.push_back({name, weight.name, role, order, weight.tensor});
    weight.placed = Placed{node, dims, order};
  } else {
    const Node whole = [&] {
      const std::vector<Index> own = weight.tensor->dims;
      if (const auto* wide = std::get_if<std::vector<double>>(&weight.tensor->numbers))
        return builder_.constant(shape, permuted(*wide, own, order), name);
      return builder_.constant(shape, permuted(std::get<std::vector<float>>(weight.tensor->numbers), own, order), name);
    }();
    weight.placed = Placed{whole, dims, order};
  }
  return *weight.placed;
}

// People's name, unless another weight has it.
std::string Importer::segment_name(const Weight& weight) const {
  std::string name = name_of(weight);
  const auto taken = [&](const OnnxParameter& other) { return other.segment == name; };
  return std::any_of(parameters_.begin(), parameters_.end(), taken) ? weight.name : name;
}

Placed Importer::bias(Weight& weight, const Node& matrix) {
  const GraphNode& owner = matrix.graph()->nodes[matrix.number()];
  const bool fits = owner.kind == GraphNode::Kind::kParameter && !weight.placed && would_train(weight, Role::kBias) &&
                    weight.tensor->dims.size() == 1;
  if (fits) {
    const ParameterLayout& layout = matrix.graph()->layout;
    const Block& block = layout.blocks[layout.segments[static_cast<std::size_t>(owner.slot)].block];
    if (block.bias < 0 && block.rows == weight.tensor->dims[0]) {
      const std::string name = segment_name(weight);
      weight.placed = Placed{builder_.bias(name, matrix), {{weight.tensor->dims[0]}}, {0}};
      parameters_.push_back({name, weight.name, Role::kBias, {0}, weight.tensor});
      return *weight.placed;
    }
  }
  std::vector<Index> order(weight.tensor->dims.size());
  std::iota(order.begin(), order.end(), 0);
  return placed(weight, order, Role::kBias);
}

Node Importer::linear_map(const Node& x, const Node& matrix, const Node* bias, const Weight* weight,
                          const std::vector<Index>& order) {
  const Node y = bias ? linear(x, matrix, *bias) : linear(x, matrix);
  const LowRank& adapters = settings_.adapters;
  if (adapters.rank == 0 || !weight) return y;
  const std::string name = name_of(*weight);
  if (!adapters.pattern.empty() && !std::regex_search(name, std::regex(adapters.pattern))) return y;
  // A is normal with the variance 1 / inputs, B zero: the network starts as it was.
  const Index inputs = matrix.shape()[1], units = matrix.shape()[0];
  const std::string base = name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name;
  const Node a = builder_.parameter(
      base + ".lora_A.weight", {adapters.rank, inputs},
      {.kind = Initializer::Kind::kNormal, .gain = 1 / std::sqrt(static_cast<double>(inputs))}, adapters.rank);
  const Node b = builder_.parameter(base + ".lora_B.weight", {units, adapters.rank}, {}, units);
  const double share = adapters.alpha / static_cast<double>(adapters.rank);
  parameters_.push_back({base + ".lora_A.weight", weight->name, Role::kAdapterIn, order, weight->tensor, share});
  parameters_.push_back({base + ".lora_B.weight", weight->name, Role::kAdapterOut, order, weight->tensor, share});
  return add(y, scale(linear(linear(x, a), b), share));
}

Placed Importer::placed(const std::string& name) {
  const OnnxValue& value = get(name);
  if (const auto* node = std::get_if<Placed>(&value)) {
    return node->integer ? Placed{numbers(node->node), node->dims, node->axes} : *node;
  }
  if (const auto* weight = std::get_if<std::shared_ptr<Weight>>(&value)) {
    std::vector<Index> order;
    for (std::size_t i = 0; i < (*weight)->tensor->dims.size(); ++i) order.push_back(static_cast<Index>(i));
    return placed(**weight, order, Role::kOther);
  }
  const Known& known = std::get<Known>(value);
  if (std::find(known.batch.begin(), known.batch.end(), true) != known.batch.end()) {
    throw ArgumentError(fmt::format("{}: '{}' depends on the number of examples and is calculated with as a number",
                                    graph_.file.string(), name));
  }
  const auto found = constants_.find(name);
  if (found != constants_.end()) return found->second;
  return constants_.emplace(name, place(builder_, known)).first->second;
}

OnnxType Importer::type(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return OnnxType::kFloat;
  if (const auto* known = std::get_if<Known>(&found->second)) return known->type;
  const auto own = types_.find(name);
  return own == types_.end() ? OnnxType::kFloat : own->second;
}

// Of most operators the output is of the first input's type.
OnnxType Importer::made_type(const ImportStep& step) const {
  const std::string& op = step.node().op;
  if (op == "Cast") return onnx_type(step.integer("to", 1));
  if (op.starts_with("Arg")) return OnnxType::kInteger;
  constexpr std::string_view kBooleans[] = {
      "And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor"};
  if (std::ranges::find(kBooleans, op) != std::end(kBooleans)) return OnnxType::kBoolean;
  const std::size_t like = op == "OneHot" ? 2 : op == "Where" || op == "CastLike" ? 1 : 0;
  return step.whole(like) ? OnnxType::kInteger : step.boolean(like) ? OnnxType::kBoolean : OnnxType::kFloat;
}

void Importer::walk(std::span<const OnnxNode> nodes) {
  for (const OnnxNode& node : nodes) {
    ImportStep step(*this, node);
    const OnnxRule* rule = find_rule(node);
    if (!rule) {
      std::vector<std::string> names;
      for (const OnnxRule& each : onnx_rules()) names.emplace_back(each.op);
      if (graph_.functions.contains({node.domain, node.op}))
        step.refuse(
            "it is a function that the file itself defines; expected its nodes in its place (onnx.inliner puts them "
            "there)");
      if (!node.domain.empty()) step.refuse(fmt::format("operators of the domain '{}' are not supported", node.domain));
      step.refuse(fmt::format("this operator is not supported{}; docs/onnx.md lists those that are",
                              suggestion(node.op, names)));
    }
    try {
      if (std::optional<Known> known = fold(step)) {
        step.give(std::move(*known));
      } else if (node.is("If") || !give_known(step, *rule)) {
        rule->apply(step);
      }
    } catch (const ShapeError& error) {
      step.refuse(error.what());
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      // Inputs, outputs or attributes that no file of this operator has, and sizes that no memory holds.
      step.refuse(fmt::format("it is not as the operator has to be ({})", error.what()));
    }
  }
}

const OnnxValue& ImportStep::value(std::size_t i) const {
  if (!has(i)) refuse(fmt::format("expected at least {} inputs, found {}", i + 1, inputs()));
  return importer_.get(node_.inputs[i]);
}

Extents ImportStep::dims(std::size_t i) const {
  const OnnxValue& held = value(i);
  if (const auto* known = std::get_if<Known>(&held)) return known->dims;
  if (const auto* placed = std::get_if<Placed>(&held)) return placed->dims;
  Extents dims;
  for (const Index extent : std::get<std::shared_ptr<Weight>>(held)->tensor->dims) dims.push_back({extent});
  return dims;
}

bool ImportStep::is_known(std::size_t i) const {
  return std::holds_alternative<Known>(value(i));
}

Known ImportStep::known(std::size_t i, std::string_view what) const {
  const OnnxValue& held = value(i);
  if (const auto* known = std::get_if<Known>(&held)) return *known;
  if (const auto* weight = std::get_if<std::shared_ptr<Weight>>(&held))
    return {(*weight)->tensor->type, dims(i), (*weight)->tensor->as<double>()};
  refuse(fmt::format("{} ('{}') depends on what goes into the model; expected it to be known beforehand",
                     what.empty() ? fmt::format("input {}", i + 1) : what, node_.inputs[i]));
}

std::vector<Index> ImportStep::integers(std::size_t i, std::string_view what) const {
  const Known held = known(i, what);
  std::vector<Index> values;
  for (std::size_t j = 0; j < held.numbers.size(); ++j) {
    if (held.counts_batch(j)) refuse(fmt::format("{} depends on the number of examples", what));
    // Beyond this a double is no integer, and exporters write the largest integer for "to the end".
    values.push_back(static_cast<Index>(std::clamp(held.numbers[j], -0x1p62, 0x1p62)));
  }
  return values;
}

double ImportStep::number(std::size_t i, std::string_view what) const {
  const Known held = known(i, what);
  if (held.numbers.size() != 1 || held.counts_batch(0))
    refuse(fmt::format("{}: expected one number, found {}", what, held.numbers.size()));
  return held.numbers[0];
}

Placed ImportStep::placed(std::size_t i) {
  value(i);
  return importer_.placed(node_.inputs[i]);
}

Weight* ImportStep::unread_weight(std::size_t i) const {
  if (!has(i)) return nullptr;
  const auto* weight = std::get_if<std::shared_ptr<Weight>>(&value(i));
  return weight && !(*weight)->placed ? weight->get() : nullptr;
}

Placed ImportStep::weight(std::size_t i, const std::vector<Index>& order, Role role) {
  if (const auto* weight = std::get_if<std::shared_ptr<Weight>>(&value(i)))
    return importer_.placed(**weight, order, role);
  return placed(i);
}

Index ImportStep::integer(const std::string& name, Index otherwise) const {
  const auto found = node_.attributes.find(name);
  if (found == node_.attributes.end()) return otherwise;
  if (const auto* held = std::get_if<std::int64_t>(&found->second)) return *held;
  refuse(fmt::format("attribute {}: expected an integer", name));
}

double ImportStep::number(const std::string& name, double otherwise) const {
  const auto found = node_.attributes.find(name);
  if (found == node_.attributes.end()) return otherwise;
  if (const auto* held = std::get_if<float>(&found->second)) return static_cast<double>(*held);
  refuse(fmt::format("attribute {}: expected a number", name));
}

std::string ImportStep::text(const std::string& name, const std::string& otherwise) const {
  const auto found = node_.attributes.find(name);
  if (found == node_.attributes.end()) return otherwise;
  if (const auto* held = std::get_if<std::string>(&found->second)) return *held;
  refuse(fmt::format("attribute {}: expected a word", name));
}

std::optional<std::vector<Index>> ImportStep::integers(const std::string& name) const {
  const auto found = node_.attributes.find(name);
  if (found == node_.attributes.end()) return std::nullopt;
  if (const auto* held = std::get_if<std::vector<std::int64_t>>(&found->second)) return *held;
  refuse(fmt::format("attribute {}: expected integers", name));
}

std::optional<std::vector<Index>> ImportStep::axes(std::size_t i, std::size_t rank) const {
  std::optional<std::vector<Index>> found = integers("axes");
  if (!found && has(i)) found = integers(i, "axes");
  if (!found) return found;
  for (Index& axis : *found) {
    const Index counted = axis_of(axis, rank);
    if (counted < 0) refuse(fmt::format("axis {}: expected one of {} axes", axis, rank));
    axis = counted;
  }
  std::sort(found->begin(), found->end());
  if (std::adjacent_find(found->begin(), found->end()) != found->end()) refuse("an axis is named twice");
  return found;
}

Index ImportStep::axis(const std::string& name, Index otherwise, std::size_t rank) const {
  const Index given = integer(name, otherwise), counted = axis_of(given, rank);
  if (counted < 0) refuse(fmt::format("axis {}: expected one of {} axes", given, rank));
  return counted;
}

void ImportStep::give(OnnxValue value, std::size_t output) {
  if (!wants(output)) return;
  const auto check = [&](const Extents& dims) {
    if (std::count_if(dims.begin(), dims.end(), [](const Extent& extent) { return extent.batch; }) > 1)
      refuse(fmt::format("it would pair examples with each other: {}", to_string(dims)));
  };
  if (auto* known = std::get_if<Known>(&value)) {
    check(known->dims);
    // As a run in the file's own width has them, so that what is rounded later is rounded to the same whole number.
    for (double& each : known->numbers) {
      if (known->type == OnnxType::kFloat) each = static_cast<double>(static_cast<float>(each));
      if (known->type == OnnxType::kInteger) each = std::trunc(each);
    }
  }
  const OnnxType type = importer_.made_type(*this);
  if (auto* placed = std::get_if<Placed>(&value)) {
    if (type == OnnxType::kInteger && makes_fractions(node_.op)) placed->node = whole_part(placed->node);
    check(placed->dims);
    std::vector<Index> extents;
    for (const Index axis : placed->axes) extents.push_back(placed->dims[number_of(axis)].count);
    if (placed->node.shape() != Shape(extents)) {
      refuse(
          fmt::format("it made {} where {} was expected", placed->node.shape().to_string(), to_string(placed->dims)));
    }
  }
  importer_.set(node_.outputs[output], std::move(value), type);
}

void ImportStep::refuse(const std::string& why) const {
  throw ArgumentError(
      fmt::format("{}: node '{}' ({}): {}", importer_.graph().file.string(), node_.name, node_.op, why));
}

void ImportStep::require_one_example(const Extents& dims, Index axis) const {
  if (dims[axis].batch) {
    refuse(fmt::format("it would mix examples: axis {} of {} counts them, and a slope is calculated example by example",
                       axis, to_string(dims)));
  }
}

}  // namespace slopewise
