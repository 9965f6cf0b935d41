#include "slopewise/program/pass.hpp"

namespace slopewise {
namespace {

Workload forward_workload(ForwardOptions options) {
  return {.tangents = options.tangents,
          .order = options.order,
          .forms = std::move(options.forms),
          .perturbed = std::move(options.perturbed),
          .outputs = std::move(options.outputs),
          .precision = options.precision};
}

Workload exact_workload(Workload::Mode mode, ExactOptions options) {
  return {.mode = mode,
          .outputs = std::move(options.outputs),
          .precision = options.precision,
          .few_rows = options.few_rows,
          .checkpointed = options.checkpointed,
          .micro_batch = options.micro_batch};
}

Workload given_workload(const Program& program, GivenOptions options) {
  if (options.forms.empty()) options.forms.assign(program.layout().segments.size(), TangentForm::kNone);
  return {.mode = Workload::Mode::kGiven,
          .tangents = options.tangents,
          .forms = std::move(options.forms),
          .perturbed = std::move(options.perturbed),
          .outputs = std::move(options.outputs),
          .cuts = std::move(options.cuts),
          .error = options.error,
          .ahead = options.ahead,
          .gradient_first = options.gradient_first,
          .spare = options.spare,
          .precision = options.precision,
          .few_rows = options.few_rows};
}

}  // namespace

namespace detail {

template <class T>
Runner<T>& PassOf<T>::runner(Index rows) {
  if (!runner_ || workload_.batch < rows) {
    runner_.reset();  // its memory first
    workload_.batch = rows;
    runner_.emplace(program_, workload_, workspace_);
  }
  return *runner_;
}

template <class T>
MemoryReport PassOf<T>::memory(Index batch, int threads) const {
  Workload workload = workload_;
  workload.batch = batch;
  return program_.memory(workload, sizeof(T), threads);
}

template <class T>
CostReport PassOf<T>::cost(Index batch) const {
  Workload workload = workload_;
  workload.batch = batch;
  return program_.cost(workload, sizeof(T));
}

template <class T>
void PassOf<T>::compact(Parameters<T>& parameters) {
  runner(workload_.batch).compact(parameters);
}

template class PassOf<float>;
template class PassOf<double>;

}  // namespace detail

template <class T>
ForwardPass<T>::ForwardPass(const Program& program, ForwardOptions options, std::shared_ptr<Workspace> workspace)
    : detail::PassOf<T>(program, forward_workload(std::move(options)), std::move(workspace)) {}
template <class T>
ExactPass<T>::ExactPass(const Program& program, ExactOptions options, std::shared_ptr<Workspace> workspace)
    : detail::PassOf<T>(program, exact_workload(Workload::Mode::kPullback, std::move(options)), std::move(workspace)) {}
template <class T>
DescentPass<T>::DescentPass(const Program& program, ExactOptions options, std::shared_ptr<Workspace> workspace)
    : detail::PassOf<T>(program, exact_workload(Workload::Mode::kDescent, std::move(options)), std::move(workspace)) {}
template <class T>
GivenPass<T>::GivenPass(const Program& program, GivenOptions options, std::shared_ptr<Workspace> workspace)
    : detail::PassOf<T>(program, given_workload(program, std::move(options)), std::move(workspace)) {}

template class ForwardPass<float>;
template class ForwardPass<double>;
template class ExactPass<float>;
template class ExactPass<double>;
template class DescentPass<float>;
template class DescentPass<double>;
template class GivenPass<float>;
template class GivenPass<double>;

}  // namespace slopewise
