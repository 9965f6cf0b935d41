#include "slopewise/objective/body_objective.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"

namespace slopewise {

template <class T>
BodyObjective<T>::BodyObjective(const Program& program, const ActivitySites& sites, Precision precision)
    : program_(program), cut_(sites.nodes.empty() ? -1 : sites.nodes.back()), precision_(precision) {
  Index body = 0, parameters = 0;
  for (Index i = 0; i < static_cast<Index>(program.nodes().size()); ++i) {
    if (program.node(i).kind != GraphNode::Kind::kParameter) continue;
    ++parameters;
    if (i > cut_) continue;
    ++body;
    if (program.node(i).slot >= body)
      throw ArgumentError("body objective: expected the parameters before the last site to be the program's first");
  }
  if (body == 0 || body == parameters)
    throw ArgumentError("body objective: expected parameters before and after the last site");
  body_ = program.layout().first(body);
  gradient_.resize(static_cast<std::size_t>(program.size()));
}

template <class T>
Runner<T>& BodyObjective<T>::runner(std::unique_ptr<Runner<T>>& made, const Workload& workload) {
  const auto same = [&](const Workload& has) {
    return has.batch >= workload.batch && has.tangents == workload.tangents && has.forms == workload.forms;
  };
  if (!made || !same(made->workload())) made = std::make_unique<Runner<T>>(program_, workload);
  return *made;
}

template <class T>
double BodyObjective<T>::loss(const Parameters<T>& parameters) {
  if (!losses_ || losses_->workload().batch < batch_.rows)
    losses_ = std::make_unique<Runner<T>>(program_, Workload{.batch = batch_.rows, .precision = of_values(precision_)});
  return losses_->run(parameters, batch_).loss;
}

template <class T>
Slopes BodyObjective<T>::slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  if (!tangents.layout().same_shapes(body_))
    throw ShapeError(fmt::format("body objective: expected tangents of the body's {} parameters", body_.size));
  Workload workload{.mode = Workload::Mode::kGiven,
                    .batch = batch_.rows,
                    .tangents = tangents.count(),
                    .forms = tangents.forms(),
                    .cuts = {cut_},
                    .precision = precision_};
  workload.forms.resize(program_.layout().segments.size(), TangentForm::kNone);
  RunResult<T> result = runner(slopes_, workload).given(parameters, batch_, &tangents, {}, {}, gradient_);
  return {.loss = result.loss, .slopes = std::move(result.slopes)};
}

template <class T>
double BodyObjective<T>::gradient(const Parameters<T>& parameters, std::span<T> out) {
  if (static_cast<Index>(out.size()) != body_.size)
    throw ShapeError(fmt::format("body objective: expected room for {} entries, found {}", body_.size, out.size()));
  if (!exact_ || exact_->workload().batch < batch_.rows) {
    exact_ = std::make_unique<Runner<T>>(
        program_,
        Workload{.mode = Workload::Mode::kPullback, .batch = batch_.rows, .precision = of_values(precision_)});
  }
  const double loss = exact_->gradient(parameters, batch_, gradient_).loss;
  std::copy_n(gradient_.begin(), out.size(), out.begin());
  return loss;
}

template <class T>
std::span<const T> BodyObjective<T>::head_gradient() const {
  return std::span<const T>(gradient_).subspan(static_cast<std::size_t>(body_.size));
}

template class BodyObjective<float>;
template class BodyObjective<double>;

}  // namespace slopewise
