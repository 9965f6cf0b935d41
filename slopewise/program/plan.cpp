#include "slopewise/program/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/arena.hpp"

namespace slopewise {
namespace {

// Values of a row start on a cache line.
constexpr Index kAlignment = 64 / sizeof(float);
// Rows of one tile of a forward run: enough for a product to run at speed, few enough for the widest layer with its
// tangents to stay in the second-level cache.
constexpr Index kLargestTile = 64;
constexpr Index kSmallestTile = 16;
constexpr Index kCachedEntries = Index{1} << 18;
// Dense tangents are read once a tile and outweigh the activations, so there a tile may fill the last-level cache.
constexpr Index kLargestDenseTile = 512;
constexpr Index kCachedDenseEntries = Index{1} << 22;
// A pullback keeps every activation of its rows, so a larger batch goes through in pieces of this many.
constexpr Index kPullbackRows = 1024;

// Examples or tangents of one run: their product and a few times it fit an Index.
constexpr Index kLargestSize = Index{1} << 30;

Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

bool has_dense_matrix(const ParameterLayout& layout, const std::vector<TangentForm>& forms) {
  for (const Block& block : layout.blocks) {
    if (block.columns > 1 && forms[static_cast<std::size_t>(block.weight)] == TangentForm::kDense) return true;
  }
  return false;
}

Index forward_tile(const Program& program, const Workload& workload, const std::vector<NodePlan>& nodes) {
  Index widest = 1;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].used && !program.nodes()[i].shared) widest = std::max(widest, nodes[i].size * nodes[i].parts);
  }
  const bool dense = has_dense_matrix(program.layout(), workload.forms);
  const Index cached = std::max(kSmallestTile, (dense ? kCachedDenseEntries : kCachedEntries) / widest / 8 * 8);
  if (dense) return std::min({workload.batch, kLargestDenseTile, cached});
  const Index halves = round_up((workload.batch + 1) / 2, 8);  // a small batch still feeds two threads
  return std::min({workload.batch, kLargestTile, cached, halves});
}

class Planner {
 public:
  Planner(const Program& program, const Workload& workload, int threads)
      : program_(program), count_(static_cast<Index>(program.nodes().size())) {
    plan_.workload = workload;
    check();
    if (plan_.workload.forms.empty()) {
      plan_.workload.forms.assign(program.layout().segments.size(),
                                  workload.tangents > 0 ? TangentForm::kDense : TangentForm::kNone);
    }
    plan_.nodes.resize(program.nodes().size());
    plan_.infos.resize(program.nodes().size());
    follow_dependence();
    if (pullback()) {
      plan_.tile = std::min(workload.batch, kPullbackRows);
    } else {
      plan_.tile = forward_tile(program, plan_.workload, plan_.nodes);
    }
    plan_.tiles = (workload.batch + plan_.tile - 1) / plan_.tile;
    plan_.arenas = pullback() ? 1 : std::min<Index>(threads, plan_.tiles);
    place();
    for (Index i = 0; i < count_; ++i) {
      if (!node(i).op || !plan(i).used) continue;
      plan_.scratch = std::max(
          plan_.scratch, node(i).op->scratch(infos(i), node(i).shape, node(i).shared ? 1 : plan_.tile, pullback()));
    }
    plan_.scratch = round_up(plan_.scratch, kAlignment);
  }

  Plan result() && { return std::move(plan_); }

 private:
  bool pullback() const { return plan_.workload.mode == Workload::Mode::kPullback; }
  const GraphNode& node(Index i) const { return program_.node(i); }
  NodePlan& plan(Index i) { return plan_.nodes[static_cast<std::size_t>(i)]; }
  std::vector<InputInfo>& infos(Index i) { return plan_.infos[static_cast<std::size_t>(i)]; }

  void check() const {
    const Workload& workload = plan_.workload;
    if (workload.batch < 1)
      throw ArgumentError(fmt::format("batch: expected at least 1 example, found {}", workload.batch));
    if (workload.tangents < 0)
      throw ArgumentError(fmt::format("tangents: expected at least 0, found {}", workload.tangents));
    for (const Index size : {workload.batch, workload.tangents}) {
      if (size > kLargestSize)
        throw ArgumentError(fmt::format("batch, tangents: expected at most {}, found {}", kLargestSize, size));
    }
    if (workload.order != 1 && workload.order != 2)
      throw ArgumentError(fmt::format("order: expected 1 or 2, found {}", workload.order));
    if (pullback() && (workload.tangents > 0 || !workload.perturbed.empty())) {
      throw ArgumentError("pullback: expected no tangents; the exact gradient and the slopes are two runs");
    }
    if (!workload.forms.empty() && workload.forms.size() != program_.layout().segments.size()) {
      throw ArgumentError(fmt::format("tangent forms: expected one for each of {} segments, found {}",
                                      program_.layout().segments.size(), workload.forms.size()));
    }
    for (const Index i : workload.perturbed) {
      if (i < 0 || i >= count_ || node(i).shared || node(i).kind == GraphNode::Kind::kIndices || !program_.used(i)) {
        throw ArgumentError(
            fmt::format("perturbed node {}: expected a node with one row an example that the loss depends on", i));
      }
    }
    for (const Index i : workload.outputs) {
      if (i < 0 || i >= count_ || node(i).shared || node(i).kind == GraphNode::Kind::kIndices || !program_.used(i)) {
        throw ArgumentError(
            fmt::format("output node {}: expected a node with one row an example that the loss depends on", i));
      }
    }
  }

