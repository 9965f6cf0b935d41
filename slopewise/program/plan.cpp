#include "slopewise/program/plan.hpp"

#include <algorithm>
#include <cmath>
#include <new>

#include "slopewise/program/placement.hpp"
#include "slopewise/program/run_check.hpp"

namespace slopewise {
namespace {

// Rows of one tile of a forward run: enough for a product to run at speed, few enough for the widest layer with its
// tangents to stay in the second-level cache.
constexpr Index kLargestTile = 64;
constexpr Index kSmallestTile = 4;
constexpr Index kCachedEntries = Index{1} << 18;
// Dense tangents are read once a tile and outweigh the activations, so there a tile may fill the last-level cache.
constexpr Index kLargestDenseTile = 512;
constexpr Index kCachedDenseEntries = Index{1} << 22;
// A pullback keeps every activation of its rows, so a larger batch goes through in pieces of this many, or of so many
// rows and tangents of rows together that products still run well.
constexpr Index kPullbackRows = 1024;
constexpr Index kPullbackPlanes = 2048;
constexpr Index kFewestPullbackRows = 128;

// Whether a matrix has tangents of this form.
bool has_matrix(const ParameterLayout& layout, const std::vector<TangentForm>& forms, TangentForm form) {
  return std::ranges::any_of(layout.blocks,
                             [&](const Block& block) { return block.columns > 1 && forms[block.weight] == form; });
}
bool has_dense_matrix(const ParameterLayout& layout, const std::vector<TangentForm>& forms) {
  return has_matrix(layout, forms, TangentForm::kDense) || has_matrix(layout, forms, TangentForm::kDrawn);
}

// Whether most of the work is in ops that threads should share.
bool mostly_wide(const Program& program, const std::vector<NodePlan>& nodes,
                 const std::vector<std::vector<InputInfo>>& infos) {
  double all = 0, wide = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const GraphNode& node = program.nodes()[i];
    if (!nodes[i].used || !node.op || node.shared) continue;
    const double work = node.op->cost(infos[i], node.shape).value;
    all += work;
    if (node.op->traits().wide) wide += work;
  }
  return wide > 0.9 * all;
}

Index forward_tile(const Program& program, const Workload& workload, const std::vector<NodePlan>& nodes, bool shared) {
  Index widest = 1;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].used && !program.nodes()[i].shared) widest = std::max(widest, nodes[i].size * nodes[i].parts);
  }
  const bool dense = has_dense_matrix(program.layout(), workload.forms);
  const Index cached = std::max(kSmallestTile, (dense ? kCachedDenseEntries : kCachedEntries) / widest);
  if (dense) return std::min({workload.batch, kLargestDenseTile, cached});
  // Tiles of about the same height; an even number where two threads take one each.
  const Index largest = std::min(cached, kLargestTile);
  const Index tiles = round_up((workload.batch + largest - 1) / largest, shared ? 1 : 2);
  return std::min(workload.batch, round_up((workload.batch + tiles - 1) / tiles, kSmallestTile));
}

// `count` rows in pieces of at most `most`, of about the same height.
Index even_piece(Index count, Index most) {
  const Index pieces = (count + most - 1) / most;
  return std::min(count, round_up((count + pieces - 1) / pieces, kSmallestTile));
}

Index pullback_tile(const Program& program, const Workload& workload) {
  if (workload.micro_batch > 0) return std::min(workload.batch, workload.micro_batch);
  // Tangents in memory outweigh the activations, and are read once for each piece.
  if (workload.tangents == 0 || has_matrix(program.layout(), workload.forms, TangentForm::kDense))
    return std::min(workload.batch, kPullbackRows);
  const Index most = std::clamp(kPullbackPlanes / (1 + workload.tangents), kFewestPullbackRows, kPullbackRows);
  return even_piece(workload.batch, most);
}

