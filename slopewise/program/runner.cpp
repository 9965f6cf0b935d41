#include "slopewise/program/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/run_check.hpp"

namespace slopewise {
namespace {

// Rows of one piece of a pullback over `rows` rows; pieces run in parallel, and a small batch still feeds two threads.
Index pullback_piece(Index rows) {
  return std::min<Index>(64, (rows + 15) / 16 * 8);
}

template <class T>
double mean(std::span<const T> values) {
  double sum = 0;
  for (const T value : values) sum += static_cast<double>(value);
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

template <class T>
bool all_finite(const T* values, Index count) {
  return std::all_of(values, values + count, [](T value) { return std::isfinite(value); });
}

// Rows [first, first + rows) of a jet.
template <class T>
Jet<T> rows_of(Jet<T> jet, Index first, Index rows) {
  if (jet.shared() && rows != jet.rows) return jet;
  if (jet.value) jet.value += first * jet.size;
  if (jet.index) jet.index += first * jet.size;
  jet.rows = rows;
  return jet;
}

}  // namespace

template <class T>
class Runner<T>::State {
 public:
  State(const Program& program, const Workload& workload)
      : program_(program),
        threads_(thread_count()),
        plan_(make_plan(program, workload, threads_)),
        arena_(plan_.arenas * plan_.arena),
        shared_(plan_.shared_arena),
        scratch_((pullback() ? threads_ : plan_.arenas) * plan_.scratch),
        losses_(workload.batch),
        slopes_(workload.batch * workload.tangents),
        curvatures_(workload.order == 2 ? workload.batch * workload.tangents : 0) {
    for (const Index node : workload.outputs) outputs_.emplace_back(workload.batch * program.node(node).shape.size());
  }

  const Program& program() const { return program_; }
  const Workload& workload() const { return plan_.workload; }
  int threads() const { return threads_; }
  std::span<const T> output(std::size_t i) const {
    return {outputs_.at(i).data(), static_cast<std::size_t>(rows_ * program_.node(workload().outputs[i]).shape.size())};
  }

  RunResult<T> run(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
                   const Perturbation<T>& perturbation) {
    if (pullback()) throw ArgumentError("run: this runner computes exact gradients; expected a forward workload");
    bind(parameters, batch, tangents, perturbation);
    run_shared();
    // One arena a thread, not a tile: which thread runs which tile has no influence on what the tile computes.
    parallel_for(tiles(), [&](Index tile) {
      run_tile(tile, arena_.data() + thread_index() * plan_.arena, scratch_.data() + thread_index() * plan_.scratch);
    });
    return finish();
  }

  RunResult<T> gradient(const Parameters<T>& parameters, const Batch<T>& batch, std::span<T> out) {
    if (!pullback()) throw ArgumentError("gradient: expected a pullback workload");
    if (static_cast<Index>(out.size()) != program_.size()) {
      throw ShapeError(fmt::format("gradient: expected room for {} entries, found {}", program_.size(), out.size()));
    }
    bind(parameters, batch, nullptr, {});
    gradient_ = out.data();
    run_shared();
    written_.assign(program_.nodes().size(), false);
    for (Index tile = 0; tile < tiles(); ++tile) pull_tile(tile);
    pull_shared();
    RunResult<T> result = finish();
    require_finite_segments(gradient_, "the gradient of parameter '{}' is not finite although the loss is");
    return result;
  }

 private:
  bool pullback() const { return plan_.workload.mode == Workload::Mode::kPullback; }
  const GraphNode& node(Index i) const { return program_.node(i); }
  const NodePlan& plan(Index i) const { return plan_.nodes[static_cast<std::size_t>(i)]; }
  Index count() const { return static_cast<Index>(program_.nodes().size()); }
  Index tiles() const { return (rows_ + plan_.tile - 1) / plan_.tile; }
  Index tile_rows(Index tile) const { return std::min(plan_.tile, rows_ - tile * plan_.tile); }

