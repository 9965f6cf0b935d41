#include "slopewise/program/execution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/run_check.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Rows a thread takes at a time of a tile that is all there is.
constexpr Index kRowsAPiece = 8;

template <class T>
double mean(std::span<const T> values) {
  double sum = 0;
  for (const T value : values) sum += static_cast<double>(value);
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

}  // namespace

template <class T>
Execution<T>::Execution(const Program& program, const Workload& workload, int threads,
                        std::shared_ptr<Workspace> workspace)
    : program_(program),
      threads_(threads),
      plan_(make_plan(program, workload, threads)),
      workspace_(std::move(workspace)),
      losses_(workload.batch),
      slopes_(workload.batch * workload.tangents),
      curvatures_(workload.order == 2 ? workload.batch * workload.tangents : 0) {
  if (std::is_same_v<T, double> && workload.precision != Precision::kFloat32) {
    throw ArgumentError("precision bfloat16: expected float parameters, found double");
  }
  for (const Index i : workload.outputs) outputs_.emplace_back(workload.batch * node(i).shape.size());
}

template <class T>
void Execution<T>::bind(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
                        const Perturbation<T>& perturbation) {
  check_run(program_, plan_.workload, parameters, batch, tangents, perturbation);
  const WorkingMemory working = plan_.working();
  T* const memory = reinterpret_cast<T*>(workspace_->take(working.total() * Index{sizeof(T)}));
  arena_ = memory;
  shared_ = arena_ + working.arenas;
  scratch_ = shared_ + working.shared;
  spare_ = scratch_ + working.scratch;
  held_ = spare_ + working.spare;
  parameters_ = &parameters;
  batch_ = &batch;
  tangents_ = tangents;
  perturbation_ = perturbation ? &perturbation : nullptr;
  rows_ = batch.rows;
  one_by_one_ = false;
  weights_.assign(program_.nodes().size(), {});
  for (Index i = 0; i < count(); ++i) {
    if (!plan(i).used) continue;
    Weights& weights = weights_[i];
    if (node(i).kind == GraphNode::Kind::kConstant) bind_constant(i, weights);
    if (node(i).kind != GraphNode::Kind::kParameter) continue;
    const Segment& segment = program_.layout().segments[node(i).slot];
    if constexpr (std::is_same_v<T, float>) {
      if (plan(i).packed) {
        const Block& block = program_.layout().blocks[segment.block];
        weights.packed = &parameters.packed(segment.offset, block.rows, block.columns, plan(i).bfloat16);
        continue;
      }
    }
    // Kernels only read parameters; Jet has one pointer type for what is read and what is written.
    weights.flat = const_cast<T*>(parameters.values(segment.offset, segment.size()).data());
  }
}

template <class T>
void Execution<T>::bind_constant(Index i, Weights& weights) const {
  const Constant& constant = *node(i).constant;
  if constexpr (std::is_same_v<T, float>) {
    if (plan(i).packed) {
      const Index rows = constant.shape()[0];
      weights.packed = &constant.packed(rows, constant.size() / rows, plan(i).bfloat16);
      return;
    }
  }
  weights.flat = const_cast<T*>(constant.values<T>().data());
}

template <class T>
Jet<T> Execution<T>::jet(Index i, Index first, Index rows, T* arena) const {
  const GraphNode& what = node(i);
  const NodePlan& own = plan(i);
  const Index tangents = plan_.workload.tangents;
  Jet<T> jet{.rows = what.shared ? 1 : rows, .size = own.size};
  jet.plane = jet.rows * own.size;
  if (what.kind == GraphNode::Kind::kParameter || what.kind == GraphNode::Kind::kConstant) {
    const Weights& weights = weights_[i];
    jet.value = weights.flat;
    jet.packed = weights.packed;
    if (own.expanded) jet.tangent = shared_ + own.offset;
    if (own.rank_one) jet.rank_one = tangents_->rank_one(what.slot);
    if (own.drawn) jet.drawn = tangents_->drawn(what.slot);
    if (own.tangent && !own.expanded && !own.rank_one && !own.drawn)
      jet.tangent = const_cast<T*>(tangents_->dense(what.slot));
    return jet;
  }
  if (what.kind == GraphNode::Kind::kIndices) {
    jet.index = std::get<std::span<const std::int32_t>>(batch_->inputs[what.slot]).data() + first * own.size;
    return jet;
  }
  if (!own.stored) {
    jet.value = const_cast<T*>(input(i)) + first * own.size;
    return jet;
  }
  jet.value = (what.shared ? shared_ : arena) + (replaying ? own.replay_offset : own.offset);
  if (own.tangent) jet.tangent = jet.value + jet.plane;
  if (own.second) jet.second = jet.value + jet.plane * (1 + tangents);
  return jet;
}