class Planner {
 public:
  Planner(const Program& program, const Workload& workload, int threads)
      : program_(program), count_(static_cast<Index>(program.nodes().size())) {
    check_workload(program, workload);
    plan_.workload = workload;
    if (plan_.workload.forms.empty()) {
      plan_.workload.forms.assign(program.layout().segments.size(),
                                  workload.tangents > 0 ? TangentForm::kDense : TangentForm::kNone);
    }
    plan_.nodes.resize(program.nodes().size());
    plan_.infos.resize(program.nodes().size());
    plan_.pulled.resize(program.nodes().size());
    mark_nodes();
    find_consumers();
    follow_dependence();
    plan_.one_at_a_time = pulls() || has_dense_matrix(program.layout(), plan_.workload.forms) ||
                          mostly_wide(program, plan_.nodes, plan_.infos);
    plan_.tile = pulls() && !workload.few_rows
                     ? pullback_tile(program, plan_.workload)
                     : forward_tile(program, plan_.workload, plan_.nodes, plan_.one_at_a_time);
    plan_.tiles = (workload.batch + plan_.tile - 1) / plan_.tile;
    plan_.arenas = plan_.one_at_a_time ? 1 : std::min<Index>(threads, plan_.tiles);
    plan_.scratches = plan_.one_at_a_time ? threads : plan_.arenas;
    join_elementwise();
    place_gradient();
    cut_groups();
    std::vector<bool> read_at_end(count_);
    for (Index i = 0; i < count_; ++i) read_at_end[i] = streams() ? marks(i).kept : visible(i);
    place(plan_, {program_, consumers_, home_, read_at_end});
    if (workload.spare) {
      for (const Index cut : workload.cuts) plan_.spare += plan_.tile * plan(cut).size;
    }
    for (Index i = 0; i < count_; ++i) {
      if (!node(i).op || !plan(i).used) continue;
      const auto scratch = [&](const std::vector<InputInfo>& inputs, bool pullback) {
        return node(i).op->scratch(inputs, node(i).shape,
                                   {.rows = node(i).shared ? 1 : plan_.tile,
                                    .tangents = plan_.workload.tangents,
                                    .precision = plan(i).bfloat16 ? plan_.workload.precision : Precision::kFloat32,
                                    .pullback = pullback,
                                    .threads = plan_.one_at_a_time ? threads : 1});
      };
      const Index needed = std::max(scratch(infos(i), false), pulls() ? scratch(pulled(i), true) : 0);
      // An op that cuts a visit itself has every thread's scratch for it.
      const bool whole = plan_.one_at_a_time && node(i).op->traits().cuts_itself;
      plan_.scratch = std::max(plan_.scratch, whole ? (needed + plan_.scratches - 1) / plan_.scratches : needed);
    }
    plan_.scratch = round_up(plan_.scratch, kPlanAlignment);
  }

  Plan result() && { return std::move(plan_); }

 private:
  bool pulls() const { return plan_.workload.backward(); }
  bool streams() const { return plan_.workload.ahead >= 0; }
  bool low() const { return plan_.workload.precision != Precision::kFloat32; }
  const GraphNode& node(Index i) const { return program_.node(i); }
  NodePlan& plan(Index i) { return plan_.nodes[i]; }
  std::vector<InputInfo>& pulled(Index i) { return plan_.pulled[i]; }
  std::vector<InputInfo>& infos(Index i) { return plan_.infos[i]; }

  // Which nodes are used, carry tangents and cotangents, and how they are held. A node without entries carries none.
  void follow_dependence() {
    const Workload& workload = plan_.workload;
    find_slopes();
    for (Index i = 0; i < count_; ++i) {
      plan(i).used = program_.used(i);
      plan(i).size = node(i).shape.size();
      if (node(i).kind == GraphNode::Kind::kParameter) take_parameter(i);
      if (node(i).kind == GraphNode::Kind::kConstant) take_constant(i);
    }
    for (Index i = 0; i < count_; ++i) {
      NodePlan& own = plan(i);
      if (!own.used) continue;
      if (node(i).op) take_op(i);
      own.cut = own.differentiated && marks(i).cut;
      if (marks(i).perturbed && workload.tangents > 0 && own.size > 0) {
        own.tangent = true;
        own.stored = true;
      }
      own.parts = 1 + workload.tangents * (Index{own.tangent && !own.rank_one} + Index{own.second});
    }
  }

  // has_slope_[i]: the loss, or what a given cotangent starts from, varies with node i.
  void find_slopes() {
    has_slope_.assign(static_cast<std::size_t>(count_), false);
    for (Index i = count_ - 1; i >= 0; --i) {
      if (!program_.used(i)) continue;
      if (i == program_.loss() || marks(i).cut) has_slope_[i] = true;
      if (!has_slope(i) || !node(i).op) continue;
      for (std::size_t k = 0; k < node(i).inputs.size(); ++k) {
        if (node(i).op->takes(k).varies) has_slope_[node(i).inputs[k]] = true;
      }
    }
  }
  bool has_slope(Index i) const { return has_slope_[i]; }

