#include "slopewise/program/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "slopewise/base/error.hpp"
#include "slopewise/program/timeline.hpp"
#include "slopewise/tensor/arena.hpp"

namespace slopewise {
namespace {

// Values of a row start on a cache line.
constexpr Index kAlignment = 64 / sizeof(float);
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

// Examples or tangents of one run: their product and a few times it fit an Index.
constexpr Index kLargestSize = Index{1} << 30;

// Whether a matrix has tangents of this form.
bool has_matrix(const ParameterLayout& layout, const std::vector<TangentForm>& forms, TangentForm form) {
  return std::ranges::any_of(layout.blocks, [&](const Block& block) {
    return block.columns > 1 && forms[static_cast<std::size_t>(block.weight)] == form;
  });
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
    if (node.op->wide()) wide += work;
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
    plan_.workload = workload;
    check();
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
    place();
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
      const bool whole = plan_.one_at_a_time && node(i).op->cuts_itself();
      plan_.scratch = std::max(plan_.scratch, whole ? (needed + plan_.scratches - 1) / plan_.scratches : needed);
    }
    plan_.scratch = round_up(plan_.scratch, kAlignment);
  }

  Plan result() && { return std::move(plan_); }

 private:
  bool pulls() const { return plan_.workload.backward(); }
  bool given() const { return plan_.workload.mode == Workload::Mode::kGiven; }
  bool streams() const { return plan_.workload.ahead >= 0; }
  bool low() const { return plan_.workload.precision != Precision::kFloat32; }
  const GraphNode& node(Index i) const { return program_.node(i); }
  NodePlan& plan(Index i) { return plan_.nodes[static_cast<std::size_t>(i)]; }
  std::vector<InputInfo>& pulled(Index i) { return plan_.pulled[static_cast<std::size_t>(i)]; }
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
    if (pulls() && !given() && (workload.tangents > 0 || !workload.perturbed.empty())) {
      throw ArgumentError("pullback: expected no tangents; the exact gradient and the slopes are two runs");
    }
    if (workload.checkpointed && (!pulls() || given())) {
      throw ArgumentError("checkpointed: expected an exact gradient; slopes keep no activations");
    }
    if (workload.micro_batch < 0 || (workload.micro_batch > 0 && (!pulls() || given()))) {
      throw ArgumentError(fmt::format("micro-batch: expected an exact gradient and at least 1 example, or 0, found {}",
                                      workload.micro_batch));
    }
    if (low() && !has_bfloat16()) {
      throw ArgumentError("precision bfloat16: this processor does not multiply it (AVX512_BF16); use float32");
    }
    if (!workload.forms.empty() && workload.forms.size() != program_.layout().segments.size()) {
      throw ArgumentError(fmt::format("tangent forms: expected one for each of {} segments, found {}",
                                      program_.layout().segments.size(), workload.forms.size()));
    }
    if (!given() && (!workload.cuts.empty() || workload.error >= 0)) {
      throw ArgumentError("cuts: expected none but where cotangents are given");
    }
    if (workload.gradient_first != 0 &&
        (!given() || workload.gradient_first < 0 || workload.gradient_first > program_.size())) {
      throw ArgumentError(
          fmt::format("gradient: expected it whole, or from an entry up to {} on where cotangents are "
                      "given, found entry {}",
                      program_.size(), workload.gradient_first));
    }
    if (workload.order == 2 && pulls()) throw ArgumentError("order: expected 1 in a pullback, found 2");
    for (const Index i : workload.perturbed) check_node(i, "perturbed");
    for (const Index i : workload.outputs) check_node(i, "output");
    for (const Index i : workload.cuts) {
      check_node(i, "cut");
      if (workload.error >= 0 && i >= workload.error)
        throw ArgumentError(fmt::format("cut node {}: expected one before node {}", i, workload.error));
    }
    if (workload.error >= 0) check_node(workload.error, "error");
    if (streams()) check_stream();
  }

  void check_stream() const {
    const Workload& workload = plan_.workload;
    if (!given() || workload.error < 0 || workload.tangents > 0 || workload.spare)
      throw ArgumentError("ahead: expected a node whose cotangent goes to the cuts, and nobody who gives others");
    Index before = -1;
    for (const Index cut : workload.cuts) {
      if (cut <= before) throw ArgumentError("ahead: expected cuts in order");
      before = cut;
      if (node(cut).shape.size() != node(workload.error).shape.size()) {
        throw ShapeError(fmt::format("ahead: expected cuts of the size of '{}', {}, found '{}' of {}",
                                     node(workload.error).name, node(workload.error).shape.to_string(), node(cut).name,
                                     node(cut).shape.to_string()));
      }
    }
  }

  void check_node(Index i, std::string_view role) const {
    if (i < 0 || i >= count_ || node(i).shared || node(i).kind == GraphNode::Kind::kIndices || !program_.used(i)) {
      throw ArgumentError(
          fmt::format("{} node {}: expected a node with one row an example that the loss depends on", role, i));
    }
  }

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
      if (i == program_.loss() || marks(i).cut) has_slope_[static_cast<std::size_t>(i)] = true;
      if (!has_slope(i) || !node(i).op) continue;
      for (std::size_t k = 0; k < node(i).inputs.size(); ++k) {
        if (node(i).op->varies_with(k)) has_slope_[static_cast<std::size_t>(node(i).inputs[k])] = true;
      }
    }
  }
  bool has_slope(Index i) const { return has_slope_[static_cast<std::size_t>(i)]; }

  void take_parameter(Index i) {
    NodePlan& own = plan(i);
    const TangentForm form = plan_.workload.forms[static_cast<std::size_t>(node(i).slot)];
    own.tangent = plan_.workload.tangents > 0 && form != TangentForm::kNone && own.size > 0;
    const Index offset = program_.layout().segments[static_cast<std::size_t>(node(i).slot)].offset;
    own.differentiated = pulls() && !own.tangent && offset >= plan_.workload.gradient_first && has_slope(i);
    // Ops read a weight by the rows of its shape; a block cut another way is given to them whole.
    const Segment& segment = program_.layout().segments[static_cast<std::size_t>(node(i).slot)];
    const Block& block = program_.layout().blocks[static_cast<std::size_t>(segment.block)];
    const bool by_rows = segment.shape.rank() >= 2 && segment.shape[0] == block.rows;
    own.packed = by_rows && all_take(&Op::takes_packed, i) && WeightProduct::suits(block.rows, block.columns);
    own.bfloat16 = own.packed && low();
    own.rank_one = own.tangent && form == TangentForm::kRankOne && by_rows && all_take(&Op::takes_rank_one, i);
    own.drawn = own.tangent && form == TangentForm::kDrawn && by_rows && all_take(&Op::takes_drawn, i);
    own.expanded = own.tangent && form != TangentForm::kDense && !own.rank_one && !own.drawn;
  }

  // Whether all that read node i take what they read there so.
  bool all_take(bool (Op::*takes)(std::size_t position) const, Index i) const {
    for (const Index c : consumers(i)) {
      for (std::size_t position = 0; position < node(c).inputs.size(); ++position) {
        if (node(c).inputs[position] == i && !(*node(c).op.*takes)(position)) return false;
      }
    }
    return true;
  }

  // A constant is read packed where all that read it take it so: a matrix by the rows of its shape.
  void take_constant(Index i) {
    NodePlan& own = plan(i);
    const Shape& shape = node(i).shape;
    if (shape.rank() < 2 || shape.size() == 0 || !WeightProduct::suits(shape[0], shape.size() / shape[0])) return;
    own.packed = all_take(&Op::takes_packed, i);
    own.bfloat16 = own.packed && low();
  }

  void take_op(Index i) {
    NodePlan& own = plan(i);
    own.stored = true;
    bool second = false;
    for (std::size_t k = 0; k < node(i).inputs.size(); ++k) {
      const Index input = node(i).inputs[k];
      const bool varies = node(i).op->varies_with(k);
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
  Marks& marks(Index i) { return marks_[static_cast<std::size_t>(i)]; }
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
      for (const Index input : node(c).inputs) consumers_[static_cast<std::size_t>(input)].push_back(c);
    }
  }
  const std::vector<Index>& consumers(Index i) const { return consumers_[static_cast<std::size_t>(i)]; }

  // An elementwise op that alone reads what another op has made writes where it reads, row by row as the rows are
  // finished where that op says when they are. In a pullback only where nobody asks for what was there before.
  void join_elementwise() {
    home_.resize(static_cast<std::size_t>(count_));
    for (Index i = 0; i < count_; ++i) {
      home_[static_cast<std::size_t>(i)] = i;
      if (!plan(i).used || !node(i).op || !node(i).op->elementwise() || node(i).shared) continue;
      const Index from = node(i).inputs[0];
      // The cotangent of `error` is read again after that of its input has been made.
      if (streams() && (marks(i).cut || i == plan_.workload.error)) continue;
      if (!node(from).op || consumers(from).size() != 1 || visible(from) || plan(from).parts != plan(i).parts) continue;
      if (plan(i).differentiated && (node(i).op->needs().inputs || node(from).op->needs().output)) continue;
      home_[static_cast<std::size_t>(i)] = home_[static_cast<std::size_t>(from)];
      if (!node(from).op->finishes_rows()) continue;
      plan(from).next = i;
      plan(i).follows = true;
    }
  }
  Index home(Index i) const { return home_[static_cast<std::size_t>(i)]; }

  // Where the cotangents of parameters go: a gradient, or, in a descent, θ itself where its one consumer allows it.
  void place_gradient() {
    if (!pulls()) return;
    const bool whole = plan_.workload.mode != Workload::Mode::kDescent;
    const auto offset = [&](Index i) {
      return program_.layout().segments[static_cast<std::size_t>(node(i).slot)].offset;
    };
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
        plan(i).updated = !consumer.shared && consumer.op->updates_in_place(static_cast<std::size_t>(position));
      }
      if (plan(i).updated) continue;
      plan(i).cotangent_offset = plan_.gradient;
      plan_.gradient += round_up(plan(i).size, kAlignment);
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
      for (Index at = size; at < count; at += size) plan_.groups.push_back(ops[static_cast<std::size_t>(at)]);
    }
    plan_.groups.push_back(count_);
  }

  // Gives every stored value and cotangent its place, by liveness along the run.
  void place() {
    const Timeline times(plan_.groups, plan_.workload.ahead);
    const Index end = times.end;
    const std::size_t last_group = times.last_group();
    const auto group_of = [&](Index i) { return times.group[static_cast<std::size_t>(i)]; };
    const auto replay_of = [&](Index i) { return times.replay[static_cast<std::size_t>(i)]; };
    const auto backward_of = [&](Index i) { return times.backward[static_cast<std::size_t>(i)]; };

    // What a later group reads, or the caller, is kept; so is what shares its memory.
    std::vector<bool> kept(static_cast<std::size_t>(count_));
    for (Index i = 0; i < count_; ++i) {
      bool keep_it = group_of(i) == last_group || (streams() ? marks(i).kept : visible(i));
      for (const Index c : consumers(i)) keep_it = keep_it || (!streams() && group_of(c) != group_of(i));
      if (keep_it) kept[static_cast<std::size_t>(home(i))] = true;
    }
    const auto is_kept = [&](Index i) { return static_cast<bool>(kept[static_cast<std::size_t>(home(i))]); };

    // The times at which a node's memory is last read: on the way forward, and afterwards.
    std::vector<Index> last(static_cast<std::size_t>(count_)), last_again(static_cast<std::size_t>(count_), -1);
    std::vector<Index> first_cotangent(static_cast<std::size_t>(count_), end);
    for (Index i = 0; i < count_; ++i) {
      Index& forward = last[static_cast<std::size_t>(home(i))];
      Index& again = last_again[static_cast<std::size_t>(home(i))];
      forward = std::max(forward, i);
      if (streams() ? marks(i).kept : visible(i)) again = end;
      if (!plan(i).used) continue;
      plan(i).replayed = pulls() && !is_kept(i) && !node(i).shared && node(i).op;
      if (plan(i).differentiated && node(i).op && node(i).op->needs().output) again = std::max(again, backward_of(i));
      for (const Index c : consumers(i)) {
        forward = std::max(forward, c);
        if (!is_kept(c)) again = std::max(again, replay_of(c));
        if (!plan(c).differentiated) continue;
        // In a stream the last group reads what was made first.
        const bool first_made = streams() && group_of(c) == last_group && group_of(i) != last_group;
        if (node(c).op->needs().inputs)
          (first_made ? forward : again) = std::max(first_made ? forward : again, backward_of(c));
        if (plan(i).cut) continue;
        Index& first = first_cotangent[static_cast<std::size_t>(home(i))];
        first = std::min(first, backward_of(c));
      }
    }
    // Cotangents are given all at once, before the first of these nodes is differentiated.
    Index given_at = plan_.workload.error >= 0 ? backward_of(plan_.workload.error) : end;
    for (const Index cut : plan_.workload.cuts) given_at = std::min(given_at, backward_of(cut));
    for (Index i = 0; i < count_; ++i) {
      const bool early = streams() && plan_.workload.ahead > 0 && plan(i).differentiated && group_of(i) != last_group;
      if (!plan(i).cut && !early) continue;
      Index& first = first_cotangent[static_cast<std::size_t>(home(i))];
      first = std::min(first, streams() ? times.first_pull[group_of(i)] : given_at);
    }

    std::vector<Lifetime> lifetimes;
    std::vector<Index*> places;
    const auto reserve = [&](Index size, Index from, Index to, Index* at) {
      lifetimes.push_back({size, from, to});
      places.push_back(at);
    };
    for (Index i = 0; i < count_; ++i) {
      NodePlan& own = plan(i);
      if (!own.used) continue;
      if (node(i).shared) {
        if (own.stored) own.offset = keep(entries(own.size, own.parts, 1));
        if (own.expanded) own.offset = keep(entries(own.size, plan_.workload.tangents, 1));
        if (own.stored && own.differentiated) own.cotangent_offset = keep(own.size);
        own.replay_offset = own.offset;
        continue;
      }
      if (home(i) != i) continue;
      const Index size = entries(own.size, own.parts, plan_.tile);
      const Index read = last[static_cast<std::size_t>(i)], read_again = last_again[static_cast<std::size_t>(i)];
      if (own.stored && own.replayed) {
        reserve(size, i, read, &own.offset);
        reserve(size, replay_of(i), std::max(replay_of(i), read_again), &own.replay_offset);
      } else if (own.stored) {
        reserve(size, i, std::max(read, read_again), &own.offset);
      }
      if (own.differentiated) {
        const Index first = first_cotangent[static_cast<std::size_t>(i)];
        reserve(own.size * plan_.tile, std::min(first, backward_of(i)), backward_of(i), &own.cotangent_offset);
      }
    }
    const ArenaPlan arena = plan_arena(lifetimes, kAlignment);
    for (std::size_t i = 0; i < places.size(); ++i) *places[i] = arena.offsets[i];
    plan_.arena = arena.size;
    for (Index i = 0; i < count_; ++i) {
      NodePlan& own = plan(i);
      if (node(i).shared || !own.used) continue;
      if (!own.replayed) own.replay_offset = own.offset;
      own.offset = plan(home(i)).offset;
      own.replay_offset = plan(home(i)).replay_offset;
      if (node(i).op) own.cotangent_offset = plan(home(i)).cotangent_offset;
    }
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
  std::vector<Marks> marks_;
  std::vector<bool> has_slope_;
  std::vector<std::vector<Index>> consumers_;
  std::vector<Index> home_;  // the node whose memory this one uses: itself, or the one it writes over
};

}  // namespace

WorkingMemory Plan::working() const {
  const auto whole = [](Index entries) { return round_up(entries, kAlignment); };
  return {.arenas = whole(arenas * arena),
          .shared = whole(shared_arena),
          .scratch = whole(scratches * scratch),
          .spare = whole(spare),
          .held = workload.mode == Workload::Mode::kDescent ? whole(gradient) : 0};
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
