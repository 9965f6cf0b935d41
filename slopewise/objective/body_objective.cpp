#include "slopewise/objective/body_objective.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/program/stream.hpp"

namespace slopewise {

namespace {

// Parameters that the cut is made of, and whether they are the layout's first.
struct Body {
  Index parameters = 0, all = 0;
  Index last_slot = -1;

  bool first() const { return last_slot < parameters; }
  bool parted() const { return parameters > 0 && parameters < all; }
};

Body body_of(const Program& program, Index cut) {
  Body body;
  std::vector<bool> before(program.nodes().size());
  if (cut >= 0) before = ancestors(program, cut);
  for (Index i = 0; i < static_cast<Index>(program.nodes().size()); ++i) {
    if (program.node(i).kind != GraphNode::Kind::kParameter) continue;
    ++body.all;
    if (!before[i]) continue;
    ++body.parameters;
    body.last_slot = std::max(body.last_slot, program.node(i).slot);
  }
  return body;
}

Index cut_of(const ActivitySites& sites) {
  if (sites.head >= 0) return sites.head;
  return sites.nodes.empty() ? -1 : sites.nodes.back();
}

}  // namespace

bool has_exact_head(const Program& program, const ActivitySites& sites) {
  const Body body = body_of(program, cut_of(sites));
  return body.first() && body.parted();
}

ParameterLayout body_layout(const Program& program, const ActivitySites& sites) {
  const Body body = body_of(program, cut_of(sites));
  if (!body.first()) throw ArgumentError("exact head: expected the parameters before it to be the program's first");
  return program.layout().first(body.parameters);
}

template <class T>
BodyObjective<T>::BodyObjective(const Program& program, const ActivitySites& sites)
    : cut_(cut_of(sites)),
      few_rows_(sites.head >= 0),
      size_(program.size()),
      segments_(program.layout().segments.size()) {
  body_ = body_layout(program, sites);
  if (!body_of(program, cut_).parted())
    throw ArgumentError("exact head: expected parameters before and after the node that it follows");
}

template <class T>
GivenOptions BodyObjective<T>::options(std::span<const TangentForm> forms, Index tangents) const {
  GivenOptions options{.tangents = tangents,
                       .forms = {forms.begin(), forms.end()},
                       .cuts = {cut_},
                       .gradient_first = body_.size,
                       .few_rows = few_rows_};
  options.forms.resize(segments_, TangentForm::kNone);
  return options;
}

template <class T>
Slopes BodyObjective<T>::slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  if (!tangents.layout().same_shapes(body_))
    throw ShapeError(fmt::format("exact head: expected tangents of the body's {} parameters", body_.size));
  head_.reset();
  head_ = whole_->room(size_ - body_.size);
  RunResult<T> result =
      whole_->given(options(tangents.forms(), tangents.count()), parameters, &tangents, {}, {}, head_->edit());
  return {.loss = result.loss, .slopes = std::move(result.slopes)};
}

template <class T>
double BodyObjective<T>::gradient(const Parameters<T>& parameters, std::span<T> out) {
  if (static_cast<Index>(out.size()) != body_.size)
    throw ShapeError(fmt::format("exact head: expected room for {} entries, found {}", body_.size, out.size()));
  DenseGradient<T> whole(size_);
  const double loss = whole_->gradient(parameters, whole.edit());
  std::copy_n(whole.values().begin(), out.size(), out.begin());
  head_.reset();
  head_ = whole_->room(size_ - body_.size);
  std::copy(whole.values().begin() + body_.size, whole.values().end(), head_->edit().begin());
  return loss;
}

template <class T>
Demand BodyObjective<T>::slopes_demand(std::span<const TangentForm> forms, Index tangents, int) const {
  return whole_->given_demand(options(forms, tangents));
}

template class BodyObjective<float>;
template class BodyObjective<double>;

}  // namespace slopewise