  void take_parameter(Index i) {
    NodePlan& own = plan(i);
    const TangentForm form = plan_.workload.forms[node(i).slot];
    own.tangent = plan_.workload.tangents > 0 && form != TangentForm::kNone && own.size > 0;
    const Index offset = program_.layout().segments[node(i).slot].offset;
    own.differentiated = pulls() && !own.tangent && offset >= plan_.workload.gradient_first && has_slope(i);
    // Ops read a weight by the rows of its shape; a block cut another way is given to them whole.
    const Segment& segment = program_.layout().segments[node(i).slot];
    const Block& block = program_.layout().blocks[segment.block];
    const bool by_rows = segment.shape.rank() >= 2 && segment.shape[0] == block.rows;
    own.packed = by_rows && all_take(&InputTraits::packed, i) && WeightProduct::suits(block.rows, block.columns);
    own.bfloat16 = own.packed && low();
    own.rank_one = own.tangent && form == TangentForm::kRankOne && by_rows && all_take(&InputTraits::rank_one, i);
    own.drawn = own.tangent && form == TangentForm::kDrawn && by_rows && all_take(&InputTraits::drawn, i);
    own.expanded = own.tangent && form != TangentForm::kDense && !own.rank_one && !own.drawn;
  }

  // Whether all that read node i take what they read there so.
  bool all_take(bool InputTraits::*so, Index i) const {
    for (const Index c : consumers(i)) {
      for (std::size_t position = 0; position < node(c).inputs.size(); ++position) {
        if (node(c).inputs[position] == i && !(node(c).op->takes(position).*so)) return false;
      }
    }
    return true;
  }

  // A constant is read packed where all that read it take it so: a matrix by the rows of its shape.
  void take_constant(Index i) {
    NodePlan& own = plan(i);
    const Shape& shape = node(i).shape;
    if (shape.rank() < 2 || shape.size() == 0 || !WeightProduct::suits(shape[0], shape.size() / shape[0])) return;
    own.packed = all_take(&InputTraits::packed, i);
    own.bfloat16 = own.packed && low();
  }

  void take_op(Index i) {
    NodePlan& own = plan(i);
    own.stored = true;
    bool second = false;
    for (std::size_t k = 0; k < node(i).inputs.size(); ++k) {
      const Index input = node(i).inputs[k];
      const bool varies = node(i).op->takes(k).varies;
      InputInfo info = node(input).info();
      info.active = varies && plan(input).tangent;
      info.rank_one = info.active && plan(input).rank_one;
      info.drawn = info.active && plan(input).drawn;
      infos(i).push_back(info);
      own.tangent = own.tangent || (info.active && own.size > 0);
      second = second || (varies && plan(input).second);
      info.active = varies && has_slope(i) && reached(input);
      info.rank_one = info.drawn = false;
      pulled(i).push_back(info);
      own.differentiated = own.differentiated || info.active;
      own.bfloat16 = own.bfloat16 || (plan(input).packed && plan(input).bfloat16);
    }
    own.second = plan_.workload.order == 2 && own.tangent && (second || node(i).op->curves(infos(i)));
  }

  // Whether a cotangent flows into node i from what reads it.
  bool reached(Index i) { return plan(i).differentiated && (!plan(i).cut || plan_.workload.ahead > 0); }

  // What the workload asks of node i.
  struct Marks {
    bool perturbed = false, cut = false;
    bool visible = false;  // somebody outside the run's ops reads or writes it, or its cotangent
    bool kept = false;     // its value is read after the run
  };
  Marks& marks(Index i) { return marks_[i]; }
  bool visible(Index i) { return marks(i).visible; }
  void mark_nodes() {
    const Workload& workload = plan_.workload;
    marks_.resize(static_cast<std::size_t>(count_));
    marks(program_.loss()).visible = marks(program_.loss()).kept = true;
    if (workload.error >= 0) marks(workload.error).visible = true;
    for (const Index i : workload.outputs) marks(i).visible = marks(i).kept = true;
    for (const Index i : workload.perturbed) marks(i).perturbed = marks(i).visible = true;
    for (const Index i : workload.cuts) marks(i).cut = marks(i).visible = true;
  }

  // consumers_[i]: the used ops that read node i, once for each time they do.
  void find_consumers() {
    consumers_.resize(static_cast<std::size_t>(count_));
    for (Index c = 0; c < count_; ++c) {
      if (!program_.used(c) || !node(c).op) continue;
      for (const Index input : node(c).inputs) consumers_[input].push_back(c);
    }
  }
  const std::vector<Index>& consumers(Index i) const { return consumers_[i]; }