  // Which nodes are used, carry tangents and cotangents, and how they are held.
  void follow_dependence() {
    const Workload& workload = plan_.workload;
    for (Index i = 0; i < count_; ++i) {
      plan(i).used = program_.used(i);
      plan(i).size = node(i).shape.size();
      if (node(i).kind == GraphNode::Kind::kParameter) take_parameter(i);
    }
    for (Index i = 0; i < count_; ++i) {
      NodePlan& own = plan(i);
      if (!own.used) continue;
      if (node(i).op) take_op(i);
      if (std::count(workload.perturbed.begin(), workload.perturbed.end(), i) > 0 && workload.tangents > 0) {
        own.tangent = true;
        own.stored = true;
      }
      own.parts = 1 + workload.tangents * (Index{own.tangent && !own.rank_one} + Index{own.second});
    }
  }

  void take_parameter(Index i) {
    NodePlan& own = plan(i);
    const TangentForm form = plan_.workload.forms[static_cast<std::size_t>(node(i).slot)];
    own.tangent = plan_.workload.tangents > 0 && form != TangentForm::kNone;
    own.differentiated = pullback();
    bool all_take = true;
    for (Index c = 0; c < count_; ++c) {
      if (!program_.used(c) || !node(c).op) continue;
      for (std::size_t position = 0; position < node(c).inputs.size(); ++position) {
        if (node(c).inputs[position] != i) continue;
        all_take = all_take && node(c).op->takes_rank_one(position);
        own.packed = own.packed || node(c).op->takes_packed(position);
      }
    }
    // Ops read a weight by the rows of its shape; a block cut another way is given to them whole.
    const Segment& segment = program_.layout().segments[static_cast<std::size_t>(node(i).slot)];
    const Block& block = program_.layout().blocks[static_cast<std::size_t>(segment.block)];
    const bool by_rows = segment.shape.rank() >= 2 && segment.shape[0] == block.rows;
    own.packed = own.packed && by_rows;
    own.rank_one = own.tangent && form == TangentForm::kRankOne && all_take && by_rows;
    own.expanded = own.tangent && form == TangentForm::kRankOne && !own.rank_one;
  }

  void take_op(Index i) {
    NodePlan& own = plan(i);
    own.stored = true;
    bool second = false;
    for (const Index input : node(i).inputs) {
      InputInfo info = node(input).info();
      info.active = plan(input).tangent || plan(input).differentiated;
      info.rank_one = plan(input).rank_one;
      infos(i).push_back(info);
      own.tangent = own.tangent || plan(input).tangent;
      own.differentiated = own.differentiated || plan(input).differentiated;
      second = second || plan(input).second;
    }
    own.second = plan_.workload.order == 2 && own.tangent && (second || node(i).op->curves(infos(i)));
  }

