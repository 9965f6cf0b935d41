// What a run will need: memory and work, read off its plan.
#include "slopewise/base/threads.hpp"
#include "slopewise/program/plan.hpp"

namespace slopewise {

MemoryReport Program::memory(const Workload& workload, Index element_size, int threads) const {
  if (threads == 0) threads = thread_count();
  const Plan plan = make_plan(*this, workload, threads);
  MemoryReport report;
  const WorkingMemory working = plan.working();
  report.activations = working.arenas * element_size;
  report.shared = working.shared * element_size;
  report.scratch = (working.scratch + working.spare) * element_size;
  report.gradient = plan.gradient * element_size;
  report.results = workload.batch * (1 + workload.tangents * workload.order) * element_size;
  for (const Index output : workload.outputs)
    report.results += workload.batch * node(output).shape.size() * element_size;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    if (nodes()[i].kind == GraphNode::Kind::kConstant && plan.nodes[i].packed && element_size == sizeof(float)) {
      const Shape& shape = nodes()[i].shape;
      report.packed += WeightProduct::bytes(shape[0], shape.size() / shape[0], plan.nodes[i].bfloat16);
    }
    if (nodes()[i].kind != GraphNode::Kind::kParameter) continue;
    const Segment& segment = layout().segments[nodes()[i].slot];
    const Block& block = layout().blocks[segment.block];
    if (plan.nodes[i].packed && element_size == sizeof(float)) {
      report.packed += WeightProduct::bytes(block.rows, block.columns, plan.nodes[i].bfloat16);
    }
    switch (plan.workload.forms[nodes()[i].slot]) {
      case TangentForm::kNone:
      case TangentForm::kDrawn:
        break;
      case TangentForm::kDense:
        report.tangents += workload.tangents * segment.size() * element_size;
        break;
      case TangentForm::kRankOne:
        report.tangents += workload.tangents * (block.rows + block.columns) * element_size;
        break;
    }
  }
  return report;
}

CostReport Program::cost(const Workload& workload, Index element_size) const {
  const Plan plan = make_plan(*this, workload, thread_count());
  const bool pullback = workload.backward();
  const auto tangents = static_cast<double>(workload.tangents);
  CostReport report;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const NodePlan& own = plan.nodes[i];
    if (!own.used || !nodes()[i].op) continue;
    const double rows = nodes()[i].shared ? 1.0 : static_cast<double>(workload.batch);
    const OpCost op = nodes()[i].op->cost(plan.infos[i], nodes()[i].shape);
    report.value_flops += rows * op.value * (own.replayed ? 2 : 1);
    if (own.tangent) report.tangent_flops += rows * tangents * op.tangent;
    if (pullback && own.differentiated) {
      report.pullback_flops += rows * nodes()[i].op->cost(plan.pulled[i], nodes()[i].shape).pullback;
      // In a stream, a stretch is also taken back, though not to its parameters, for those that look ahead to it.
      std::vector<InputInfo> through = plan.pulled[i];
      for (InputInfo& input : through) input.active = input.active && !input.shared;
      report.pullback_flops += rows * static_cast<double>(plan.looks(static_cast<Index>(i))) *
                               nodes()[i].op->cost(through, nodes()[i].shape).pullback;
    }
    double entries = rows * static_cast<double>(own.size * own.parts);
    for (const Index input : nodes()[i].inputs) {
      const NodePlan& read = plan.nodes[input];
      const double input_rows = nodes()[input].shared ? 1.0 : static_cast<double>(workload.batch);
      const double parts = read.rank_one ? 1.0 : 1.0 + (read.tangent ? tangents : 0.0) + (read.second ? tangents : 0.0);
      entries += input_rows * static_cast<double>(read.size) * parts * (pullback && own.differentiated ? 3.0 : 1.0);
    }
    report.bytes += entries * static_cast<double>(element_size);
  }
  return report;
}

}  // namespace slopewise