  // An elementwise op that alone reads what another op has made writes where it reads, row by row as the rows are
  // finished where that op says when they are. In a pullback only where nobody asks for what was there before.
  void join_elementwise() {
    home_.resize(static_cast<std::size_t>(count_));
    for (Index i = 0; i < count_; ++i) {
      home_[i] = i;
      if (!plan(i).used || !node(i).op || !node(i).op->traits().elementwise || node(i).shared) continue;
      const Index from = node(i).inputs[0];
      // The cotangent of `error` is read again after that of its input has been made.
      if (streams() && (marks(i).cut || i == plan_.workload.error)) continue;
      if (!node(from).op || consumers(from).size() != 1 || visible(from) || plan(from).parts != plan(i).parts) continue;
      if (plan(i).differentiated && (node(i).op->needs().inputs || node(from).op->needs().output)) continue;
      home_[i] = home_[from];
      if (!node(from).op->traits().finishes_rows) continue;
      plan(from).next = i;
      plan(i).follows = true;
    }
  }
  Index home(Index i) const { return home_[i]; }

  // Where the cotangents of parameters go: a gradient, or, in a descent, θ itself where its one consumer allows it.
  void place_gradient() {
    if (!pulls()) return;
    const bool whole = plan_.workload.mode != Workload::Mode::kDescent;
    const auto offset = [&](Index i) { return program_.layout().segments[node(i).slot].offset; };
    if (whole) plan_.gradient = program_.size() - plan_.workload.gradient_first;
    for (Index i = 0; i < count_; ++i) {
      if (node(i).kind != GraphNode::Kind::kParameter || !plan(i).used) continue;
      if (whole) {
        plan(i).cotangent_offset = offset(i) - plan_.workload.gradient_first;
        continue;
      }
      if (consumers(i).size() == 1 && plan_.tiles == 1) {
        const GraphNode& consumer = node(consumers(i)[0]);
        const auto position = std::find(consumer.inputs.begin(), consumer.inputs.end(), i) - consumer.inputs.begin();
        plan(i).updated = !consumer.shared && consumer.op->takes(static_cast<std::size_t>(position)).updated_in_place;
      }
      if (plan(i).updated) continue;
      plan(i).cotangent_offset = plan_.gradient;
      plan_.gradient += round_up(plan(i).size, kPlanAlignment);
    }
  }

  // Groups of about √(ops) ops; an op and the elementwise op that writes where it wrote stay together.
  void cut_groups() {
    plan_.groups = {0};
    if (streams()) {
      for (const Index cut : plan_.workload.cuts) plan_.groups.push_back(cut + 1);
      plan_.groups.push_back(plan_.workload.error + 1);
    }
    if (plan_.workload.checkpointed) {
      std::vector<Index> ops;
      for (Index i = 0; i < count_; ++i) {
        if (plan(i).used && node(i).op && !node(i).shared && home(i) == i) ops.push_back(i);
      }
      const auto count = static_cast<Index>(ops.size());
      const auto size = static_cast<Index>(std::ceil(std::sqrt(static_cast<double>(count))));
      for (Index at = size; at < count; at += size) plan_.groups.push_back(ops[at]);
    }
    plan_.groups.push_back(count_);
  }

  const Program& program_;
  Index count_;
  Plan plan_;
  std::vector<Marks> marks_;
  std::vector<bool> has_slope_;
  std::vector<std::vector<Index>> consumers_;
  std::vector<Index> home_;  // the node whose memory this one uses: itself, or the one it writes over
};

}  // namespace

WorkingMemory Plan::working() const {
  // Far beyond any memory, and few enough that bytes of all parts together fit an Index.
  constexpr Index kMost = Index{1} << 56;
  const auto whole = [](Index count, Index entries) {
    Index all = 0;
    if (__builtin_mul_overflow(count, entries, &all) || all < 0 || all > kMost) throw std::bad_alloc();
    return round_up(all, kPlanAlignment);
  };
  return {.arenas = whole(arenas, arena),
          .shared = whole(1, shared_arena),
          .scratch = whole(scratches, scratch),
          .spare = whole(1, spare),
          .held = workload.mode == Workload::Mode::kDescent ? whole(1, gradient) : 0};
}

Index Plan::looks(Index i) const {
  if (workload.ahead <= 0 || i > workload.error) return 0;
  const auto stretch = std::ranges::count_if(workload.cuts, [i](Index cut) { return cut < i; });
  return std::min<Index>(workload.ahead, stretch);
}

Plan make_plan(const Program& program, const Workload& workload, int threads) {
  return Planner(program, workload, threads).result();
}

}  // namespace slopewise