  // Gives every stored value and cotangent its place, by liveness along the run: node i is computed at time i and, in a
  // pullback, differentiated at time 2n − 1 − i.
  void place() {
    const Index end = 2 * count_;
    const auto backward = [&](Index i) { return end - 1 - i; };
    std::vector<Index> last(static_cast<std::size_t>(count_), 0);
    std::vector<Index> last_consumer(static_cast<std::size_t>(count_), -1);
    for (Index i = 0; i < count_; ++i) last[static_cast<std::size_t>(i)] = i;
    for (Index c = 0; c < count_; ++c) {
      if (!plan(c).used || !node(c).op) continue;
      const bool again = plan(c).differentiated;
      for (const Index input : node(c).inputs) {
        Index& end_of_use = last[static_cast<std::size_t>(input)];
        end_of_use = std::max(end_of_use, again && node(c).op->needs().inputs ? backward(c) : c);
        if (again) last_consumer[static_cast<std::size_t>(input)] = c;
      }
      if (again && node(c).op->needs().output) last[static_cast<std::size_t>(c)] = backward(c);
    }
    for (const Index i : plan_.workload.outputs) last[static_cast<std::size_t>(i)] = end;
    last[static_cast<std::size_t>(program_.loss())] = end;

    std::vector<Lifetime> lifetimes;
    std::vector<Index*> places;
    for (Index i = 0; i < count_; ++i) {
      NodePlan& own = plan(i);
      if (!own.used) continue;
      if (node(i).shared) {
        if (own.stored) own.offset = keep(entries(own.size, own.parts, 1));
        if (own.expanded) own.offset = keep(entries(own.size, plan_.workload.tangents, 1));
        if (own.stored && own.differentiated) own.cotangent_offset = keep(own.size);
        continue;
      }
      if (own.stored) {
        lifetimes.push_back({entries(own.size, own.parts, plan_.tile), i, last[static_cast<std::size_t>(i)]});
        places.push_back(&own.offset);
      }
      if (own.differentiated) {
        const Index consumer = last_consumer[static_cast<std::size_t>(i)];
        lifetimes.push_back({own.size * plan_.tile, consumer < 0 ? backward(i) : backward(consumer), backward(i)});
        places.push_back(&own.cotangent_offset);
      }
    }
    const ArenaPlan arena = plan_arena(lifetimes, kAlignment);
    for (std::size_t i = 0; i < places.size(); ++i) *places[i] = arena.offsets[i];
    plan_.arena = arena.size;
  }

  // The product of three extents; std::bad_alloc for one that no memory holds.
  static Index entries(Index a, Index b, Index c) {
    Index product = 0;
    if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product)) throw std::bad_alloc();
    return product;
  }

  Index keep(Index size) {
    const Index offset = plan_.shared_arena;
    plan_.shared_arena += round_up(size, kAlignment);
    return offset;
  }

  const Program& program_;
  Index count_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const Program& program, const Workload& workload, int threads) {
  return Planner(program, workload, threads).result();
}

MemoryReport Program::memory(const Workload& workload, Index element_size, int threads) const {
  if (threads == 0) threads = thread_count();
  const Plan plan = make_plan(*this, workload, threads);
  MemoryReport report;
  report.activations = plan.arenas * plan.arena * element_size;
  report.shared = plan.shared_arena * element_size;
  report.scratch = (workload.mode == Workload::Mode::kPullback ? threads : plan.arenas) * plan.scratch * element_size;
  report.gradient = workload.mode == Workload::Mode::kPullback ? size() * element_size : 0;
  report.results = workload.batch * (1 + workload.tangents * workload.order) * element_size;
  for (const Index output : workload.outputs)
    report.results += workload.batch * node(output).shape.size() * element_size;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    if (nodes()[i].kind != GraphNode::Kind::kParameter) continue;
    const Segment& segment = layout().segments[static_cast<std::size_t>(nodes()[i].slot)];
    const Block& block = layout().blocks[static_cast<std::size_t>(segment.block)];
    if (plan.nodes[i].packed && element_size == sizeof(float)) {
      report.packed += PackedMatrix<float>(block.rows, block.columns).bytes();
    }
    switch (plan.workload.forms[static_cast<std::size_t>(nodes()[i].slot)]) {
      case TangentForm::kNone:
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
  const bool pullback = workload.mode == Workload::Mode::kPullback;
  const auto tangents = static_cast<double>(workload.tangents);
  CostReport report;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const NodePlan& own = plan.nodes[i];
    if (!own.used || !nodes()[i].op) continue;
    const double rows = nodes()[i].shared ? 1.0 : static_cast<double>(workload.batch);
    const OpCost op = nodes()[i].op->cost(plan.infos[i], nodes()[i].shape);
    report.value_flops += rows * op.value;
    if (own.tangent) report.tangent_flops += rows * tangents * op.tangent;
    if (pullback && own.differentiated) report.pullback_flops += rows * op.pullback;
    double entries = rows * static_cast<double>(own.size * own.parts);
    for (const Index input : nodes()[i].inputs) {
      const NodePlan& read = plan.nodes[static_cast<std::size_t>(input)];
      const double input_rows =
          nodes()[static_cast<std::size_t>(input)].shared ? 1.0 : static_cast<double>(workload.batch);
      const double parts = read.rank_one ? 1.0 : 1.0 + (read.tangent ? tangents : 0.0) + (read.second ? tangents : 0.0);
      entries += input_rows * static_cast<double>(read.size) * parts * (pullback && own.differentiated ? 3.0 : 1.0);
    }
    report.bytes += entries * static_cast<double>(element_size);
  }
  return report;
}

}  // namespace slopewise