  void bind(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
            const Perturbation<T>& perturbation) {
    check_run(program_, plan_.workload, parameters, batch, tangents, perturbation);
    parameters_ = &parameters;
    batch_ = &batch;
    tangents_ = tangents;
    perturbation_ = perturbation ? &perturbation : nullptr;
    rows_ = batch.rows;
    packed_.assign(program_.nodes().size(), nullptr);
    for (Index i = 0; i < count(); ++i) {
      if (!plan(i).packed) continue;
      const Segment& segment = program_.layout().segments[static_cast<std::size_t>(node(i).slot)];
      const Block& block = program_.layout().blocks[static_cast<std::size_t>(segment.block)];
      packed_[static_cast<std::size_t>(i)] = &parameters.packed(segment.offset, block.rows, block.columns);
    }
  }

  // The jet of node i over `rows` rows of a tile that starts at example `first`.
  Jet<T> jet(Index i, Index first, Index rows, T* arena) {
    const GraphNode& what = node(i);
    const NodePlan& own = plan(i);
    const Index tangents = plan_.workload.tangents;
    Jet<T> jet{.rows = what.shared ? 1 : rows, .size = own.size};
    if (what.kind == GraphNode::Kind::kParameter) {
      const Segment& segment = program_.layout().segments[static_cast<std::size_t>(what.slot)];
      // Kernels only read parameters; Jet has one pointer type for what is read and what is written.
      jet.value = const_cast<T*>(parameters_->values().data()) + segment.offset;
      jet.packed = packed_[static_cast<std::size_t>(i)];
      if (own.expanded) jet.tangent = shared_.data() + own.offset;
      if (own.rank_one) jet.rank_one = tangents_->rank_one(what.slot);
      if (own.tangent && !own.expanded && !own.rank_one) jet.tangent = const_cast<T*>(tangents_->dense(what.slot));
      return jet;
    }
    if (what.kind == GraphNode::Kind::kIndices) {
      jet.index = std::get<std::span<const std::int32_t>>(batch_->inputs[static_cast<std::size_t>(what.slot)]).data() +
                  first * own.size;
      return jet;
    }
    if (!own.stored) {
      jet.value =
          const_cast<T*>(std::get<std::span<const T>>(batch_->inputs[static_cast<std::size_t>(what.slot)]).data()) +
          first * own.size;
      return jet;
    }
    jet.value = (what.shared ? shared_.data() : arena) + own.offset;
    if (own.tangent) jet.tangent = jet.value + jet.rows * own.size;
    if (own.second) jet.second = jet.value + jet.rows * own.size * (1 + tangents);
    return jet;
  }

  void push(Index i, Index first, Index rows, T* arena, T* scratch) {
    const GraphNode& what = node(i);
    std::array<Jet<T>, kMostInputs> in;
    bool active = false;
    for (std::size_t k = 0; k < what.inputs.size(); ++k) {
      in[k] = jet(what.inputs[k], first, rows, arena);
      active = active || in[k].active();
    }
    Jet<T> out = jet(i, first, rows, arena);
    if (!active) out.tangent = out.second = nullptr;  // tangents may still enter here: see perturb
    what.op->push(Push<T>{.in = {in.data(), what.inputs.size()},
                          .out = out,
                          .tangents = active ? plan_.workload.tangents : 0,
                          .scratch = scratch});
  }

  // Everything that depends on parameters alone.
  void run_shared() {
    for (Index i = 0; i < count(); ++i) {
      if (!plan(i).used || !node(i).shared) continue;
      if (plan(i).expanded) {
        for (Index k = 0; k < plan_.workload.tangents; ++k) {
          tangents_->expand(
              node(i).slot, k,
              {shared_.data() + plan(i).offset + k * plan(i).size, static_cast<std::size_t>(plan(i).size)});
        }
      }
      if (node(i).op) push(i, 0, 1, nullptr, scratch_.data());
    }
  }

  void run_tile(Index tile, T* arena, T* scratch) {
    visit_tile(tile, arena, scratch, [](Index) {});
    collect(tile * plan_.tile, tile_rows(tile), arena);
  }

