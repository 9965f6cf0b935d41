// `slopewise model`: what an ONNX file holds and what it will cost, before anything runs.
#include <fmt/format.h>

#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/onnx_options.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/onnx/loss.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"

namespace slopewise {
namespace {

struct ModelOptions {
  std::string file;
  OnnxSettings onnx;
  Index batch = 64, tangents = 8;
  int threads = 1;
  bool nodes = false, json = false, operators = false;
};

double flops_of(const Program& program, const GraphNode& node) {
  std::vector<InputInfo> in;
  for (const Index input : node.inputs) in.push_back(program.node(input).info());
  return node.op->cost(in, node.shape).value;
}

// Parameters and frozen numbers that a node reads.
struct Reads {
  Index trained = 0, frozen = 0;
  Reads& operator+=(const Reads& other) {
    trained += other.trained;
    frozen += other.frozen;
    return *this;
  }
};
Reads reads_of(const Program& program, const GraphNode& node) {
  Reads reads;
  for (const Index input : node.inputs) {
    if (program.node(input).kind == GraphNode::Kind::kParameter) reads.trained += program.node(input).shape.size();
    if (program.node(input).kind == GraphNode::Kind::kConstant) reads.frozen += program.node(input).shape.size();
  }
  return reads;
}

// What one step needs beside weights and batch.
struct Cost {
  std::string what;
  MemoryReport memory;
  double flops;
};

std::vector<Cost> costs(const Program& program, const ModelOptions& options) {
  std::vector<TangentForm> forms;
  for (const Segment& segment : program.layout().segments) {
    forms.push_back(segment.shape.rank() >= 2 ? TangentForm::kRankOne : TangentForm::kDense);
  }
  using Mode = Workload::Mode;
  const std::vector<std::pair<std::string, Workload>> workloads{
      {"loss", {.batch = options.batch}},
      {format_count(static_cast<double>(options.tangents), "slope"),
       {.batch = options.batch, .tangents = options.tangents, .forms = forms}},
      {"backprop", {.mode = Mode::kPullback, .batch = options.batch}},
      {"backprop, checkpointed", {.mode = Mode::kPullback, .batch = options.batch, .checkpointed = true}}};
  std::vector<Cost> all;
  for (const auto& [what, workload] : workloads) {
    all.push_back({what, program.memory(workload, sizeof(float), options.threads), program.cost(workload).flops()});
  }
  return all;
}

std::string axes_of(const OnnxInput& input) {
  std::string text = "(batch";
  for (const Index extent : input.shape) text += fmt::format(", {}", extent);
  return text + ")";
}

nlohmann::ordered_json document(const ModelOptions& options, const OnnxModel& model, const Program& program) {
  nlohmann::ordered_json inputs = nlohmann::ordered_json::array(), nodes = inputs, segments = inputs, memory = inputs;
  for (const OnnxInput& input : model.inputs()) {
    inputs.push_back(
        {{"name", input.name}, {"shape", input.shape.extents()}, {"type", input.integer ? "integer" : "number"}});
  }
  for (std::size_t i = 0; i < program.nodes().size(); ++i) {
    const GraphNode& node = program.nodes()[i];
    if (!node.op || !program.used(static_cast<Index>(i))) continue;
    const Reads reads = reads_of(program, node);
    nodes.push_back({{"name", node.name},
                     {"op", node.op->name()},
                     {"shape", node.shape.extents()},
                     {"trained", reads.trained},
                     {"frozen", reads.frozen},
                     {"flops", flops_of(program, node)}});
  }
  for (const OnnxParameter& parameter : model.parameters()) {
    const std::size_t i = segments.size();
    segments.push_back({{"name", parameter.segment},
                        {"initializer", parameter.initializer},
                        {"shape", program.layout().segments[i].shape.extents()}});
  }
  for (const Cost& cost : costs(program, options)) {
    memory.push_back({{"what", cost.what},
                      {"bytes", cost.memory.total() - cost.memory.packed},
                      {"packed_bytes", cost.memory.packed},
                      {"flops", cost.flops}});
  }
  return {{"schema", "slopewise.model/1"},
          {"file", options.file},
          {"producer", model.graph().producer},
          {"opset", model.graph().opset},
          {"inputs", inputs},
          {"output", {{"name", model.graph().outputs[0].name}, {"shape", to_string(model.output_extents())}}},
          {"fusions", model.fusions()},
          {"constants", model.constants()},
          {"parameters", program.size()},
          {"segments", segments},
          {"nodes", nodes},
          {"batch", options.batch},
          {"memory", memory}};
}

void print(const ModelOptions& options, const OnnxModel& model, const Program& program) {
  const int width = is_terminal(1) ? terminal_width(1) : 0;
  std::string text = fmt::format("{}: ONNX, operator set {}{}\n", options.file, model.graph().opset,
                                 model.graph().producer.empty() ? "" : ", by " + model.graph().producer);
  for (const OnnxInput& input : model.inputs())
    text += fmt::format("  in   {} {}{}\n", input.name, axes_of(input), input.integer ? ", integers" : "");
  text += fmt::format("  out  {} {}\n", model.graph().outputs[0].name, to_string(model.output_extents()));
  text += fmt::format("  n = {} parameters train (--train {})\n", program.size(), options.onnx.train);
  std::string found;
  for (const auto& [name, count] : model.fusions())
    found += fmt::format("{}{} {}", found.empty() ? "" : ", ", count, name);
  text += fmt::format("  found in the graph: {}\n", found.empty() ? "nothing to put together" : found);
  for (const auto& [name, reason] : model.constants()) text += fmt::format("  constant: {}, {}\n", name, reason);

  struct Row {
    int count = 0;
    Reads reads;
    double flops = 0;
  };
  std::map<std::string, Row> ops;
  Table nodes({"op", "shape", "parameters", "frozen", "flops"});
  for (std::size_t i = 0; i < program.nodes().size(); ++i) {
    const GraphNode& node = program.nodes()[i];
    if (!node.op || !program.used(static_cast<Index>(i))) continue;
    const Reads reads = reads_of(program, node);
    const double flops = flops_of(program, node);
    nodes.add_row({node.name, node.shape.to_string(), std::to_string(reads.trained), std::to_string(reads.frozen),
                   format_number(flops)});
    Row& row = ops[std::string(node.op->name())];
    ++row.count;
    row.reads += reads;
    row.flops += flops;
  }
  Table by_op({"op", "nodes", "parameters", "frozen", "flops an example"});
  for (const auto& [name, row] : ops) {
    by_op.add_row({name, std::to_string(row.count), std::to_string(row.reads.trained), std::to_string(row.reads.frozen),
                   format_number(row.flops)});
  }
  text += "\n" + (options.nodes ? nodes : by_op).to_string(width);

  Table memory({fmt::format("batch {}", options.batch), "memory beside weights", "packed weights", "flops"});
  for (const Cost& cost : costs(program, options)) {
    memory.add_row({cost.what, format_bytes(cost.memory.total() - cost.memory.packed), format_bytes(cost.memory.packed),
                    format_number(cost.flops)});
  }
  std::cout << text << '\n' << memory.to_string(width);
}

// As docs/onnx.md has it.
void print_operators() {
  std::cout << "| operator | limits |\n|---|---|\n";
  for (const OnnxRule& rule : onnx_rules()) std::cout << fmt::format("| {} | {} |\n", rule.op, rule.limits);
}

}  // namespace

Verb model_verb() {
  const auto options = std::make_shared<ModelOptions>();
  Verb verb{.settings = Settings("model"), .summary = "Show what an ONNX model is made of and what a step on it takes"};
  Settings& settings = verb.settings;
  settings.add("file", options->file, text("FILE"), "Model, as PyTorch and others export it", {.positional = true});
  add_onnx_settings(settings, options->onnx, nullptr);
  settings.begin("What is planned");
  settings.add("batch", options->batch, whole(1, 1'000'000'000), "Examples of a step");
  settings.add("tangents", options->tangents, whole(1, 1'000'000), "Tangents of a step, rank-one for matrices");
  settings.add("threads", options->threads, whole(1, 4096), "Threads that share it");
  settings.begin("What is shown");
  settings.flag("nodes", options->nodes, "Every node, not the sums by op");
  settings.flag("json", options->json, "Print all of it as JSON");
  settings.flag("operators", options->operators, "List the operators that are taken, and nothing else");
  verb.examples = {"slopewise model kwt1.onnx", "slopewise model kwt1.onnx --train norms --nodes",
                   "slopewise model bert.onnx --extent sequence=128 --train lora:8:attention"};
  verb.run = [options](Settings&) {
    if (options->operators) {
      print_operators();
      return 0;
    }
    if (options->file.empty()) throw ArgumentError("FILE: expected an ONNX model");
    const OnnxModel model = load_onnx(options->file, onnx_options(options->onnx));
    if (options->onnx.train != "all") require_training(model);  // of a file without weights there is still the graph
    const OnnxProgram with_loss = onnx_program(model, onnx_loss_options(options->onnx));
    if (options->json) {
      std::cout
          << document(*options, model, with_loss.program).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
          << '\n';
    } else {
      print(*options, model, with_loss.program);
    }
    return 0;
  };
  return verb;
}

}  // namespace slopewise