template <class T>
void Execution<T>::push(Index i, Index first, Index tile_rows, Index begin, Index rows, T* arena, T* scratch) const {
  const GraphNode& what = node(i);
  if (plan(i).size == 0) return;
  const auto piece = [&](Index which) {
    const Jet<T> whole = jet(which, first, tile_rows, arena);
    return node(which).shared || rows == tile_rows ? whole : whole.rows_from(begin, rows);
  };
  std::array<Jet<T>, kMostInputs> in;
  bool active = false;
  for (std::size_t k = 0; k < what.inputs.size(); ++k) {
    in[k] = piece(what.inputs[k]);
    if (!gives_tangents(i, k)) in[k].drop_tangents();
    active = active || in[k].active();
  }
  Push<T> visit{.in = {in.data(), what.inputs.size()},
                .out = piece(i),
                .tangents = active ? plan_.workload.tangents : 0,
                .scratch = scratch,
                .precision = plan(i).bfloat16 ? plan_.workload.precision : Precision::kFloat32,
                .alone = plan_.one_at_a_time && rows == tile_rows};
  if (!active) visit.out.tangent = visit.out.second = nullptr;  // tangents may still enter here: see perturb
  if (plan(i).next >= 0 && !one_by_one_) {
    visit.next = node(plan(i).next).op.get();
    visit.next_out = piece(plan(i).next);
  }
  what.op->push(visit);
}

template <class T>
void Execution<T>::run_shared() {
  for (Index i = 0; i < count(); ++i) {
    if (!plan(i).used || !node(i).shared) continue;
    if (plan(i).expanded) {
      for (Index k = 0; k < plan_.workload.tangents; ++k) {
        tangents_->expand(node(i).slot, k,
                          {shared_ + plan(i).offset + k * plan(i).size, static_cast<std::size_t>(plan(i).size)});
      }
    }
    if (node(i).op) push(i, 0, 1, 0, 1, nullptr, scratch_);
  }
}

// One arena a thread, not a tile: which thread runs which tile has no influence on what the tile computes.
template <class T>
Index Execution<T>::thread_index_of_tile() const {
  return plan_.arenas > 1 ? thread_index() : 0;
}
template <class T>
T* Execution<T>::scratch() {
  return scratch_ + thread_index() * plan_.scratch;
}

template <class T>
void Execution<T>::run_tiles() {
  if (!plan_.one_at_a_time) return parallel_for(tiles(), [&](Index tile) { run_tile(tile); });
  for (Index tile = 0; tile < tiles(); ++tile) run_tile(tile);
}

template <class T>
void Execution<T>::run_tile(Index tile) {
  visit_tile(tile, arena(), scratch(), [](Index) {});
  collect(tile * plan_.tile, tile_rows(tile), arena());
}

template <class T>
void Execution<T>::make(Index i, Index first, Index rows, T* arena, T* scratch) {
  if (!plan_.one_at_a_time) return push(i, first, rows, 0, rows, arena, scratch);
  if (node(i).op->traits().cuts_itself) return push(i, first, rows, 0, rows, arena, scratch_);
  parallel_for((rows + kRowsAPiece - 1) / kRowsAPiece, [&](Index piece) {
    const Index begin = piece * kRowsAPiece;
    push(i, first, rows, begin, std::min(kRowsAPiece, rows - begin), arena, this->scratch());
  });
}

template <class T>
void Execution<T>::visit_tile(Index tile, T* arena, T* scratch, const std::function<void(Index)>& after) {
  const Index first = tile * plan_.tile;
  const Index rows = tile_rows(tile);
  for (Index i = 0; i < count(); ++i) {
    if (!plan(i).used || node(i).shared) continue;
    if (node(i).op && (one_by_one_ || !plan(i).follows)) make(i, first, rows, arena, scratch);
    if (node(i).kind == GraphNode::Kind::kInput && plan(i).stored) {
      std::copy_n(input(i) + first * plan(i).size, rows * plan(i).size, arena + plan(i).offset);
    }
    perturb(i, first, rows, arena);
    after(i);
  }
}

template <class T>
void Execution<T>::perturb(Index i, Index first, Index rows, T* arena) const {
  if (!perturbation_) return;
  const std::vector<Index>& perturbed = plan_.workload.perturbed;
  const auto found = std::find(perturbed.begin(), perturbed.end(), i);
  if (found == perturbed.end() || plan(i).size == 0) return;
  const Jet<T> own = jet(i, first, rows, arena);
  bool reached = false;
  for (std::size_t k = 0; k < node(i).inputs.size(); ++k) reached = reached || gives_tangents(i, k);
  const Index tangents = plan_.workload.tangents;
  parallel_for((rows + kRowsAPiece - 1) / kRowsAPiece, [&](Index piece) {
    std::vector<T> drawn(static_cast<std::size_t>(tangents * own.size));
    for (Index r = piece * kRowsAPiece; r < std::min(rows, (piece + 1) * kRowsAPiece); ++r) {
      (*perturbation_)(static_cast<std::size_t>(found - perturbed.begin()), first + r,
                       {own.value_row(r), static_cast<std::size_t>(own.size)}, drawn);
      for (Index k = 0; k < tangents; ++k) {
        T* row = own.tangent_row(k, r);
        if (!reached) std::fill_n(row, own.size, T{0});
        axpy(T{1}, drawn.data() + k * own.size, row, own.size);
      }
    }
  });
}