  // Computes the nodes of one tile in order and calls after(node) for each.
  template <class F>
  void visit_tile(Index tile, T* arena, T* scratch, F after) {
    const Index first = tile * plan_.tile;
    const Index rows = tile_rows(tile);
    for (Index i = 0; i < count(); ++i) {
      if (!plan(i).used || node(i).shared) continue;
      if (node(i).op) push(i, first, rows, arena, scratch);
      if (node(i).kind == GraphNode::Kind::kInput && plan(i).stored) {
        const auto values = std::get<std::span<const T>>(batch_->inputs[static_cast<std::size_t>(node(i).slot)]);
        std::copy_n(values.data() + first * plan(i).size, rows * plan(i).size, arena + plan(i).offset);
      }
      perturb(i, first, rows, arena);
      after(i);
    }
  }

  // Adds the perturbation that enters at node i, if one does.
  void perturb(Index i, Index first, Index rows, T* arena) {
    if (!perturbation_) return;
    const std::vector<Index>& perturbed = plan_.workload.perturbed;
    const auto found = std::find(perturbed.begin(), perturbed.end(), i);
    if (found == perturbed.end()) return;
    const Jet<T> own = jet(i, first, rows, arena);
    const bool reached = node(i).op && std::any_of(node(i).inputs.begin(), node(i).inputs.end(),
                                                   [&](Index input) { return plan(input).tangent; });
    std::vector<T> drawn(static_cast<std::size_t>(own.size));
    for (Index k = 0; k < plan_.workload.tangents; ++k) {
      for (Index r = 0; r < rows; ++r) {
        (*perturbation_)(static_cast<std::size_t>(found - perturbed.begin()), k, first + r, drawn);
        T* row = own.tangent_row(k, r);
        for (Index j = 0; j < own.size; ++j) row[j] = (reached ? row[j] : T{0}) + drawn[static_cast<std::size_t>(j)];
      }
    }
  }

