// A program whose head, the layer after the last hidden activities, is differentiated exactly: what an estimator sees
// is the rest of it, the body.
#pragma once

#include <memory>

#include "slopewise/objective/objective.hpp"
#include "slopewise/program/runner.hpp"
#include "slopewise/program/sites.hpp"

namespace slopewise {

// The objective's layout is that of the body's parameters, the first segments of the program's; θ is all of it. Slopes
// come from the same pass as the head's gradient, (p − y) aᵀ, both factors of which are known on the way forward. Not
// for central differences, which would move a θ of the body alone.
template <class T>
class BodyObjective final : public Objective<T> {
 public:
  // The program and the numbers that `batch` points to must outlive the objective. Throws ArgumentError where no
  // parameters lie before the last site, or where body and head are not parted by it.
  BodyObjective(const Program& program, const ActivitySites& sites, Precision precision);

  const ParameterLayout& layout() const override { return body_; }
  double loss(const Parameters<T>& parameters) override;
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  double gradient(const Parameters<T>& parameters, std::span<T> out) override;

  // Other examples.
  void bind(Batch<T> batch) { batch_ = std::move(batch); }
  // The head's gradient, entries [layout().size, n) of θ, at the θ of the last call of slopes() or gradient().
  std::span<const T> head_gradient() const;

 private:
  Runner<T>& runner(std::unique_ptr<Runner<T>>& made, const Workload& workload);

  const Program& program_;
  Index cut_;
  Precision precision_;
  ParameterLayout body_;
  Batch<T> batch_;
  std::unique_ptr<Runner<T>> losses_, slopes_, exact_;
  std::vector<T> gradient_;  // (n)
};

}  // namespace slopewise
