// An objective whose head, the layer after the last hidden activities or all that follows ActivitySites::head, is
// differentiated exactly: what an estimator sees is the rest of it, the body.
#pragma once

#include <memory>

#include "slopewise/objective/objective.hpp"
#include "slopewise/program/program.hpp"
#include "slopewise/program/sites.hpp"

namespace slopewise {

// Whether a program has parameters before and after the node that its head follows, those before it first in its
// layout: what BodyObjective takes.
bool has_exact_head(const Program& program, const ActivitySites& sites);

// Parameters before that node, the first of the layout. Throws ArgumentError where they are not its first.
ParameterLayout body_layout(const Program& program, const ActivitySites& sites);

// The layout is that of the body's parameters, the first segments of the program's; θ is all of it. Slopes come from
// the same pass as the head's gradient, (p − y) aᵀ, both factors of which are known on the way forward; losses alone do
// not tell it.
template <class T>
class BodyObjective final : public Objective<T> {
 public:
  // Throws ArgumentError where no parameters lie before that node, or where body and head are not parted by it.
  BodyObjective(const Program& program, const ActivitySites& sites);
  // The objective of the whole program, which must outlive what is asked of this one.
  void bind(Objective<T>& whole) { whole_ = &whole; }

  const ParameterLayout& layout() const override { return body_; }
  double loss(const Parameters<T>& parameters) override { return whole_->loss(parameters); }
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  double gradient(const Parameters<T>& parameters, std::span<T> out) override;
  std::span<const T> output() const override { return whole_->output(); }
  bool is_read() const override { return whole_->is_read(); }
  Index examples() const override { return whole_->examples(); }
  std::vector<std::vector<T>> values(const Parameters<T>& parameters, std::span<const Index> nodes,
                                     std::span<const Index> rows) override {
    return whole_->values(parameters, nodes, rows);
  }

  Demand loss_demand() const override { return whole_->loss_demand(); }
  Demand slopes_demand(std::span<const TangentForm> forms, Index tangents, int order = 1) const override;
  Demand gradient_demand() const override { return whole_->gradient_demand(); }
  Demand values_demand(std::span<const Index> nodes, Index rows) const override {
    return whole_->values_demand(nodes, rows);
  }

  // The head's gradient, entries [layout().size, n) of θ, at the θ of the last call of slopes() or gradient(); given up
  // by this object.
  std::shared_ptr<const DenseGradient<T>> take_head_gradient() { return std::move(head_); }

 private:
  GivenOptions options(std::span<const TangentForm> forms, Index tangents) const;

  Index cut_;
  bool few_rows_;         // a head of several layers
  Index size_;            // n
  std::size_t segments_;  // of the whole
  ParameterLayout body_;
  Objective<T>* whole_ = nullptr;
  std::shared_ptr<DenseGradient<T>> head_;
};

}  // namespace slopewise