template <class T>
void Execution<T>::collect(Index first, Index rows, T* arena) {
  const Jet<T> loss = jet(program_.loss(), first, rows, arena);
  for (Index r = 0; r < rows; ++r) losses_[first + r] = *loss.value_row(r);
  for (Index k = 0; k < plan_.workload.tangents; ++k) {
    for (Index r = 0; r < rows; ++r) {
      slopes_[k * rows_ + first + r] = loss.tangent ? *loss.tangent_row(k, r) : T{0};
      if (plan_.workload.order == 2) curvatures_[k * rows_ + first + r] = loss.second ? *loss.second_row(k, r) : T{0};
    }
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const Jet<T> output = jet(plan_.workload.outputs[i], first, rows, arena);
    std::copy_n(output.value, rows * output.size, outputs_[i].data() + first * output.size);
  }
}

template <class T>
RunResult<T> Execution<T>::finish() {
  RunResult<T> result;
  const auto batch = static_cast<std::size_t>(rows_);
  result.losses = {losses_.data(), batch};
  result.loss = mean(result.losses);
  bool finite = std::isfinite(result.loss);
  result.example_slopes = {slopes_.data(), batch * static_cast<std::size_t>(plan_.workload.tangents)};
  for (Index k = 0; k < plan_.workload.tangents; ++k) {
    result.slopes.push_back(mean(result.example_slopes.subspan(static_cast<std::size_t>(k) * batch, batch)));
    finite = finite && std::isfinite(result.slopes.back());
    if (plan_.workload.order == 2) {
      result.curvatures.push_back(mean(std::span<const T>(curvatures_.data() + k * rows_, batch)));
      finite = finite && std::isfinite(result.curvatures.back());
    }
  }
  if (!finite) diagnose();
  return result;
}

template <class T>
void Execution<T>::require_finite_losses(Index first, Index rows) {
  if (!all_finite(losses_.data() + first, rows)) diagnose();
}

template <class T>
std::span<const T> Execution<T>::output(std::size_t i) const {
  return {outputs_.at(i).data(), static_cast<std::size_t>(rows_ * node(plan_.workload.outputs[i]).shape.size())};
}

// Runs once more, op by op, and names the first that makes a non-finite number of finite ones.
template <class T>
void Execution<T>::diagnose() {
  for (const Index i : program_.inputs()) {
    if (node(i).kind == GraphNode::Kind::kInput && !all_finite(input(i), rows_ * plan(i).size)) {
      throw NumericError(fmt::format("input '{}' holds a NaN or an infinity", node(i).name));
    }
  }
  require_finite_segments(parameters_->values().data(), 0, "parameter '{}' holds a NaN or an infinity");
  if (tangents_ && !tangents_->finite()) throw NumericError("the tangents hold a NaN or an infinity");
  for (Index i = 0; i < count(); ++i) {
    if (plan(i).used && node(i).op && node(i).shared) report_if_not_finite(i, 0, 1, nullptr);
  }
  one_by_one_ = true;
  replaying = false;
  for (Index tile = 0; tile < tiles(); ++tile) {
    visit_tile(tile, arena_, scratch_, [&](Index i) {
      if (plan(i).stored) report_if_not_finite(i, tile * plan_.tile, tile_rows(tile), arena_);
    });
  }
  throw NumericError("the mean over the examples is not finite although every example's is");
}

template <class T>
void Execution<T>::require_finite_segments(const T* values, Index first, std::string_view message) const {
  for (const Segment& segment : program_.layout().segments) {
    if (segment.offset >= first && !all_finite(values + segment.offset - first, segment.size()))
      throw NumericError(fmt::format(fmt::runtime(message), segment.name));
  }
}

template <class T>
void Execution<T>::report_if_not_finite(Index i, Index first, Index rows, T* arena) {
  const Jet<T> made = jet(i, first, rows, arena);
  const bool masked = std::any_of(program_.nodes().begin(), program_.nodes().end(),
                                  [](const GraphNode& any) { return any.constant && any.constant->infinite(); });
  for (Index part = 0; part < plan(i).parts; ++part) {
    const T* values = made.value + part * made.plane;
    // Where a mask brings infinities on purpose, only a NaN is a fault.
    const T* end = values + made.plane;
    const T* found = std::find_if(values, end, [&](T v) { return masked ? std::isnan(v) : !std::isfinite(v); });
    if (found == end) continue;
    const Index bad = found - values;
    throw NumericError(fmt::format("op '{}' made a non-finite {} ({}) at example {}, entry {} of shape {}",
                                   node(i).name,
                                   part == 0                         ? "value"
                                   : part <= plan_.workload.tangents ? "tangent"
                                                                     : "second-order term",
                                   static_cast<double>(values[bad]), first + bad / std::max<Index>(made.size, 1),
                                   bad % std::max<Index>(made.size, 1), node(i).shape.to_string()));
  }
}

template class Execution<float>;
template class Execution<double>;

}  // namespace slopewise