  // Copies what a tile leaves behind: losses, slopes, outputs.
  void collect(Index first, Index rows, T* arena) {
    const Index loss_node = program_.loss();
    const Jet<T> loss = jet(loss_node, first, rows, arena);
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

  RunResult<T> finish() {
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

  // Runs once more, op by op, and names the first that makes a non-finite number of finite ones.
  [[noreturn]] void diagnose() {
    for (const Index i : program_.inputs()) {
      const Jet<T> input = jet_of_input(i);
      if (input.value && !all_finite(input.value, input.rows * input.size)) {
        throw NumericError(fmt::format("input '{}' holds a NaN or an infinity", node(i).name));
      }
    }
    require_finite_segments(parameters_->values().data(), "parameter '{}' holds a NaN or an infinity");
    if (tangents_ && !tangents_->finite()) throw NumericError("the tangents hold a NaN or an infinity");
    Buffer<T> scratch(plan_.scratch);
    for (Index i = 0; i < count(); ++i) {
      if (plan(i).used && node(i).op && node(i).shared) report_if_not_finite(i, 0, 1, nullptr);
    }
    for (Index tile = 0; tile < tiles(); ++tile) {
      visit_tile(tile, arena_.data(), scratch.data(), [&](Index i) {
        if (plan(i).stored) report_if_not_finite(i, tile * plan_.tile, tile_rows(tile), arena_.data());
      });
    }
    throw NumericError("the mean over the examples is not finite although every example's is");
  }

  // Throws NumericError with the name of the first segment of `values` (n) that holds a NaN or an infinity.
  void require_finite_segments(const T* values, fmt::format_string<const std::string&> message) const {
    for (const Segment& segment : program_.layout().segments) {
      if (!all_finite(values + segment.offset, segment.size())) throw NumericError(fmt::format(message, segment.name));
    }
  }

  Jet<T> jet_of_input(Index i) {
    if (node(i).kind == GraphNode::Kind::kIndices) return {};
    return {.rows = rows_,
            .size = plan(i).size,
            .value = const_cast<T*>(
                std::get<std::span<const T>>(batch_->inputs[static_cast<std::size_t>(node(i).slot)]).data())};
  }

  void report_if_not_finite(Index i, Index first, Index rows, T* arena) {
    const Jet<T> made = jet(i, first, rows, arena);
    const Index parts = plan(i).parts;
    for (Index part = 0; part < parts; ++part) {
      const T* values = made.value + part * made.rows * made.size;
      if (all_finite(values, made.rows * made.size)) continue;
      const Index bad =
          std::find_if(values, values + made.rows * made.size, [](T v) { return !std::isfinite(v); }) - values;
      throw NumericError(fmt::format("op '{}' made a non-finite {} ({}) at example {}, entry {} of shape {}",
                                     node(i).name,
                                     part == 0                         ? "value"
                                     : part <= plan_.workload.tangents ? "tangent"
                                                                       : "second-order term",
                                     static_cast<double>(values[bad]), first + bad / std::max<Index>(made.size, 1),
                                     bad % std::max<Index>(made.size, 1), node(i).shape.to_string()));
    }
  }

  T* thread_scratch() { return scratch_.data() + thread_index() * plan_.scratch; }

  T* cotangent(Index i) {
    if (node(i).kind == GraphNode::Kind::kParameter) {
      return gradient_ + program_.layout().segments[static_cast<std::size_t>(node(i).slot)].offset;
    }
    return (node(i).shared ? shared_.data() : arena_.data()) + plan(i).cotangent_offset;
  }

  // Forward through one tile keeping what the pullback needs, then back. Pieces of rows run in parallel; the cotangents
  // of parameters, sums over rows, are made by ops that cut them by columns.
  void pull_tile(Index tile) {
    const Index first = tile * plan_.tile;
    const Index rows = tile_rows(tile);
    const Index size = pullback_piece(rows);
    const Index pieces = (rows + size - 1) / size;
    for (Index i = 0; i < count(); ++i) {
      if (!plan(i).used || !node(i).op || node(i).shared) continue;
      parallel_for(pieces, [&](Index piece) {
        const Index begin = piece * size;
        visit_forward(i, first, rows, begin, std::min(size, rows - begin));
      });
    }
    collect(first, rows, arena_.data());
    if (plan(program_.loss()).differentiated && !node(program_.loss()).shared) {
      std::fill_n(cotangent(program_.loss()), rows, T{1} / static_cast<T>(rows_));
    }
    for (Index i = count() - 1; i >= 0; --i) {
      if (!plan(i).used || !plan(i).differentiated || !node(i).op || node(i).shared) continue;
      bool through_rows = false;
      bool through_shared = false;
      for (const Index input : node(i).inputs) {
        (node(input).shared ? through_shared : through_rows) |= plan(input).differentiated;
      }
      if (through_rows) {
        parallel_for(pieces, [&](Index piece) {
          const Index begin = piece * size;
          visit_back(i, first, rows, begin, std::min(size, rows - begin), false, thread_scratch());
        });
      }
      if (through_shared) visit_back(i, first, rows, 0, rows, true, scratch_.data());
      for (const Index input : node(i).inputs) written_[static_cast<std::size_t>(input)] = true;
      written_[static_cast<std::size_t>(i)] = false;  // the next tile starts its cotangent anew
    }
  }

  void visit_forward(Index i, Index first, Index rows, Index begin, Index piece_rows) {
    const GraphNode& what = node(i);
    std::array<Jet<T>, kMostInputs> in;
    for (std::size_t k = 0; k < what.inputs.size(); ++k) in[k] = piece(what.inputs[k], first, rows, begin, piece_rows);
    what.op->push(Push<T>{.in = {in.data(), what.inputs.size()},
                          .out = piece(i, first, rows, begin, piece_rows),
                          .scratch = thread_scratch()});
  }

  Jet<T> piece(Index i, Index first, Index rows, Index begin, Index piece_rows) {
    const Jet<T> whole = jet(i, first, rows, arena_.data());
    return node(i).shared ? whole : rows_of(whole, begin, piece_rows);
  }

  void visit_back(Index i, Index first, Index rows, Index begin, Index piece_rows, bool shared_inputs, T* scratch) {
    const GraphNode& what = node(i);
    std::array<Jet<T>, kMostInputs> in;
    std::array<Cotangent<T>, kMostInputs> targets;
    for (std::size_t k = 0; k < what.inputs.size(); ++k) {
      const Index input = what.inputs[k];
      in[k] = piece(input, first, rows, begin, piece_rows);
      if (!plan(input).differentiated || node(input).shared != shared_inputs) continue;
      // An input that comes twice gets both contributions.
      const bool again = std::find(what.inputs.begin(), what.inputs.begin() + static_cast<std::ptrdiff_t>(k), input) !=
                         what.inputs.begin() + static_cast<std::ptrdiff_t>(k);
      targets[k] = {.data = cotangent(input) + (node(input).shared ? 0 : begin * plan(input).size),
                    .accumulate = again || written_[static_cast<std::size_t>(input)]};
    }
    what.op->pull(Pull<T>{.in = {in.data(), what.inputs.size()},
                          .out = piece(i, first, rows, begin, piece_rows),
                          .cotangent = cotangent(i) + (what.shared ? 0 : begin * plan(i).size),
                          .in_cotangents = {targets.data(), what.inputs.size()},
                          .scratch = scratch});
  }

  // Back through what depends on parameters alone, after all tiles.
  void pull_shared() {
    if (node(program_.loss()).shared) *cotangent(program_.loss()) = T{1};
    for (Index i = count() - 1; i >= 0; --i) {
      if (!plan(i).used || !plan(i).differentiated || !node(i).op || !node(i).shared) continue;
      visit_back(i, 0, 1, 0, 1, true, scratch_.data());
      for (const Index input : node(i).inputs) written_[static_cast<std::size_t>(input)] = true;
    }
  }

  const Program& program_;
  int threads_;
  Plan plan_;
  Buffer<T> arena_;
  Buffer<T> shared_;
  Buffer<T> scratch_;
  Buffer<T> losses_;
  Buffer<T> slopes_;
  Buffer<T> curvatures_;
  std::vector<Buffer<T>> outputs_;

  // What the current run reads.
  Index rows_ = 0;
  const Parameters<T>* parameters_ = nullptr;
  const Batch<T>* batch_ = nullptr;
  const Tangents<T>* tangents_ = nullptr;
  const Perturbation<T>* perturbation_ = nullptr;
  std::vector<const PackedMatrix<T>*> packed_;
  T* gradient_ = nullptr;
  std::vector<bool> written_;  // nodes whose cotangent holds something already
};

template <class T>
Runner<T>::Runner(const Program& program, const Workload& workload)
    : state_(std::make_unique<State>(program, workload)) {}
template <class T>
Runner<T>::~Runner() = default;
template <class T>
Runner<T>::Runner(Runner&&) noexcept = default;
template <class T>
Runner<T>& Runner<T>::operator=(Runner&&) noexcept = default;
template <class T>
const Program& Runner<T>::program() const {
  return state_->program();
}
template <class T>
const Workload& Runner<T>::workload() const {
  return state_->workload();
}
template <class T>
typename Runner<T>::State& Runner<T>::state() {
  if (thread_count() > state_->threads()) state_ = std::make_unique<State>(program(), workload());
  return *state_;
}
template <class T>
RunResult<T> Runner<T>::run(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
                            const Perturbation<T>& perturbation) {
  return state().run(parameters, batch, tangents, perturbation);
}
template <class T>
RunResult<T> Runner<T>::gradient(const Parameters<T>& parameters, const Batch<T>& batch, std::span<T> out) {
  return state().gradient(parameters, batch, out);
}
template <class T>
std::span<const T> Runner<T>::output(std::size_t i) const {
  return state_->output(i);
}

template class Runner<float>;
template class Runner<double>;

}  // namespace slopewise
