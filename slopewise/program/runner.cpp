#include "slopewise/program/runner.hpp"

#include <fmt/format.h>

#include <optional>
#include <type_traits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/pullback.hpp"

namespace slopewise {

template <class T>
struct Runner<T>::State {
  State(const Program& program, const Workload& workload, std::shared_ptr<Workspace> memory)
      : workspace(std::move(memory)), execution(program, workload, thread_count(), workspace) {
    if (workload.backward()) pullback.emplace(execution);
  }
  std::shared_ptr<Workspace> workspace;
  Execution<T> execution;
  std::optional<Pullback<T>> pullback;

  Workload::Mode mode() const { return execution.plan().workload.mode; }
};

template <class T>
Runner<T>::Runner(const Program& program, const Workload& workload, std::shared_ptr<Workspace> workspace)
    : state_(std::make_unique<State>(program, workload,
                                     workspace ? std::move(workspace) : std::make_shared<Workspace>())) {}
template <class T>
Runner<T>::~Runner() = default;
template <class T>
Runner<T>::Runner(Runner&&) noexcept = default;
template <class T>
Runner<T>& Runner<T>::operator=(Runner&&) noexcept = default;
template <class T>
const Program& Runner<T>::program() const {
  return state_->execution.program();
}
template <class T>
const Workload& Runner<T>::workload() const {
  return state_->execution.plan().workload;
}

template <class T>
typename Runner<T>::State& Runner<T>::state() {
  if (thread_count() > state_->execution.threads())
    state_ = std::make_unique<State>(program(), workload(), state_->workspace);
  return *state_;
}

template <class T>
void Runner<T>::require_room(std::string_view what, std::size_t found, Index expected) const {
  if (static_cast<Index>(found) != expected)
    throw ShapeError(fmt::format("{}: expected room for {} entries, found {}", what, expected, found));
}

template <class T>
RunResult<T> Runner<T>::run(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
                            const Perturbation<T>& perturbation) {
  Execution<T>& execution = state().execution;
  if (workload().backward()) throw ArgumentError("run: this runner makes gradients; expected a forward workload");
  execution.bind(parameters, batch, tangents, perturbation);
  execution.run_shared();
  execution.run_tiles();
  return execution.finish();
}

template <class T>
RunResult<T> Runner<T>::gradient(const Parameters<T>& parameters, const Batch<T>& batch, std::span<T> out) {
  State& now = state();
  if (now.mode() != Workload::Mode::kPullback) throw ArgumentError("gradient: expected a pullback workload");
  require_room("gradient", out.size(), program().size());
  now.execution.bind(parameters, batch, nullptr, {});
  return now.pullback->gradient(out.data());
}

template <class T>
RunResult<T> Runner<T>::given(const Parameters<T>& parameters, const Batch<T>& batch, const Tangents<T>* tangents,
                              const Perturbation<T>& perturbation, const Giver<T>& giver, std::span<T> out) {
  State& now = state();
  if (now.mode() != Workload::Mode::kGiven) throw ArgumentError("given: expected a workload with given cotangents");
  require_room("given", out.size(), now.execution.plan().gradient);
  now.execution.bind(parameters, batch, tangents, perturbation);
  return now.pullback->gradient(out.data(), giver);
}

template <class T>
RunResult<T> Runner<T>::descend(Parameters<T>& parameters, const Batch<T>& batch, double rate) {
  State& now = state();
  if (now.mode() != Workload::Mode::kDescent) throw ArgumentError("descend: expected a descent workload");
  now.execution.bind(parameters, batch, nullptr, {});
  return now.pullback->descend(parameters, rate);
}

template <class T>
void Runner<T>::compact(Parameters<T>& parameters) const {
  if constexpr (std::is_same_v<T, float>) {
    const ParameterLayout& layout = program().layout();
    for (Index i = 0; i < state_->execution.count(); ++i) {
      if (!state_->execution.plan(i).packed || program().node(i).kind != GraphNode::Kind::kParameter) continue;
      const Segment& segment = layout.segments[program().node(i).slot];
      const Block& block = layout.blocks[segment.block];
      parameters.compact(segment.offset, block.rows, block.columns);
    }
  }
}

template <class T>
std::span<const T> Runner<T>::output(std::size_t i) const {
  return state_->execution.output(i);
}

template class Runner<float>;
template class Runner<double>;

}  // namespace slopewise
